# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ~=0.4.3
"""
@title The price average module alone
@license AGPL-3.0-only
@notice Lets a test ask for the power of a tick.
@custom:kill It exists in tests only.
"""


from contracts.modules import price_average


@external
@pure
def priced(quote: uint256, tick: int256) -> uint256:
    return price_average._priced(quote, tick)
