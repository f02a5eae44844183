# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title Execution of an order's legs
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice Runs typed legs against pools and venues, and reports what they changed. What a leg leaves is
        read back from the tokens and the protocols, never taken from a quote.
"""


from ..interfaces import IMandate
from ..interfaces import IVenue
from . import custody
from . import positions
from . import uniswap

uses: custody
uses: positions
uses: uniswap


struct Executed:
    # Bit i set: the wallet of asset i was traded from or to.
    touched: uint256
    # What each leg paid and got, in base units.
    amounts_in: DynArray[uint256, 16]
    amounts_out: DynArray[uint256, 16]


ONE: constant(uint256) = 10**18
# A leg names venues from here on; below are Uniswap's versions.
FIRST_VENUE: constant(uint8) = 2
# VaultExtension.run_leg.
RUN_LEG: constant(bytes4) = method_id("run_leg(uint256,(uint8,uint8,uint8,uint24,uint128,uint128),uint256)", output_type=bytes4)
# VaultExtension.read_book.
READ_BOOK: constant(bytes4) = method_id("read_book(uint256[])", output_type=bytes4)
# Base units by which the legs may raise a holding at a venue through the protocol's rounding alone.
ROUNDING: constant(uint256) = 16


@internal
def _execute(legs: DynArray[IVenue.Leg, 16], wallet: uint256[16], claimed: uint256, extension: address) -> Executed:
    """
    @dev Runs the legs in order. Amounts clamp to the wallet as it then stands.
    @param wallet Base units in the wallet before the first leg.
    @param claimed Assets of which claims are recorded.
    @param extension Runs a leg at a venue, by delegatecall.
    """
    executed: Executed = Executed(touched=0, amounts_in=[], amounts_out=[])
    for leg: IVenue.Leg in legs:
        i: uint256 = convert(leg.token_in, uint256)
        j: uint256 = convert(leg.token_out, uint256)
        assert max(i, j) < custody._COUNT and (i != j or leg.venue >= FIRST_VENUE), "orders: unknown token"
        wanted: uint256 = convert(leg.amount_in, uint256)
        amount_in: uint256 = min(wanted, wallet[i])
        amount_out: uint256 = 0
        if leg.venue >= FIRST_VENUE:
            v: uint256 = convert(leg.venue - FIRST_VENUE, uint256)
            assert v < positions._COUNT, "orders: unknown venue"
            had_in: uint256 = custody._holding(i, claimed)
            had_out: uint256 = custody._holding(j, claimed)
            raw_call(extension, abi_encode(v, leg, had_in, method_id=RUN_LEG), is_delegate_call=True)
            wallet[i] = custody._holding(i, claimed)
            wallet[j] = custody._holding(j, claimed)
            amount_in = had_in - min(had_in, wallet[i])
            amount_out = wallet[j] - min(had_out, wallet[j])
            # A lending leg has one token: its minimum is what must arrive, whatever it clamps to.
            self._check_minimum(leg.min_amount_out, wanted if i == j else amount_in, wanted, amount_out)
        elif amount_in > 0:
            amount_in, amount_out = uniswap._swap(
                leg.venue, custody._TOKENS[i], custody._TOKENS[j], leg.fee, amount_in
            )
            self._check_minimum(leg.min_amount_out, amount_in, wanted, amount_out)
            wallet[i] -= amount_in
            wallet[j] += amount_out
            executed.touched |= (1 << i) | (1 << j)
        executed.amounts_in.append(amount_in)
        executed.amounts_out.append(amount_out)
    return executed


@internal
@pure
def _check_minimum(minimum: uint128, amount_in: uint256, wanted: uint256, amount_out: uint256):
    """
    @dev The minimum shrinks with the amount: minimum * amount_in / wanted, rounded up.
    """
    assert amount_out * wanted >= convert(minimum, uint256) * amount_in, "orders: amount out below minimum"


@internal
@view
def _measure_wallet(
    before: IMandate.Book, touched: uint256, prices: DynArray[uint256, 16], claimed: uint256
) -> (IMandate.Book, IMandate.Change):
    """
    @dev What the legs left and changed where nothing is held or owed at venues: only the assets that
         were traded are read again.
    """
    after: IMandate.Book = before
    change: IMandate.Change = empty(IMandate.Change)
    for i: uint256 in range(custody._COUNT, bound=16):
        if (touched >> i) & 1 == 0:
            continue
        old: uint256 = before.held[i]
        new: uint256 = custody._holding(i, claimed) * prices[i] // ONE
        after.held[i] = new
        if new > old:
            change.bought += new - old
            change.risen |= 1 << i
        else:
            change.sold += old - new
    after.gross = before.gross + change.bought - change.sold
    after.net = after.gross
    after.wallet = after.held[0]
    return after, change


@internal
def _read_book(prices: DynArray[uint256, 16], extension: address) -> (IMandate.Book, uint256[16]):
    """
    @dev Wallet and positions; what is owed by asset. The extension has the code and the memory for it.
    """
    answer: Bytes[1280] = raw_call(
        extension, abi_encode(prices, method_id=READ_BOOK), max_outsize=1280, is_delegate_call=True
    )
    return abi_decode(answer, (IMandate.Book, uint256[16]))


@internal
@pure
def _compare(
    before: IMandate.Book,
    owed_before: uint256[16],
    after: IMandate.Book,
    owed_after: uint256[16],
    prices: DynArray[uint256, 16],
) -> IMandate.Change:
    """
    @dev What the legs changed, positions and debt included.
    """
    change: IMandate.Change = empty(IMandate.Change)
    for i: uint256 in range(len(prices), bound=16):
        # Compared crosswise, so that no exposure is negative.
        old: uint256 = before.held[i] + owed_after[i]
        new: uint256 = after.held[i] + owed_before[i]
        if new > old:
            change.bought += new - old
        else:
            change.sold += old - new
        if after.held[i] > before.held[i] + ROUNDING * prices[i] // ONE:
            change.risen |= 1 << i
    return change
