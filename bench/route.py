# SPDX-License-Identifier: Apache-2.0
"""Selling a basket for one token through constant products: whole calls against cvxpy + Clarabel's."""

from __future__ import annotations

import numpy as np

from bench import Row, compare
from offchain.allocate.reference import solve_reference
from offchain.allocate.solution import Program
from offchain.route.dual import Sale, solve_sale
from offchain.route.kernels import product_table
from offchain.route.sale import sell_basket
from offchain.route.uniswap_v2 import UniswapV2Pool
from tests.support.markets import Market, random_market

SIZES = ((20, 1_000), (50, 10_000))
SOLD = 5
"""Tokens in the basket, a fifth of its value each."""
SLACK = 1e-11
"""Part of the basket that is kept back of every token, so that the flow takes no more than there is."""


def rows() -> list[Row]:
    return [route(*size) for size in SIZES]


def route(tokens: int, pools: int) -> Row:
    """From arrays of reserves to a feasible flow and its bound, both sides."""
    market = random_market(tokens, pools, 3)
    sold = np.zeros(tokens)
    sold[1 : 1 + SOLD] = 1 / SOLD
    sale = Sale(sold, 0, np.ones(tokens, dtype=bool))
    bought = np.zeros(tokens)
    bought[0] = 1.0
    program = Program.box(sold, bought, np.zeros((tokens, tokens)), np.zeros(tokens), np.full(tokens, 10.0))

    def ours():  # type: ignore[no-untyped-def]
        table = product_table(market.ends, market.reserves, market.keep, market.units)
        return solve_sale(table, sale, slack=SLACK), table

    def peer():  # type: ignore[no-untyped-def]
        table = product_table(market.ends, market.reserves, market.keep, market.units)
        return solve_reference(program, table, np.zeros((1, tokens)))

    (point, table), reference = ours(), peer()
    left = sold + np.bincount(table.token, point.trades, tokens)
    return {
        "name": "route", "size": {"tokens": tokens, "pools": pools}, "peer": "cvxpy+clarabel",
        **compare(ours, peer, runs=15, peer_runs=1 if pools > 1_000 else 3),
        "gap": point.bound - left[0], "violation": max(0.0, -left.min()),
        "relative_difference": abs(left[0] / reference.value - 1), **exactly(market, sold),
    }  # fmt: skip


def exactly(market: Market, sold: np.ndarray) -> Row:
    """The same sale down to integer swaps in order, which no peer gives; tokens of 18 decimals."""
    pools = tuple(
        UniswapV2Pool(
            str(k), *ends, *(min(int(r * 1e18), 2**112 - 1) for r in reserves), charge_ppm=round(1e6 * (1 - keep))
        )
        for k, (ends, reserves, keep) in enumerate(
            zip(market.ends.tolist(), market.reserves.tolist(), market.keep.tolist(), strict=True)
        )
    )
    basket = [int(part / unit * 1e18) for part, unit in zip(sold.tolist(), market.units.tolist(), strict=True)]
    done = min((sell_basket(pools, basket, 0) for _ in range(3)), key=lambda route: route.seconds)
    return {"exact_s": done.seconds, "exact_gap": done.gap, "legs": len(done.swaps)}
