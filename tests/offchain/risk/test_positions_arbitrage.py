# SPDX-License-Identifier: Apache-2.0
"""What arbitrage costs liquidity, against published figures and a simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from offchain.risk.positions import (
    LiquidityPosition,
    MarketState,
    PositionError,
    arbitrage_rate,
    arbitrage_rate_regular,
    trade_probability,
)

BLOCKS = 86_400 / 12
"""Blocks a day."""
SIGMA = 0.05
"""Volatility of a day."""


def test_full_range_loses_an_eighth_of_the_variance() -> None:
    pool = LiquidityPosition("ETH", "USDC", 100.0)
    value = float(pool.value(MarketState({"ETH": 2_000.0, "USDC": 1.0})))
    rate = float(pool.loss_versus_rebalancing(2_000.0, SIGMA))
    assert rate / value == pytest.approx(SIGMA**2 / 8)
    assert rate / value == pytest.approx(3.125e-4)


def test_narrow_range_loses_its_leverage_more_and_nothing_outside() -> None:
    wide, narrow = LiquidityPosition("ETH", "USDC", 1.0), LiquidityPosition("ETH", "USDC", 1.0, 1_900.0, 2_100.0)
    assert narrow.loss_versus_rebalancing(2_000.0, SIGMA) == wide.loss_versus_rebalancing(2_000.0, SIGMA)
    assert narrow.loss_versus_rebalancing([1_800.0, 2_200.0], SIGMA).tolist() == [0.0, 0.0]


def test_loss_versus_rebalancing_is_what_a_rebalanced_holder_gains() -> None:
    rng = np.random.default_rng(1)
    paths, steps, pool = 20_000, 200, LiquidityPosition("ETH", "USDC", 100.0)
    price = np.full(paths, 2_000.0)
    worth = pool.holdings(2_000.0)
    start = float(worth[0] * 2_000 + worth[1])
    rebalancing = np.zeros(paths)
    for _ in range(steps):
        next_price = price * np.exp(rng.normal(-0.5 * SIGMA**2 / steps, SIGMA / math.sqrt(steps), paths))
        rebalancing += pool.holdings(price)[0] * (next_price - price)
        price = next_price
    final = pool.holdings(price)
    lost = start + rebalancing - (final[0] * price + final[1])
    assert np.mean(lost) == pytest.approx(float(pool.loss_versus_rebalancing(2_000.0, SIGMA)), rel=0.01)


@pytest.mark.parametrize(
    ("basis_points", "published"), [(1, 0.806452), (5, 0.454545), (10, 0.294118), (30, 0.121951), (100, 0.04)]
)
def test_published_probabilities_of_trade(basis_points: int, published: float) -> None:
    assert trade_probability(SIGMA, basis_points / 1e4, BLOCKS) == pytest.approx(published, abs=5.1e-7)


def test_without_fees_arbitrage_takes_the_whole_loss() -> None:
    assert arbitrage_rate(SIGMA, 0.0, 1e12) == pytest.approx(SIGMA**2 / 8)
    assert arbitrage_rate_regular(SIGMA, 0.0, BLOCKS) == pytest.approx(SIGMA**2 / 8)


def test_fees_keep_most_of_it_and_regular_blocks_more() -> None:
    fee = 0.003
    random, regular = arbitrage_rate(SIGMA, fee, BLOCKS), arbitrage_rate_regular(SIGMA, fee, BLOCKS)
    assert random == pytest.approx(SIGMA**2 / 8 * 0.121951, rel=1e-4)
    assert regular < random


def test_arbitrage_with_fees_agrees_with_a_simulation() -> None:
    # The mispricing between pool and market is a random walk that arbitrage reflects to the fee at every block.
    rng = np.random.default_rng(2)
    fee, blocks, paths, steps = 0.001, 2_000.0, 4_000, 600
    for regular in (True, False):
        z, taken, days = np.zeros(paths), 0.0, steps / blocks
        for step in range(2 * steps):
            waits = np.full(paths, 1.0) if regular else rng.exponential(1.0, paths)
            z += rng.normal(0.0, SIGMA / math.sqrt(blocks), paths) * np.sqrt(waits)
            excess = np.maximum(np.abs(z) - fee, 0.0)
            if step >= steps:
                taken += float(np.mean(_profit(excess, fee)))
            z -= np.sign(z) * excess
        expected = (arbitrage_rate_regular if regular else arbitrage_rate)(SIGMA, fee, blocks) * days
        assert taken == pytest.approx(expected, rel=0.04)


def _profit(excess: np.ndarray, fee: float) -> np.ndarray:
    """Arbitrage profit over pool value when the market is fee plus excess above the pool, in logarithms.

    Buying base from root price 1 to exp(excess / 2) for ``exp(fee)`` times the curve's cost, sold at the market.
    """
    root = np.exp(0.5 * excess)
    market = np.exp(fee + excess)
    return (market * (1.0 - 1.0 / root) - math.exp(fee) * (root - 1.0)) / 2.0


def test_variance_of_a_block_must_be_finite() -> None:
    with pytest.raises(PositionError, match="not finite"):
        arbitrage_rate(3.0, 0.003, 1.0)
