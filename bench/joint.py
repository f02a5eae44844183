# SPDX-License-Identifier: Apache-2.0
"""Allocation and routing as one program: whole calls against cvxpy + Clarabel's, and warm re-solves."""

from __future__ import annotations

import numpy as np

from bench import Row, compare, median_seconds
from offchain.allocate.reference import solve_reference
from offchain.allocate.solution import optimise
from offchain.route.kernels import build_table, product_table
from tests.support.markets import mixed_curves, random_market

SIZES = ((10, 100), (20, 1_000), (50, 10_000))
MARKETS = 3
WARM = (20, 1_000)
DRIFT = 3e-4
"""Standard deviation of each pool's log price from one block to the next."""


def rows() -> list[Row]:
    return [*(cold(*size) for size in SIZES), warm()]


def cold(tokens: int, pools: int) -> Row:
    """From arrays of reserves to holdings with a gap, both sides, over a few markets one after the other."""
    markets = [random_market(tokens, pools, seed) for seed in range(1, 1 + MARKETS)]

    def ours():  # type: ignore[no-untyped-def]
        return [optimise(m.program, product_table(m.ends, m.reserves, m.keep, m.units)) for m in markets]

    def peer():  # type: ignore[no-untyped-def]
        tables = [product_table(m.ends, m.reserves, m.keep, m.units) for m in markets]
        return [solve_reference(m.program, table, m.root) for m, table in zip(markets, tables, strict=True)]

    found, reference = ours(), peer()
    times = compare(ours, peer, runs=15, peer_runs=1 if pools > 1_000 else 3)
    return {
        "name": "joint", "size": {"tokens": tokens, "pools": pools}, "peer": "cvxpy+clarabel",
        "ours_s": times["ours_s"] / MARKETS, "peer_s": times["peer_s"] / MARKETS, "ratio": times["ratio"],
        "gap": max(one.gap for one in found), "violation": max(one.violation for one in found),
        "relative_difference": max(abs(a.value / b.value - 1) for a, b in zip(found, reference, strict=True)),
    }  # fmt: skip


def warm() -> Row:
    """Constant products, weighted pairs, ladders and stableswaps after a block in which every price moved."""
    tokens, pools = WARM
    market = random_market(tokens, pools, 2)
    curves = mixed_curves(market, 2)
    ends = [tuple(pair) for pair in market.ends.tolist()]
    table = build_table(curves, ends, market.units)
    before = optimise(market.program, table)
    rng = np.random.default_rng(0)
    moved = table._replace(
        product=table.product._replace(root=table.product.root * np.exp(rng.normal(0, DRIFT, len(table.product.root)))),
        weighted=table.weighted._replace(
            level=table.weighted.level + rng.normal(0, DRIFT, len(table.weighted.level))
        ),
    )  # fmt: skip

    def again():  # type: ignore[no-untyped-def]
        return optimise(market.program, moved, warm=before)

    found = again()
    return {
        "name": "joint", "size": {"tokens": tokens, "pools": pools, "kinds": 4}, "warm": True,
        "ours_s": min(median_seconds(again, 31) for _ in range(3)), "gap": found.gap, "violation": found.violation,
        "steps": found.steps, "cold_s": median_seconds(lambda: optimise(market.program, moved), 15),
    }  # fmt: skip
