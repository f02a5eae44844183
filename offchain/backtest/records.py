# SPDX-License-Identifier: Apache-2.0
"""What a backtest writes down: one row a step, every settlement, every event."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offchain.mandate import Mandate

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

YEAR_SECONDS = 365 * 86_400


class EventKind(StrEnum):
    """What can happen to a vault besides settlements."""

    TRIPPED = "tripped"
    RESUMED = "resumed"
    ORACLE_DEAD = "oracle dead"
    ORACLE_LIVE = "oracle live"
    WRITTEN_OFF = "written off"
    PRICE_BACK = "price back"
    DEPOSIT = "deposit"
    REDEMPTION = "redemption"
    FLOW_REFUSED = "flow refused"
    LIQUIDATED = "liquidated"
    DELEVERAGED = "deleveraged"
    ORDER_REFUSED = "order refused"
    PLAN_REFUSED = "plan refused"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, for a reader."""

    timestamp: int
    kind: EventKind
    text: str


@dataclass(frozen=True, slots=True)
class SettlementRecord:
    """One settlement; costs in USD at the market's prices."""

    timestamp: int
    reason: str
    legs: int
    value: float
    """Market value before."""
    planned_cost: float
    """At oracle prices, as the plan quoted it."""
    fees: float
    impact: float
    sandwich: float
    basis: float
    gas: float
    loss: int
    """Charged to the loss budget, fraction at 1e18."""
    turnover: int
    """Charged to the turnover budget, fraction at 1e18."""
    binding: tuple[str, ...]
    """Names of the limits that held the plan back."""

    @property
    def cost(self) -> float:
        """Everything it cost, gas included."""
        return self.fees + self.impact + self.sandwich + self.basis + self.gas


@dataclass(frozen=True, slots=True)
class Track:
    """A run step by step; every array has one entry (or row) a step, money in USD at the market's prices.

    Attributes
    ----------
    value
        After the step; ``value[0]`` is the first deposit's, before anything traded.
    value_per_share
        Market value per share unit of 10**18, virtual shares included.
    oracle_value_per_share
        As the contract computes it, USD; of the last live prices where the oracle is dead.
    weights
        Shape (S, n): fractions of market value after the step.
    leverage
        Everything held over what is left after the debt, at the oracle's prices; 1 without debt.
    health_factor
        Of the lending account, the lower of where the market left it and of where the step did; infinite without debt.
    market, staking, fees, impact, sandwich, basis, carry, borrow, penalty, gas
        Parts of the step's change of value: gains positive in the first two and in carry, costs positive in the
        others; borrow is interest owed, penalty what liquidators and who deleveraged took. Gas is paid by the
        keeper; `net_returns` charges it to the vault.
    deposits, withdrawals
        What came in and went out.
    """

    timestamps: IntArray
    value: FloatArray
    value_per_share: FloatArray
    oracle_value_per_share: FloatArray
    peak: FloatArray
    supply: FloatArray
    weights: FloatArray
    breaker: IntArray
    loss_level: FloatArray
    turnover_level: FloatArray
    turnover: FloatArray
    base_fee_gwei: FloatArray
    leverage: FloatArray
    health_factor: FloatArray
    market: FloatArray
    staking: FloatArray
    fees: FloatArray
    impact: FloatArray
    sandwich: FloatArray
    basis: FloatArray
    carry: FloatArray
    borrow: FloatArray
    penalty: FloatArray
    gas: FloatArray
    deposits: FloatArray
    withdrawals: FloatArray

    def __len__(self) -> int:
        return len(self.timestamps)

    @property
    def net_returns(self) -> FloatArray:
        """Shape (S - 1,): simple returns a step of a share, after every cost and the keeper's gas."""
        held = np.maximum(self.value[1:], 1e-300)
        changes = np.divide(self.value_per_share[1:], self.value_per_share[:-1])
        net: FloatArray = np.where(self.value[1:] > 0, changes - 1.0 - self.gas[1:] / held, 0.0)
        return net

    @property
    def gross_returns(self) -> FloatArray:
        """Shape (S - 1,): simple returns a step of what was held, before every cost."""
        gains = self.market[1:] + self.staking[1:] + self.carry[1:]
        gross: FloatArray = np.divide(gains, self.value[:-1], out=np.zeros_like(gains), where=self.value[:-1] > 0)
        return gross

    @property
    def equity(self) -> FloatArray:
        """Shape (S,): worth of one dollar put in at the first step, after every cost."""
        curve: FloatArray = np.concatenate([[1.0], np.cumprod(1.0 + self.net_returns)])
        return curve

    @property
    def steps_per_year(self) -> float:
        """Steps in a year of 365 days."""
        return YEAR_SECONDS / float(np.median(np.diff(self.timestamps)))

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Track:
        """Rows as arrays."""
        columns: dict[str, Any] = {
            one.name: np.array(
                [getattr(row, one.name) for row in rows],
                dtype=np.int64 if one.name in ("timestamps", "breaker") else np.float64,
            )
            for one in fields(cls)
        }
        return cls(**columns)


@dataclass(slots=True)
class Row:
    """One step while it happens; fields as `Track` documents them."""

    timestamps: int
    value: float = 0.0
    value_per_share: float = 0.0
    oracle_value_per_share: float = 0.0
    peak: float = 0.0
    supply: float = 0.0
    weights: tuple[float, ...] = ()
    breaker: int = 0
    loss_level: float = 0.0
    turnover_level: float = 0.0
    turnover: float = 0.0
    base_fee_gwei: float = 0.0
    leverage: float = 1.0
    health_factor: float = math.inf
    market: float = 0.0
    staking: float = 0.0
    fees: float = 0.0
    impact: float = 0.0
    sandwich: float = 0.0
    basis: float = 0.0
    carry: float = 0.0
    borrow: float = 0.0
    penalty: float = 0.0
    gas: float = 0.0
    deposits: float = 0.0
    withdrawals: float = 0.0

    @property
    def explained(self) -> float:
        """Change of value that the parts add up to, without gas."""
        costs = self.fees + self.impact + self.sandwich + self.basis + self.borrow + self.penalty
        return self.market + self.staking + self.carry - costs + self.deposits - self.withdrawals


@dataclass(frozen=True)
class BacktestRun:
    """One mandate over one history.

    Attributes
    ----------
    mandate
        As it was run; `notes` say what was adapted.
    decisions
        How often each decision was taken, by its words.
    """

    mandate: Mandate
    track: Track
    settlements: tuple[SettlementRecord, ...]
    events: tuple[Event, ...]
    decisions: dict[str, int]
    notes: tuple[str, ...]
