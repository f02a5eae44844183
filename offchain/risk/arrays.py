# SPDX-License-Identifier: Apache-2.0
"""Array types of this room, and the one check every measure makes of its input."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offchain.errors import PlimsollError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

YEAR_DAYS = 365.0
YEAR_SECONDS = 365 * 86_400


class RiskError(PlimsollError):
    """Input from which a measure cannot be computed."""


def as_series(values: ArrayLike, name: str = "returns", *, minimum: int = 1) -> FloatArray:
    """Return a one-dimensional array of finite numbers.

    Parameters
    ----------
    values
        Shape (T,).
    name
        What the error calls it.
    minimum
        Fewest values that make sense.

    Raises
    ------
    RiskError
        When the shape is wrong, there are too few values, or one is not finite; the error names its index.
    """
    array: FloatArray = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise RiskError(f"{name} must be one-dimensional, not of shape {array.shape}")
    if array.size < minimum:
        raise RiskError(f"{name}: {array.size} values, at least {minimum} needed")
    _refuse_missing(array, name)
    return array


def as_matrix(values: ArrayLike, name: str = "returns", *, minimum: int = 1) -> FloatArray:
    """Return a two-dimensional array of finite numbers with at least `minimum` rows; errors as `as_series`."""
    array: FloatArray = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] == 0:
        raise RiskError(f"{name} must have rows and columns, not shape {array.shape}")
    if array.shape[0] < minimum:
        raise RiskError(f"{name}: {array.shape[0]} rows, at least {minimum} needed")
    _refuse_missing(array, name)
    return array


def as_level(level: float, name: str = "level") -> float:
    """Return a probability strictly between 0 and 1.

    Raises
    ------
    RiskError
        Otherwise; 95 is a common slip for 0.95.
    """
    if not 0.0 < level < 1.0:
        raise RiskError(f"{name} must be a probability between 0 and 1, not {level}")
    return float(level)


def _refuse_missing(array: FloatArray, name: str) -> None:
    wrong = ~np.isfinite(array)
    if wrong.any():
        place = ", ".join(str(int(axis[0])) for axis in np.nonzero(wrong))
        first = array[tuple(axis[0] for axis in np.nonzero(wrong))]
        raise RiskError(f"{name}[{place}] is {first}; drop or mend it first")
