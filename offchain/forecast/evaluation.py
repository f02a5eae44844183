# SPDX-License-Identifier: Apache-2.0
"""How good variance forecasts were, and whether one set was better than another."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from offchain.forecast.errors import ForecastError
from offchain.risk.arrays import FloatArray


def qlike(forecasts: FloatArray, realised: FloatArray) -> FloatArray:
    r"""Quasi-likelihood loss of each forecast.

    .. math:: L = \ln h + \frac{v}{h}

    It ranks forecasts as if the true variance had been seen, so long as the proxy v is unbiased: Patton, "Volatility
    forecast comparison using imperfect volatility proxies" (2011). This is the form that allows v = 0.

    Parameters
    ----------
    forecasts, realised
        Of one shape, in one unit; forecasts positive.
    """
    loss: FloatArray = np.log(forecasts) + realised / forecasts
    return loss


@dataclass(frozen=True, slots=True)
class DieboldMariano:
    """Whether the first of two forecasts loses less.

    Attributes
    ----------
    mean
        Mean of the first's loss less the second's: negative when the first is better.
    statistic
        Mean by its standard error; normal when both are equally good.
    p_value
        Two-sided.
    lags
        Autocovariances in the standard error.
    """

    mean: float
    statistic: float
    p_value: float
    lags: int
    observations: int


def diebold_mariano(first: FloatArray, second: FloatArray, lags: int | None = None) -> DieboldMariano:
    r"""Test of equal predictive accuracy, Diebold and Mariano (1995), with Newey and West's standard error.

    Parameters
    ----------
    first, second
        Shape (T,): losses of two forecasts of the same rows.
    lags
        Autocovariances taken into account, with Bartlett weights; by default :math:`\lfloor 4 (T/100)^{2/9} \rfloor`.

    Raises
    ------
    ForecastError
        When there are fewer than 30 rows, or the losses do not differ.
    """
    difference = first - second
    if difference.ndim != 1 or difference.size < 30:
        raise ForecastError(f"Diebold-Mariano: losses of shape {difference.shape}, at least 30 rows needed")
    count = difference.size
    used = math.floor(4.0 * (count / 100.0) ** (2.0 / 9.0)) if lags is None else lags
    centered = difference - difference.mean()
    variance = float(centered @ centered)
    for lag in range(1, used + 1):
        variance += 2.0 * (1.0 - lag / (used + 1.0)) * float(centered[lag:] @ centered[:-lag])
    variance /= count
    if not variance > 0.0:
        raise ForecastError("Diebold-Mariano: the two losses do not differ")
    mean = float(difference.mean())
    statistic = mean / math.sqrt(variance / count)
    return DieboldMariano(mean, statistic, math.erfc(abs(statistic) / math.sqrt(2.0)), used, count)
