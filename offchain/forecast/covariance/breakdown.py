# SPDX-License-Identifier: Apache-2.0
"""Correlations in crashes against calm times, and by regime."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from offchain.forecast.covariance.definite import correlation_of
from offchain.forecast.errors import ForecastError
from offchain.risk.arrays import FloatArray

FEWEST_ROWS = 20


@dataclass(frozen=True, eq=False)
class CorrelationBreakdown:
    """Correlations on the market's worst rows, beside those of the others and beside what chance explains.

    Attributes
    ----------
    crash, calm
        Shape (n, n): sample correlations of the two sets of rows.
    expected
        Shape (n, n): correlations that the crash rows would show if the returns were normal with the correlations of
        all rows. Choosing rows by their outcome changes correlations by itself; only the excess over this is news.
    rows
        Crash and calm rows.
    """

    crash: FloatArray
    calm: FloatArray
    expected: FloatArray
    rows: tuple[int, int]

    @property
    def mean_excess(self) -> float:
        """Mean over pairs of crash less expected correlation."""
        pairs = np.triu_indices(len(self.crash), 1)
        return float(np.mean((self.crash - self.expected)[pairs]))


def correlation_breakdown(
    returns: FloatArray, *, weights: FloatArray | None = None, crash: float = 0.1
) -> CorrelationBreakdown:
    r"""Compare correlations on the worst rows of a portfolio with the others.

    With normal returns, covariance :math:`\Sigma` and market return m, the rows with m below its quantile have

    .. math::
        \Sigma - \frac{c c^\top}{\sigma_m^2} \Big(1 - \frac{\operatorname{Var}[m | m < q]}{\sigma_m^2}\Big), \quad
        c = \operatorname{Cov}[r, m]

    Boyer, Gibson and Loretan, "Pitfalls in tests for changes in correlations" (1999).

    Parameters
    ----------
    returns
        Shape (T, n), n >= 2.
    weights
        Shape (n,): the portfolio that says which rows are crashes; by default each asset by its inverse deviation.
    crash
        Fraction of rows that count as crashes.

    Raises
    ------
    ForecastError
        When there are fewer than 20 crash rows, or an asset does not move.
    """
    from scipy.special import ndtri

    deviations = returns.std(axis=0)
    if returns.shape[1] < 2 or not (deviations > 0.0).all():
        raise ForecastError("correlation breakdown: two assets are needed, and each must move")
    shares = 1.0 / deviations if weights is None else weights
    market = returns @ shares
    worst = market <= np.quantile(market, crash)
    rows = int(worst.sum()), int((~worst).sum())
    if min(rows) < FEWEST_ROWS:
        raise ForecastError(f"correlation breakdown: {rows[0]} crash and {rows[1]} calm rows, {FEWEST_ROWS} needed")
    covariance = np.cov(returns, rowvar=False)
    with_market = covariance @ shares
    variance = float(shares @ with_market)
    quantile = float(ndtri(crash))
    mills = math.exp(-0.5 * quantile * quantile) / math.sqrt(2.0 * math.pi) / crash
    kept = 1.0 - quantile * mills - mills * mills
    expected = covariance - np.outer(with_market, with_market) / variance * (1.0 - kept)
    return CorrelationBreakdown(
        np.corrcoef(returns[worst], rowvar=False),
        np.corrcoef(returns[~worst], rowvar=False),
        correlation_of(expected),
        rows,
    )


def regime_correlations(returns: FloatArray, probabilities: FloatArray) -> FloatArray:
    """Correlations in each regime, every row counted by its probability of belonging there.

    Parameters
    ----------
    returns
        Shape (T, n).
    probabilities
        Shape (T, K): filtered, from `regimes`; filtered probabilities do not know the rows after.

    Returns
    -------
    FloatArray
        Shape (K, n, n).

    Raises
    ------
    ForecastError
        When a regime has less than 20 rows' worth of probability.
    """
    out = []
    for regime, column in enumerate(probabilities.T):
        if not column.sum() >= FEWEST_ROWS:
            raise ForecastError(f"regime {regime} has {column.sum():.1f} rows, {FEWEST_ROWS} needed; use fewer regimes")
        shares = column / column.sum()
        centered = returns - shares @ returns
        out.append(correlation_of((centered * shares[:, None]).T @ centered))
    return np.array(out)
