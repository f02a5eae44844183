# SPDX-License-Identifier: Apache-2.0
"""GARCH(1,1)."""

from __future__ import annotations

from dataclasses import dataclass

from offchain.forecast.volatility.garch_family import Errors, GarchFit, Start, fit_family
from offchain.forecast.volatility.likelihood import GARCH
from offchain.forecast.volatility.sample import Sample


@dataclass(frozen=True, slots=True)
class Garch:
    r"""The generalised autoregressive conditional heteroscedasticity of Bollerslev (1986).

    .. math:: r_t = \mu + \sqrt{h_t} z_t, \qquad h_{t+1} = \omega + \alpha (r_t - \mu)^2 + \beta h_t

    with omega, alpha, beta >= 0 and alpha + beta < 1.

    Attributes
    ----------
    with_mean
        Estimate mu; otherwise it is zero.

    Examples
    --------
    >>> fit = Garch(errors=Errors.STUDENT).fit(Sample.of(returns))  # doctest: +SKIP
    >>> fit.parameters["beta"], fit.forecast(Sample.of(returns), horizon=7)  # doctest: +SKIP
    """

    errors: Errors = Errors.NORMAL
    start: Start = Start.SAMPLE
    with_mean: bool = True

    @property
    def name(self) -> str:
        """As the command line takes it."""
        return "garch" if self.errors is Errors.NORMAL else f"garch-{self.errors}"

    def fit(self, sample: Sample) -> GarchFit:
        """See `fit_family`."""
        return fit_family(sample, self.name, GARCH, self.errors, self.start, with_mean=self.with_mean)
