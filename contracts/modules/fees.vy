# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title Entry and exit fees
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice Fees stay in the vault: they pay those who stay for the oracle's lag that an entry or an
        exit could exploit. Every rounding goes to the vault.
"""


ONE_BPS: constant(uint256) = 10_000


@internal
@pure
def _net(gross: uint256, fee_bps: uint256) -> uint256:
    """
    @dev What is left of an amount after the fee, rounded down.
    """
    return gross - self._ceil_div(gross * fee_bps, ONE_BPS)


@internal
@pure
def _gross(net: uint256, fee_bps: uint256) -> uint256:
    """
    @dev The least amount that leaves at least `net` after the fee.
    """
    return self._ceil_div(net * ONE_BPS, ONE_BPS - fee_bps)


@internal
@pure
def _ceil_div(numerator: uint256, denominator: uint256) -> uint256:
    if numerator == 0:
        return 0
    # What is left of a quotient has room for one more.
    return unsafe_add(unsafe_sub(numerator, 1) // denominator, 1)
