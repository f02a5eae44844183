# SPDX-License-Identifier: Apache-2.0
"""Compiled search over pools: tables and what they answer to prices.

What a larger program needs of it::

    from offchain.route.kernels import NO_HESSIAN, build_table, respond, respond_each, respond_net

    table = build_table(curves, tokens, unit_values)      # once a snapshot; see `table`
    worth = respond(table, logs, flow, hessian)           # from compiled code or from Python
    respond_each(table, logs, trades, surplus, weights)   # pool by pool, at the end
    smaller = select(table, kept)                         # the same slots, fewer rows

`respond` returns the sum over pools of the most that trading with them is worth at prices
exp(logs), fills ``flow`` (n,) with the net change of every token (the gradient in prices) and
``hessian`` (n, n) with a graph Laplacian over log prices; pass `NO_HESSIAN` to skip it.
`respond_net` does the same net of a smoothed fixed cost a pool. Amounts are reference values,
prices are relative to the reference and pass as logarithms. The functions are pure but for the
arrays they fill, and compile once: later processes load them from disk. Importing this package
imports numba: do it where it is used, not at the top of what the command line imports.
"""

import numpy as np

from offchain.route.kernels.market import NO_COSTS, respond, respond_each, respond_net
from offchain.route.kernels.table import PoolTable, build_table, product_table, select

NO_HESSIAN = np.zeros((0, 0))

__all__ = [
    "NO_COSTS",
    "NO_HESSIAN",
    "PoolTable",
    "build_table",
    "product_table",
    "respond",
    "respond_each",
    "respond_net",
    "select",
]
