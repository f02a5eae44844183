# SPDX-License-Identifier: Apache-2.0
"""The worked example of the Uniswap V3 Development Book: 42 USDC-like tokens into one range."""

from __future__ import annotations

from offchain.route.swap_math import amount0_delta, sqrt_price_after_input

LIQUIDITY = 1517882343751509868544
SQRT_PRICE = 5602277097478614198912276234240


def test_the_books_swap() -> None:
    after = sqrt_price_after_input(SQRT_PRICE, LIQUIDITY, 42 * 10**18, zero_for_one=False)
    assert after == 5604469350942327889444743441197
    # The book rounds a float up; the contract rounds down.
    assert amount0_delta(SQRT_PRICE, after, LIQUIDITY, round_up=False) == 8396714242162444
