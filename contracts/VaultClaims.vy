# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
# pragma optimize codesize
"""
@title What a vault does about claims
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice Pays what leavers left behind, a token or a position, and takes over the debt of claims that
        were abandoned. Run by the vault by delegatecall, as VaultExtension is and for the same reason.

        A claim to a position lies in the vault's one account at the venue. While it is healthy it weighs
        on nobody; when prices fall its owner may leave its debt to those who stay. Foreclosing gives
        them that debt together with collateral that pays for it, while there still is enough.
@custom:kill As the vault: it has no state and no role of its own. Claims cannot be stopped by anyone;
             without a deleverage trigger in the mandate nothing is foreclosed.
"""


from snekmate.auth import ownable
from snekmate.tokens import erc20
from .interfaces import IMandate
from .interfaces import IPriceOracle
from .interfaces import IVenue
from .modules import custody
from .modules import delegated
from .modules import fees
from .modules import limits as rules
from .modules import state
from .modules import valuation
from .modules import positions

# The order of these is the storage layout, and the vault's.
initializes: ownable
initializes: erc20[ownable := ownable]
initializes: state
initializes: custody[state := state]
initializes: positions[custody := custody]
initializes: valuation[erc20 := erc20, custody := custody, state := state, positions := positions]

initializes: delegated

exports: (
    custody.claim,
    delegated.parts,
)


event PositionForeclosed:
    caller: indexed(address)
    account: indexed(address)
    venue: indexed(uint256)
    # What fell to those who stay, base units by asset: collateral, and the debt that it pays for.
    held: DynArray[uint256, 16]
    owed: DynArray[uint256, 16]


ONE: constant(uint256) = 10**18
ONE_BPS: constant(uint256) = 10_000
BPS: constant(uint256) = 10**14


@deploy
def __init__(
    name: String[25],
    tokens: DynArray[address, 16],
    base_decimals: uint256,
    oracle: address,
    mandate: address,
    venues_: DynArray[address, 4],
):
    """
    @param name As the vault's, as are all others.
    """
    ownable.__init__()
    ownable._transfer_ownership(empty(address))
    erc20.__init__(name, "", 18, name, "1")
    custody.__init__(tokens)
    positions.__init__(venues_, tokens, [oracle, mandate])
    valuation.__init__(base_decimals, oracle, mandate)
    delegated.__init__(keccak256(abi_encode("VaultClaims", name, tokens, base_decimals, oracle, mandate, venues_)))


# ---------------------------------------------------------------------------------------------
# Who has a claim
# ---------------------------------------------------------------------------------------------


@external
@reentrant
def claim_position(venue: uint256, receiver: address):
    """
    @notice Pays the caller's claim to the position at a venue in receipt tokens, with the interest
            it earned, against the debt that belongs to it, with interest. Anyone who has one;
            reverts otherwise, when the caller did not approve that much, or while the venue refuses.
            What a liquidation took, so that the account no longer has it, stays a claim, free of debt.
            What a foreclosure left waits, besides, while those who stay are below the mandate's
            trigger: anyone may deleverage them then.
    @param venue Index of the venue.
    @param receiver Where the receipt tokens go.
    """
    delegated._check()
    assert venue < positions._COUNT, "positions: unknown venue"
    if positions._is_foreclosed(msg.sender, venue):
        if erc20.totalSupply > 0:
            assert positions._health_at(venue) >= self._trigger(self._table()) * BPS, "foreclose: deleverage first"
        positions._set_foreclosed(msg.sender, venue, False)
    claimed: bool = False
    for i: uint256 in range(custody._COUNT, bound=16):
        amount: uint256 = positions._take_debt(msg.sender, venue, i)
        if amount > 0:
            claimed = True
            positions._repay_from(venue, i, msg.sender, amount)
    held: DynArray[uint256, 16] = []
    owed: DynArray[uint256, 16] = []
    held, owed = staticcall IVenue(positions._VENUES[venue]).position(self)
    for i: uint256 in range(len(held), bound=16):
        claim: uint256 = positions._position_claim(msg.sender, venue, i, False)
        if claim > positions.DUST and held[i] <= positions.DUST:
            continue
        amount: uint256 = positions._release_position_claim(msg.sender, venue, i, False, held[i], claim)
        amount = min(amount, held[i])
        if claim > 0:
            claimed = True
        if amount > positions.DUST:
            positions._send_receipts(venue, i, receiver, amount - positions.DUST)
    assert claimed, "positions: no claim"
    log positions.PositionClaimed(account=msg.sender, receiver=receiver, venue=venue)


# ---------------------------------------------------------------------------------------------
# Anyone
# ---------------------------------------------------------------------------------------------


@external
@reentrant
def foreclose(venue: uint256, account: address):
    """
    @notice Takes over the debt of somebody's claim to the position at a venue, together with collateral
            of it that is worth the debt and the mandate's deleverage discount, from each asset the same
            part, rounded to the favour of those who stay; all of it where that is not enough. What is
            left stays a claim, free of debt. Collateral that a liquidation took, so that the account no
            longer has what claims say, counts for nothing and is taken off. Anyone, while the claim's
            own health factor is below the mandate's deleverage trigger, at the oracle's prices and the
            venue's thresholds. It moves no token and asks nothing of the protocol but views, so that a
            pause does not stop it.
            Reverts without a trigger, for a claim that owes nothing, when nobody stays, and when a price
            is not live.
    @param venue Index of the venue.
    @param account Whose claim.
    """
    delegated._check()
    assert venue < positions._COUNT, "positions: unknown venue"
    assert erc20.totalSupply > 0, "foreclose: nobody stays"
    table: uint256 = self._table()
    trigger: uint256 = self._trigger(table)
    assert trigger > 0, "foreclose: no trigger"
    prices: uint256[16] = staticcall IPriceOracle(valuation.oracle).prices()
    held: uint256[16] = empty(uint256[16])
    owed: uint256[16] = empty(uint256[16])
    collateral: uint256 = 0
    debt: uint256 = 0
    for i: uint256 in range(custody._COUNT, bound=16):
        held[i] = self._covered_claim(account, venue, i)
        owed[i] = positions._position_claim(account, venue, i, True)
        collateral += held[i] * prices[i] // ONE
        debt += fees._ceil_div(owed[i] * prices[i], ONE)
    assert debt > 0, "foreclose: owes nothing"
    health: uint256 = staticcall IVenue(positions._VENUES[venue]).health_of(self, held, owed, prices)
    assert health < trigger * BPS, "foreclose: healthy"

    needed: uint256 = fees._ceil_div(debt * (ONE_BPS + rules._field(table, rules.DELEVERAGE_DISCOUNT)), ONE_BPS)
    taken: DynArray[uint256, 16] = []
    taken_over: DynArray[uint256, 16] = []
    for i: uint256 in range(custody._COUNT, bound=16):
        taken.append(positions._release_position_claim(account, venue, i, False, needed, collateral))
        taken_over.append(positions._release_position_claim(account, venue, i, True, 1, 1))
    if needed < collateral:
        positions._set_foreclosed(account, venue, True)
    log PositionForeclosed(caller=msg.sender, account=account, venue=venue, held=taken, owed=taken_over)


# ---------------------------------------------------------------------------------------------
# Internals
# ---------------------------------------------------------------------------------------------


@internal
def _covered_claim(account: address, v: uint256, asset: uint256) -> uint256:
    """
    @dev Base units of collateral of a claim, once what a liquidation left uncovered is taken off it.
    """
    claim: uint256 = positions._position_claim(account, v, asset, False)
    if claim == 0:
        return 0
    missing: uint256 = positions._uncovered(v, asset)
    if missing == 0:
        return claim
    positions._release_position_claim(account, v, asset, False, missing, claim)
    return positions._position_claim(account, v, asset, False)


@internal
@view
def _table() -> uint256:
    return staticcall IMandate(valuation.mandate).table()


@internal
@pure
def _trigger(table: uint256) -> uint256:
    """
    @dev In basis points.
    """
    return rules._field(table, rules.DELEVERAGE_TRIGGER)
