# SPDX-License-Identifier: Apache-2.0
"""Stableswap: a constant sum near balance, a constant product far from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offchain.route.curves.response import Response

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class StableCurve:
    r"""Stableswap over k tokens, the fee on the output.

    In shares :math:`z_i` of D / k the invariant reads
    :math:`a (\sum z_i - k) + k - q = 0` with :math:`q = k / \prod z_i`.

    Attributes
    ----------
    shares
        Shape (k,): balances over D / k; near 1 when the pool is balanced.
    units
        Shape (k,): base units of a token for one share.
    amplification
        a = A k in Curve's terms.
    keep
        What the fee leaves of an output.
    """

    shares: FloatArray
    units: FloatArray
    amplification: float
    keep: float

    @classmethod
    def build(cls, balances: FloatArray, rates: FloatArray, amplification: float, keep: float) -> StableCurve:
        """Find D and take balances, base units, at rates (value of a base unit, any scale), relative to it."""
        count = len(balances)
        valued = np.asarray(balances, np.float64) * rates
        if not np.all(valued > 0):
            return cls(np.zeros(count), np.ones(count), amplification, keep)
        shares = valued / valued.mean()
        # One unknown, the size of D: a (S - s k) + s k - s**(k+1) k / prod = 0 is monotone in s.
        size, product = 1.0, float(np.prod(shares))
        for _ in range(200):
            power = count * size ** (count + 1) / product
            value = amplification * (count - size * count) + size * count - power
            slope = -amplification * count + count - (count + 1) * power / size
            step = value / slope
            size -= step
            if abs(step) <= 1e-16 * size:
                break
        shares = shares / size
        return cls(shares, np.asarray(balances, np.float64) / shares, amplification, keep)

    @property
    def tradable(self) -> bool:
        """Whether every balance is positive."""
        return bool(np.all(self.shares > 0)) and self.keep > 0

    def pay(self, sold: int, bought: int, amounts: FloatArray) -> FloatArray:
        """Output of each input, any shape."""
        amounts = np.asarray(amounts, np.float64)
        if not self.tradable:
            return np.zeros_like(amounts)
        count, a = len(self.shares), self.amplification
        others = [i for i in range(count) if i not in (sold, bought)]
        given = self.shares[sold] + amounts / self.units[sold]
        total = given + self.shares[others].sum()
        product = given * np.prod(self.shares[others])
        # a (total + y - k) + k - k / (product y) = 0, a quadratic in y: a y**2 + b y - k / product = 0.
        b = a * (total - count) + count
        c = count / product
        root = np.sqrt(b * b + 4 * a * c)
        after = np.where(b > 0, 2 * c / (root + np.abs(b)), (root + np.abs(b)) / (2 * a))
        paid: FloatArray = np.maximum(self.shares[bought] - after, 0.0) * self.units[bought] * self.keep
        return paid

    def respond(self, prices: Sequence[float]) -> Response:
        r"""Best trade at outside prices, possibly of all tokens at once.

        At the optimum :math:`\lambda (a + q / z_i)` is the price of a share of each token that comes
        in and the fee-reduced price of each that goes out. For given :math:`\lambda` the product
        determines q, and the invariant rises with :math:`\lambda`: two nested bisections.
        """
        count = len(self.shares)
        if not self.tradable:
            return Response((0.0,) * count, 0.0)
        a, shares = self.amplification, self.shares.tolist()
        price = [value * unit for value, unit in zip(prices, self.units.tolist(), strict=True)]
        product = math.prod(shares)
        slopes = [value / (a + count / product / share) for value, share in zip(price, shares, strict=True)]
        if max(slopes) * self.keep <= min(slopes):
            return Response((0.0,) * count, 0.0)

        def place(level: float, q: float) -> list[float]:
            """Shares at which no token is worth moving on, between what selling and buying would make of each."""
            places = []
            for value, share in zip(price, shares, strict=True):
                dear, cheap = value / level - a, self.keep * value / level - a
                least = q / dear if dear > 0 else math.inf
                most = q / cheap if cheap > 0 else math.inf
                places.append(min(max(share, least), most))
            return places

        def settle(level: float) -> tuple[float, list[float]]:
            low, high = -50.0, 50.0
            for _ in range(70):
                middle = (low + high) / 2
                if middle + sum(map(math.log, place(level, math.exp(middle)))) > math.log(count):
                    high = middle
                else:
                    low = middle
            return math.exp(low), place(level, math.exp(low))

        bottom, top = math.log(min(slopes) * self.keep) - 1, math.log(max(slopes)) + 1
        top = min(top, math.log(min(price) / a))
        for _ in range(60):
            middle = (bottom + top) / 2
            q, places = settle(math.exp(middle))
            if a * (math.fsum(places) - count) + count - q > 0:
                top = middle
            else:
                bottom = middle
        q, places = settle(math.exp(bottom))
        after = np.array(places)
        change = self.shares - after
        amounts = np.where(change > 0, self.keep * change, change) * self.units
        return Response(tuple(amounts.tolist()), self._curvature(math.exp(bottom), q, after, change != 0))

    def _curvature(self, level: float, q: float, place: FloatArray, active: FloatArray) -> float:
        """Half the trace of the Hessian in log prices, by the optimum's second-order conditions."""
        inside = np.flatnonzero(active)
        if not len(inside):
            return 0.0
        size = len(inside)
        price = level * (self.amplification + q / place[inside]) * place[inside]
        # Unknown: change of log z and of log level for a unit change of each log price.
        matrix = np.zeros((size + 1, size + 1))
        matrix[:size, :size] = level * q * (np.eye(size) + 1.0)
        matrix[:size, size] = -price
        matrix[size, :size] = price
        target = np.zeros((size + 1, size))
        target[:size, :] = -np.diag(price)
        moves = np.linalg.solve(matrix, target)[:size]
        return float(-(price[:, None] * moves).trace() / 2)
