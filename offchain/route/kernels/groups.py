# SPDX-License-Identifier: Apache-2.0
"""Best trades with pools of any number of tokens, compiled: weighted means and stableswap.

Each function takes the rows, one row's index, all log prices and scratch space for the row's
k members, fills ``trade[:k]`` with the trader's net changes in reference values and
``weight[:k, :k]`` with the Hessian over log prices, and says whether the pool trades.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from offchain.risk.compiled import compiled
from offchain.route.kernels.table import StableRows, WeightedRows

FloatArray = NDArray[np.float64]


@compiled
def weighted_trade(rows: WeightedRows, k: int, logs: FloatArray, trade: FloatArray, weight: FloatArray) -> bool:
    """Weighted mean: outputs leave at level c, inputs at c after the fee; c by the breakpoints of a polyline."""
    begin, end = rows.start[k], rows.start[k + 1]
    log_keep = rows.log_keep[k]
    low, high = math.inf, -math.inf
    for j in range(begin, end):
        place = logs[rows.token[j]] + rows.level[j]
        low, high = min(low, place), max(high, place)
    if high - low <= -log_keep:
        return False
    # The level lies in [low - log_keep, high]: below nobody sells to the pool, above nobody buys.
    low, high = low - log_keep, high
    for j in range(begin, end):
        for fee in (0.0, log_keep):
            turn = logs[rows.token[j]] + rows.level[j] - fee
            if low < turn < high:
                total = 0.0
                for i in range(begin, end):
                    place = logs[rows.token[i]] + rows.level[i]
                    total += rows.weight[i] * (min(turn - place, 0.0) + max(turn + log_keep - place, 0.0))
                if total > 0.0:
                    high = turn
                else:
                    low = turn
    middle = 0.5 * (low + high)
    active, target = 0.0, 0.0
    for j in range(begin, end):
        place = logs[rows.token[j]] + rows.level[j]
        if middle < place:
            active += rows.weight[j]
            target += rows.weight[j] * place
        elif middle + log_keep > place:
            active += rows.weight[j]
            target += rows.weight[j] * (place - log_keep)
    level = target / active
    for j in range(begin, end):
        place = logs[rows.token[j]] + rows.level[j]
        trade[j - begin] = 0.0
        if middle < place:
            trade[j - begin] = -rows.balance[j] * math.expm1(level - place)
        elif middle + log_keep > place:
            trade[j - begin] = -rows.balance[j] * math.expm1(level + log_keep - place) * math.exp(-log_keep)
    scale = math.exp(level)
    for i in range(end - begin):
        for h in range(end - begin):
            weight[i, h] = 0.0
            if trade[i] != 0.0 and trade[h] != 0.0:
                share = (1.0 if i == h else 0.0) - rows.weight[begin + h] / active
                weight[i, h] = scale * rows.weight[begin + i] * share
    return True


@compiled
def _share(rows: StableRows, j: int, excess_in: float, excess_out: float, q: float) -> float:
    """Where a token ends, given q and by how much its price exceeds the amplification, both ways."""
    share: float = rows.share[j]
    if excess_out > 0.0 and q < share * excess_out:
        return q / excess_out
    if excess_in <= 0.0:
        return math.inf
    if q > share * excess_in:
        return q / excess_in
    return share


@compiled
def stable_trade(rows: StableRows, k: int, logs: FloatArray, trade: FloatArray, weight: FloatArray) -> bool:
    """Stableswap: Newton on the level of prices around Newton on q, each kept inside a bracket."""
    begin, end = rows.start[k], rows.start[k + 1]
    count = end - begin
    a, log_keep = rows.amplification[k], rows.log_keep[k]
    q0 = float(count)
    for j in range(begin, end):
        q0 /= rows.share[j]
    low, high = math.inf, -math.inf
    for j in range(begin, end):
        place = logs[rows.token[j]] + rows.level[j] - math.log1p(q0 / rows.share[j] / a)
        low, high = min(low, place), max(high, place)
    if high - low <= -log_keep:
        return False
    # Levels are relative to log a: excess = a expm1(log price - level) keeps its digits near balance.
    cheapest = math.inf
    for j in range(begin, end):
        cheapest = min(cheapest, logs[rows.token[j]] + rows.level[j])
    bottom, top = low + log_keep - 1.0, min(high + 1.0, cheapest)
    level = 0.5 * (max(low, bottom) + min(high + log_keep, top))
    level = min(max(level, bottom), top - 1e-9 * (top - bottom))
    q = q0
    for _ in range(200):
        q = _settle(rows, k, logs, level, q)
        total, product_slope, moving = 0.0, 0.0, 0
        for j in range(begin, end):
            price = logs[rows.token[j]] + rows.level[j]
            into, out = a * math.expm1(price - level), a * math.expm1(price + log_keep - level)
            place = _share(rows, j, into, out, q)
            total += place - 1.0
            if place != rows.share[j]:
                excess = into if place > rows.share[j] else out
                product_slope += (excess + a) / excess
                moving += 1
        value = a * total + count - q
        if value > 0.0:
            top = level
        else:
            bottom = level
        log_q_slope = -product_slope / (1 + moving)
        slope = -q * log_q_slope
        for j in range(begin, end):
            price = logs[rows.token[j]] + rows.level[j]
            into, out = a * math.expm1(price - level), a * math.expm1(price + log_keep - level)
            place = _share(rows, j, into, out, q)
            if place != rows.share[j]:
                excess = into if place > rows.share[j] else out
                slope += a * place * (log_q_slope + (excess + a) / excess)
        after = level - value / slope if slope > 0.0 and math.isfinite(slope) else math.nan
        if not bottom < after < top:
            after = 0.5 * (bottom + top)
        if abs(after - level) <= 1e-16 + 4e-16 * abs(level) or top - bottom <= 1e-17:
            break
        level = after
    active = np.zeros(count, np.bool_)
    price_value = np.zeros(count)
    scale = math.exp(level)  # times a, which cancels against the shares' own
    inside = 0
    for j in range(begin, end):
        i = j - begin
        price = logs[rows.token[j]] + rows.level[j]
        into, out = a * math.expm1(price - level), a * math.expm1(price + log_keep - level)
        place = _share(rows, j, into, out, q)
        change = rows.share[j] - place
        trade[i] = rows.unit[j] * (change * math.exp(log_keep) if change > 0.0 else change)
        if change != 0.0:
            active[i] = True
            inside += 1
            price_value[i] = math.exp(price + (log_keep if change > 0.0 else 0.0)) * place
    _stable_weights(active, price_value, scale * q / a, weight)
    return True


@compiled
def _settle(rows: StableRows, k: int, logs: FloatArray, level: float, q: float) -> float:
    """Solve log q + sum log z(q) = log k: a rising polyline in log q, by Newton from where it stood."""
    begin, end = rows.start[k], rows.start[k + 1]
    a, log_keep = rows.amplification[k], rows.log_keep[k]
    goal = math.log(end - begin)
    log_q = math.log(q)
    bottom, top = -700.0, 700.0
    for _ in range(100):
        total, slope = log_q - goal, 1.0
        q = math.exp(log_q)
        for j in range(begin, end):
            price = logs[rows.token[j]] + rows.level[j]
            into, out = a * math.expm1(price - level), a * math.expm1(price + log_keep - level)
            place = _share(rows, j, into, out, q)
            total += math.log(place)
            if place != rows.share[j]:
                slope += 1.0
        if total > 0.0:
            top = log_q
        else:
            bottom = log_q
        after = log_q - total / slope if math.isfinite(total) else math.nan
        if not bottom <= after <= top:
            after = 0.5 * (bottom + top)
        if abs(after - log_q) <= 2e-16 * (1.0 + abs(log_q)):
            log_q = after
            break
        log_q = after
    return math.exp(log_q)


@compiled
def _stable_weights(active: NDArray[np.bool_], price: FloatArray, spread: float, weight: FloatArray) -> None:
    """Hessian from the optimum's second-order conditions.

    With P the values of the active tokens, s = lambda q and y the changes of log z:
    s (I + 11') y - P dl = -P dtheta, P'y = 0, and the Hessian is -P y. The matrix inverts by hand:
    (I + 11')^-1 = I - 11' / (m + 1).
    """
    count = len(active)
    inside, total, square = 0, 0.0, 0.0
    for i in range(count):
        if active[i]:
            inside += 1
            total += price[i]
            square += price[i] * price[i]
    bend = square - total * total / (inside + 1)  # P' (I + 11')^-1 P
    for i in range(count):
        for h in range(count):
            if not active[i] or not active[h]:
                weight[i, h] = 0.0
                continue
            direct = (price[i] * price[i] if i == h else 0.0) - price[i] * price[h] / (inside + 1)
            left = price[i] * (price[i] - total / (inside + 1))
            right = price[h] * (price[h] - total / (inside + 1))
            weight[i, h] = (direct - left * right / bend) / spread
