# SPDX-License-Identifier: Apache-2.0
"""The mandate's model of expected returns."""

from __future__ import annotations

from collections.abc import Sequence

from offchain.forecast.expected.implied import implied_returns
from offchain.mandate import (
    BenchmarkImpliedReturns,
    BlackLittermanReturns,
    CarryReturns,
    EstimatedReturns,
    MomentumReturns,
    ShrunkReturns,
)
from offchain.risk.arrays import FloatArray


def expected_returns(
    model: EstimatedReturns,
    returns: FloatArray,
    covariance: FloatArray,
    benchmark: FloatArray,
    risk_aversion: float,
    symbols: Sequence[str],
    rows_per_year: float,
) -> FloatArray:
    """Expected simple returns per year of 365 days, shape (n,).

    Parameters
    ----------
    returns
        Shape (T, n), simple, per row, oldest first.
    covariance
        Shape (n, n), per year, positive definite.
    benchmark
        Shape (n,), fractions of value.
    """
    prior = implied_returns(covariance, benchmark, risk_aversion)
    match model:
        case BenchmarkImpliedReturns():
            return prior
        case ShrunkReturns():
            from offchain.forecast.expected.shrunk import bayes_stein, james_stein

            if model.method == "james_stein":
                return james_stein(returns).means * rows_per_year
            return bayes_stein(returns, covariance / rows_per_year).means * rows_per_year
        case BlackLittermanReturns():
            from offchain.forecast.expected.black_litterman import Opinion, with_opinions

            opinions = [Opinion(view.weights, view.annual_return, view.confidence) for view in model.views]
            return with_opinions(prior, covariance, symbols, opinions, model.tau).returns
        case MomentumReturns():
            from offchain.forecast.expected.momentum import momentum_returns, momentum_scores

            rows_per_day = rows_per_year / 365.0
            # The window may have one row less than its days say, at its beginning.
            lookback = min(len(returns), round(model.lookback_days * rows_per_day))
            scores = momentum_scores(returns, lookback, round(model.skip_days * rows_per_day))
            return momentum_returns(prior, covariance, scores, model.strength)
        case CarryReturns():
            from offchain.forecast.expected.carry import carry_returns

            return carry_returns(prior, symbols, {symbol: one.total for symbol, one in model.yields.items()})
