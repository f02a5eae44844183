# SPDX-License-Identifier: Apache-2.0
"""What the planner asks for and what it aims at: the values between its program and the legs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offchain.allocate.bounds import Frame
from offchain.allocate.program import Answer, Objective
from offchain.route.pool import Pool

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class TargetProblem:
    """Which net changes are best, given what the pools make of them.

    Attributes
    ----------
    pools
        To trade through.
    unit_values
        Shape (n,): value of one base unit, as a fraction of the value before.
    frame, objective
        Limits and utility.
    enough
        Utility that a plan must promise; where the bound lies below it there is no need of one.
    """

    pools: Sequence[Pool]
    unit_values: FloatArray
    frame: Frame
    objective: Objective
    enough: float = -np.inf


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
    solver
        What found it, with the versions that decide the last bit.
    """

    change: FloatArray | None
    prices: FloatArray
    bound: float
    answer: Answer
    solver: str
