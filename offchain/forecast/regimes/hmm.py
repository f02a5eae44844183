# SPDX-License-Identifier: Apache-2.0
"""Hidden Markov models of returns, with normal or Student-t states."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from offchain.forecast.errors import ForecastError
from offchain.forecast.regimes.chain import forward, smooth, stationary
from offchain.risk.arrays import FloatArray

MAX_ROUNDS = 1_000
LEAST_NU, MOST_NU = 2.1, 200.0
FLOOR = 1e-6
"""Least variance of a state in any direction, as a fraction of the sample's: no state may sit on a single row."""


@dataclass(frozen=True, eq=False)
class HmmFit:
    """States ordered from calm to wild.

    Attributes
    ----------
    start
        Shape (K,): probabilities of the first row's state.
    transition
        Shape (K, K): from row to column.
    means
        Shape (K, n), per row of the sample.
    scales
        Shape (K, n, n): covariances of normal states, scale matrices of Student's.
    degrees
        Shape (K,): degrees of freedom, infinite for normal states.
    log_likelihood
        Of the fitted sample.
    rounds
        Of expectation and maximisation.
    """

    start: FloatArray
    transition: FloatArray
    means: FloatArray
    scales: FloatArray
    degrees: FloatArray
    log_likelihood: float
    rounds: int = 0

    @property
    def covariances(self) -> FloatArray:
        """Shape (K, n, n), per row."""
        fat = np.isfinite(self.degrees)
        factor = np.divide(self.degrees, self.degrees - 2.0, out=np.ones_like(self.degrees), where=fat)
        out: FloatArray = self.scales * factor[:, None, None]
        return out

    @property
    def stationary(self) -> FloatArray:
        """Long-run share of each state, shape (K,)."""
        return stationary(self.transition)

    @property
    def durations(self) -> FloatArray:
        """Mean rows spent in each state, shape (K,)."""
        stay: FloatArray = 1.0 / np.maximum(1.0 - np.diag(self.transition), 1e-12)
        return stay

    def filtered(self, returns: FloatArray) -> FloatArray:
        """Probabilities of each row's state given the rows up to it, shape (T, K): what could be known in time."""
        rows = _as_rows(returns)
        out, scales = np.empty((len(rows), len(self.start))), np.empty(len(rows))
        forward(self._log_densities(rows), self.start, self.transition, out, scales)
        return out

    def next(self, returns: FloatArray, ahead: int = 1) -> FloatArray:
        """Probabilities of the state `ahead` rows after the last, shape (K,)."""
        moved: FloatArray = self.filtered(returns)[-1] @ np.linalg.matrix_power(self.transition, ahead)
        return moved

    def _log_densities(self, rows: FloatArray) -> FloatArray:
        out = np.empty((len(rows), len(self.start)))
        for k in range(len(self.start)):
            distance, log_det = _distances(rows, self.means[k], self.scales[k])
            out[:, k] = _log_density(distance, log_det, rows.shape[1], float(self.degrees[k]))
        return out


@dataclass(frozen=True, slots=True)
class Hmm:
    r"""Returns whose distribution depends on a hidden state that changes from row to row by fixed probabilities.

    .. math::
        P(s_{t+1} = k | s_t = j) = a_{jk}, \qquad r_t | s_t = k \sim
        N(\mu_k, \Sigma_k) \text{ or } t_{\nu_k}(\mu_k, S_k)

    Estimated by expectation and maximisation (Baum and Welch; for Student's t as Peel and McLachlan, "Robust mixture
    modelling using the t distribution", 2000). With normal states every large return looks like a change of state;
    Student's states let a state have outliers.

    Attributes
    ----------
    states
        Two or more.
    tolerance
        Gain in log-likelihood, per row, at which to stop.
    """

    states: int = 2
    errors: Literal["normal", "t"] = "normal"
    tolerance: float = 1e-9

    def fit(self, returns: FloatArray, first: HmmFit | None = None) -> HmmFit:
        """Estimate.

        Parameters
        ----------
        returns
            Shape (T,) or (T, n).
        first
            Where to begin; by default rows are sorted by how volatile the days around them were.

        Raises
        ------
        ForecastError
            When there are too few rows, or they do not move.
        """
        rows = _as_rows(returns)
        needed = 10 * self.states * (rows.shape[1] + 1)
        if self.states < 2 or len(rows) < needed:
            raise ForecastError(f"HMM: {len(rows)} returns for {self.states} states, at least {needed} needed")
        spread = np.var(rows, axis=0)
        if not (spread > 0.0).all():
            raise ForecastError("HMM: a column of returns does not move; leave it out")
        current = first or self._first(rows)
        value = -math.inf
        filtered, scales = np.empty((len(rows), self.states)), np.empty(len(rows))
        smoothed, moves = np.empty_like(filtered), np.empty((self.states, self.states))
        for count in range(MAX_ROUNDS):
            densities = current._log_densities(rows)
            fresh = forward(densities, current.start, current.transition, filtered, scales)
            if not math.isfinite(fresh):
                raise ForecastError("HMM: the likelihood vanished; use fewer states or drop outliers")
            current = replace(current, log_likelihood=fresh, rounds=count)
            if fresh - value < self.tolerance * len(rows):
                break
            value = fresh
            smooth(densities, current.transition, filtered, smoothed, moves)
            current = self._maximised(rows, current, smoothed, moves, np.diag(spread))
        return _ordered(current)

    def _first(self, rows: FloatArray) -> HmmFit:
        unit = (rows - rows.mean(axis=0)) / rows.std(axis=0)
        size = np.convolve(np.mean(unit**2, axis=1), np.ones(5) / 5.0, mode="same")
        edges = np.quantile(size, np.arange(1, self.states) / self.states)
        group = np.searchsorted(edges, size)
        n = rows.shape[1]
        means, scales = np.empty((self.states, n)), np.empty((self.states, n, n))
        for k in range(self.states):
            means[k] = rows[group == k].mean(axis=0)
            own = np.cov(rows[group == k], rowvar=False, bias=True).reshape(n, n)
            scales[k] = own + FLOOR * np.diag(rows.var(axis=0))
        stay = 0.95
        transition = np.full((self.states, self.states), (1.0 - stay) / (self.states - 1))
        np.fill_diagonal(transition, stay)
        degrees = np.full(self.states, 8.0 if self.errors == "t" else math.inf)
        return HmmFit(np.full(self.states, 1.0 / self.states), transition, means, scales, degrees, -math.inf)

    def _maximised(
        self, rows: FloatArray, current: HmmFit, smoothed: FloatArray, moves: FloatArray, spread: FloatArray
    ) -> HmmFit:
        n = rows.shape[1]
        transition = moves / np.maximum(moves.sum(axis=1, keepdims=True), 1e-300)
        means, scales, degrees = current.means.copy(), current.scales.copy(), current.degrees.copy()
        for k in range(self.states):
            share = smoothed[:, k]
            mass = float(share.sum())
            pull = share
            if self.errors == "t":
                distance, _ = _distances(rows, means[k], scales[k])
                known = (degrees[k] + n) / (degrees[k] + distance)
                pull = share * known
                degrees[k] = _degrees(float(degrees[k]), n, float(share @ (np.log(known) - known)) / mass)
            means[k] = pull @ rows / pull.sum()
            centered = rows - means[k]
            scales[k] = (centered * pull[:, None]).T @ centered / mass
            lowest = float(np.linalg.eigvalsh(scales[k] / np.sqrt(np.outer(np.diag(spread), np.diag(spread))))[0])
            if lowest < FLOOR:
                scales[k] = scales[k] + FLOOR * spread
        return replace(
            current, start=smoothed[0].copy(), transition=transition, means=means, scales=scales, degrees=degrees
        )


def regime_summary(fit: HmmFit, rows_per_year: float) -> Sequence[Mapping[str, float]]:
    """One mapping a state, calm first: mean and volatility per year, long-run share, mean duration in rows."""
    out = []
    for k, covariance in enumerate(fit.covariances):
        weight = np.full(len(covariance), 1.0 / len(covariance))
        out.append(
            {
                "mean": float(weight @ fit.means[k]) * rows_per_year,
                "volatility": math.sqrt(float(weight @ covariance @ weight) * rows_per_year),
                "share": float(fit.stationary[k]),
                "duration": float(fit.durations[k]),
            }
        )
    return out


def _as_rows(returns: FloatArray) -> FloatArray:
    rows = np.ascontiguousarray(returns.reshape(len(returns), -1), dtype=np.float64)
    wrong = ~np.isfinite(rows)
    if wrong.any():
        raise ForecastError(f"HMM: return {int(np.argmax(wrong.any(axis=1)))} is not a number; mend it first")
    return rows


def _distances(rows: FloatArray, mean: FloatArray, scale: FloatArray) -> tuple[FloatArray, float]:
    """Squared Mahalanobis distances, shape (T,), and the logarithm of the determinant."""
    lower = np.linalg.cholesky(scale)
    unit = np.linalg.solve(lower, (rows - mean).T)
    return np.sum(unit**2, axis=0), 2.0 * float(np.sum(np.log(np.diag(lower))))


def _log_density(distance: FloatArray, log_det: float, n: int, nu: float) -> FloatArray:
    if math.isinf(nu):
        return -0.5 * (n * math.log(2.0 * math.pi) + log_det + distance)
    constant = math.lgamma(0.5 * (nu + n)) - math.lgamma(0.5 * nu) - 0.5 * (n * math.log(math.pi * nu) + log_det)
    density: FloatArray = constant - 0.5 * (nu + n) * np.log1p(distance / nu)
    return density


def _degrees(old: float, n: int, mean: float) -> float:
    """Degrees of freedom that solve the likelihood's condition."""
    from scipy.optimize import brentq
    from scipy.special import digamma

    shift = mean + float(digamma((old + n) / 2.0)) - math.log((old + n) / 2.0) + 1.0

    def condition(nu: float) -> float:
        return math.log(nu / 2.0) - float(digamma(nu / 2.0)) + shift

    if condition(LEAST_NU) < 0.0:
        return LEAST_NU
    if condition(MOST_NU) > 0.0:
        return MOST_NU
    return float(brentq(condition, LEAST_NU, MOST_NU, xtol=1e-10))


def _ordered(fit: HmmFit) -> HmmFit:
    order = np.argsort([np.trace(one) for one in fit.covariances])
    return replace(
        fit,
        start=fit.start[order],
        transition=fit.transition[np.ix_(order, order)],
        means=fit.means[order],
        scales=fit.scales[order],
        degrees=fit.degrees[order],
    )
