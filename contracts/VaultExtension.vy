# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
# pragma optimize codesize
"""
@title The rest of a vault's code
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice What a vault does in kind and in need: leaving and entering with a part of everything,
        deleveraging. One contract with all of it would exceed the limit on code size,
        so the vault runs these functions here by delegatecall: storage, balances and `self` are the
        vault's, the vault holds the lock, and the address is fixed when the vault is deployed.
        Both declare the same modules in the same order, which gives them one storage layout; the
        vault refuses an extension made for other assets, oracle, mandate or venues.
        Called directly it does nothing: every function refuses, and it holds nothing.
@custom:kill As the vault: it has no state and no role of its own. Redemption in kind cannot be stopped
             by anyone; deposits in kind stop as deposits do; deleveraging is allowed by the mandate.
"""


from ethereum.ercs import IERC20
from ethereum.ercs import IERC4626
from snekmate.auth import ownable
from snekmate.tokens import erc20
from .interfaces import IMandate
from .interfaces import IPriceOracle
from .interfaces import IVenue
from .modules import custody
from .modules import delegated
from .modules import fees
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
    erc20.permit,
    delegated.parts,
)


event RedeemedInKind:
    caller: indexed(address)
    receiver: indexed(address)
    owner: indexed(address)
    shares: uint256
    amounts: DynArray[uint256, 16]
    skip: uint256


event PositionRedeemed:
    receiver: indexed(address)
    venue: indexed(uint256)
    held: DynArray[uint256, 16]
    owed: DynArray[uint256, 16]
    claimed: bool


event DepositedInKind:
    sender: indexed(address)
    owner: indexed(address)
    shares: uint256
    amounts: DynArray[uint256, 16]


event Deleveraged:
    caller: indexed(address)
    venue: indexed(uint256)
    debt: indexed(uint256)
    repaid_from_wallet: uint256
    repaid_by_caller: uint256
    collateral: uint256
    collateral_paid: uint256
    health_before: uint256
    health_after: uint256


event WalletRepaid:
    venue: indexed(uint256)
    debt: indexed(uint256)
    amount: uint256


event Recovered:
    token: indexed(address)
    receiver: indexed(address)
    amount: uint256


interface Owned:
    def owner() -> address: view


ONE: constant(uint256) = 10**18
# From this bit of `skip` on, bits stand for venues.
SKIP_VENUES: constant(uint256) = 16


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
    delegated.__init__(
        keccak256(abi_encode("VaultExtension", name, tokens, base_decimals, oracle, mandate, venues_))
    )


# ---------------------------------------------------------------------------------------------
# Leaving in kind
# ---------------------------------------------------------------------------------------------


@external
@reentrant
def redeem_in_kind(shares: uint256, receiver: address, owner: address, skip: uint256) -> DynArray[uint256, 16]:
    """
    @notice Burns shares for their part of every token held and of every position, less the exit fee,
            which stays with the others; who holds the whole supply pays none and leaves the virtual
            shares' dust. Works in every breaker state and asks no oracle of ours. The owner of the
            shares or whom they approved; reverts when a token or venue that is not skipped refuses.
            A position is paid in the venue's receipt tokens; the caller brings the same part of
            what is owed there, which is repaid for the vault, so that the health factor of those who
            stay does not fall. The caller must have approved the vault for the debt tokens: the
            part, rounded up, and one base unit.
    @param shares Share base units to burn.
    @param receiver Gets the tokens, and the claims to skipped ones.
    @param owner Whose shares.
    @param skip Bit i set: do not transfer asset i, record a claim instead; to nothing when the token
           cannot even tell its balance. Bit 16 + v set: the same for the position at venue v, both
           what is held and what is owed; see VaultClaims.
    @return Base units of each asset paid or recorded, positions not included.
    """
    delegated._check()
    assert shares > 0, "vault: zero shares"
    assert receiver not in [empty(address), self], "vault: bad receiver"
    net_shares: uint256 = shares
    if shares < erc20.totalSupply:
        net_shares = fees._net(shares, valuation._terms().exit_fee_bps)
    supply: uint256 = valuation._supply()
    valuation._burn_from(owner, shares)
    claimed: uint256 = state._claimed_assets()
    amounts: DynArray[uint256, 16] = []
    for i: uint256 in range(custody._COUNT, bound=16):
        if (skip >> i) & 1 == 1:
            amounts.append(custody._readable_holding(i) * net_shares // supply)
            custody._record_claim(receiver, i, amounts[i])
        else:
            amounts.append(custody._holding(i, claimed) * net_shares // supply)
    for v: uint256 in range(positions._COUNT, bound=4):
        self._leave_venue(v, net_shares, supply, receiver, (skip >> (SKIP_VENUES + v)) & 1 == 1)
    for i: uint256 in range(custody._COUNT, bound=16):
        if (skip >> i) & 1 == 0 and amounts[i] > 0:
            custody._send(i, receiver, amounts[i])
    log RedeemedInKind(caller=msg.sender, receiver=receiver, owner=owner, shares=shares, amounts=amounts, skip=skip)
    return amounts


# ---------------------------------------------------------------------------------------------
# Entering in kind
# ---------------------------------------------------------------------------------------------


@external
@reentrant
def deposit_in_kind(shares: uint256, receiver: address, max_amounts: DynArray[uint256, 16]) -> DynArray[uint256, 16]:
    """
    @notice Mints shares for their part of every token held and every receipt token, and the entry
            fee on top in kind, rounded up. Anyone; reverts as `deposit` does, when the vault has no
            shares yet or owes anything, and when an asset would take more than its maximum.
    @param shares Share base units to mint.
    @param receiver Gets the shares.
    @param max_amounts Most base units of each asset to take, wallet and position together.
    @return Base units of each asset taken, receipt tokens included.
    """
    delegated._check()
    assert shares > 0 and erc20.totalSupply > 0, "vault: zero shares"
    assert not positions._owes(), "vault: owes"
    gross: uint256 = fees._gross(shares, valuation._enter(valuation._appraise()))
    supply: uint256 = valuation._supply()
    claimed: uint256 = state._claimed_assets()
    valuation._mint(receiver, shares)
    amounts: DynArray[uint256, 16] = []
    for i: uint256 in range(custody._COUNT, bound=16):
        held: uint256 = custody._holding(i, claimed)
        amount: uint256 = fees._ceil_div(held * gross, supply)
        if amount > 0:
            custody._receive_onto(held, i, msg.sender, amount)
        amounts.append(amount)
    for v: uint256 in range(positions._COUNT, bound=4):
        held: DynArray[uint256, 16] = positions._position(v).held
        for i: uint256 in range(len(held), bound=16):
            if held[i] > 0:
                amount: uint256 = fees._ceil_div(held[i] * gross, supply) + positions.DUST
                positions._take_receipts(v, i, msg.sender, amount)
                amounts[i] += amount
    for i: uint256 in range(custody._COUNT, bound=16):
        assert amounts[i] <= max_amounts[i], "vault: above maximum"
    log DepositedInKind(sender=msg.sender, owner=receiver, shares=shares, amounts=amounts)
    return amounts


# ---------------------------------------------------------------------------------------------
# Deleveraging
# ---------------------------------------------------------------------------------------------


@external
@reentrant
def deleverage(venue: uint256, debt: uint256, collateral: uint256, amount: uint256) -> (uint256, uint256):
    """
    @notice Raises the health factor at a venue towards the mandate's target, never past it: repays
            first with what the wallet holds of the debt token, and of whatever else is owed there;
            then the caller repays up to `amount` of it and gets collateral, in receipt tokens, at the
            oracle's prices and the mandate's present discount. Anyone, when the mandate allows it:
            below its trigger or when HALTED. Reverts when there is nothing to do, a price is not live,
            or health does not rise.
    @param venue Index of the venue.
    @param debt Index of the asset that the caller repays.
    @param collateral Index of the asset that the caller is paid in.
    @param amount Most base units of the debt token the caller brings; must be approved.
    @return Base units of the debt token taken from the caller, and of collateral paid.
    """
    delegated._check()
    assert venue < positions._COUNT and max(debt, collateral) < custody._COUNT, "positions: unknown venue"
    health_before: uint256 = positions._health_at(venue)
    allowed: bool = False
    target_health: uint256 = 0
    discount_bps: uint256 = 0
    allowed, target_health, discount_bps = staticcall IMandate(valuation.mandate).deleverage_terms(health_before)
    assert allowed, "deleverage: not allowed"
    prices: uint256[16] = staticcall IPriceOracle(valuation.oracle).prices()

    from_wallet: uint256 = self._repay_from_wallet(venue, debt, prices, health_before, target_health)
    owed: DynArray[uint256, 16] = positions._position(venue).owed
    others: uint256 = 0
    for i: uint256 in range(len(owed), bound=16):
        if i != debt and owed[i] > 0:
            others += self._repay_from_wallet(venue, i, prices, positions._health_at(venue), target_health)

    # Collateral worth r (1 + discount) leaves with it: r = D (T - H) / (T - (1 + discount) LT).
    price: uint256 = (10_000 + discount_bps) * ONE // 10_000
    lost: uint256 = price * positions._threshold(venue, collateral) // ONE
    assert target_health > lost, "deleverage: discount too deep"
    needed: uint256 = positions._needed(venue, debt, prices, positions._health_at(venue), target_health, lost)
    taken: uint256 = min(amount, needed)
    paid: uint256 = 0
    if taken > 0:
        held: uint256 = positions._position(venue).held[collateral]
        taken = min(taken, held * prices[collateral] // price * ONE // prices[debt])
        paid = taken * prices[debt] // ONE * price // prices[collateral]
        positions._repay_from(venue, debt, msg.sender, taken)
        positions._send_receipts(venue, collateral, msg.sender, paid)
    assert from_wallet + others + taken > 0, "deleverage: nothing to do"
    health_after: uint256 = positions._health_at(venue)
    assert health_after > health_before, "deleverage: health does not rise"
    log Deleveraged(
        caller=msg.sender,
        venue=venue,
        debt=debt,
        repaid_from_wallet=from_wallet,
        repaid_by_caller=taken,
        collateral=collateral,
        collateral_paid=paid,
        health_before=health_before,
        health_after=health_after,
    )
    return taken, paid


# ---------------------------------------------------------------------------------------------
# The base asset, and stray tokens
# ---------------------------------------------------------------------------------------------


@external
@reentrant
def mint(shares: uint256, receiver: address) -> uint256:
    """
    @notice Mints an exact number of shares. Anyone; reverts as `deposit` does.
    @param shares Share base units.
    @param receiver Gets the shares.
    @return Base units of the base asset taken.
    """
    delegated._check()
    appraisal: valuation.Appraisal = valuation._appraise()
    net: uint256 = valuation._to_assets(shares, appraisal, True)
    assets: uint256 = fees._gross(net, valuation._enter(appraisal))
    valuation._deposit(assets, shares, receiver, appraisal.held)
    return assets


@external
@reentrant
def withdraw(assets: uint256, receiver: address, owner: address) -> uint256:
    """
    @notice Pays an exact amount of base asset, from the base asset held, for shares at live prices
            and the exit fee. The owner of the shares or whom they approved; reverts when HALTED, a
            price is not live or the vault holds less base asset.
    @return Share base units burned.
    """
    delegated._check()
    appraisal: valuation.Appraisal = valuation._appraise()
    shares: uint256 = valuation._to_shares(fees._gross(assets, valuation._terms().exit_fee_bps), appraisal, True)
    self._withdraw(assets, shares, receiver, owner, appraisal)
    return shares


@external
@reentrant
def redeem(shares: uint256, receiver: address, owner: address) -> uint256:
    """
    @notice Burns an exact number of shares for base asset; otherwise as `withdraw`.
    @return Base units of the base asset paid.
    """
    delegated._check()
    appraisal: valuation.Appraisal = valuation._appraise()
    assets: uint256 = fees._net(valuation._to_assets(shares, appraisal, False), valuation._terms().exit_fee_bps)
    self._withdraw(assets, shares, receiver, owner, appraisal)
    return assets


@external
@reentrant
def recover(token: address, receiver: address) -> uint256:
    """
    @notice Sends away a token that strayed into the vault. Only the mandate's owner; reverts for an
            asset and for a receipt token, so that it reaches neither holdings nor claims.
    @param token Any other token.
    @param receiver Where all of it goes.
    @return Base units sent.
    """
    delegated._check()
    assert msg.sender == staticcall Owned(valuation.mandate).owner(), "roles: not the owner"
    for i: uint256 in range(custody._COUNT, bound=16):
        assert token != custody._TOKENS[i], "custody: not a stray token"
        for v: uint256 in range(positions._COUNT, bound=4):
            assert token != staticcall IVenue(positions._VENUES[v]).receipt(i), "custody: not a stray token"
    amount: uint256 = staticcall IERC20(token).balanceOf(self)
    assert extcall IERC20(token).transfer(receiver, amount, default_return_value=True), "custody: transfer failed"
    log Recovered(token=token, receiver=receiver, amount=amount)
    return amount


@external
@reentrant
def run_leg(v: uint256, leg: IVenue.Leg, available: uint256):
    """
    @notice One leg of a settlement at a venue. Only the vault, from `settle`: it has no function of
            this name.
    @param v Index of the venue.
    @param leg What was signed.
    @param available Base units of token_in in the wallet.
    """
    delegated._check()
    positions._run_ordered(v, leg, available)


@external
@reentrant
def read_book(prices: uint256[16]) -> (IMandate.Book, uint256[16]):
    """
    @notice What a vault with venues holds and owes, for a settlement. Only the vault, as `run_leg`.
    @param prices The oracle's.
    @return Wallet and positions; what is owed by asset, USD at 18 decimals.
    """
    delegated._check()
    return valuation._book(prices)


# ---------------------------------------------------------------------------------------------
# Internals
# ---------------------------------------------------------------------------------------------


@internal
def _leave_venue(v: uint256, net_shares: uint256, supply: uint256, receiver: address, skip: bool):
    """
    @dev Debt first: receipt tokens of collateral move only while the account stays healthy. Each
         rounding is one base unit to the favour of those who stay, beyond what the protocol's own
         rounding can take.
    """
    position: positions.Position = positions._readable_position(v) if skip else positions._position(v)
    owed: DynArray[uint256, 16] = []
    held: DynArray[uint256, 16] = []
    for i: uint256 in range(len(position.owed), bound=16):
        part: uint256 = fees._ceil_div(position.owed[i] * net_shares, supply)
        owed.append(min(part + positions.DUST, position.owed[i]) if part > 0 else 0)
        if skip:
            positions._record_position_claim(receiver, v, i, True, owed[i])
        elif owed[i] > 0:
            positions._repay_from(v, i, msg.sender, owed[i])
    for i: uint256 in range(len(position.held), bound=16):
        part: uint256 = position.held[i] * net_shares // supply
        held.append(part - min(part, positions.DUST))
        if skip:
            positions._record_position_claim(receiver, v, i, False, held[i])
        elif held[i] > 0:
            positions._send_receipts(v, i, receiver, held[i])
    if len(held) > 0:
        log PositionRedeemed(receiver=receiver, venue=v, held=held, owed=owed, claimed=skip)


@internal
def _repay_from_wallet(
    venue: uint256, asset: uint256, prices: uint256[16], health: uint256, target: uint256
) -> uint256:
    """
    @dev A repayment of r raises the factor from H to T when r = D (T - H) / T.
    @return Base units repaid: what that takes, as far as it is held and owed.
    """
    amount: uint256 = custody._holding(asset, state._claimed_assets())
    if amount > 0:
        amount = min(amount, positions._needed(venue, asset, prices, health, target, 0))
    if amount > 0:
        positions._repay(venue, asset, amount)
        log WalletRepaid(venue=venue, debt=asset, amount=amount)
    return amount


@internal
def _withdraw(assets: uint256, shares: uint256, receiver: address, owner: address, appraisal: valuation.Appraisal):
    assert assets > 0 or shares == 0, "vault: zero assets"
    assert receiver not in [empty(address), self], "vault: bad receiver"
    assert assets <= custody._holding(0, state._claimed_assets()), "vault: not enough base asset"
    valuation._burn_from(owner, shares)
    custody._send(0, receiver, assets)
    valuation._keep_mark(appraisal.total_assets - assets, valuation._supply())
    worth: uint256 = appraisal.worth - assets * appraisal.base_price // ONE
    extcall IMandate(valuation.mandate).leave(valuation._per_share(worth, appraisal.base_price, valuation._supply()))
    log IERC4626.Withdraw(sender=msg.sender, receiver=receiver, owner=owner, assets=assets, shares=shares)
