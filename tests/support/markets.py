# SPDX-License-Identifier: Apache-2.0
"""Random markets: a mean-variance program and pools of any kind that are somewhat out of line."""

from dataclasses import dataclass

import numpy as np

from offchain.allocate.solution import Program
from offchain.route.curves import Curve, LadderCurve, ProductCurve, StableCurve, WeightedCurve

HORIZON = 1 / 12


@dataclass(frozen=True, eq=False)
class Market:
    """A program with pools; reserves in tokens, `units` the fraction of the portfolio that a token is worth."""

    program: Program
    root: np.ndarray
    units: np.ndarray
    ends: np.ndarray
    reserves: np.ndarray
    keep: np.ndarray
    stable: int


def random_market(
    tokens: int,
    pools: int,
    seed: int,
    *,
    value: float = 1e7,
    risk_aversion: float = 4.0,
    mispricing: float = 0.7,
    depth: float = 1e6,
    cap: float | None = None,
    outside: bool = False,
) -> Market:
    """Constant products between stablecoins, hubs and others; TVL lognormal over six decades."""
    rng = np.random.default_rng(seed)
    stable = max(1, tokens // 5)
    usd = np.ones(tokens)
    usd[stable:] = 10 ** rng.uniform(-3, 4.8, tokens - stable)
    volatility = np.concatenate([rng.uniform(0.003, 0.01, stable), rng.uniform(0.4, 1.2, tokens - stable)])
    loadings = rng.normal(0, 1, (tokens, 3)) * (0.3, 0.25, 0.2)
    loadings[:, 0] += 0.75
    loadings[:stable] *= 0.2
    length = np.sqrt((loadings**2).sum(axis=1) + 0.25) / volatility / np.sqrt(HORIZON * risk_aversion)
    root = np.concatenate([loadings.T / length, np.diag(0.5 / length)])
    returns = np.concatenate([rng.uniform(0.02, 0.06, stable), rng.uniform(-0.15, 0.45, tokens - stable)]) * HORIZON
    upper = np.full(tokens, cap or max(0.25, 3 / tokens))
    start = rng.dirichlet(np.ones(tokens))
    if not outside:
        for _ in range(100):
            excess = np.maximum(start - upper, 0).sum()
            start = np.minimum(start, upper)
            start = start + excess * (upper - start) / (upper - start).sum()
        start = np.minimum(start, upper)
    ends = np.empty((pools, 2), np.int64)
    for place in range(pools):
        if place < tokens - 1:
            pair = [place + 1, 0]
        else:
            hub = int(rng.integers(min(tokens, stable + 2))) if rng.random() < 0.7 else int(rng.integers(tokens))
            pair = [hub, (hub + 1 + int(rng.integers(tokens - 1))) % tokens]
        ends[place] = pair if rng.random() < 0.5 else pair[::-1]
    fee = rng.choice((0.003, 0.0025, 0.01, 0.003), pools)
    side = np.clip(np.exp(rng.normal(np.log(depth), 1.8, pools)), 1e3, 3e9) / 2
    shift = np.exp(rng.normal(0, mispricing, pools) * fee)
    reserves = np.stack([side / usd[ends[:, 0]], side / usd[ends[:, 1]] * shift], axis=1)
    program = Program.box(start, 1 + returns, root.T @ root, np.zeros(tokens), upper)
    return Market(program, root, usd / value, ends, reserves, 1 - fee, stable)


def mixed_curves(market: Market, seed: int, kinds: tuple[float, ...] = (0.4, 0.2, 0.3, 0.1)) -> list[Curve]:
    """The market's pools as constant products, weighted pairs, ladders and stableswaps, in these proportions."""
    rng = np.random.default_rng(seed)
    curves: list[Curve] = []
    for (first, second), (reserve0, reserve1), keep in zip(market.ends, market.reserves, market.keep, strict=True):
        kind = rng.choice(len(kinds), p=kinds)
        if kind == 1:
            weight = rng.choice((0.2, 0.5, 0.8))
            balances = np.array([reserve0 * 2 * weight, reserve1 * 2 * (1 - weight)])
            curves.append(WeightedCurve(balances, np.array([weight, 1 - weight]), keep))
        elif kind == 2:
            curves.append(_ladder(reserve0, reserve1, keep, rng))
        elif kind == 3 and max(first, second) < market.stable:
            rates = np.ones(2)
            curves.append(StableCurve.build(np.array([reserve0, reserve1]), rates, 400.0, 0.9996))
        else:
            curves.append(ProductCurve(reserve0, reserve1, keep))
    return curves


def _ladder(reserve0: float, reserve1: float, keep: float, rng: np.random.Generator) -> LadderCurve:
    root, liquidity = np.sqrt(reserve1 / reserve0), np.sqrt(reserve0 * reserve1)
    below, above = rng.uniform(0.005, 0.4, 3), rng.uniform(0.005, 0.4, 3)
    roots = root * np.exp(np.concatenate([-np.cumsum(below)[::-1], np.cumsum(above)]))
    depths = np.append(liquidity * rng.uniform(0.2, 3.0, len(roots) - 1), 0.0)
    return LadderCurve.build(root, roots, depths, keep, keep)
