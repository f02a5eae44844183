# SPDX-License-Identifier: Apache-2.0
"""x * y = k."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offchain.route.curves.response import Response

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ProductCurve:
    """Constant product of two reserves.

    Attributes
    ----------
    reserve0, reserve1
        Base units.
    keep
        What the fee leaves of an input, in (0, 1].
    """

    reserve0: float
    reserve1: float
    keep: float

    @property
    def tradable(self) -> bool:
        """Whether both sides hold something."""
        return self.reserve0 > 0 and self.reserve1 > 0 and self.keep > 0

    def pay(self, sold: int, bought: int, amounts: FloatArray) -> FloatArray:
        """Output of each input, any shape, of the first (0) or second (1) token."""
        reserve_in, reserve_out = (self.reserve0, self.reserve1) if sold == 0 else (self.reserve1, self.reserve0)
        kept = self.keep * np.asarray(amounts, np.float64)
        paid: FloatArray = kept * reserve_out / np.maximum(reserve_in + kept, 1e-300)
        return paid

    def respond(self, prices: Sequence[float]) -> Response:
        """Best trade at outside prices: one more unit would pay just them, after the fee."""
        if not self.tradable:
            return Response((0.0, 0.0), 0.0)
        price0, price1 = prices
        invariant = math.sqrt(self.reserve0) * math.sqrt(self.reserve1)
        ratio, spot = math.sqrt(price0 / price1), math.sqrt(self.reserve1 / self.reserve0)
        keep = math.sqrt(self.keep)
        if ratio < keep * spot:  # the first token is cheap outside: sell it here
            after = ratio / keep
            moved = invariant * (spot - after)
            return Response((-moved / (spot * after * self.keep), moved), price1 * invariant * after / 2)
        if ratio * keep > spot:
            after = ratio * keep
            moved = invariant * (after - spot)
            return Response((moved / (spot * after), -moved / self.keep), price0 * invariant / after / 2)
        return Response((0.0, 0.0), 0.0)
