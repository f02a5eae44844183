# SPDX-License-Identifier: Apache-2.0
"""What can keep a backtest from being run, or from being believed."""

from __future__ import annotations

from offchain.errors import PlimsollError


class BacktestError(PlimsollError):
    """Base of every error of the backtest room."""


class MarketPathError(BacktestError):
    """Prices that a mandate cannot be run over."""


class AccountingError(BacktestError):
    """The parts of a step do not add up to the change of value: a bug, never a market event."""


class Refused(Exception):
    """The simulated vault reverts.

    Attributes
    ----------
    reason
        The contract's revert reason, such as ``"breaker: halted"``.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
