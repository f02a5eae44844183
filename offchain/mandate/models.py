# SPDX-License-Identifier: Apache-2.0
"""The mandate's fields and the rules that hold between them.

Everything is refused that cannot be meant: a document that loads is one that the
chain accepts, the optimiser can satisfy and whose fees cover its oracle's error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from fractions import Fraction
from functools import cached_property
from math import ceil
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from offchain.mandate.constraints import Constraints
from offchain.mandate.limits import OracleFeed, SecondPrice, Sequencer, VaultLimits
from offchain.mandate.objectives import Objective
from offchain.mandate.triggers import Triggers
from offchain.mandate.universe import (
    FULL_BPS,
    MAX_WEIGHT_BPS,
    ZERO_ADDRESS,
    Asset,
    Bps,
    OracleTable,
    Positive,
    Section,
    StakedRatioOracle,
    as_tuple,
    refusal,
    repeated,
)
from offchain.mandate.venues import (
    FIRST_LISTED,
    MAX_LISTED,
    SLIPPED,
    AaveV3Venue,
    BalancerV2Venue,
    ListedVenue,
    UniswapV2Venue,
    UniswapV3Venue,
    VenueSection,
)

MAX_ASSETS = 16
MAX_LEGS = 16

OPTIONAL_LIMITS = tuple(field.name for field in fields(VaultLimits) if field.default is not MISSING)
"""Limits of the chain that a file may leave out, by the name they have in both."""

Word = Annotated[int, Field(ge=0, lt=2**16)]


class Limits(Section):
    """What the chain refuses, besides the weights."""

    loss_capacity_bps: Annotated[int, Field(gt=0, le=FULL_BPS)]
    loss_refill_bps_per_day: Bps
    turnover_capacity_bps: Annotated[int, Field(gt=0, le=MAX_WEIGHT_BPS)]
    turnover_refill_bps_per_day: Annotated[int, Field(ge=0, le=MAX_WEIGHT_BPS)]
    drawdown_reduce_bps: Annotated[int, Field(gt=0, lt=FULL_BPS)]
    drawdown_halt_bps: Annotated[int, Field(gt=0, lt=FULL_BPS)]
    peak_window_hours: Word = 0
    """The drawdown counts from the peak of one to two such windows; 0 for all time."""
    loss_per_settlement_bps: Bps = 0
    """What one settlement may lose, besides the budget; 0 for no such limit."""
    cool_down_s: Word = 0
    """Seconds between two settlements."""
    min_buffer_bps: Bps = 0
    """Least base asset in the wallet, of net value."""
    max_venues_bps: Annotated[tuple[Word, ...], BeforeValidator(as_tuple), Field(max_length=MAX_LISTED)] = ()
    """Most held at each listed venue, of net value, in the venues' order; no limit where the list ends."""
    deleverage_trigger_bps: Word = 0
    """Health factor below which anyone may deleverage, and trips; 0 for never."""
    deleverage_target_bps: Word = 0
    deleverage_discount_bps: Annotated[int, Field(ge=0, le=2000)] = 0
    volatility_trip_bps: Word = 0
    """Annual volatility of value per share that trips; 10000 is 100 %. 0 for never, as below."""
    volatility_window_hours: Word = 0
    oracle_dead_minutes: Word = 0
    sources_apart_minutes: Word = 0
    depeg_bps: Bps = 0
    """How far the base asset may be off a dollar before its clock starts."""
    depeg_minutes: Word = 0
    heartbeat_minutes: Word = 0
    frozen_trips: Annotated[int, Field(ge=0, le=1)] = 0
    """1: a paused or frozen reserve of the vault trips."""
    max_leverage_bps: Annotated[int, Field(ge=0, le=MAX_WEIGHT_BPS)] = 0
    """Everything held over net value; 0 for no limit, which only a vault without borrowing may have."""
    min_health_bps: Annotated[int, Field(ge=0, le=MAX_WEIGHT_BPS)] = 0
    """Health factor of the lending account x 10,000; 0 for no floor, as above."""

    @model_validator(mode="after")
    def _escalates(self) -> Limits:
        if self.drawdown_halt_bps < self.drawdown_reduce_bps:
            allowed = f"must be at least drawdown_reduce_bps ({self.drawdown_reduce_bps})"
            raise refusal("drawdown_halt_bps", self.drawdown_halt_bps, allowed)
        return self

    @model_validator(mode="after")
    def _table(self) -> Limits:
        trigger, target = self.deleverage_trigger_bps, self.deleverage_target_bps
        if 0 < trigger <= FULL_BPS:
            raise refusal("deleverage_trigger_bps", trigger, "must be above 10000, a health factor of one")
        if trigger and target <= trigger:
            raise refusal("deleverage_target_bps", target, f"must be above deleverage_trigger_bps ({trigger})")
        if trigger > self.min_health_bps:
            allowed = f"must be at most min_health_bps ({self.min_health_bps}), where a settlement may leave it"
            raise refusal("deleverage_trigger_bps", trigger, allowed)
        for field, needed in (("volatility_trip_bps", "volatility_window_hours"), ("depeg_bps", "depeg_minutes")):
            if getattr(self, field) and not getattr(self, needed):
                raise refusal(needed, 0, f"must be above 0 where {field} is")
        return self


class Fees(Section):
    """What entering and leaving cost; it stays in the vault and pays for the oracle's error."""

    entry_bps: Annotated[int, Field(ge=0, le=500)]
    exit_bps: Annotated[int, Field(ge=0, le=500)]
    oracle_error_bps: Annotated[int, Field(ge=0, le=1000)]

    @model_validator(mode="after")
    def _cover(self) -> Fees:
        if self.entry_bps + self.exit_bps < self.oracle_error_bps:
            least = self.oracle_error_bps - self.entry_bps
            raise refusal("exit_bps", self.exit_bps, f"must be at least {least}, so that both cover oracle_error_bps")
        return self


class Execution(Section):
    """How the keeper trades. Nothing here reaches the chain except through the orders."""

    interval_minutes: Annotated[float, Field(gt=0)]
    deadline_blocks: Annotated[int, Field(gt=0, le=7200)]
    slippage_bps: Annotated[int, Field(ge=0, le=1000)]
    max_base_fee_gwei: Positive
    max_priority_fee_gwei: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    max_legs: Annotated[int, Field(ge=1, le=MAX_LEGS)]
    min_improvement_bps: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    grid_minutes: Annotated[int, Field(ge=1, le=1440)]
    triggers: Triggers = Triggers()
    """What makes it decide between two intervals."""

    @model_validator(mode="after")
    def _grid(self) -> Execution:
        if 1440 % self.grid_minutes:
            raise refusal(
                "grid_minutes",
                self.grid_minutes,
                "must divide 1440, so that the grid repeats daily",
            )
        return self


class Mandate(Section):
    """What a vault may hold, how it is managed and what it costs: one YAML document.

    `ordered_assets` is the order in which everything else counts assets: the base
    asset first, then the file's order. The deploy script writes that order to the chain.
    """

    name: Annotated[str, Field(pattern=r"^[ -~]{1,25}$")]
    symbol: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,5}$")]
    chain_id: Annotated[int, Field(gt=0)]
    base_asset: str
    assets: Annotated[
        tuple[Asset, ...],
        BeforeValidator(as_tuple),
        Field(min_length=1, max_length=MAX_ASSETS),
    ]
    oracle: OracleTable = OracleTable()
    venues: Annotated[tuple[VenueSection, ...], BeforeValidator(as_tuple), Field(min_length=1)]
    objective: Objective
    constraints: Constraints = Constraints()
    limits: Limits
    fees: Fees
    execution: Execution

    @model_validator(mode="after")
    def _universe(self) -> Mandate:
        for field, values in (
            ("symbol", [asset.symbol.upper() for asset in self.assets]),
            ("address", [asset.address for asset in self.assets]),
        ):
            index = repeated(values)
            if index is not None:
                asset = self.assets[index]
                raise refusal(f"assets[{index}].{field}", getattr(asset, field), "already listed; list each asset once")
        symbols = [asset.symbol for asset in self.assets]
        if self.base_asset not in symbols:
            raise refusal(
                "base_asset",
                self.base_asset,
                f"must be the symbol of one of the assets: {', '.join(symbols)}",
            )
        strange = next((name for name in self.objective.returns.symbols if name not in symbols), None)
        if strange is not None:
            allowed = f"must be the symbol of one of the assets: {', '.join(symbols)}"
            raise refusal("objective.returns", strange, allowed)
        for position, asset in enumerate(self.assets):
            source = asset.oracle.second_source
            if source is not None and source.quote not in set(symbols) - {asset.symbol}:
                allowed = "must be the symbol of another of the assets, the one it is traded against in the pool"
                raise refusal(f"assets[{position}].oracle.second_source.quote", source.quote, allowed)
        index = repeated([venue.kind for venue in self.venues])
        if index is not None:
            raise refusal(f"venues[{index}].kind", self.venues[index].kind, "already listed; list each kind once")
        return self

    @model_validator(mode="after")
    def _listed(self) -> Mandate:
        if len(self.listed_venues) > MAX_LISTED:
            allowed = f"at most {MAX_LISTED} besides Uniswap, which is what a vault can list"
            raise refusal("venues", len(self.listed_venues), allowed)
        for index, venue in enumerate(self.venues):
            if not isinstance(venue, AaveV3Venue):
                continue
            for field, symbols in (("supply", venue.supply), ("borrow", venue.borrow)):
                for place, symbol in enumerate(symbols):
                    if symbol not in self.symbols:
                        allowed = f"must be the symbol of one of the assets: {', '.join(self.symbols)}"
                        raise refusal(f"venues[{index}].{field}[{place}]", symbol, allowed)
        if self.borrowable:
            for field, least in (("max_leverage_bps", FULL_BPS), ("min_health_bps", FULL_BPS)):
                if getattr(self.limits, field) <= least:
                    allowed = f"must be above {least}: a venue of the mandate lets the vault borrow"
                    raise refusal(f"limits.{field}", getattr(self.limits, field), allowed)
        for index, asset in enumerate(self.assets):
            if asset.max_weight_bps > FULL_BPS and not self.borrowable:
                allowed = "must be at most 10000 (100 %): no venue of the mandate lends"
                raise refusal(f"assets[{index}].max_weight_bps", asset.max_weight_bps, allowed)
        return self

    @model_validator(mode="after")
    def _constraints(self) -> Mandate:
        symbols = [asset.symbol for asset in self.assets]
        for place, group in enumerate(self.constraints.groups):
            field = f"constraints.groups[{place}]"
            strange = next((name for name in group.assets if name not in symbols), None)
            if strange is not None:
                allowed = f"must be the symbol of one of the assets: {', '.join(symbols)}"
                raise refusal(f"{field}.assets", strange, allowed)
            members = [asset for asset in self.assets if asset.symbol in group.assets]
            others = [asset for asset in self.assets if asset.symbol not in group.assets]
            least = max(sum(a.min_weight_bps for a in members), FULL_BPS - sum(a.max_weight_bps for a in others))
            most = min(sum(a.max_weight_bps for a in members), FULL_BPS - sum(a.min_weight_bps for a in others))
            if group.max_weight_bps < least:
                allowed = f"must be at least {least}, which the assets' own bounds make of the group {group.name}"
                raise refusal(f"{field}.max_weight_bps", group.max_weight_bps, allowed)
            if group.min_weight_bps > most:
                allowed = f"must be at most {most}, which the assets' own bounds leave to the group {group.name}"
                raise refusal(f"{field}.min_weight_bps", group.min_weight_bps, allowed)
        if self.base.min_weight_bps + self.constraints.buffer_bps > self.base.max_weight_bps:
            most = self.base.max_weight_bps - self.base.min_weight_bps
            allowed = f"must be at most {most}: with {self.base_asset}'s minimum it passes the maximum"
            raise refusal("constraints.buffer_bps", self.constraints.buffer_bps, allowed)
        kinds = [venue.kind for venue in self.venues]
        unlisted = next((kind for kind in self.constraints.venue_caps_bps if kind not in kinds), None)
        if unlisted is not None:
            raise refusal("constraints.venue_caps_bps", unlisted, f"must be one of venues: {', '.join(kinds)}")
        return self

    @model_validator(mode="after")
    def _weights(self) -> Mandate:
        low = sum(asset.min_weight_bps for asset in self.assets)
        high = sum(asset.max_weight_bps for asset in self.assets)
        benchmark = sum(asset.benchmark_weight_bps for asset in self.assets)
        if low > FULL_BPS:
            raise refusal("assets[].min_weight_bps", low, "the sum must be at most 10000 (100 %)")
        if high < FULL_BPS:
            raise refusal("assets[].max_weight_bps", high, "the sum must be at least 10000 (100 %)")
        if benchmark != FULL_BPS:
            raise refusal(
                "assets[].benchmark_weight_bps",
                benchmark,
                "the sum must be exactly 10000 (100 %)",
            )
        return self

    @model_validator(mode="after")
    def _oracle_error(self) -> Mandate:
        implied = self.implied_oracle_error_bps
        if self.fees.oracle_error_bps < implied:
            allowed = f"must be at least {implied}, which the feeds' deviation_bps imply at the mandate's weights"
            raise refusal("fees.oracle_error_bps", self.fees.oracle_error_bps, allowed)
        return self

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Mandate:
        """As pydantic's; what was worked out of the original is worked out anew."""
        copied = super().model_copy(update=update, deep=deep)
        for name in set(copied.__dict__) - set(Mandate.model_fields):
            del copied.__dict__[name]
        return copied

    @property
    def base(self) -> Asset:
        """The asset that is deposited and withdrawn."""
        return next(asset for asset in self.assets if asset.symbol == self.base_asset)

    @cached_property
    def ordered_assets(self) -> tuple[Asset, ...]:
        """The base asset, then the others as the file lists them: the order of the chain."""
        return (
            self.base,
            *(asset for asset in self.assets if asset.symbol != self.base_asset),
        )

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """Symbols in the chain's order."""
        return tuple(asset.symbol for asset in self.ordered_assets)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Checksummed token addresses in the chain's order."""
        return tuple(asset.address for asset in self.ordered_assets)

    @cached_property
    def benchmark_weights(self) -> tuple[float, ...]:
        """Shape (n,): fractions of value, in the chain's order."""
        return tuple(asset.benchmark_weight_bps / FULL_BPS for asset in self.ordered_assets)

    @cached_property
    def oracle_errors(self) -> tuple[float, ...]:
        """How far the market may stand from each asset's feeds, as fractions, in the chain's order."""
        return tuple(float(asset.oracle.error) for asset in self.ordered_assets)

    @property
    def oracle_feeds(self) -> tuple[OracleFeed, ...]:
        """The price oracle's constructor argument."""
        return tuple(asset.oracle_feed for asset in self.ordered_assets)

    @property
    def second_prices(self) -> tuple[SecondPrice, ...]:
        """The price oracle's constructor argument: one for each asset, or none at all."""
        if all(asset.oracle.second_source is None for asset in self.assets):
            return ()
        return tuple(self.second_price(asset) for asset in self.ordered_assets)

    def second_price(self, asset: Asset) -> SecondPrice:
        """What the chain holds an asset's price against."""
        source = asset.oracle.second_source
        if source is None:
            return SecondPrice(ZERO_ADDRESS, 0, 0, 0, 0, 0)
        return SecondPrice(
            pool=source.pool,
            quote=self.symbols.index(source.quote),
            window=source.window_s,
            min_liquidity=source.min_liquidity,
            min_cardinality=source.min_cardinality,
            max_deviation_bps=source.max_deviation_bps,
        )

    @property
    def sequencer(self) -> Sequencer:
        """The price oracle's constructor argument."""
        return self.oracle.sequencer

    @cached_property
    def vault_limits(self) -> VaultLimits:
        """What the deploy script writes to the chain."""
        assets, limits = self.ordered_assets, self.limits
        return VaultLimits(
            min_weights_bps=tuple(asset.min_weight_bps for asset in assets),
            max_weights_bps=tuple(asset.max_weight_bps for asset in assets),
            loss_capacity_bps=limits.loss_capacity_bps,
            loss_refill_bps_per_day=limits.loss_refill_bps_per_day,
            turnover_capacity_bps=limits.turnover_capacity_bps,
            turnover_refill_bps_per_day=limits.turnover_refill_bps_per_day,
            drawdown_reduce_bps=limits.drawdown_reduce_bps,
            drawdown_halt_bps=limits.drawdown_halt_bps,
            entry_fee_bps=self.fees.entry_bps,
            exit_fee_bps=self.fees.exit_bps,
            **{name: getattr(limits, name) for name in OPTIONAL_LIMITS},
        )

    @property
    def listed_venues(self) -> tuple[ListedVenue, ...]:
        """Venues besides Uniswap, in the order in which the vault lists them."""
        return tuple(venue for venue in self.venues if isinstance(venue, AaveV3Venue | BalancerV2Venue))

    def leg_number(self, venue: ListedVenue) -> int:
        """How a leg names a listed venue."""
        return FIRST_LISTED + self.listed_venues.index(venue)

    @property
    def lending(self) -> AaveV3Venue | None:
        """The lending account, where there is one."""
        return next((venue for venue in self.venues if isinstance(venue, AaveV3Venue)), None)

    @property
    def borrowable(self) -> tuple[str, ...]:
        """Symbols of what may be borrowed; empty for a vault without debt."""
        return self.lending.borrow if self.lending is not None else ()

    def repair_health(self, target: float) -> float:
        """Health factor below which a plan that aims at `target` repays; above it, it lets be what drifted."""
        floor = self.limits.min_health_bps / FULL_BPS
        return floor + SLIPPED * (target - floor)

    @property
    def uses_uniswap_v2(self) -> bool:
        """Whether constant-product pairs may be traded with."""
        return any(isinstance(venue, UniswapV2Venue) for venue in self.venues)

    @property
    def uniswap_v3_fee_tiers(self) -> tuple[int, ...]:
        """Fee tiers, in parts per million, of the v3 pools that may be traded with; empty for none."""
        return next(
            (venue.fee_tiers for venue in self.venues if isinstance(venue, UniswapV3Venue)),
            (),
        )

    def _lag_gain(self, asset: Asset) -> Fraction:
        """How much cheaper than in the market the feeds may sell an asset for the base asset, as a fraction."""
        oracle, base = asset.oracle, self.base.oracle
        if isinstance(oracle, StakedRatioOracle) and oracle.base_feed == base.feed:
            # One round prices both: what it is wrong by cancels.
            return Fraction(oracle.deviation_bps, FULL_BPS)
        return (1 + oracle.error) / (1 - base.error) - 1

    @property
    def implied_oracle_error_bps(self) -> int:
        """Most that a lagging oracle can give a depositor who leaves in kind, rounded up.

        He pays in the base asset, which the oracle may overstate, and takes a slice of the basket,
        which it may understate: the gain is the sum over the other assets of weight x
        ((1 + error) / (1 - base error) - 1). Its maximum over the weights the mandate allows is
        found greedily: minimum weights first, the rest to the worst feeds. The base asset's own
        weight gains nothing, because he pays in it. With borrowing the weights may add up to the
        leverage limit: who leaves brings his part of the debt.
        """
        gains = {asset.symbol: self._lag_gain(asset) if asset.symbol != self.base_asset else 0 for asset in self.assets}
        weights = {asset.symbol: asset.min_weight_bps for asset in self.assets}
        free = max(FULL_BPS, self.limits.max_leverage_bps) - sum(weights.values())
        for asset in sorted(self.assets, key=lambda asset: gains[asset.symbol], reverse=True):
            extra = min(free, asset.max_weight_bps - asset.min_weight_bps)
            weights[asset.symbol] += extra
            free -= extra
        return ceil(sum(weights[symbol] * gains[symbol] for symbol in weights))
