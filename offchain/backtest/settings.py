# SPDX-License-Identifier: Apache-2.0
"""What is the experimenter's to choose, not the mandate's."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from offchain.backtest.lending import CURVES, LendingRates


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


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, Unix seconds, and the market's prices at it, USD per whole token (the last seen where there is none)."""

    time: int
    prices: tuple[float, ...]


class Carry(Protocol):
    """What accrues to balances with time: interest earned or owed, funding."""

    def accrue(self, holdings: Sequence[int], then: Moment, now: Moment) -> Sequence[int]:
        """Base units that each balance changes by between two times.

        Parameters
        ----------
        holdings
            Base units, an asset each.
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

    def accrue(self, holdings: Sequence[int], then: Moment, now: Moment) -> Sequence[int]:
        """See `Carry`."""
        changes = [0] * len(holdings)
        earned = int(holdings[self.asset] * self.rate * (now.time - then.time) / (365 * 86_400))
        changes[self.asset] = max(earned, -holdings[self.asset])
        return changes


@dataclass(frozen=True, slots=True)
class Perpetual:
    r"""A perpetual future held for the whole run, its profit and funding settled in base asset every step.

    Between two times it pays

    .. math:: q \left( (p_1 - p_0) - r \, p_0 \, \Delta t \right)

    with size q in whole tokens: a short, q < 0, receives funding while longs pay, r > 0. What the wallet's base
    asset cannot pay is not paid: the position is kept beside a wallet that is meant to hold its margin.

    Attributes
    ----------
    asset
        Index of the token it is on.
    size
        Whole tokens, negative for a short.
    times, rates
        Funding a year of 365 days from each time on, Unix seconds, ascending; before the first none.
    base_decimals
        Of the base asset.
    """

    asset: int
    size: float
    times: tuple[int, ...]
    rates: tuple[float, ...]
    base_decimals: int = 6

    def accrue(self, holdings: Sequence[int], then: Moment, now: Moment) -> Sequence[int]:
        """See `Carry`."""
        changes = [0] * len(holdings)
        before, after = then.prices[self.asset], now.prices[self.asset]
        at = bisect_right(self.times, then.time) - 1
        rate = self.rates[at] if at >= 0 else 0.0
        funding = rate * before * (now.time - then.time) / (365 * 86_400)
        usd = self.size * (after - before - funding)
        changes[0] = max(math.floor(usd / now.prices[0] * 10**self.base_decimals), -holdings[0])
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
    rates
        Interest at the lending market of a mandate that has one.
    deleveraged
        Whether somebody calls ``deleverage`` where the mandate allows it.
    keeper_stops
        Unix seconds from which the keeper decides nothing and gives no sign of life; None for never.
    """

    deposit_usd: float = 1_000_000.0
    flows: tuple[CapitalFlow, ...] = ()
    attacked: bool = False
    lag_rows: int = 0
    recovery_days: float | None = 7.0
    priority_fee_gwei: float = 1.0
    write_off_days: float = 7.0
    carries: tuple[Carry, ...] = ()
    rates: LendingRates = CURVES
    deleveraged: bool = True
    keeper_stops: int | None = None
