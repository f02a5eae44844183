# SPDX-License-Identifier: Apache-2.0
"""What the smallest trade costs between any two tokens, over any number of hops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from offchain.route.pool import Pool

FloatArray = NDArray[np.float64]


def marginal_rates(pools: Sequence[Pool], unit_values: FloatArray) -> FloatArray:
    """Best value out per value in of an infinitesimal trade.

    Parameters
    ----------
    pools
        To trade through.
    unit_values
        Shape (n,): reference value of one base unit, in any one currency.

    Returns
    -------
    FloatArray
        Shape (n, n): entry (i, j) sells i for j along the best path of fewer than n pools, after
        fees; 0 where there is none, 1 on the diagonal.
    """
    count = len(unit_values)
    rates = np.eye(count)
    for pool in pools:
        for sold, bought in ((pool.token0, pool.token1), (pool.token1, pool.token0)):
            rate = pool.marginal_price(sold) * unit_values[bought] / unit_values[sold]
            rates[sold, bought] = max(rates[sold, bought], rate)
    # Squaring doubles the length of the paths; cycles that gain do not count.
    for _ in range(max(1, (count - 1).bit_length())):
        rates = np.max(rates[:, :, None] * rates[None, :, :], axis=1)
        np.fill_diagonal(rates, 1.0)
    return rates


def arbitrage(pools: Sequence[Pool], unit_values: FloatArray, prices: FloatArray) -> float:
    """What can be had from the pools at prices relative to the reference, a fraction of the same currency.

    No net trade z, in reference values, obeys ``prices @ z > arbitrage(...)``: every price
    vector bounds what the pools allow.
    """
    per_unit = (prices * unit_values).tolist()
    total = 0.0
    for pool in pools:
        response = pool.respond(per_unit[pool.token0], per_unit[pool.token1])
        gain = response.amount0 * per_unit[pool.token0] + response.amount1 * per_unit[pool.token1]
        total += max(gain, 0.0)
    return total


def market_prices(pools: Sequence[Pool], unit_values: FloatArray) -> FloatArray:
    """What the pools think the tokens are worth, deep pools most.

    Least squares on the logarithms of the pools' own mid prices, each weighted by the value
    it moves per unit of log price; solved with the weights' graph Laplacian.

    Parameters
    ----------
    pools
        To ask.
    unit_values
        Shape (n,): reference value of one base unit, in any one currency.

    Returns
    -------
    FloatArray
        Shape (n,): prices relative to the reference, 1 for token 0 and for tokens that no path of
        pools connects with it.
    """
    count = len(unit_values)
    per_unit = unit_values.tolist()
    links, rates, weights = [], [], []
    for pool in pools:
        first, second = pool.token0, pool.token1
        out, back = pool.marginal_price(first), pool.marginal_price(second)
        weight = pool.respond(per_unit[first], per_unit[second]).curvature
        if out > 0 and back > 0 and weight > 0:
            links.append((first, second))
            rates.append(out / back)
            weights.append(weight)
    ends = np.array(links, dtype=np.intp).reshape(-1, 2)
    # The fee cancels between the two directions.
    gaps = np.log(np.array(rates)) / 2 + np.log(unit_values[ends[:, 1]] / unit_values[ends[:, 0]])
    laplacian = [[0.0] * count for _ in range(count)]
    pull = [0.0] * count
    for (first, second), gap, weight in zip(links, gaps.tolist(), weights, strict=True):
        laplacian[first][first] += weight
        laplacian[second][second] += weight
        laplacian[first][second] -= weight
        laplacian[second][first] -= weight
        pull[first] += weight * gap
        pull[second] -= weight * gap
    inner = _reached(links)
    logs = np.zeros(count)
    logs[inner] = np.linalg.solve(np.array(laplacian)[np.ix_(inner, inner)], np.array(pull)[inner])
    relative: FloatArray = np.exp(logs)
    return relative


def _reached(links: Sequence[tuple[int, int]]) -> list[int]:
    """Tokens that paths connect with token 0, without it, in order."""
    reached, before = {0}, 0
    while len(reached) > before:
        before = len(reached)
        for first, second in links:
            if first in reached or second in reached:
                reached |= {first, second}
    return sorted(reached - {0})
