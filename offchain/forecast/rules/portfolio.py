# SPDX-License-Identifier: Apache-2.0
"""One rule's portfolio now."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offchain.forecast.errors import ForecastError
from offchain.risk.arrays import FloatArray

DAYS_PER_YEAR = 365.0
TAIL = 0.05
CODES = {
    "equal_weight": 0,
    "benchmark": 1,
    "minimum_variance": 2,
    "risk_parity": 3,
    "volatility_target": 4,
    "momentum": 5,
    "mean_variance": 6,
}
"""Rules as `offchain.forecast.rules.kernel` numbers them."""


@dataclass(frozen=True, eq=False)
class RuleBook:
    """What every rule of a mandate is told.

    Attributes
    ----------
    benchmark, lower, upper
        Shape (n,): fractions of value; asset 0 is the base asset.
    risk_aversion
        Of annual variance against annual return.
    target_volatility
        Per year.
    window
        Days that the moments are taken over.
    """

    benchmark: FloatArray
    lower: FloatArray
    upper: FloatArray
    risk_aversion: float
    target_volatility: float
    window: int

    @property
    def daily_target(self) -> float:
        """Volatility of a day."""
        return self.target_volatility / math.sqrt(DAYS_PER_YEAR)

    def paths(self, rules: Sequence[str], returns: FloatArray) -> FloatArray:
        """Weights of every rule after each day from the window's end on, shape (T - window + 1, K, n).

        Parameters
        ----------
        returns
            Shape (T, n): simple daily returns, oldest first; entry t of the result knows rows before ``t + window``.
        """
        from offchain.forecast.rules.kernel import expert_paths

        if len(returns) < self.window:
            raise ForecastError(f"rules: {len(returns)} days of returns, {self.window} needed; wait for more of them")
        codes = np.array([CODES[rule] for rule in rules], dtype=np.int64)
        weights: FloatArray = expert_paths(
            np.ascontiguousarray(returns), self.window, codes, self.benchmark, self.lower, self.upper,
            self.risk_aversion, self.daily_target,
        )  # fmt: skip
        return weights


def rule_weights(rule: str, returns: FloatArray, book: RuleBook) -> FloatArray:
    """Where a rule would be now, inside the bounds, shape (n,).

    Parameters
    ----------
    returns
        Shape (T, n): simple daily returns, oldest first; the last `RuleBook.window` count.

    Raises
    ------
    ForecastError
        Too few days.
    """
    if len(returns) < book.window:
        raise ForecastError(f"rules: {len(returns)} days of returns, {book.window} needed; wait for more of them")
    recent = returns[len(returns) - book.window :]
    if rule == "minimum_cvar":
        return minimum_cvar(recent, book.lower, book.upper)
    weights: FloatArray = book.paths((rule,), recent)[-1, 0]
    return weights


def minimum_cvar(returns: FloatArray, lower: FloatArray, upper: FloatArray, tail: float = TAIL) -> FloatArray:
    r"""Weights with the least mean of the worst days, shape (n,).

    .. math:: \min_{w, a}\; a + \frac{1}{\tau T} \sum_t \max(0, -r_t^\top w - a)

    Rockafellar and Uryasev, "Optimization of conditional value-at-risk" (2000), as a linear program.

    Parameters
    ----------
    returns
        Shape (T, n).
    tail
        Part of the days that count.

    Raises
    ------
    ForecastError
        The solver found no optimum.
    """
    from scipy.optimize import linprog

    rows, n = returns.shape
    cost = np.concatenate([np.zeros(n), [1.0], np.full(rows, 1.0 / (tail * rows))])
    worse = np.hstack([-returns, -np.ones((rows, 1)), -np.eye(rows)])
    budget = np.concatenate([np.ones(n), np.zeros(rows + 1)])[None, :]
    bounds = [*zip(lower.tolist(), upper.tolist(), strict=True), (None, None), *[(0.0, None)] * rows]
    found = linprog(cost, worse, np.zeros(rows), budget, [1.0], bounds, method="highs")
    if not found.success:
        raise ForecastError(f"minimum_cvar: {found.message}")
    weights: FloatArray = np.clip(found.x[:n], lower, upper)
    return weights
