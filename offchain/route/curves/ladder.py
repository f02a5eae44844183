# SPDX-License-Identifier: Apache-2.0
"""Concentrated liquidity: constant products between edges of price."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from offchain.route.curves.response import Response

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LadderCurve:
    """Liquidity that is constant between edges, none outside them.

    Attributes
    ----------
    root
        Square root of the present price, token1 for one token0 in base units.
    roots
        Shape (edges,): square-root prices of the edges, rising.
    liquidity
        Shape (edges,): between an edge and the next; 0 at the last.
    keep0, keep1
        What the fee leaves of an input of token0 and of token1.
    tradable
        Whether there is any liquidity.
    """

    root: float
    roots: FloatArray
    liquidity: FloatArray
    keep0: float
    keep1: float
    tradable: bool

    @classmethod
    def build(cls, root: float, roots: FloatArray, liquidity: FloatArray, keep0: float, keep1: float) -> LadderCurve:
        """Take over edges; what the last of `liquidity` says does not matter."""
        if len(roots) < 2:
            return cls(root, np.zeros(0), np.zeros(0), keep0, keep1, False)
        ended = np.append(liquidity[:-1], 0.0)
        return cls(root, roots, ended, keep0, keep1, bool(ended.any()) and keep0 > 0 and keep1 > 0).at(root)

    def at(self, root: float) -> LadderCurve:
        """The same edges at another price.

        A price outside the edges moves to the nearest: there is nothing to trade in between.
        """
        if len(self.roots):
            root = min(max(root, float(self.roots[0])), float(self.roots[-1]))
        return LadderCurve(root, self.roots, self.liquidity, self.keep0, self.keep1, self.tradable)

    @cached_property
    def current(self) -> int:
        """Edge at or below the present price, in [0, edges - 2]."""
        return min(max(int(np.searchsorted(self.roots, self.root, side="right")) - 1, 0), len(self.roots) - 2)

    @cached_property
    def gained(self) -> tuple[FloatArray, FloatArray]:
        """What the pool gains of its tokens, net of fee, on the way from the present price to each edge.

        Shapes (edges,); at every edge one of the two is negative.
        """
        roots, root, current = self.roots, self.root, self.current
        gained0, gained1 = np.zeros(len(roots)), np.zeros(len(roots))
        if len(roots) < 2:
            return gained0, gained1
        low, high = roots[:-1], roots[1:]
        first = self.liquidity[:-1] * (1 / low - 1 / high)
        second = self.liquidity[:-1] * (high - low)
        here = self.liquidity[current]
        # Downwards the pool gains token0, upwards token1.
        down0, down1 = here * (1 / low[current] - 1 / root), -here * (root - low[current])
        gained0[: current + 1] = down0 + np.concatenate([np.cumsum(first[:current][::-1])[::-1], [0.0]])
        gained1[: current + 1] = down1 - np.concatenate([np.cumsum(second[:current][::-1])[::-1], [0.0]])
        up0, up1 = -here * (1 / root - 1 / high[current]), here * (high[current] - root)
        gained0[current + 1 :] = up0 - np.concatenate([[0.0], np.cumsum(first[current + 1 :])])
        gained1[current + 1 :] = up1 + np.concatenate([[0.0], np.cumsum(second[current + 1 :])])
        return gained0, gained1

    def pay(self, sold: int, bought: int, amounts: FloatArray) -> FloatArray:
        """Output of each input, any shape; where the liquidity ends, what there is."""
        wanted = np.asarray(amounts, np.float64) * (self.keep0 if sold == 0 else self.keep1)
        if not self.tradable:
            return np.zeros_like(wanted)
        here, (gained0, gained1) = self.current, self.gained
        if sold == 0:
            taken = np.concatenate([[0.0], gained0[: here + 1][::-1]])
            paid = np.concatenate([[0.0], -gained1[: here + 1][::-1]])
            starts = np.concatenate([[self.root], self.roots[: here + 1][::-1]])
            depth = np.append(self.liquidity[: here + 1][::-1], 0.0)
        else:
            taken = np.concatenate([[0.0], gained1[here + 1 :]])
            paid = np.concatenate([[0.0], -gained0[here + 1 :]])
            starts = np.concatenate([[self.root], self.roots[here + 1 :]])
            depth = self.liquidity[here:]
        # The last rung at which the sum is still below: gaps take nothing, so skip them.
        rung = np.searchsorted(taken, wanted, side="right") - 1
        rest, root, liquid = wanted - taken[rung], starts[rung], depth[rung]
        with np.errstate(divide="ignore", invalid="ignore"):
            if sold == 0:
                after = 1 / (1 / root + rest / liquid)
                more = liquid * (root - after)
            else:
                after = root + rest / liquid
                more = liquid * (1 / root - 1 / after)
        result: FloatArray = paid[rung] + np.where(liquid > 0, more, 0.0)
        return result

    def respond(self, prices: Sequence[float]) -> Response:
        """Best trade at outside prices: one more unit would pay just them, after the fee."""
        if not self.tradable:
            return Response((0.0, 0.0), 0.0)
        price0, price1 = prices
        ratio = math.sqrt(price0 / price1)
        floor, ceiling = ratio / math.sqrt(self.keep0), ratio * math.sqrt(self.keep1)
        if floor < self.root:
            gained0, gained1, liquidity = self._gained(floor)
            return Response((-gained0 / self.keep0, -gained1), price1 * liquidity * floor / 2)
        if ceiling > self.root:
            gained0, gained1, liquidity = self._gained(ceiling)
            return Response((-gained0, -gained1 / self.keep1), price0 * liquidity / ceiling / 2)
        return Response((0.0, 0.0), 0.0)

    def _gained(self, root: float) -> tuple[float, float, float]:
        """What the pool has gained when its price has moved there, and the liquidity there."""
        rung, (gained0, gained1) = int(np.searchsorted(self.roots, root, side="right")) - 1, self.gained
        if rung < 0:
            return float(gained0[0]), float(gained1[0]), 0.0
        if rung > len(self.roots) - 2:
            return float(gained0[-1]), float(gained1[-1]), 0.0
        liquidity = float(self.liquidity[rung])
        if rung == self.current:
            start, base0, base1 = self.root, 0.0, 0.0
        else:
            nearest = rung + 1 if rung < self.current else rung
            start = float(self.roots[nearest])
            base0, base1 = float(gained0[nearest]), float(gained1[nearest])
        return base0 + liquidity * (1 / root - 1 / start), base1 + liquidity * (root - start), liquidity
