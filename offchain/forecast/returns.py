# SPDX-License-Identifier: Apache-2.0
"""From prices on a grid to returns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def simple_returns(prices: FloatArray) -> FloatArray:
    """Relative changes from row to row.

    Simple, not logarithmic: portfolio weights multiply simple returns.

    Parameters
    ----------
    prices
        Shape (T, n), positive.

    Returns
    -------
    FloatArray
        Shape (T - 1, n).
    """
    changes: FloatArray = prices[1:] / prices[:-1] - 1.0
    return changes
