# SPDX-License-Identifier: Apache-2.0
"""All pools of a table at once: what they are worth, how they trade, how that changes.

Everything here is compiled, writes into arrays of the caller's and reads prices as logarithms
relative to the reference (`offchain.route.kernels.table`), so that a search may use it as one
term of a larger program:

    worth = respond(table, logs, flow, hessian)

is G(nu) = sum over pools of the most that a trade with the pool is worth at nu = exp(logs);
``flow`` (n,) is its gradient in nu, the net change of every token; ``hessian`` (n, n) is its
second derivative in log prices less the gradient's own term, N (d flow / d nu) N with
N = diag(nu): a graph Laplacian, positive semidefinite, with a null vector of ones a component.

A fixed cost a pool (gas) makes a pool worth max(0, surplus - cost). `respond_net` smooths it to
tau log(1 + exp((surplus - cost) / tau)), less what that is without a surplus; tau -> 0 in a few
rounds. It serves a search: it bounds nothing.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from offchain.risk.compiled import compiled, inlined
from offchain.route.kernels.groups import stable_trade, weighted_trade
from offchain.route.kernels.pairs import ladder_trade, linear_surplus, linear_trade, product_trade
from offchain.route.kernels.table import PoolTable

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

NO_COSTS = np.zeros(0)
_FAR = 40.0  # in units of tau: beyond, the softplus is its asymptote to double precision


@compiled
def respond(table: PoolTable, logs: FloatArray, flow: FloatArray, hessian: FloatArray) -> float:
    """Worth of all pools at log prices; fills ``flow`` (n,) and, unless it has shape (0, 0), ``hessian``."""
    return respond_net(table, logs, NO_COSTS, 0.0, flow, hessian)


@compiled
def _soften(surplus: float, cost: float, tau: float) -> tuple[float, float, float]:
    """Softplus of the surplus beyond its cost, 0 without a surplus, and its first and second derivative."""
    place = (surplus - cost) / tau
    if place < -_FAR:
        return 0.0, 0.0, 0.0
    idle = tau * math.log1p(math.exp(-cost / tau)) if cost < _FAR * tau else 0.0
    if place > _FAR:
        return surplus - cost - idle, 1.0, 0.0
    share = 1.0 / (1.0 + math.exp(-place))
    worth = place + math.log1p(math.exp(-place)) if place > 0 else math.log1p(math.exp(place))
    return tau * worth - idle, share, share * (1.0 - share) / tau


@inlined
def _add_pair(
    a: int,
    b: int,
    first: float,
    second: float,
    weight: float,
    price0: float,
    price1: float,
    cost: float,
    tau: float,
    flow: FloatArray,
    hessian: FloatArray,
) -> float:
    worth = first * price0 + second * price1
    if tau > 0.0:
        worth, share, bend = _soften(worth, cost, tau)
        first *= share
        second *= share
        weight *= share
        if len(hessian) and bend > 0.0 and share > 0.0:
            moved0, moved1 = first / share * price0, second / share * price1
            hessian[a, a] += bend * moved0 * moved0
            hessian[b, b] += bend * moved1 * moved1
            hessian[a, b] += bend * moved0 * moved1
            hessian[b, a] += bend * moved0 * moved1
    flow[a] += first
    flow[b] += second
    if len(hessian) and weight > 0.0:
        hessian[a, a] += weight
        hessian[b, b] += weight
        hessian[a, b] -= weight
        hessian[b, a] -= weight
    return worth


@compiled
def _add_group(
    tokens: IntArray,
    trade: FloatArray,
    weight: FloatArray,
    prices: FloatArray,
    cost: float,
    tau: float,
    flow: FloatArray,
    hessian: FloatArray,
) -> float:
    count = len(tokens)
    worth, share, bend = 0.0, 1.0, 0.0
    for i in range(count):
        worth += trade[i] * prices[tokens[i]]
    if tau > 0.0:
        worth, share, bend = _soften(worth, cost, tau)
    for i in range(count):
        flow[tokens[i]] += share * trade[i]
    if len(hessian):
        for i in range(count):
            for h in range(count):
                moved = trade[i] * prices[tokens[i]] * trade[h] * prices[tokens[h]]
                hessian[tokens[i], tokens[h]] += share * weight[i, h] + bend * moved
    return worth


@compiled
def respond_net(
    table: PoolTable, logs: FloatArray, costs: FloatArray, tau: float, flow: FloatArray, hessian: FloatArray
) -> float:
    """As `respond`, each pool net of its fixed cost, smoothed over ``tau``; 0 leaves costs out.

    ``costs`` has shape (pools,) where ``tau`` is positive.
    """
    count = len(logs)
    flow[:] = 0.0
    hessian[:] = 0.0
    prices, roots = np.empty(count), np.empty(count)
    for i in range(count):
        roots[i] = math.exp(0.5 * logs[i])
        prices[i] = roots[i] * roots[i]
    worth, cost = 0.0, 0.0
    product = table.product
    for k in range(len(product.pool)):
        a, b = product.first[k], product.second[k]
        first, second, weight = product_trade(product, k, roots[a] / roots[b], prices[a], prices[b])
        if weight > 0.0:
            if tau > 0.0:
                cost = costs[product.pool[k]]
            worth += _add_pair(a, b, first, second, weight, prices[a], prices[b], cost, tau, flow, hessian)
    ladder = table.ladder
    for k in range(len(ladder.pool)):
        a, b = ladder.first[k], ladder.second[k]
        first, second, weight = ladder_trade(ladder, k, roots[a] / roots[b], prices[a], prices[b])
        if first != 0.0 or second != 0.0 or weight > 0.0:
            if tau > 0.0:
                cost = costs[ladder.pool[k]]
            worth += _add_pair(a, b, first, second, weight, prices[a], prices[b], cost, tau, flow, hessian)
    linear = table.linear
    for k in range(len(linear.pool)):
        a, b = linear.first[k], linear.second[k]
        first, second, weight = linear_trade(linear, k, logs[a], logs[b])
        if first != 0.0:
            if tau > 0.0:
                cost = costs[linear.pool[k]]
            worth += _add_pair(a, b, first, second, weight, prices[a], prices[b], cost, tau, flow, hessian)
    weighted = table.weighted
    stable = table.stable
    size = 0
    for k in range(len(weighted.pool)):
        size = max(size, weighted.start[k + 1] - weighted.start[k])
    for k in range(len(stable.pool)):
        size = max(size, stable.start[k + 1] - stable.start[k])
    trade, block = np.empty(size), np.empty((size, size))
    for k in range(len(weighted.pool)):
        if weighted_trade(weighted, k, logs, trade, block):
            if tau > 0.0:
                cost = costs[weighted.pool[k]]
            tokens = weighted.token[weighted.start[k] : weighted.start[k + 1]]
            worth += _add_group(tokens, trade, block, prices, cost, tau, flow, hessian)
    for k in range(len(stable.pool)):
        if stable_trade(stable, k, logs, trade, block):
            if tau > 0.0:
                cost = costs[stable.pool[k]]
            tokens = stable.token[stable.start[k] : stable.start[k + 1]]
            worth += _add_group(tokens, trade, block, prices, cost, tau, flow, hessian)
    return worth


@compiled
def respond_each(
    table: PoolTable, logs: FloatArray, trades: FloatArray, surplus: FloatArray, weights: FloatArray
) -> None:
    """Each pool's own answer.

    Fills ``trades`` (slots,), the trader's net changes in reference values; ``surplus`` (pools,),
    the rigorous most that any trade with the pool is worth at these prices (it differs from the
    trades' worth only for wraps, whose elasticity it leaves out); ``weights`` (pools,), how much
    value the pool moves per unit of log price.
    """
    trades[:] = 0.0
    surplus[:] = 0.0
    weights[:] = 0.0
    prices, roots = np.exp(logs), np.exp(0.5 * logs)
    slot = table.slot
    product = table.product
    for k in range(len(product.pool)):
        a, b, pool = product.first[k], product.second[k], product.pool[k]
        first, second, weight = product_trade(product, k, roots[a] / roots[b], prices[a], prices[b])
        trades[slot[pool]], trades[slot[pool] + 1], weights[pool] = first, second, weight
        surplus[pool] = max(0.0, first * prices[a] + second * prices[b])
    ladder = table.ladder
    for k in range(len(ladder.pool)):
        a, b, pool = ladder.first[k], ladder.second[k], ladder.pool[k]
        first, second, weight = ladder_trade(ladder, k, roots[a] / roots[b], prices[a], prices[b])
        trades[slot[pool]], trades[slot[pool] + 1], weights[pool] = first, second, weight
        surplus[pool] = max(0.0, first * prices[a] + second * prices[b])
    linear = table.linear
    for k in range(len(linear.pool)):
        a, b, pool = linear.first[k], linear.second[k], linear.pool[k]
        first, second, weight = linear_trade(linear, k, logs[a], logs[b])
        trades[slot[pool]], trades[slot[pool] + 1], weights[pool] = first, second, weight
        surplus[pool] = linear_surplus(linear, k, logs[a], logs[b])
    weighted = table.weighted
    for k in range(len(weighted.pool)):
        begin, end, pool = weighted.start[k], weighted.start[k + 1], weighted.pool[k]
        block = np.empty((end - begin, end - begin))
        trade = trades[slot[pool] : slot[pool + 1]]
        if weighted_trade(weighted, k, logs, trade, block):
            _sum_group(weighted.token[begin:end], trade, block, prices, pool, surplus, weights)
    stable = table.stable
    for k in range(len(stable.pool)):
        begin, end, pool = stable.start[k], stable.start[k + 1], stable.pool[k]
        block = np.empty((end - begin, end - begin))
        trade = trades[slot[pool] : slot[pool + 1]]
        if stable_trade(stable, k, logs, trade, block):
            _sum_group(stable.token[begin:end], trade, block, prices, pool, surplus, weights)


@compiled
def _sum_group(
    tokens: IntArray,
    trade: FloatArray,
    block: FloatArray,
    prices: FloatArray,
    pool: int,
    surplus: FloatArray,
    weights: FloatArray,
) -> None:
    total = 0.0
    for i in range(len(tokens)):
        total += trade[i] * prices[tokens[i]]
        weights[pool] += 0.5 * block[i, i]
    surplus[pool] = max(0.0, total)
