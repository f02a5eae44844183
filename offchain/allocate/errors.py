# SPDX-License-Identifier: Apache-2.0
"""What can keep a plan from being made."""

from __future__ import annotations

from offchain.errors import PlimsollError


class AllocationError(PlimsollError):
    """Base of every error of the allocate room."""


class MismatchError(AllocationError):
    """Snapshot, forecast and mandate do not speak of the same assets."""


class ForecastInvalidError(AllocationError):
    """A forecast that no utility can be made of."""


class InfeasibleError(AllocationError):
    """Limits that no portfolio satisfies together.

    Attributes
    ----------
    limits
        Names of the limits in conflict.
    """

    def __init__(self, limits: tuple[str, ...], why: str) -> None:
        self.limits = limits
        super().__init__(f"{' and '.join(limits)}: {why}")


class SolverError(AllocationError):
    """The solver gave no answer, or one that its own residuals do not support."""


class ProblemInvalidError(AllocationError):
    """Numbers that state no program: not finite, of the wrong shape, or with crossing bounds."""
