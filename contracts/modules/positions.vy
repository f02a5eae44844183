# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title Venues and the positions a vault has there
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice Up to four venues, fixed at deployment with the one contract each may have called. A call gets
        an exact allowance of the leg's own token, and none is left. Positions are what the account
        holds and owes less what leavers who skipped a venue have claims to, collateral and debt.
"""


from ethereum.ercs import IERC20
from ..interfaces import IVenue
from . import custody

uses: custody


event PositionClaimed:
    account: indexed(address)
    receiver: indexed(address)
    venue: indexed(uint256)


struct Position:
    # Base units of the underlying by asset; empty at a venue where nothing is ever held.
    held: DynArray[uint256, 16]
    owed: DynArray[uint256, 16]


MAX_VENUES: constant(uint256) = 4
ONE: constant(uint256) = 10**18
RAY: constant(uint256) = 10**27
# What a lending protocol's own rounding may move a balance by, in base units.
DUST: constant(uint256) = 1
# Key of the mark that somebody's claim at a venue, which is added, was foreclosed.
FORECLOSED: constant(uint256) = 128


# A key is venue << 5 | debt << 4 | asset. Bit key is set while anyone has a claim to it.
_claimed_positions: uint256
# In units that grow by the venue's index, so that a claim earns and owes interest.
_total_position_claims: HashMap[uint256, uint256]
# Account -> key -> the same units; and at 128 + venue whether a claim there has been foreclosed.
position_claims: public(HashMap[address, HashMap[uint256, uint256]])

_COUNT: immutable(uint256)
_VENUES: immutable(address[4])
_TARGETS: immutable(address[4])


@deploy
def __init__(venues_: DynArray[address, 4], tokens: DynArray[address, 16], forbidden: DynArray[address, 2]):
    """
    @param venues_ All for these tokens in this order; no two with the same receipt token.
    @param tokens The vault's assets.
    @param forbidden What, besides the vault and its tokens, no venue may have called.
    """
    table: address[4] = empty(address[4])
    targets: address[4] = empty(address[4])
    receipts: DynArray[address, 64] = []
    for v: uint256 in range(len(venues_), bound=4):
        table[v] = venues_[v]
        targets[v] = staticcall IVenue(venues_[v]).target()
        theirs: DynArray[address, 16] = staticcall IVenue(venues_[v]).tokens()
        assert keccak256(abi_encode(theirs)) == keccak256(abi_encode(tokens)), "positions: other assets"
        assert targets[v].is_contract, "positions: no target"
        assert targets[v] != self and targets[v] not in tokens and targets[v] not in forbidden, "positions: bad target"
        for i: uint256 in range(len(tokens), bound=16):
            receipt: address = staticcall IVenue(venues_[v]).receipt(i)
            assert targets[v] != receipt, "positions: bad target"
            # What is an asset or another venue's already would count twice.
            assert receipt not in tokens and receipt not in receipts, "positions: held twice"
            if receipt != empty(address):
                receipts.append(receipt)
    _COUNT = len(venues_)
    _VENUES = table
    _TARGETS = targets


@external
@view
def venues() -> DynArray[address, 4]:
    """
    @notice The venues in order; a leg names them from 2 on.
    """
    table: DynArray[address, 4] = []
    for v: uint256 in range(_COUNT, bound=4):
        table.append(_VENUES[v])
    return table


@internal
@view
def _position(v: uint256) -> Position:
    position: Position = empty(Position)
    position.held, position.owed = staticcall IVenue(_VENUES[v]).position(self)
    if self._claims_at(v) != 0:
        for i: uint256 in range(len(position.held), bound=16):
            position.held[i] -= min(position.held[i], self._claimed(v, i, False))
            position.owed[i] -= min(position.owed[i], self._claimed(v, i, True))
    return position


@internal
@view
def _readable_position(v: uint256) -> Position:
    """
    @dev Empty when the protocol does not even say: it must not hold up those who leave without it.
    """
    success: bool = False
    response: Bytes[1152] = b""
    success, response = raw_call(
        _VENUES[v],
        abi_encode(self, method_id=method_id("position(address)")),
        max_outsize=1152,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not success:
        return Position(held=[], owed=[])
    return self._position(v)


@internal
@view
def _health() -> uint256:
    """
    @dev The lowest of all venues, at 1e18.
    """
    lowest: uint256 = max_value(uint256)
    for v: uint256 in range(_COUNT, bound=4):
        lowest = min(lowest, self._health_at(v))
    return lowest


@internal
@view
def _health_at(v: uint256) -> uint256:
    """
    @dev Of the account, or of what in it belongs to those who stay where that is lower: a claim is not
         theirs to lean on.
    """
    health: uint256 = staticcall IVenue(_VENUES[v]).health(self)
    if self._claims_at(v) != 0:
        held: uint256[16] = empty(uint256[16])
        owed: uint256[16] = empty(uint256[16])
        for i: uint256 in range(custody._COUNT, bound=16):
            held[i] = self._claimed(v, i, False)
            owed[i] = self._claimed(v, i, True)
        health = min(health, staticcall IVenue(_VENUES[v]).health_without(self, held, owed))
    return health


@internal
@view
def _threshold(v: uint256, asset: uint256) -> uint256:
    return staticcall IVenue(_VENUES[v]).threshold(self, asset)


@internal
@view
def _owes() -> bool:
    for v: uint256 in range(_COUNT, bound=4):
        for amount: uint256 in self._position(v).owed:
            if amount > 0:
                return True
    return False


@internal
@view
def _needed(
    v: uint256, debt: uint256, prices: uint256[16], health: uint256, target: uint256, lost: uint256
) -> uint256:
    """
    @dev Base units of one debt token that bring the health factor to the target, rounded up; at
         most what is owed of it.
    @param lost What the factor's numerator loses with each unit repaid, at 1e18.
    """
    if health >= target:
        return 0
    owed: DynArray[uint256, 16] = self._position(v).owed
    total: uint256 = 0
    for i: uint256 in range(len(owed), bound=16):
        total += owed[i] * prices[i] // ONE
    value: uint256 = total * (target - health) // (target - lost)
    return min(value * ONE // prices[debt] + 1, owed[debt])


@internal
def _run_ordered(v: uint256, leg: IVenue.Leg, available: uint256):
    """
    @dev Executes a leg that was signed; what belongs to claims is not its to withdraw or to repay.
    """
    reserved: uint256 = 0
    reserved_debt: uint256 = 0
    if self._claimed_positions != 0:
        asset: uint256 = convert(leg.token_in, uint256)
        reserved = self._claimed(v, asset, False)
        reserved_debt = self._claimed(v, asset, True)
    self._run(v, leg, available, reserved, reserved_debt)


@internal
def _run(v: uint256, leg: IVenue.Leg, available: uint256, reserved: uint256, reserved_debt: uint256):
    """
    @dev Executes a leg, spending at most `available` of its token_in. No allowance is left.
    """
    data: Bytes[1024] = b""
    spend: uint256 = 0
    data, spend = staticcall IVenue(_VENUES[v]).prepare(self, leg, available, reserved, reserved_debt)
    if len(data) == 0:
        return
    target: address = _TARGETS[v]
    if spend == 0:
        raw_call(target, data)
        return
    assert spend <= available, "positions: spends too much"
    token: address = custody._TOKENS[convert(leg.token_in, uint256)]
    self._approve(token, target, spend)
    raw_call(target, data)
    if staticcall IERC20(token).allowance(self, target) != 0:
        self._approve(token, target, 0)


@internal
def _approve(token: address, spender: address, amount: uint256):
    assert extcall IERC20(token).approve(spender, amount, default_return_value=True), "positions: approve failed"


@internal
def _repay_from(v: uint256, asset: uint256, payer: address, amount: uint256):
    """
    @dev Takes debt tokens from somebody and repays with them.
    """
    custody._receive_exact(asset, payer, amount)
    self._repay(v, asset, amount)


@internal
def _repay(v: uint256, asset: uint256, amount: uint256):
    """
    @dev Repays with what the wallet holds.
    """
    self._run(v, staticcall IVenue(_VENUES[v]).repayment(asset, amount), amount, 0, 0)


@internal
def _take_receipts(v: uint256, asset: uint256, payer: address, amount: uint256):
    token: address = staticcall IVenue(_VENUES[v]).receipt(asset)
    assert extcall IERC20(token).transferFrom(payer, self, amount, default_return_value=True), "positions: transfer failed"


@internal
def _send_receipts(v: uint256, asset: uint256, receiver: address, amount: uint256):
    token: address = staticcall IVenue(_VENUES[v]).receipt(asset)
    assert extcall IERC20(token).transfer(receiver, amount, default_return_value=True), "positions: transfer failed"


@internal
@view
def _claims_at(v: uint256) -> uint256:
    """
    @dev Not 0 while anyone has a claim to anything at a venue.
    """
    return (self._claimed_positions >> (v << 5)) & (2**32 - 1)


@internal
@view
def _claimed(v: uint256, asset: uint256, debt: bool) -> uint256:
    """
    @dev Base units that all claims to one side of a position have grown to, rounded up.
    """
    units: uint256 = self._total_position_claims[self._key(v, asset, debt)]
    return self._grown(v, asset, debt, units) + DUST if units > 0 else 0


@internal
@view
def _uncovered(v: uint256, asset: uint256) -> uint256:
    """
    @dev Base units of an asset that claims say and the account does not have, since somebody liquidated it.
    """
    held: DynArray[uint256, 16] = []
    owed: DynArray[uint256, 16] = []
    held, owed = staticcall IVenue(_VENUES[v]).position(self)
    claimed: uint256 = self._claimed(v, asset, False)
    return claimed - min(claimed, held[asset])


@internal
@view
def _grown(v: uint256, asset: uint256, debt: bool, units: uint256) -> uint256:
    return units * self._index(v, asset, debt) // RAY


@internal
@view
def _index(v: uint256, asset: uint256, debt: bool) -> uint256:
    income: uint256 = 0
    interest: uint256 = 0
    income, interest = staticcall IVenue(_VENUES[v]).indices(asset)
    return interest if debt else income


@internal
def _record_position_claim(account: address, v: uint256, asset: uint256, debt: bool, amount: uint256):
    if amount == 0:
        return
    index: uint256 = self._index(v, asset, debt)
    # In favour of those who stay: less of what is held, more of what is owed.
    units: uint256 = (amount * RAY + index - 1) // index if debt else amount * RAY // index
    key: uint256 = self._key(v, asset, debt)
    self.position_claims[account][key] += units
    self._total_position_claims[key] += units
    self._claimed_positions |= 1 << key


@internal
def _take_debt(account: address, v: uint256, asset: uint256) -> uint256:
    """
    @dev Deletes a claim's debt.
    @return Base units that it had grown to, rounded to the favour of those who stay.
    """
    amount: uint256 = self._position_claim(account, v, asset, True)
    self._release_position_claim(account, v, asset, True, 1, 1)
    return amount


@internal
@view
def _position_claim(account: address, v: uint256, asset: uint256, debt: bool) -> uint256:
    """
    @dev Base units that a claim has grown to; a debt rounded to the favour of those who stay.
    """
    amount: uint256 = self._grown(v, asset, debt, self.position_claims[account][self._key(v, asset, debt)])
    return amount + 2 * DUST if debt and amount > 0 else amount


@internal
def _release_position_claim(
    account: address, v: uint256, asset: uint256, debt: bool, part: uint256, whole: uint256
) -> uint256:
    """
    @dev Takes a part of a claim off, rounded up by what a balance may move; all of it from the whole on.
    @return Base units that it had grown to, rounded down.
    """
    key: uint256 = self._key(v, asset, debt)
    units: uint256 = self.position_claims[account][key]
    if units == 0:
        return 0
    if part < whole:
        units = min(units, units * part // whole + 2 * DUST)
    self.position_claims[account][key] -= units
    self._total_position_claims[key] -= units
    if self._total_position_claims[key] == 0:
        self._claimed_positions &= ~(1 << key)
    return self._grown(v, asset, debt, units)


@internal
@view
def _is_foreclosed(account: address, v: uint256) -> bool:
    return self.position_claims[account][FORECLOSED | v] != 0


@internal
def _set_foreclosed(account: address, v: uint256, foreclosed: bool):
    self.position_claims[account][FORECLOSED | v] = convert(foreclosed, uint256)


@internal
@pure
def _key(v: uint256, asset: uint256, debt: bool) -> uint256:
    return (v << 5) | (convert(debt, uint256) << 4) | asset
