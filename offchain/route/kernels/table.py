# SPDX-License-Identifier: Apache-2.0
"""Many pools as typed arrays that compiled code walks over.

A pool of any kind is one row of the rows that fit its curve: v3 and v4 pools share the
ladders, the wraps of every protocol are linear rows. A table is a named tuple of named tuples
of arrays, which compiled functions take as they are.

Amounts are *reference values*: base units times a fixed unit value a token, such as fractions
of a portfolio at oracle prices. Prices are relative to that reference, so that they are near 1
and their logarithms, which the searches vary, keep all their digits.

*Slots* number the (pool, token) pairs in the order of the pools given: pool k trades
``table.token[s]`` for s in ``range(table.slot[k], table.slot[k + 1])``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from offchain.risk.compiled import compiled
from offchain.route.curves import Curve, LadderCurve, LinearCurve, ProductCurve, StableCurve, WeightedCurve

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

Kind = TypeVar("Kind", ProductCurve, LadderCurve, WeightedCurve, StableCurve, LinearCurve)

WRAP_WIDTH = 1e-8
"""By how much a wrap's fixed rate counts as elastic in a search, in log price."""


class ProductRows(NamedTuple):
    """Constant product. Shapes (rows,).

    ``size`` is sqrt(R1 R2) of the reserves, ``root`` sqrt(R2 / R1), ``keep`` the square root of
    what the fee leaves of an input.
    """

    pool: IntArray
    first: IntArray
    second: IntArray
    size: FloatArray
    root: FloatArray
    keep: FloatArray


class LadderRows(NamedTuple):
    """Piecewise constant liquidity. Per row, shapes (rows,); per edge, one array for all rows.

    Edges ``start[k] <= j < stop[k]`` rise in ``edge_root``, the square root of second tokens for
    one first; ``edge_liquidity[j]`` holds between j and j + 1; ``edge_first[j]`` and
    ``edge_second[j]`` are what the pool gains of its tokens, net of fee, on the way from its
    present price ``root[k]`` to the edge. ``current[k]`` is the edge at or below the present
    price. ``keep_first`` is the square root of what the fee leaves of an input of the first token.
    """

    pool: IntArray
    first: IntArray
    second: IntArray
    root: FloatArray
    keep_first: FloatArray
    keep_second: FloatArray
    current: IntArray
    start: IntArray
    stop: IntArray
    edge_root: FloatArray
    edge_liquidity: FloatArray
    edge_first: FloatArray
    edge_second: FloatArray


class WeightedRows(NamedTuple):
    """Weighted geometric mean over any number of tokens, the fee on the input.

    Row k owns members ``start[k] <= j < start[k + 1]`` of ``token``, ``balance``, ``weight`` (they
    sum to 1) and ``level`` = log(balance / weight). ``log_keep`` has shape (rows,).
    """

    pool: IntArray
    start: IntArray
    log_keep: FloatArray
    token: IntArray
    balance: FloatArray
    weight: FloatArray
    level: FloatArray


class StableRows(NamedTuple):
    """Stableswap over any number of tokens, the fee on the output.

    Members as in `WeightedRows`: ``share`` is the balance over the invariant's part of a token,
    D / n; ``unit`` the reference value of one share; ``level`` = log(unit). ``amplification`` is
    A n in Curve's terms, A n**n in the paper's.
    """

    pool: IntArray
    start: IntArray
    amplification: FloatArray
    log_keep: FloatArray
    token: IntArray
    share: FloatArray
    unit: FloatArray
    level: FloatArray


class LinearRows(NamedTuple):
    """A fixed rate, both ways, up to a limit: wrapping and unwrapping. Shapes (rows,).

    ``log_rate`` is the logarithm of second tokens for one first, ``limit_first`` the most of the
    first that can be sold, ``limit_second`` likewise, in values of the *first*. A fixed rate
    answers a price with nothing or everything, which no Newton method bears: in a search it is
    elastic and answers with ``slope`` per unit of log price.
    """

    pool: IntArray
    first: IntArray
    second: IntArray
    log_rate: FloatArray
    limit_first: FloatArray
    limit_second: FloatArray
    slope: FloatArray


class PoolTable(NamedTuple):
    """Rows of every kind, and which slots belong to which pool: see the module's page."""

    slot: IntArray
    token: IntArray
    product: ProductRows
    ladder: LadderRows
    weighted: WeightedRows
    stable: StableRows
    linear: LinearRows


def build_table(
    curves: Sequence[Curve], tokens: Sequence[tuple[int, ...]], unit_values: FloatArray, depth: float = 1.0
) -> PoolTable:
    """Sort curves into rows. Pools that cannot trade get slots but no row.

    Parameters
    ----------
    curves
        One a pool, in base units.
    tokens
        The tokens of each pool, in its curve's order.
    unit_values
        Shape (n,): reference value of one base unit of each token; positive.
    depth
        Reference value that is large beside what will be traded; makes wraps elastic (`LinearRows`).
    """
    sizes = np.fromiter((len(members) for members in tokens), np.int64, len(tokens))
    slot = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    token = np.fromiter((member for members in tokens for member in members), np.int64, int(slot[-1]))

    kinds: dict[type, tuple[list[int], list[Any]]] = {}
    for index, curve in enumerate(curves):
        if curve.tradable:
            if type(curve) not in kinds:
                kinds[type(curve)] = [], []
            places, found = kinds[type(curve)]
            places.append(index)
            found.append(curve)

    def chosen(kind: type[Kind]) -> tuple[IntArray, list[Kind]]:
        places, found = kinds.get(kind, ((), []))
        return np.array(places, np.int64), found

    def pairs(pool: IntArray) -> tuple[IntArray, IntArray]:
        return token[slot[pool]], token[slot[pool] + 1]

    table = _no_rows()
    if ProductCurve in kinds:
        table = table._replace(product=_product(*chosen(ProductCurve), pairs, unit_values))
    if LadderCurve in kinds:
        table = table._replace(ladder=_ladder(*chosen(LadderCurve), pairs, unit_values))
    if WeightedCurve in kinds:
        table = table._replace(weighted=_weighted(*chosen(WeightedCurve), slot, token, unit_values))
    if StableCurve in kinds:
        table = table._replace(stable=_stable(*chosen(StableCurve), slot, token, unit_values))
    if LinearCurve in kinds:
        table = table._replace(linear=_linear(*chosen(LinearCurve), pairs, unit_values, depth))
    return table._replace(slot=slot, token=token)


def product_table(ends: IntArray, reserves: FloatArray, keep: FloatArray, unit_values: FloatArray) -> PoolTable:
    """A table of constant-product pools alone, without a detour over objects.

    Parameters
    ----------
    ends
        Shape (m, 2): tokens.
    reserves
        Shape (m, 2): base units; a pool with an empty side is left out of the search.
    keep
        Shape (m,): what the fee leaves of an input.
    unit_values
        Shape (n,): as in `build_table`.
    """
    count = len(ends)
    alive = np.flatnonzero((reserves > 0).all(axis=1))
    rows = _product_rows(alive, ends[alive, 0], ends[alive, 1], reserves[alive], keep[alive], unit_values)
    return _no_rows()._replace(slot=2 * np.arange(count + 1), token=np.ascontiguousarray(ends).ravel(), product=rows)


@lru_cache(maxsize=1)
def _no_rows() -> PoolTable:
    """The table of no pools."""
    whole, none, units = np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0)

    def pairs(pool: IntArray) -> tuple[IntArray, IntArray]:
        return pool, pool

    return PoolTable(
        whole,
        none,
        _product(none, [], pairs, units),
        _ladder(none, [], pairs, units),
        _weighted(none, [], whole, none, units),
        _stable(none, [], whole, none, units),
        _linear(none, [], pairs, units, 1.0),
    )


Pairs = Callable[[IntArray], tuple[IntArray, IntArray]]


def _floats(values: object, *shape: int) -> FloatArray:
    return np.ascontiguousarray(np.array(values, np.float64).reshape(shape))


def _product(pool: IntArray, curves: list[ProductCurve], pairs: Pairs, units: FloatArray) -> ProductRows:
    reserves = _floats([(curve.reserve0, curve.reserve1) for curve in curves], -1, 2)
    keep = _floats([curve.keep for curve in curves], -1)
    return _product_rows(pool, *pairs(pool), reserves, keep, units)


def _product_rows(
    pool: IntArray, first: IntArray, second: IntArray, reserves: FloatArray, keep: FloatArray, units: FloatArray
) -> ProductRows:
    values0, values1 = reserves[:, 0] * units[first], reserves[:, 1] * units[second]
    root0, root1 = np.sqrt(values0), np.sqrt(values1)
    first, second = np.ascontiguousarray(first), np.ascontiguousarray(second)
    return ProductRows(pool, first, second, root0 * root1, root1 / root0, np.sqrt(keep))


def _ladder(pool: IntArray, curves: list[LadderCurve], pairs: Pairs, units: FloatArray) -> LadderRows:
    first, second = pairs(pool)
    edges = np.array([len(curve.roots) for curve in curves], np.int64)
    stop = np.cumsum(edges)
    start = stop - edges
    root0, root1 = np.sqrt(units[first]), np.sqrt(units[second])

    def joined(name: str) -> FloatArray:
        return np.concatenate([np.zeros(0), *(getattr(curve, name) for curve in curves)])

    edge_root, edge_liquidity = joined("roots") * np.repeat(root1 / root0, edges), joined("liquidity")
    rows = LadderRows(
        pool,
        first,
        second,
        _floats([curve.root for curve in curves], -1) * root1 / root0,
        np.sqrt(_floats([curve.keep0 for curve in curves], -1)),
        np.sqrt(_floats([curve.keep1 for curve in curves], -1)),
        np.empty(len(pool), np.int64),
        start,
        stop,
        edge_root,
        edge_liquidity * np.repeat(root1 * root0, edges),
        np.empty(len(edge_root)),
        np.empty(len(edge_root)),
    )
    _sum_ways(rows)
    return rows


@compiled
def _sum_ways(rows: LadderRows) -> None:
    """Fill each ladder's current edge, and what it gains on the way from its present price to the edges."""
    for k in range(len(rows.pool)):
        root = rows.root[k]
        found = np.searchsorted(rows.edge_root[rows.start[k] : rows.stop[k]], root, side="right")
        here = min(max(rows.start[k] + found - 1, rows.start[k]), rows.stop[k] - 2)
        rows.current[k] = here
        price, gained0, gained1 = root, 0.0, 0.0
        for j in range(here, rows.start[k] - 1, -1):
            liquidity = rows.edge_liquidity[j]
            gained0 += liquidity * (1.0 / rows.edge_root[j] - 1.0 / price)
            gained1 -= liquidity * (price - rows.edge_root[j])
            price = rows.edge_root[j]
            rows.edge_first[j], rows.edge_second[j] = gained0, gained1
        price, gained0, gained1 = root, 0.0, 0.0
        for j in range(here + 1, rows.stop[k]):
            liquidity = rows.edge_liquidity[j - 1]
            gained0 -= liquidity * (1.0 / price - 1.0 / rows.edge_root[j])
            gained1 += liquidity * (rows.edge_root[j] - price)
            price = rows.edge_root[j]
            rows.edge_first[j], rows.edge_second[j] = gained0, gained1


def _members(pool: IntArray, slot: IntArray, token: IntArray) -> tuple[IntArray, IntArray]:
    """Where each row's members start, and the tokens of all."""
    start = np.concatenate([np.zeros(1, np.int64), np.cumsum(slot[pool + 1] - slot[pool])])
    members = [token[slot[index] : slot[index + 1]] for index in pool.tolist()]
    return start, np.concatenate([np.zeros(0, np.int64), *members])


def _weighted(
    pool: IntArray, curves: list[WeightedCurve], slot: IntArray, token: IntArray, units: FloatArray
) -> WeightedRows:
    start, members = _members(pool, slot, token)
    balance = np.concatenate([np.zeros(0), *(curve.balances for curve in curves)]) * units[members]
    weight = np.concatenate([np.zeros(0), *(curve.weights for curve in curves)])
    log_keep = np.log(_floats([curve.keep for curve in curves], -1))
    return WeightedRows(pool, start, log_keep, members, balance, weight, np.log(balance / weight))


def _stable(
    pool: IntArray, curves: list[StableCurve], slot: IntArray, token: IntArray, units: FloatArray
) -> StableRows:
    start, members = _members(pool, slot, token)
    share = np.concatenate([np.zeros(0), *(curve.shares for curve in curves)])
    unit = np.concatenate([np.zeros(0), *(curve.units for curve in curves)]) * units[members]
    return StableRows(
        pool,
        start,
        _floats([curve.amplification for curve in curves], -1),
        np.log(_floats([curve.keep for curve in curves], -1)),
        members,
        share,
        unit,
        np.log(unit),
    )


def _linear(pool: IntArray, curves: list[LinearCurve], pairs: Pairs, units: FloatArray, depth: float) -> LinearRows:
    first, second = pairs(pool)
    rate = _floats([curve.rate for curve in curves], -1)
    limit_first = _floats([curve.limit0 for curve in curves], -1) * units[first]
    limit_second = _floats([curve.limit1 for curve in curves], -1) / rate * units[first]
    log_rate = np.log(rate * units[second] / units[first])
    slope = np.full(len(pool), depth / WRAP_WIDTH)
    return LinearRows(pool, first, second, log_rate, limit_first, limit_second, slope)


def select(table: PoolTable, kept: NDArray[np.bool_]) -> PoolTable:
    """The same pools and slots, with rows only for those kept.

    Parameters
    ----------
    kept
        Shape (pools,).
    """

    def pick(rows: Any, names: tuple[str, ...]) -> dict[str, Any]:
        chosen = np.flatnonzero(kept[rows.pool])
        return {name: getattr(rows, name)[chosen] for name in names}

    def gather(rows: WeightedRows | StableRows, row: tuple[str, ...], member: tuple[str, ...]) -> dict[str, Any]:
        sizes = np.diff(rows.start)
        inside = np.repeat(kept[rows.pool], sizes)
        start = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes[kept[rows.pool]])])
        members = {name: np.ascontiguousarray(getattr(rows, name)[inside]) for name in member}
        return {**pick(rows, row), "start": start, **members}

    heads = ("pool", "first", "second", "root", "keep_first", "keep_second", "current", "start", "stop")
    parts: dict[str, dict[str, Any]] = {}
    if len(table.product.pool):
        parts["product"] = pick(table.product, ProductRows._fields)
    if len(table.ladder.pool):
        parts["ladder"] = pick(table.ladder, heads)
    if len(table.weighted.pool):
        parts["weighted"] = gather(table.weighted, ("pool", "log_keep"), ("token", "balance", "weight", "level"))
    if len(table.stable.pool):
        row, member = ("pool", "amplification", "log_keep"), ("token", "share", "unit", "level")
        parts["stable"] = gather(table.stable, row, member)
    if len(table.linear.pool):
        parts["linear"] = pick(table.linear, LinearRows._fields)
    return table._replace(**{name: getattr(table, name)._replace(**part) for name, part in parts.items()})
