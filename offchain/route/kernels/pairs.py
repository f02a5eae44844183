# SPDX-License-Identifier: Apache-2.0
"""Best trades with pools of two tokens, compiled: constant products, ladders, fixed rates.

Each function takes the rows, one row's index and what it needs of the prices, and returns
``(first, second, weight)``: the trader's net changes in reference values and the weight of the
pool's edge in the Hessian over log prices (zero when it does not trade).
"""

from __future__ import annotations

import math

from offchain.risk.compiled import compiled, inlined
from offchain.route.kernels.table import FloatArray, LadderRows, LinearRows, ProductRows

Trade = tuple[float, float, float]


@inlined
def product_trade(rows: ProductRows, k: int, ratio: float, price0: float, price1: float) -> Trade:
    """Constant product at ``ratio`` = sqrt(price0 / price1)."""
    root, keep = rows.root[k], rows.keep[k]
    if ratio < keep * root:
        after = ratio / keep
        moved = rows.size[k] * (root - after)
        return -moved / (root * after * keep * keep), moved, 0.5 * price1 * rows.size[k] * after
    if ratio * keep > root:
        after = ratio * keep
        moved = rows.size[k] * (after - root)
        return moved / (root * after), -moved / (keep * keep), 0.5 * price0 * rows.size[k] / after
    return 0.0, 0.0, 0.0


@compiled
def ladder_trade(rows: LadderRows, k: int, ratio: float, price0: float, price1: float) -> Trade:
    """Concentrated liquidity at ``ratio`` = sqrt(price0 / price1)."""
    root = rows.root[k]
    if ratio < rows.keep_first[k] * root:
        after = ratio / rows.keep_first[k]
        keep = rows.keep_first[k] * rows.keep_first[k]
        bottom = rows.start[k]
        if after <= rows.edge_root[bottom]:
            return -rows.edge_first[bottom] / keep, -rows.edge_second[bottom], 0.0
        j = _edge_below(rows.edge_root, bottom, rows.current[k], after)
        liquidity = rows.edge_liquidity[j]
        start, gained0, gained1 = root, 0.0, 0.0
        if j != rows.current[k]:
            start, gained0, gained1 = rows.edge_root[j + 1], rows.edge_first[j + 1], rows.edge_second[j + 1]
        moved = liquidity * (start - after)
        return -(gained0 + moved / (start * after)) / keep, moved - gained1, 0.5 * price1 * liquidity * after
    if ratio * rows.keep_second[k] > root:
        after = ratio * rows.keep_second[k]
        keep = rows.keep_second[k] * rows.keep_second[k]
        top = rows.stop[k] - 1
        if after >= rows.edge_root[top]:
            return -rows.edge_first[top], -rows.edge_second[top] / keep, 0.0
        j = _edge_above(rows.edge_root, rows.current[k], top, after)
        liquidity = rows.edge_liquidity[j]
        start, gained0, gained1 = root, 0.0, 0.0
        if j != rows.current[k]:
            start, gained0, gained1 = rows.edge_root[j], rows.edge_first[j], rows.edge_second[j]
        moved = liquidity * (after - start)
        return moved / (start * after) - gained0, -(gained1 + moved) / keep, 0.5 * price0 * liquidity / after
    return 0.0, 0.0, 0.0


@compiled
def _edge_below(roots: FloatArray, bottom: int, current: int, after: float) -> int:
    """Greatest edge in [bottom, current] at or below ``after``; searched outwards from the current one."""
    step = 1
    high = current + 1
    low = current
    while low > bottom and roots[low] > after:
        high = low
        low = max(bottom, low - step)
        step *= 2
    while high - low > 1:
        middle = (low + high) // 2
        if roots[middle] > after:
            high = middle
        else:
            low = middle
    return low


@compiled
def _edge_above(roots: FloatArray, current: int, top: int, after: float) -> int:
    """Greatest edge in [current, top) at or below ``after``; searched outwards from the current one."""
    step = 1
    low = current
    high = current + 1
    while high < top and roots[high] <= after:
        low = high
        high = min(top, high + step)
        step *= 2
    while high - low > 1:
        middle = (low + high) // 2
        if roots[middle] <= after:
            low = middle
        else:
            high = middle
    return low


@compiled
def linear_trade(rows: LinearRows, k: int, log0: float, log1: float) -> Trade:
    """Elastic fixed rate: each further unit pays 1 / slope less in log price, until the limit."""
    gain = log1 + rows.log_rate[k] - log0
    slope, rate = rows.slope[k], math.exp(rows.log_rate[k])
    if gain > 0.0:
        end = rows.limit_first[k] / slope
        weight = slope * math.exp(log0) if gain < end else 0.0
        gain = min(gain, end)
        return -slope * gain, -slope * math.expm1(-gain) * rate, weight
    if gain < 0.0:
        end = rows.limit_second[k] / slope
        weight = slope * rate * math.exp(log1) if -gain < end else 0.0
        gain = max(gain, -end)
        return -slope * math.expm1(gain), slope * gain * rate, weight
    return 0.0, 0.0, 0.0


@compiled
def linear_surplus(rows: LinearRows, k: int, log0: float, log1: float) -> float:
    """What a fixed rate can give at log prices, at most; infinite where nothing limits it."""
    gain = log1 + rows.log_rate[k] - log0
    surplus: float = 0.0
    if gain > 0.0:
        surplus = rows.limit_first[k] * math.exp(log0) * math.expm1(gain)
    elif gain < 0.0:
        surplus = -rows.limit_second[k] * math.exp(log0) * math.expm1(gain)
    return surplus
