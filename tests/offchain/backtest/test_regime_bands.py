# SPDX-License-Identifier: Apache-2.0
"""Regimes shaded on a tear sheet: the true ones where they are known, and nothing from the future."""

from __future__ import annotations

import numpy as np

from offchain.backtest.regime_bands import wild_probability

DAY = 86_400
DAYS = 700


def market() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times, prices and whether each day was wild; calm and wild spells of a hundred days."""
    rng = np.random.default_rng(8)
    wild = (np.arange(DAYS) // 100) % 2 == 1
    returns = rng.standard_normal(DAYS) * np.where(wild, 0.06, 0.015)
    prices = 100 * np.exp(np.concatenate([[0.0], np.cumsum(returns)]))
    return np.arange(DAYS + 1, dtype=np.int64) * DAY, prices, wild


def test_wild_spells_are_told_from_calm_ones() -> None:
    times, prices, wild = market()
    found = wild_probability(times, prices, DAY)
    assert found is not None
    known = wild[found[0] // DAY - 1]
    assert ((found[1] > 0.5) == known).mean() > 0.9


def test_other_prices_later_change_nothing_earlier() -> None:
    times, prices, _ = market()
    poisoned = prices.copy()
    poisoned[600:] *= np.linspace(1, 3, DAYS + 1 - 600)
    one, other = wild_probability(times, prices, DAY), wild_probability(times, poisoned, DAY)
    assert one is not None
    assert other is not None
    early = one[0] < 600 * DAY
    assert early.any()
    assert np.array_equal(one[1][early], other[1][early])
