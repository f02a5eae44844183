# SPDX-License-Identifier: Apache-2.0
"""What is written down of a run, for a report and a summary: plain values, nothing to ask back.

Values are integers as on-chain (USD at 18 decimals, fractions at 1e18, tokens in base units); what exists only
off-chain is a float and says so in its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from offchain.market.snapshot import BreakerState

WAD = 10**18
BASIS_POINT = WAD // 10_000
TOLERANCE = 1e-9
"""What rounding on-chain weights to floats may add."""


@dataclass(frozen=True, slots=True)
class AssetLimits:
    """An asset of the vault and the weights its mandate allows, as fractions of value."""

    symbol: str
    decimals: int
    min_weight: float
    max_weight: float


@dataclass(frozen=True, slots=True)
class RunLimits:
    """The mandate's other limits, basis points."""

    loss_capacity_bps: int
    loss_refill_bps_per_day: int
    drawdown_reduce_bps: int
    drawdown_halt_bps: int


@dataclass(frozen=True, slots=True)
class TickRecord:
    """The vault once a tick, after whatever was settled in it."""

    timestamp: int
    """Unix seconds."""
    block: int
    value: int
    value_per_share: int
    """USD at 18 decimals per 10**18 share units."""
    peak: int
    weights: tuple[float, ...]
    loss_level: int
    breaker: BreakerState
    decision: str
    """What the plan decided, in its own words, such as ``"no trade pays"``."""
    base_fee: int
    """Wei per gas."""
    prices_usd: Mapping[str, float] = field(default_factory=dict)
    """Oracle price of a whole token by symbol."""


@dataclass(frozen=True, slots=True)
class LegRecord:
    """One swap of a settlement."""

    venue: str
    """``"uniswap_v2"`` or ``"uniswap_v3"``."""
    pool: str
    fee_ppm: int
    token_in: str
    """Symbol."""
    token_out: str
    amount_in: int
    planned_amount_out: int
    min_amount_out: int
    amount_out: int


@dataclass(frozen=True, slots=True)
class SettlementRecord:
    """One settlement, planned and realised."""

    tx: str
    block: int
    timestamp: int
    nonce: int
    reason: str
    value_before: int
    value_after: int
    loss: int
    turnover: int
    loss_level: int
    """What stood in the loss bucket right after."""
    gas_used: int
    effective_gas_price: int
    """Wei per gas."""
    gas_cost_usd: float
    planned_cost_usd: float
    """Pool fees and price impact at oracle prices, as the plan quoted them."""
    weights_before: tuple[float, ...]
    planned_weights: tuple[float, ...]
    weights: tuple[float, ...]
    """Realised, at the settlement's own prices."""
    bounds: tuple[tuple[float, float], ...]
    """Lowest and highest weight that held for this settlement, asset by asset."""
    legs: tuple[LegRecord, ...]
    attacker_profit_usd: float | None = None
    """Of the sandwich around it, if there was one."""

    @property
    def cost_usd(self) -> float:
        """Realised loss against oracle prices; negative when the market was better than the oracle."""
        return (self.value_before - self.value_after) / WAD

    @property
    def loss_bps(self) -> float:
        """Charged to the loss budget, basis points of value."""
        return self.loss / BASIS_POINT

    @property
    def venues(self) -> int:
        """Number of different pools."""
        return len({leg.pool for leg in self.legs})

    @property
    def inside(self) -> bool:
        """Whether it ended inside every bound."""
        return max(violations(self.weights, self.bounds), default=0.0) <= TOLERANCE

    @property
    def closer(self) -> bool:
        """Whether it ended inside, or with no violation larger than before, none new and one smaller."""
        before, after = violations(self.weights_before, self.bounds), violations(self.weights, self.bounds)
        none_larger = all(new <= old + TOLERANCE for old, new in zip(before, after, strict=True))
        return self.inside or (none_larger and sum(after) < sum(before) - TOLERANCE)


@dataclass(frozen=True, slots=True)
class BreakerRecord:
    """A change of the breaker's state."""

    timestamp: int
    block: int
    tx: str
    state: BreakerState
    reason: str
    """``"drawdown"``, ``"guardian"`` or ``"none"``."""
    value_per_share: int
    peak: int


@dataclass(frozen=True, slots=True)
class FlowRecord:
    """A deposit or a redemption."""

    timestamp: int
    block: int
    tx: str
    account: str
    """Who, by role."""
    kind: str
    """``"deposit"``, ``"redeem"`` or ``"redeem in kind"``."""
    shares: int
    amounts: Mapping[str, int]
    """Base units by symbol."""
    value: int
    gas_used: int


@dataclass(frozen=True, slots=True)
class LoanPoint:
    """An account that borrows, at one moment."""

    timestamp: int
    """Unix seconds."""
    health: float | None
    """Health factor; `None` without debt."""
    leverage: float
    """Everything held over what is left after the debt."""
    value: int
    """What is left after the debt."""


@dataclass(frozen=True, slots=True)
class LoanRepair:
    """A debt made smaller, by whomever; base units."""

    timestamp: int
    by: str
    """``"keeper"``, ``"stranger"`` or ``"liquidator"``."""
    debt_repaid: int
    collateral_given: int
    health_before: float
    health_after: float | None
    """`None` when nothing is owed any more."""


@dataclass(frozen=True, slots=True)
class LoanFate:
    """What became of one account that borrows."""

    name: str
    account: str
    points: tuple[LoanPoint, ...]
    repairs: tuple[LoanRepair, ...]

    @property
    def lowest_health(self) -> float:
        """The lowest health factor it ever had; infinite when it never owed anything."""
        return min((one.health for one in self.points if one.health is not None), default=float("inf"))

    @property
    def liquidated(self) -> bool:
        """Whether a liquidator took any of its collateral."""
        return any(one.by == "liquidator" for one in self.repairs)


@dataclass(frozen=True, slots=True)
class LoanRecord:
    """The same loan in the same crash, with different people at hand."""

    mandate: str
    collateral: str
    """Symbol; both tokens have 18 decimals."""
    debt: str
    depth: float
    """Fraction of its price in the debt's asset that the collateral's underlying loses."""
    crash: tuple[int, int]
    """Unix seconds at which the fall begins and ends."""
    floor: float
    """Lowest health factor that an order may leave."""
    trigger: float
    """Health factor below which anybody may deleverage the vault."""
    kept: LoanFate
    """The vault whose keeper lives."""
    rescued: LoanFate
    """The vault whose keeper is dead."""
    control: LoanFate
    """An account at the same leverage that nobody looks after."""

    @property
    def fates(self) -> tuple[LoanFate, LoanFate, LoanFate]:
        """All three."""
        return self.kept, self.rescued, self.control


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run from the first deposit to the last redemption."""

    title: str
    subtitle: str
    vault: str
    chain: str
    mandate: str
    seed: int
    assets: tuple[AssetLimits, ...]
    limits: RunLimits
    ticks: tuple[TickRecord, ...]
    settlements: tuple[SettlementRecord, ...]
    breaker_events: tuple[BreakerRecord, ...]
    deposits: tuple[FlowRecord, ...]
    redemptions: tuple[FlowRecord, ...]
    final_value: int
    """What the vault still holds at the end."""
    final_supply: int
    """Share base units outstanding at the end."""
    notes: tuple[str, ...] = ()
    """Sentences for the reader: what was simulated, what was scaled."""
    loan: LoanRecord | None = None
    """The second act, where there was one."""

    @property
    def start(self) -> int:
        """Unix seconds of the first thing recorded: day zero."""
        return min([one.timestamp for one in self.ticks] + [one.timestamp for one in self.deposits])


@dataclass(frozen=True, slots=True)
class Totals:
    """Figures of the whole run."""

    settlements: int
    over_two_venues: int
    outside_and_not_closer: int
    days: float
    traded_usd: float
    """Value moved: turnover times value, summed."""
    planned_cost_usd: float
    realised_cost_usd: float
    gas_used: int
    gas_cost_usd: float
    sandwiched: int
    attacker_profit_usd: float
    highest_loss_level_bps: float
    worst_drawdown_bps: float
    deposited_usd: float
    redeemed_usd: float
    final_value_usd: float
    final_supply: int


def violations(weights: tuple[float, ...], bounds: tuple[tuple[float, float], ...]) -> list[float]:
    """Return how far each weight lies below its lower and above its upper bound, two numbers an asset."""
    return [
        max(0.0, distance)
        for weight, (low, high) in zip(weights, bounds, strict=True)
        for distance in (low - weight, weight - high)
    ]


def totals(record: RunRecord) -> Totals:
    """Add a run up."""
    settlements, ticks = record.settlements, record.ticks
    attacks = [one.attacker_profit_usd for one in settlements if one.attacker_profit_usd is not None]
    return Totals(
        settlements=len(settlements),
        over_two_venues=sum(one.venues >= 2 for one in settlements),
        outside_and_not_closer=sum(not one.closer for one in settlements),
        days=(ticks[-1].timestamp - ticks[0].timestamp) / 86_400 if ticks else 0.0,
        traded_usd=sum(one.turnover * one.value_before / WAD / WAD for one in settlements),
        planned_cost_usd=sum(one.planned_cost_usd for one in settlements),
        realised_cost_usd=sum(one.cost_usd for one in settlements),
        gas_used=sum(one.gas_used for one in settlements),
        gas_cost_usd=sum(one.gas_cost_usd for one in settlements),
        sandwiched=len(attacks),
        attacker_profit_usd=sum(attacks),
        highest_loss_level_bps=max((one.loss_level for one in settlements), default=0) / BASIS_POINT,
        worst_drawdown_bps=max(
            ((one.peak - one.value_per_share) / one.peak * 10_000 for one in ticks if one.peak), default=0.0
        ),
        deposited_usd=sum(one.value for one in record.deposits) / WAD,
        redeemed_usd=sum(one.value for one in record.redemptions) / WAD,
        final_value_usd=record.final_value / WAD,
        final_supply=record.final_supply,
    )
