# SPDX-License-Identifier: Apache-2.0
"""Whether a Sharpe ratio means anything, given tails, length of the record and the number of attempts.

Ratios here are per period, not per year: divide an annual one by the root of the periods per year.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from offchain.risk.arrays import RiskError, as_level, as_series

EULER = 0.5772156649015329


@dataclass(frozen=True, slots=True)
class DeflatedSharpe:
    """A Sharpe ratio beside what luck alone would have found.

    Attributes
    ----------
    sharpe
        Of the record, per period.
    threshold
        Expected best of the trials if none had any skill, per period.
    probability
        That the true ratio is above the threshold.
    """

    sharpe: float
    threshold: float
    probability: float


def probabilistic_sharpe(
    sharpe: float, periods: int, *, benchmark: float = 0.0, skew: float = 0.0, kurtosis: float = 3.0
) -> float:
    r"""Probability that the true Sharpe ratio exceeds a benchmark (Bailey and López de Prado 2012).

    .. math::
        \Phi \left( \frac{(S - S^*) \sqrt{T - 1}}{\sqrt{1 - \gamma_3 S + \frac{\gamma_4 - 1}{4} S^2}} \right)

    Parameters
    ----------
    sharpe, benchmark
        Per period.
    periods
        T.
    skew, kurtosis
        Of the returns; the kurtosis of a normal distribution is 3.

    Raises
    ------
    RiskError
        On fewer than two periods, or moments no distribution has.
    """
    from scipy.special import ndtr

    variance = 1.0 - skew * sharpe + 0.25 * (kurtosis - 1.0) * sharpe**2
    if periods < 2 or variance <= 0.0:
        raise RiskError(f"{periods} periods, skew {skew}, kurtosis {kurtosis}: no Sharpe ratio of {sharpe} has these")
    return float(ndtr((sharpe - benchmark) * math.sqrt(periods - 1) / math.sqrt(variance)))


def minimum_record(
    sharpe: float, *, benchmark: float = 0.0, skew: float = 0.0, kurtosis: float = 3.0, level: float = 0.95
) -> float:
    """Periods needed for `probabilistic_sharpe` to reach a level; infinite for a ratio not above the benchmark."""
    from scipy.special import ndtri

    if sharpe <= benchmark:
        return math.inf
    variance = 1.0 - skew * sharpe + 0.25 * (kurtosis - 1.0) * sharpe**2
    return 1.0 + variance * (float(ndtri(as_level(level))) / (sharpe - benchmark)) ** 2


def expected_best_sharpe(trials: int, variance: float) -> float:
    r"""Return the expected largest of several Sharpe ratios whose true value is zero.

    .. math:: \sqrt V \left[ (1 - \gamma) \Phi^{-1}(1 - 1/N) + \gamma \Phi^{-1}(1 - 1/(N e)) \right]

    Parameters
    ----------
    trials
        N, independent attempts.
    variance
        Of the ratios over the attempts, per period.
    """
    from scipy.special import ndtri

    if trials < 1 or variance < 0.0:
        raise RiskError(f"{trials} trials with variance {variance}: needs at least one and no negative variance")
    if trials == 1:
        return 0.0
    parts = (1.0 - EULER) * ndtri(1.0 - 1.0 / trials) + EULER * ndtri(1.0 - 1.0 / (trials * math.e))
    return float(math.sqrt(variance) * parts)


def deflated_sharpe(returns: ArrayLike, trials: int, trial_variance: float) -> DeflatedSharpe:
    """Judge a record that was picked from several (Bailey and López de Prado, "The deflated Sharpe ratio", 2014).

    Parameters
    ----------
    returns
        Shape (T,), the chosen record.
    trials
        Independent attempts it was chosen from.
    trial_variance
        Variance of the attempts' Sharpe ratios, per period.
    """
    values = as_series(returns, minimum=3)
    deviation = float(values.std(ddof=1))
    if deviation == 0.0:
        raise RiskError("returns that do not vary have no Sharpe ratio")
    scaled = (values - values.mean()) / values.std()
    sharpe = float(values.mean()) / deviation
    threshold = expected_best_sharpe(trials, trial_variance)
    probability = probabilistic_sharpe(
        sharpe,
        values.size,
        benchmark=threshold,
        skew=float(np.mean(scaled**3)),
        kurtosis=float(np.mean(scaled**4)),
    )
    return DeflatedSharpe(sharpe, threshold, probability)
