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

uses: custody
uses: positions


ONE: constant(uint256) = 10**18
# A leg names venues from here on; below are Uniswap's versions.
FIRST_VENUE: constant(uint8) = 2
# VaultExtension.run_leg.
RUN_LEG: constant(bytes4) = method_id("run_leg(uint256,(uint8,uint8,uint8,uint24,uint128,uint128),uint256)", output_type=bytes4)
# VaultExtension.read_book.
READ_BOOK: constant(bytes4) = method_id("read_book(uint256[16])", output_type=bytes4)
# Base units by which the legs may raise a holding at a venue through the protocol's rounding alone.
ROUNDING: constant(uint256) = 16


@internal
def _run_at_venue(leg: IVenue.Leg, claimed: uint256, extension: address) -> (uint256, uint256):
    """
    @dev Runs a leg at a venue by the extension's code.
    @param claimed Assets of which claims are recorded.
    @return What left and what reached the wallet, in base units.
    """
    v: uint256 = convert(leg.venue - FIRST_VENUE, uint256)
    assert v < positions._COUNT, "orders: unknown venue"
    i: uint256 = convert(leg.token_in, uint256)
    j: uint256 = convert(leg.token_out, uint256)
    had_in: uint256 = custody._holding(i, claimed)
    had_out: uint256 = custody._holding(j, claimed)
    raw_call(extension, abi_encode(v, leg, had_in, method_id=RUN_LEG), is_delegate_call=True)
    amount_in: uint256 = had_in - min(had_in, custody._holding(i, claimed))
    amount_out: uint256 = custody._holding(j, claimed)
    amount_out -= min(had_out, amount_out)
    return amount_in, amount_out


@internal
def _read_book(prices: uint256[16], extension: address) -> (IMandate.Book, uint256[16]):
    """
    @dev Wallet and positions; what is owed by asset. The extension has the code and the memory for it.
    """
    answer: Bytes[1280] = raw_call(
        extension, abi_encode(prices, method_id=READ_BOOK), max_outsize=1280, is_delegate_call=True
    )
    return abi_decode(answer, (IMandate.Book, uint256[16]))
