# SPDX-License-Identifier: Apache-2.0
"""Concave parts of a utility that are not quadratic, known by their values and tangents.

A term f enters the program as entries u <= f(w) of its own. Every tangent of f lies above it, so a
few of them as rows give a program whose optimum bounds the true one from above; its answer says
where the next tangent is missing (Kelley's cutting planes). The quadratic part and the pools, which
bend by themselves, keep the number of rounds small.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

LEAST_WEIGHT = 1e-4
"""Below, logarithms go on along their tangent: a weight of nothing is bad, not infinitely so."""


class Term(Protocol):
    """A sum of concave functions of holdings, one a piece; a new kind is one class with these members."""

    @property
    def pieces(self) -> int:
        """How many functions."""

    @property
    def most(self) -> float:
        """Larger than any of their absolute values."""

    def values(self, holdings: FloatArray) -> FloatArray:
        """Shape (pieces,)."""

    def tangents(self, holdings: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Slopes, shape (pieces, n), and offsets, shape (pieces,): slopes @ w + offsets is at least the values at w."""


@dataclass(frozen=True, slots=True, eq=False)
class VolatilityCost:
    """-price * max(0, |F'w| - free).

    Attributes
    ----------
    factor
        Shape (n, k): F F' = covariance over the horizon, or a year.
    price
        Worth of a unit of volatility.
    free
        Volatility that costs nothing.
    """

    factor: FloatArray
    price: float
    free: float = 0.0

    @property
    def pieces(self) -> int:
        """One."""
        return 1

    @property
    def most(self) -> float:
        """See `Term`; weights are at most a few."""
        return 10.0 * self.price * float(np.linalg.norm(self.factor)) + 1e-3

    def values(self, holdings: FloatArray) -> FloatArray:
        """See `Term`."""
        return np.array([-self.price * max(0.0, float(np.linalg.norm(self.factor.T @ holdings)) - self.free)])

    def tangents(self, holdings: FloatArray) -> tuple[FloatArray, FloatArray]:
        """See `Term`."""
        risk = self.factor.T @ holdings
        size = float(np.linalg.norm(risk))
        if size <= self.free or size == 0.0:
            return np.zeros((1, len(holdings))), np.zeros(1)
        return -self.price * (self.factor @ risk / size)[None, :], np.array([self.price * self.free])


@dataclass(frozen=True, slots=True, eq=False)
class ShortfallCost:
    """-price * CVaR of the loss -R w.

    Attributes
    ----------
    scenarios
        Shape (s, n): returns over the horizon, equally likely.
    level
        Part of the scenarios that does not count, such as 0.95.
    price
        Worth of a unit of CVaR.
    """

    scenarios: FloatArray
    level: float
    price: float

    @property
    def pieces(self) -> int:
        """One."""
        return 1

    @property
    def most(self) -> float:
        """See `Term`."""
        return 10.0 * self.price * float(np.abs(self.scenarios).max())

    def values(self, holdings: FloatArray) -> FloatArray:
        """See `Term`."""
        return np.array([-self.price * expected_shortfall(self.scenarios, self.level, holdings)[0]])

    def tangents(self, holdings: FloatArray) -> tuple[FloatArray, FloatArray]:
        """CVaR is positively homogeneous: its tangents pass through the origin."""
        _, gradient = expected_shortfall(self.scenarios, self.level, holdings)
        return -self.price * gradient[None, :], np.zeros(1)


@dataclass(frozen=True, slots=True, eq=False)
class LogWeights:
    """shares_i * log(w_i), one piece for each of the assets that have a share.

    Attributes
    ----------
    shares
        Shape (n,): not negative.
    """

    shares: FloatArray

    @property
    def pieces(self) -> int:
        """Assets with a share."""
        return int(np.count_nonzero(self.shares))

    @property
    def most(self) -> float:
        """See `Term`."""
        return float(self.shares.max() * (2.0 - np.log(LEAST_WEIGHT)))

    def values(self, holdings: FloatArray) -> FloatArray:
        """See `Term`."""
        members = np.flatnonzero(self.shares)
        held = holdings[members]
        inside = np.maximum(held, LEAST_WEIGHT)
        values: FloatArray = self.shares[members] * (np.log(inside) + np.minimum(held - inside, 0.0) / inside)
        return values

    def tangents(self, holdings: FloatArray) -> tuple[FloatArray, FloatArray]:
        """See `Term`."""
        members = np.flatnonzero(self.shares)
        inside = np.maximum(holdings[members], LEAST_WEIGHT)
        slopes = np.zeros((len(members), len(holdings)))
        slopes[np.arange(len(members)), members] = self.shares[members] / inside
        return slopes, self.shares[members] * (np.log(inside) - 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Repriced:
    """A term of holdings counted at other prices, shape (n,), than the reference's."""

    term: Term
    prices: FloatArray

    @property
    def pieces(self) -> int:
        """As the term's."""
        return self.term.pieces

    @property
    def most(self) -> float:
        """See `Term`."""
        return self.term.most * (1.0 + float(self.prices.max()))

    def values(self, holdings: FloatArray) -> FloatArray:
        """See `Term`."""
        return self.term.values(self.prices * holdings)

    def tangents(self, holdings: FloatArray) -> tuple[FloatArray, FloatArray]:
        """See `Term`."""
        slopes, offsets = self.term.tangents(self.prices * holdings)
        return slopes * self.prices, offsets


def expected_shortfall(scenarios: FloatArray, level: float, holdings: FloatArray) -> tuple[float, FloatArray]:
    """CVaR of the loss of holdings and its subgradient, shape (n,).

    The mean of the worst (1 - level) s of s scenarios, the last of them in part (Rockafellar and Uryasev, 2002).
    """
    losses = -(scenarios @ holdings)
    tail = (1 - level) * len(losses)
    whole = min(int(np.ceil(tail)), len(losses))
    worst = np.argpartition(losses, len(losses) - whole)[len(losses) - whole :]
    weights = np.ones(whole)
    weights[int(np.argmin(losses[worst]))] -= whole - tail
    weights /= tail
    return float(weights @ losses[worst]), -(weights @ scenarios[worst])
