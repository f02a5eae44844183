# SPDX-License-Identifier: Apache-2.0
"""What a run earned and what it cost, with how sure one can be of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from offchain.backtest.records import BacktestRun, FloatArray, Track
from offchain.risk import measures
from offchain.risk.measures import Interval

LEVEL = 0.95
SAMPLES = 1_000
_FEWEST = 30
"""Returns from which an interval is worth giving."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Where value went, USD over the run."""

    fees: float
    impact: float
    sandwich: float
    basis: float
    gas: float
    borrow: float
    penalty: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.fees + self.impact + self.sandwich + self.basis + self.gas + self.borrow + self.penalty


@dataclass(frozen=True, slots=True)
class Performance:
    """One run in figures; rates per year of 365 days, NaN where a figure does not exist.

    Attributes
    ----------
    sharpe
        Of net returns, no risk-free rate taken off, with its block-bootstrap interval.
    gross_sharpe
        Before every cost.
    deflated
        Probability that the true Sharpe ratio is above what the best of the trials would show by luck alone.
    turnover
        A year: the larger of bought and sold, over value, summed.
    max_leverage, lowest_health
        Of what was held over what is left after the debt, 1 without debt; and of the health factor, infinite
        without debt.
    cost_bps
        A year, of mean value: fees, impact, sandwich, basis, gas, interest owed and liquidation penalties.
    """

    name: str
    start: int
    end: int
    steps: int
    total_return: float
    annual_return: float
    annual_volatility: float
    sharpe: Interval
    gross_sharpe: float
    sortino: float
    calmar: float
    max_drawdown: float
    longest_drawdown_days: float
    expected_shortfall: float
    turnover: float
    cost_bps: float
    costs: Costs
    settlements: int
    trips: int
    max_leverage: float
    lowest_health: float
    liquidations: int
    deflated: float
    trials: int

    @property
    def loan_in_words(self) -> str:
        """What the debt came to, for a reader."""
        return (
            f"leverage up to {self.max_leverage:.2f}, lowest health factor {self.lowest_health:.3f}, "
            f"interest ${self.costs.borrow:,.0f}, taken by who liquidated or deleveraged ${self.costs.penalty:,.0f}, "
            f"liquidated {self.liquidations} times"
        )

    def as_json(self) -> dict[str, object]:
        """Plain values; what does not exist is None."""
        return _plain(asdict(self) | {"cost_usd": self.costs.total})


def sharpe_of(returns: FloatArray, steps_per_year: float) -> float:
    """Annual Sharpe ratio; NaN for returns that do not vary."""
    return measures.sharpe_ratio(returns, steps_per_year) if len(returns) > 1 else math.nan


def judge(name: str, run: BacktestRun, trial_sharpes: Sequence[float] = (), *, seed: int = 0) -> Performance:
    """Measure a run.

    Parameters
    ----------
    trial_sharpes
        Annual Sharpe ratios of every attempt that was made, this one included; without them it is the only one.
    seed
        Of the bootstrap.
    """
    track = run.track
    returns, per_year = track.net_returns, track.steps_per_year
    years = max(1e-12, (track.timestamps[-1] - track.timestamps[0]) / (365 * 86_400))
    mean_value = float(track.value.mean())
    costs = _costs(track)
    sharpe = _interval(returns, per_year, seed)
    flat = not len(returns) or float(np.ptp(returns)) < 1e-15
    return Performance(
        name=name,
        start=int(track.timestamps[0]),
        end=int(track.timestamps[-1]),
        steps=len(track) - 1,
        total_return=float(track.equity[-1] - 1.0),
        annual_return=measures.annual_return(returns, per_year),
        annual_volatility=measures.annual_volatility(returns, per_year) if len(returns) > 1 else math.nan,
        sharpe=sharpe,
        gross_sharpe=sharpe_of(track.gross_returns, per_year),
        sortino=measures.sortino_ratio(returns, per_year) if not flat else math.nan,
        calmar=measures.calmar_ratio(returns, per_year) if not flat else math.nan,
        max_drawdown=measures.max_drawdown(returns).depth,
        longest_drawdown_days=measures.longest_drawdown(returns) * 365.0 / per_year,
        expected_shortfall=measures.expected_shortfall(returns, LEVEL),
        turnover=float(track.turnover.sum()) / years,
        cost_bps=costs.total / mean_value / years * 1e4 if mean_value else math.nan,
        costs=costs,
        settlements=len(run.settlements),
        trips=sum(event.kind == "tripped" for event in run.events),
        max_leverage=float(track.leverage.max()),
        lowest_health=float(track.health_factor.min()),
        liquidations=sum(event.kind == "liquidated" for event in run.events),
        deflated=_deflated(returns, per_year, trial_sharpes) if not flat and len(returns) >= _FEWEST else math.nan,
        trials=max(1, len(trial_sharpes)),
    )


def _costs(track: Track) -> Costs:
    names = ("fees", "impact", "sandwich", "basis", "gas", "borrow", "penalty")
    return Costs(*(float(getattr(track, name).sum()) for name in names))


def _interval(returns: FloatArray, per_year: float, seed: int) -> Interval:
    sharpe = sharpe_of(returns, per_year)
    if len(returns) < _FEWEST or math.isnan(sharpe):
        return Interval(sharpe, math.nan, math.nan, LEVEL, math.nan)
    return measures.bootstrap(
        lambda sample: _fast_sharpe(sample, per_year), returns, level=LEVEL, samples=SAMPLES, seed=seed
    )


def _fast_sharpe(sample: FloatArray, per_year: float) -> float:
    deviation = float(sample.std(ddof=1))
    return float(sample.mean()) / deviation * math.sqrt(per_year) if deviation > 1e-15 else math.nan


def _deflated(returns: FloatArray, per_year: float, trial_sharpes: Sequence[float]) -> float:
    known = np.array([value for value in trial_sharpes if math.isfinite(value)]) / math.sqrt(per_year)
    variance = float(known.var(ddof=1)) if len(known) > 1 else 0.0
    return measures.deflated_sharpe(returns, max(1, len(trial_sharpes)), variance).probability


def _plain(values: dict[str, object]) -> dict[str, object]:
    return {key: _known(value) for key, value in values.items()}


def _known(value: object) -> object:
    if isinstance(value, dict):
        return _plain(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
