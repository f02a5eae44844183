# SPDX-License-Identifier: Apache-2.0
"""What can be read off pools before any search: rough values of tokens, and how much there is of them."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offchain.route.curves import Curve, LadderCurve, LinearCurve, ProductCurve, WeightedCurve

FloatArray = NDArray[np.float64]

_ONE_SIDED = 1e-6
_DEEPEST = 1e60
_AMPLE = 1.01


class Sides(NamedTuple):
    """A pool's own view of its tokens; each has shape (k,).

    ``worth`` of a base unit, in a currency of the pool's own; ``depth``, base units that it holds.
    """

    worth: FloatArray
    depth: FloatArray


def sides(curve: Curve) -> Sides:
    """What a pool says its tokens are worth, before fees, and how much of them stands behind it."""
    if isinstance(curve, ProductCurve):
        depth = np.array([curve.reserve0, curve.reserve1])
        return Sides(1 / depth, depth)
    if isinstance(curve, WeightedCurve):
        return Sides(curve.weights / curve.balances, curve.balances)
    if isinstance(curve, LadderCurve):
        worth, (gained0, gained1) = np.array([curve.root**2, 1.0]), curve.gained
        depth = np.array([max(-gained0[-1], 0.0), max(-gained1[0], 0.0)])
        return Sides(worth, depth + _ONE_SIDED * (depth * worth)[::-1] / worth)
    if isinstance(curve, LinearCurve):
        limits = np.minimum([curve.limit0, curve.limit1], _DEEPEST)
        return Sides(np.array([curve.rate, 1.0]), limits)
    q = len(curve.shares) / float(np.prod(curve.shares))
    return Sides((curve.amplification + q / curve.shares) / curve.units, curve.shares * curve.units)


def reference_values(curves: Sequence[Curve], tokens: Sequence[tuple[int, ...]], anchor: int, count: int) -> FloatArray:
    """Value of a base unit of each token in base units of one.

    Walks from the anchor along the pools that hold most of what is already valued, so that a
    shallow pool's odd price does not decide where a deep one has a say.

    Parameters
    ----------
    curves, tokens
        As in `offchain.route.kernels.build_table`; those that cannot trade are passed over.
    anchor
        The token that counts as 1.
    count
        Number of tokens.

    Returns
    -------
    FloatArray
        Shape (n,): 0 for tokens that no path of pools connects with the anchor.
    """
    around: list[list[int]] = [[] for _ in range(count)]
    views: list[Sides | None] = []
    for index, (curve, members) in enumerate(zip(curves, tokens, strict=True)):
        views.append(sides(curve) if curve.tradable else None)
        if curve.tradable:
            for token in members:
                around[token].append(index)
    values = np.zeros(count)
    waiting: list[tuple[float, int, int, float]] = []

    def visit(token: int, value: float) -> None:
        values[token] = value
        for index in around[token]:
            view, members = views[index], tokens[index]
            assert view is not None
            place = members.index(token)
            for other, member in enumerate(members):
                if not values[member]:
                    relative = view.worth[other] / view.worth[place]
                    heapq.heappush(waiting, (-view.depth[place] * value, index, member, value * relative))

    visit(anchor, 1.0)
    while waiting:
        _, _, token, value = heapq.heappop(waiting)
        if not values[token] and 0 < value < np.inf:
            visit(token, value)
    return values


def limit_wraps(curves: Sequence[Curve], tokens: Sequence[tuple[int, ...]], amounts: FloatArray) -> list[Curve]:
    """Give fixed rates without a limit one that nobody can reach: all that is held of a token anywhere.

    A bound over all routings would otherwise be infinite at any prices but the rate's own.

    Parameters
    ----------
    amounts
        Shape (n,): base units at hand.
    """
    limited = list(curves)
    wraps = [
        (index, *tokens[index])
        for index, curve in enumerate(curves)
        if isinstance(curve, LinearCurve) and curve.tradable
    ]
    if not wraps:
        return limited
    held = amounts.copy()
    for curve, members in zip(curves, tokens, strict=True):
        if curve.tradable and not isinstance(curve, LinearCurve):
            np.add.at(held, list(members), sides(curve).depth)
    for _ in wraps:
        for index, *ends in wraps:
            most = [held[token] for token in ends]
            for other, first, second in wraps:
                wrap = limited[other]
                assert isinstance(wrap, LinearCurve)
                if other != index:
                    paid = {second: wrap.limit0 * wrap.rate, first: wrap.limit1 / wrap.rate}
                    most = [amount + paid.get(token, 0.0) for amount, token in zip(most, ends, strict=True)]
            own = limited[index]
            assert isinstance(own, LinearCurve)
            limits = min(own.limit0, _AMPLE * most[0]), min(own.limit1, _AMPLE * most[1])
            limited[index] = LinearCurve(own.rate, *limits)
    return limited
