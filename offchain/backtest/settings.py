# SPDX-License-Identifier: Apache-2.0
"""What is the experimenter's to choose, not the mandate's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class FlowKind(StrEnum):
    """Ways in and out."""

    DEPOSIT = "deposit"
    REDEEM = "redeem"
    REDEEM_IN_KIND = "redeem in kind"


@dataclass(frozen=True, slots=True)
class CapitalFlow:
    """Somebody enters or leaves at the first step not before a time.

    Attributes
    ----------
    time
        Unix seconds.
    usd
        What a deposit brings, in base asset.
    part
        Of all shares, that a redemption burns.
    """

    time: int
    kind: FlowKind
    usd: float = 0.0
    part: float = 0.0


class Carry(Protocol):
    """What accrues to balances with time: interest earned or owed, funding."""

    def accrue(self, holdings: Sequence[int], prices: Sequence[float], start: int, end: int) -> Sequence[int]:
        """Base units that each balance changes by between two times.

        Parameters
        ----------
        holdings
            Base units, an asset each.
        prices
            USD per whole token.
        start, end
            Unix seconds.
        """


@dataclass(frozen=True, slots=True)
class Interest:
    """Simple interest on one token's balance, credited every step.

    Attributes
    ----------
    asset
        Index of the token.
    rate
        A year of 365 days; negative for a charge.
    """

    asset: int
    rate: float

    def accrue(self, holdings: Sequence[int], prices: Sequence[float], start: int, end: int) -> Sequence[int]:
        """See `Carry`."""
        changes = [0] * len(holdings)
        earned = int(holdings[self.asset] * self.rate * (end - start) / (365 * 86_400))
        changes[self.asset] = max(earned, -holdings[self.asset])
        return changes


@dataclass(frozen=True, slots=True)
class BacktestSettings:
    """How the experiment is run.

    Attributes
    ----------
    deposit_usd
        The first deposit.
    flows
        Further deposits and redemptions.
    attacked
        Whether every settlement meets an attacker who takes what the minimum outputs allow, when it pays.
    lag_rows
        Forecasts are made from a history that ends so many rows earlier.
    recovery_days
        The owner resumes a tripped vault after this delay; None for never.
    priority_fee_gwei
        Paid on top of the base fee.
    write_off_days
        A price that stops is carried that long; then it counts as zero until it comes back.
    carries
        What accrues between steps.
    """

    deposit_usd: float = 1_000_000.0
    flows: tuple[CapitalFlow, ...] = ()
    attacked: bool = False
    lag_rows: int = 0
    recovery_days: float | None = 7.0
    priority_fee_gwei: float = 1.0
    write_off_days: float = 7.0
    carries: tuple[Carry, ...] = ()
