# SPDX-License-Identifier: Apache-2.0
"""A fixed rate up to a limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offchain.route.curves.response import Response

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LinearCurve:
    """Wrapping and unwrapping.

    Attributes
    ----------
    rate
        Second tokens for one first, in base units, both ways.
    limit0, limit1
        Most of each token that can be sold; infinite where nothing limits it.
    """

    rate: float
    limit0: float
    limit1: float

    @property
    def tradable(self) -> bool:
        """Whether anything can be sold."""
        return self.rate > 0 and (self.limit0 > 0 or self.limit1 > 0)

    def pay(self, sold: int, bought: int, amounts: FloatArray) -> FloatArray:
        """Output of each input, any shape."""
        limit, rate = (self.limit0, self.rate) if sold == 0 else (self.limit1, 1 / self.rate if self.rate else 0.0)
        paid: FloatArray = np.minimum(np.asarray(amounts, np.float64), limit) * rate
        return paid

    def respond(self, prices: Sequence[float]) -> Response:
        """All or nothing: the most that can be sold where that gains; infinite where nothing limits it."""
        if not self.tradable:
            return Response((0.0, 0.0), 0.0)
        price0, price1 = prices
        if price1 * self.rate > price0 and self.limit0:
            return Response((-self.limit0, self.limit0 * self.rate), 0.0)
        if price1 * self.rate < price0 and self.limit1:
            return Response((self.limit1 / self.rate, -self.limit1), 0.0)
        return Response((0.0, 0.0), 0.0)
