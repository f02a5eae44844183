# SPDX-License-Identifier: Apache-2.0
"""A weighted geometric mean of any number of balances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offchain.route.curves.response import Response

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class WeightedCurve:
    """Constant product of balances to the power of their weights, the fee on the input.

    Attributes
    ----------
    balances, weights
        Shape (k,): base units; weights sum to 1.
    keep
        What the fee leaves of an input.
    """

    balances: FloatArray
    weights: FloatArray
    keep: float

    @property
    def tradable(self) -> bool:
        """Whether every balance is positive."""
        return bool(np.all(self.balances > 0)) and self.keep > 0

    def pay(self, sold: int, bought: int, amounts: FloatArray) -> FloatArray:
        """Output of each input, any shape."""
        kept = np.asarray(amounts, np.float64) * self.keep
        if not self.tradable:
            return np.zeros_like(kept)
        exponent = self.weights[sold] / self.weights[bought]
        paid: FloatArray = -self.balances[bought] * np.expm1(-exponent * np.log1p(kept / self.balances[sold]))
        return paid

    def respond(self, prices: Sequence[float]) -> Response:
        r"""Best trade at outside prices, possibly of all tokens at once.

        With :math:`x_i = \log(\nu_i R_i / w_i)` the optimum leaves every token that goes out at
        :math:`\nu_i R'_i = e^c w_i` and every one that comes in at :math:`\nu_i R'_i = \gamma e^c w_i`;
        the level c is where :math:`\sum w_i \log(R'_i / R_i) = 0`.
        """
        count = len(self.balances)
        if not self.tradable:
            return Response((0.0,) * count, 0.0)
        log_keep = math.log(self.keep)
        place = np.log(np.asarray(prices) * self.balances / self.weights)
        if place.max() - place.min() <= -log_keep:
            return Response((0.0,) * count, 0.0)

        def moved(level: float) -> FloatArray:
            change: FloatArray = np.minimum(level - place, 0) + np.maximum(level + log_keep - place, 0)
            return change

        turns = np.sort(np.concatenate([place, place - log_keep]))
        sums = np.array([float(self.weights @ moved(turn)) for turn in turns])
        last = int(np.searchsorted(sums, 0.0, side="right"))
        low, high = turns[last - 1], turns[min(last, len(turns) - 1)]
        middle = moved((low + high) / 2)
        active = middle != 0
        target = np.where(middle > 0, place - log_keep, place)
        level = float(self.weights[active] @ target[active] / self.weights[active].sum())
        change = np.where(active, level - target, 0.0)
        amounts = -self.balances * np.expm1(change)
        amounts = np.where(change > 0, amounts / self.keep, amounts)
        weights = self.weights[active]
        curvature = math.exp(level) * (weights.sum() - weights @ weights / weights.sum()) / 2
        return Response(tuple(amounts.tolist()), float(curvature))
