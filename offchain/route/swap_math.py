# SPDX-License-Identifier: Apache-2.0
"""Amounts and prices inside one range of constant liquidity: ``SwapMath.sol`` and ``SqrtPriceMath.sol``.

Python's integers do not overflow; where the contract's overflow decides the rounding, it is
reproduced.
"""

from __future__ import annotations

from offchain.route.errors import InvalidAmountError

PPM = 1_000_000
_Q96 = 1 << 96
_WORD = 1 << 256


def amount0_delta(sqrt_a: int, sqrt_b: int, liquidity: int, round_up: bool) -> int:
    """Token0 between two square-root prices: L (1/sqrt_low - 1/sqrt_high), in base units."""
    if sqrt_a > sqrt_b:
        sqrt_a, sqrt_b = sqrt_b, sqrt_a
    numerator = (liquidity << 96) * (sqrt_b - sqrt_a)
    if round_up:
        ceiling = -(-numerator // sqrt_b)
        return -(-ceiling // sqrt_a)
    return numerator // sqrt_b // sqrt_a


def amount1_delta(sqrt_a: int, sqrt_b: int, liquidity: int, round_up: bool) -> int:
    """Token1 between two square-root prices: L (sqrt_high - sqrt_low), in base units."""
    product = liquidity * abs(sqrt_b - sqrt_a)
    return -(-product >> 96) if round_up else product >> 96


def sqrt_price_after_input(sqrt_price: int, liquidity: int, amount_in: int, zero_for_one: bool) -> int:
    """Price after an input net of fee, rounded so that it never passes the exact one."""
    if not zero_for_one:
        return sqrt_price + (amount_in << 96) // liquidity
    if amount_in == 0:
        return sqrt_price
    numerator = liquidity << 96
    product = amount_in * sqrt_price
    if product < _WORD and numerator + product < _WORD:
        return -(-numerator * sqrt_price // (numerator + product))
    return -(-numerator // (numerator // sqrt_price + amount_in))


def sqrt_price_after_output(sqrt_price: int, liquidity: int, amount_out: int, zero_for_one: bool) -> int:
    """Price after an output, rounded so that it never falls short of the exact one.

    Raises
    ------
    InvalidAmountError
        The range does not hold that much.
    """
    if zero_for_one:
        after = sqrt_price + -(amount_out << 96) // liquidity
        if after <= 0:
            raise InvalidAmountError(f"output {amount_out} exceeds the range's token1")
        return after
    numerator = liquidity << 96
    product = amount_out * sqrt_price
    if product >= numerator:
        raise InvalidAmountError(f"output {amount_out} exceeds the range's token0")
    return -(-numerator * sqrt_price // (numerator - product))


def full_step(sqrt_price: int, target: int, liquidity: int, fee_ppm: int) -> tuple[int, int]:
    """Input with fee, and output, of a swap that exactly reaches the target price."""
    if target < sqrt_price:
        amount_in = amount0_delta(target, sqrt_price, liquidity, True)
        amount_out = amount1_delta(target, sqrt_price, liquidity, False)
    else:
        amount_in = amount1_delta(sqrt_price, target, liquidity, True)
        amount_out = amount0_delta(sqrt_price, target, liquidity, False)
    return amount_in + _fee_on(amount_in, fee_ppm), amount_out


def step_with_input(
    sqrt_price: int, liquidity: int, amount_in: int, fee_ppm: int, zero_for_one: bool
) -> tuple[int, int]:
    """Price and output of an input, fee included, that ends inside the range.

    The whole input is consumed: what does not move the price is kept as fee.
    """
    net = amount_in * (PPM - fee_ppm) // PPM
    after = sqrt_price_after_input(sqrt_price, liquidity, net, zero_for_one)
    if zero_for_one:
        return after, amount1_delta(after, sqrt_price, liquidity, False)
    return after, amount0_delta(sqrt_price, after, liquidity, False)


def step_with_output(
    sqrt_price: int, target: int, liquidity: int, amount_out: int, fee_ppm: int, zero_for_one: bool
) -> tuple[int, int]:
    """Price and input, fee included, of an output smaller than what the range up to the target pays."""
    after = sqrt_price_after_output(sqrt_price, liquidity, amount_out, zero_for_one)
    # With liquidity above 2**96 the rounding can reach the target.
    after = max(after, target) if zero_for_one else min(after, target)
    if zero_for_one:
        amount_in = amount0_delta(after, sqrt_price, liquidity, True)
    else:
        amount_in = amount1_delta(sqrt_price, after, liquidity, True)
    return after, amount_in + _fee_on(amount_in, fee_ppm)


def _fee_on(amount_in: int, fee_ppm: int) -> int:
    return -(-amount_in * fee_ppm // (PPM - fee_ppm))
