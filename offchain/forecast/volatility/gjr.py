# SPDX-License-Identifier: Apache-2.0
"""GJR-GARCH(1,1): falls count more than rises."""

from __future__ import annotations

from dataclasses import dataclass

from offchain.forecast.volatility.garch_family import Errors, GarchFit, Start, fit_family
from offchain.forecast.volatility.likelihood import GJR
from offchain.forecast.volatility.sample import Sample


@dataclass(frozen=True, slots=True)
class Gjr:
    r"""GARCH with a term for falls: Glosten, Jagannathan and Runkle (1993).

    .. math:: h_{t+1} = \omega + (\alpha + \gamma 1[r_t < \mu]) (r_t - \mu)^2 + \beta h_t

    with omega, alpha, alpha + gamma, beta >= 0 and alpha + gamma / 2 + beta < 1. A negative gamma, usual for coins,
    means that rises count more. Before the first row the shock is taken to have been of either sign.
    """

    errors: Errors = Errors.NORMAL
    start: Start = Start.SAMPLE
    with_mean: bool = True

    @property
    def name(self) -> str:
        """As the command line takes it."""
        return "gjr" if self.errors is Errors.NORMAL else f"gjr-{self.errors}"

    def fit(self, sample: Sample) -> GarchFit:
        """See `fit_family`."""
        return fit_family(sample, self.name, GJR, self.errors, self.start, with_mean=self.with_mean)
