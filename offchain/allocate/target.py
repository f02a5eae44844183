# SPDX-License-Identifier: Apache-2.0
"""What the planner aims at: the value between the program and the legs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offchain.allocate.program import Answer

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Target:
    """The best net changes found, before integers and gas.

    Attributes
    ----------
    change
        Shape (n,): z, as the pools would fill it; `None` when the bound says that it is not worth looking.
    prices
        Shape (n,): marginal cost of each token there, relative to its reference price.
    bound
        No plan within these limits has more utility, less the penalty on standing violations.
    answer
        The program's answer nearest to it, with its shadow prices.
    """

    change: FloatArray | None
    prices: FloatArray
    bound: float
    answer: Answer
