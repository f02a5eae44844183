# SPDX-License-Identifier: Apache-2.0
"""The mandate's rule, or ensemble of rules, on a price history."""

from __future__ import annotations

import numpy as np

from offchain.forecast.errors import ForecastError
from offchain.forecast.returns import simple_returns
from offchain.forecast.rules.ensemble import Ensemble, Learning, ensemble
from offchain.forecast.rules.portfolio import RuleBook, rule_weights
from offchain.mandate import EnsembleReturns, Mandate, RuleReturns
from offchain.risk.arrays import FloatArray, IntArray

DAY = 86_400
FULL_BPS = 10_000


def target_weights(mandate: Mandate, timestamps: IntArray, prices: FloatArray) -> FloatArray:
    """Where the mandate's rules would be now, shape (n,).

    Parameters
    ----------
    timestamps
        Shape (T,): Unix seconds on a grid that divides a day, ascending.
    prices
        Shape (T, n).

    Raises
    ------
    ForecastError
        Too short a history; names what would help.
    """
    model = mandate.objective.returns
    days, returns = daily(timestamps, prices)
    if isinstance(model, RuleReturns):
        if len(returns) < round(model.moments_days):
            # A rule needs its days, but the first ones of a vault's life may be fewer.
            raise ForecastError(f"rule {model.rule}: {len(returns)} days of prices, {model.moments_days:g} needed")
        return rule_weights(model.rule, returns, rule_book(mandate))
    return ensemble_of(mandate, days, returns).weights


def ensemble_of(mandate: Mandate, days: IntArray, returns: FloatArray) -> Ensemble:
    """The mandate's ensemble on daily returns; see `ensemble`."""
    model = mandate.objective.returns
    assert isinstance(model, EnsembleReturns)
    learning = Learning(model.learning_rate, model.half_life_days, model.cost_bps / FULL_BPS, model.regimes)
    return ensemble(model.experts, returns, days, rule_book(mandate), learning)


def rule_book(mandate: Mandate) -> RuleBook:
    """What the mandate tells its rules."""
    model = mandate.objective.returns
    assert isinstance(model, RuleReturns | EnsembleReturns)
    assets = mandate.ordered_assets
    return RuleBook(
        benchmark=np.array(mandate.benchmark_weights),
        lower=np.array([asset.min_weight_bps / FULL_BPS for asset in assets]),
        upper=np.array([asset.max_weight_bps / FULL_BPS for asset in assets]),
        risk_aversion=mandate.objective.risk_aversion,
        target_volatility=model.target_volatility,
        window=round(model.moments_days),
    )


def daily(timestamps: IntArray, prices: FloatArray) -> tuple[IntArray, FloatArray]:
    """Times and simple returns of days that end now, shape (D,) and (D, n)."""
    step = int(timestamps[1] - timestamps[0]) if len(timestamps) > 1 else DAY
    every = max(1, DAY // step)
    first = (len(timestamps) - 1) % every
    return timestamps[first::every][1:], simple_returns(prices[first::every])
