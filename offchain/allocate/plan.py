# SPDX-License-Identifier: Apache-2.0
"""What to hold and why: the value that leaves the allocate room."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from offchain.route.leg import PlannedLeg


class PlanReason(StrEnum):
    """Why the plan trades, or does not."""

    IMPROVES = "improves"
    """The gain in utility over the horizon exceeds every cost by the mandate's margin."""
    REPAIRS = "repairs"
    """Holdings stand outside the mandate; the trades bring them inside or closer."""
    REDUCES = "reduces"
    """The breaker allows nothing but selling into the base asset."""
    NO_TRADE_PAYS = "no trade pays"
    WAITS = "waits"
    """What should be traded would be refused now; the plan's note names the rule."""
    HALTED = "halted"
    EMPTY = "empty vault"


@dataclass(frozen=True, slots=True)
class BindingLimit:
    """A limit that holds the optimum back and what relaxing it would be worth."""

    name: str
    shadow_price: float
    """Utility per unit of weight."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A limit that the holdings break, and where the plan leaves them.

    Fractions of value; leverage and health factor as such.
    """

    name: str
    limit: float
    before: float
    after: float
    is_share: bool = True
    """Whether the numbers are fractions of value."""

    @property
    def left(self) -> float:
        """Part of the violation that the plan leaves; 0 when it ends inside."""
        return max(0.0, (self.after - self.limit) / (self.before - self.limit))


@dataclass(frozen=True, slots=True)
class Plan:
    """Trades pool by pool, with the reasons and the costs.

    Utilities are fractions of value over the forecast's horizon; costs are USD.
    """

    block_hash: str
    reason: PlanReason
    legs: tuple[PlannedLeg, ...]
    weights_before: tuple[float, ...]
    weights_after: tuple[float, ...]
    target_weights: tuple[float, ...]
    utility_before: float
    utility_after: float
    slippage_cost_usd: float
    """Value lost against oracle prices: pool fees and price impact."""
    gas_cost_usd: float
    value_after: int
    """USD at 18 decimals after the legs, at the snapshot's prices."""
    binding_limits: tuple[BindingLimit, ...]
    model_hash: str
    gain: float = 0.0
    """Over doing nothing, net of gas: utility, or when repairing or reducing what that is worth beside it."""
    gain_bound: float = 0.0
    """No other plan within the limits could gain more than this, before gas."""
    leverage_after: float = 1.0
    """Everything held over what is left after the debt."""
    health_after: float | None = None
    """Health factor of the lending account; `None` without debt."""
    note: str = ""
    """What stood in the way, for a reader; empty when nothing did."""
    violations: tuple[Violation, ...] = ()
    """Of a plan that repairs, or has to wait with it: what is outside the mandate."""
    solver: str = ""
    """What solved the program, with versions; empty when nothing was solved. Decides no more than the last bits."""

    @property
    def trades(self) -> bool:
        """Whether there is anything to settle."""
        return bool(self.legs)
