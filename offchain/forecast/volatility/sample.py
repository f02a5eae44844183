# SPDX-License-Identifier: Apache-2.0
"""What a volatility model is estimated from, and what every one of them answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from offchain.forecast.errors import ForecastError
from offchain.risk.arrays import FloatArray

FEWEST_RETURNS = 20
"""Fewest returns a model is estimated from, where it does not ask for more."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Returns of one asset on an even grid, oldest first.

    Attributes
    ----------
    returns
        Shape (T,), in any unit; variances come out in its square, per row.
    measured
        Shape (T,): what each row's variance is measured to have been, from its high and low or from finer bars, in
        the same squared unit; None where only returns are known, and their squares must do.
    """

    returns: FloatArray
    measured: FloatArray | None = None

    def __post_init__(self) -> None:
        for name, values in (("returns", self.returns), ("measured", self.measured)):
            if values is None:
                continue
            if values.ndim != 1 or values.shape != self.returns.shape:
                raise ForecastError(f"{name} have shape {values.shape}; one row a time is needed, as many as returns")
            wrong = ~np.isfinite(values)
            if wrong.any():
                at = int(np.argmax(wrong))
                raise ForecastError(f"{name}[{at}] is {values[at]}; leave the gap out or mend it first")

    @classmethod
    def of(cls, returns: ArrayLike, measured: ArrayLike | None = None) -> Sample:
        """Take anything numpy understands."""
        made = None if measured is None else np.ascontiguousarray(measured, dtype=np.float64)
        return cls(np.ascontiguousarray(returns, dtype=np.float64), made)

    def __len__(self) -> int:
        return int(self.returns.size)

    def head(self, rows: int) -> Sample:
        """The first rows alone."""
        return Sample(self.returns[:rows], None if self.measured is None else self.measured[:rows])

    def tail(self, rows: int) -> Sample:
        """The last rows alone."""
        rows = min(rows, len(self))
        start = len(self) - rows
        return Sample(self.returns[start:], None if self.measured is None else self.measured[start:])

    @property
    def variances(self) -> FloatArray:
        """What is known of each row's variance, shape (T,): measured, or the squared return."""
        return self.returns**2 if self.measured is None else self.measured

    def require(self, rows: int, who: str) -> None:
        """Refuse too short or constant a sample.

        Raises
        ------
        ForecastError
            With the number of rows there are and the number needed.
        """
        if len(self) < rows:
            raise ForecastError(f"{who}: {len(self)} returns, at least {rows} needed")
        if not np.ptp(self.returns) > 0.0:
            raise ForecastError(f"{who}: all {len(self)} returns are {self.returns[0]:g}; there is no volatility")


class VolatilityFit(Protocol):
    """A model with its parameters, ready to be applied to samples that begin where its own did."""

    @property
    def model(self) -> str:
        """Name, as the command line takes it."""

    @property
    def parameters(self) -> Mapping[str, float]:
        """Estimated or given, in the returns' unit."""

    @property
    def log_likelihood(self) -> float | None:
        """Of the returns it was estimated from; None for what is not a likelihood model."""

    def variances(self, sample: Sample) -> FloatArray:
        """Variance expected of each row given the rows before it, and of the row to come: shape (T + 1,).

        With the parameters as they are: the sample may go on after the rows they were estimated from. NaN where there
        are too few rows before.
        """

    def forecast(self, sample: Sample, horizon: int) -> FloatArray:
        """Variance expected of each of the `horizon` rows after the sample: shape (horizon,)."""


class VolatilityModel(Protocol):
    """A recipe: from a sample to a fit."""

    @property
    def name(self) -> str:
        """Name, as the command line takes it."""

    def fit(self, sample: Sample) -> VolatilityFit:
        """Estimate; `ForecastError` where the sample is too short."""
