# SPDX-License-Identifier: Apache-2.0
"""Volatility models by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from offchain.forecast.errors import ForecastError
from offchain.forecast.volatility.bars import Bars
from offchain.forecast.volatility.capped import capped
from offchain.forecast.volatility.combination import Combination
from offchain.forecast.volatility.egarch import Egarch
from offchain.forecast.volatility.ewma import Ewma
from offchain.forecast.volatility.garch import Garch
from offchain.forecast.volatility.garch_family import Errors, Start
from offchain.forecast.volatility.garman_klass import garman_klass
from offchain.forecast.volatility.gjr import Gjr
from offchain.forecast.volatility.har import Har
from offchain.forecast.volatility.parkinson import parkinson
from offchain.forecast.volatility.rogers_satchell import rogers_satchell
from offchain.forecast.volatility.rolling import Rolling
from offchain.forecast.volatility.sample import Sample, VolatilityModel
from offchain.risk.arrays import FloatArray

FAMILY: dict[str, type[Garch] | type[Gjr] | type[Egarch]] = {"garch": Garch, "gjr": Gjr, "egarch": Egarch}
RANGES: dict[str, Callable[[Bars], FloatArray]] = {
    "parkinson": parkinson,
    "garman_klass": garman_klass,
    "rogers_satchell": rogers_satchell,
}
RECOMMENDED = "recommended"
LEAST = 1e-8
"""Variance of a bar that did not move: a hundredth of a percent of the price has been overlooked."""
NAMES = (*FAMILY, "ewma", "har", "realised", "combination", RECOMMENDED)
"""What `volatility_model` knows; the family also with ``-t`` or ``-skewt`` after it."""


def recommended() -> Combination:
    """HAR on ranges and GARCH(1,1), weighted by their losses; docs/research-method.md says how it was chosen."""
    return Combination((Har(), Garch()))


def volatility_model(
    name: str, *, errors: Errors | None = None, start: Start = Start.SAMPLE, with_mean: bool = True, window: int = 30
) -> VolatilityModel:
    """Make a model from its name.

    Parameters
    ----------
    name
        One of `NAMES`.
    errors, start, with_mean
        For garch, gjr and egarch; errors may also stand in the name.
    window
        Rows, for the moving means.

    Raises
    ------
    ForecastError
        When there is no such model; lists those there are.
    """
    base, _, suffix = name.partition("-")
    if base in FAMILY and suffix in ("", "t", "skewt", "normal"):
        chosen = errors or (Errors(suffix) if suffix else Errors.NORMAL)
        return FAMILY[base](errors=chosen, start=start, with_mean=with_mean)
    match name:
        case "ewma":
            return Ewma()
        case "har":
            return Har()
        case "realised":
            return Rolling(window=window, name=name)
        case "combination":
            return Combination((Har(), Garch(), Gjr(errors=Errors.STUDENT), Ewma()))
        case "recommended":
            return recommended()
    known = ", ".join((*NAMES, "close_to_close", *RANGES, "yang_zhang"))
    raise ForecastError(f"no volatility model is called {name!r}; there are {known} and implied")


def sample_of_bars(bars: Bars, measure: Callable[[Bars], FloatArray] = parkinson, scale: float = 1.0) -> Sample:
    """Returns of bars and what their ranges measured, bad ticks capped; the first bar is left out.

    Parameters
    ----------
    scale
        What returns are multiplied by, such as 100 for percent.
    """
    returns = bars.returns[1:]
    measured = capped(measure(bars)[1:], returns)
    return Sample.of(returns * scale, np.maximum(measured, LEAST) * scale**2)
