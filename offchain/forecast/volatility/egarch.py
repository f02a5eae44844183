# SPDX-License-Identifier: Apache-2.0
"""EGARCH(1,1): the logarithm of the variance moves."""

from __future__ import annotations

from dataclasses import dataclass

from offchain.forecast.volatility.garch_family import Errors, GarchFit, Start, fit_family
from offchain.forecast.volatility.likelihood import EGARCH
from offchain.forecast.volatility.sample import Sample


@dataclass(frozen=True, slots=True)
class Egarch:
    r"""Exponential GARCH: Nelson (1991).

    .. math:: \ln h_{t+1} = \omega + \alpha z_t + \gamma (|z_t| - \sqrt{2 / \pi}) + \beta \ln h_t

    with abs(beta) < 1. As in rugarch, alpha is the effect of the shock's sign and gamma that of its size; ``arch``
    has the two names the other way round. The constant is the normal's for all errors, as in ``arch``: another one
    only shifts omega.
    """

    errors: Errors = Errors.NORMAL
    start: Start = Start.SAMPLE
    with_mean: bool = True

    @property
    def name(self) -> str:
        """As the command line takes it."""
        return "egarch" if self.errors is Errors.NORMAL else f"egarch-{self.errors}"

    def fit(self, sample: Sample) -> GarchFit:
        """See `fit_family`."""
        return fit_family(sample, self.name, EGARCH, self.errors, self.start, with_mean=self.with_mean)
