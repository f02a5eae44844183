# SPDX-License-Identifier: Apache-2.0
"""What is believed about the coming horizon: the value that leaves the forecast room."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Forecast:
    """Moments of the assets' returns, relative to holding USD.

    Attributes
    ----------
    symbols
        Assets in the vault's order.
    horizon_days
        How long the plan is expected to stand.
    expected_returns
        Shape (n,), simple return per year of 365 days.
    covariance
        Shape (n, n), per year of 365 days, positive semidefinite.
    model_hash
        0x-prefixed keccak256 of the forecast's canonical encoding; an order carries it.
    scenarios
        Shape (s, n): returns over the horizon, equally likely; None where the objective looks at none.
    paths
        Shape (m, days, n): simple daily returns over the horizon, where the mandate borrows and its
        liquidation has to be judged; None otherwise.
    """

    symbols: tuple[str, ...]
    horizon_days: float
    expected_returns: FloatArray
    covariance: FloatArray
    model_hash: str
    scenarios: FloatArray | None = None
    paths: FloatArray | None = None
