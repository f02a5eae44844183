# SPDX-License-Identifier: Apache-2.0
"""What is true at one block: the value that leaves the market room."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

from offchain.mandate import VaultLimits
from offchain.market.ray import ray_multiply

__all__ = [
    "AssetState",
    "BalancerV2State",
    "Block",
    "BreakerState",
    "LendingState",
    "PoolState",
    "ReserveState",
    "Snapshot",
    "UniswapV2State",
    "UniswapV3State",
    "VaultLimits",
    "VaultState",
]


NO_DEBT = 2**256 - 1
"""Health factor of a lending account that owes nothing, or too little to have a value."""


class BreakerState(IntEnum):
    """States of the vault's breaker, numbered as on-chain."""

    ACTIVE = 0
    REDUCE_ONLY = 1
    HALTED = 2


@dataclass(frozen=True, slots=True)
class Block:
    """Header fields of the block a snapshot was read at."""

    number: int
    hash: str
    parent_hash: str
    timestamp: int
    """Unix seconds."""
    base_fee: int
    """Wei per gas."""


@dataclass(frozen=True, slots=True)
class AssetState:
    """One asset of the vault, in the vault's order (index 0 is the base asset)."""

    symbol: str
    address: str
    decimals: int
    balance: int
    """Token base units in the vault that belong to shareholders (recorded claims excluded)."""
    price: int
    """USD at 18 decimals per 10**18 base units: value = balance * price // 10**18."""
    price_updated_at: int
    """Unix seconds of the oldest feed round behind the price."""
    supplied: int = 0
    """Base units that the vault has at its lending venue."""
    owed: int = 0
    """Base units that it owes there."""

    @property
    def held(self) -> int:
        """Base units in the vault and at its venues."""
        return self.balance + self.supplied

    @property
    def net(self) -> int:
        """Base units held less what is owed; negative for a net debt."""
        return self.held - self.owed

    @property
    def held_value(self) -> int:
        """USD at 18 decimals, rounded down."""
        return self.held * self.price // 10**18

    @property
    def owed_value(self) -> int:
        """USD at 18 decimals, rounded up."""
        return -(-self.owed * self.price // 10**18)

    @property
    def value(self) -> int:
        """USD at 18 decimals of what is held less what is owed."""
        return self.held_value - self.owed_value

    @property
    def price_usd(self) -> float:
        """USD per whole token."""
        return float(self.price / 10 ** (36 - self.decimals))


@dataclass(frozen=True, slots=True)
class UniswapV2State:
    """Reserves of a constant-product pair; the fee is 0.3 % by protocol."""

    address: str
    token0: int
    """Index of the token in `Snapshot.assets`."""
    token1: int
    reserve0: int
    reserve1: int


@dataclass(frozen=True, slots=True)
class UniswapV3State:
    """A concentrated-liquidity pool and its initialised ticks around the price.

    Ticks are complete for every bitmap word in ``[first_word, last_word]`` of the
    compressed tick (tick // tick_spacing) and unknown outside.
    """

    address: str
    token0: int
    token1: int
    fee_ppm: int
    tick_spacing: int
    sqrt_price_x96: int
    tick: int
    liquidity: int
    ticks: tuple[tuple[int, int], ...]
    """Sorted ``(tick, liquidity_net)``."""
    first_word: int
    last_word: int


@dataclass(frozen=True, slots=True)
class BalancerV2State:
    """A weighted pool of Balancer v2 that a listed venue of the vault trades with; two tokens."""

    address: str
    venue: int
    """How a leg names the venue."""
    index: int
    """The pool's place in the venue's list, as a leg carries it."""
    token0: int
    """Index into `Snapshot.assets`, as `token1`; in the pool's order."""
    token1: int
    decimals: tuple[int, int]
    balances: tuple[int, int]
    """Base units."""
    weights: tuple[int, int]
    """18 decimals, together exactly 1."""
    swap_fee: int
    """18 decimals, of the input."""
    version: int
    """Of the pool's code: 1, or 2 for all later ones."""


PoolState = UniswapV2State | UniswapV3State | BalancerV2State


@dataclass(frozen=True, slots=True)
class ReserveState:
    """One asset of the vault's account at a lending pool (Aave v3).

    Indices are rays (27 decimals); ratios basis points; rates rays per year of 365 days.
    """

    asset: int
    """Index in `Snapshot.assets`."""
    decimals: int
    supply_index: int
    """``getReserveNormalizedIncome``."""
    borrow_index: int
    """``getReserveNormalizedVariableDebt``."""
    scaled_supplied: int
    scaled_owed: int
    """The vault's ``scaledBalanceOf`` of receipts and of variable debt."""
    available: int
    """Base units that lie in the reserve."""
    price: int
    """Of the pool's own oracle, in its base currency a whole token."""
    loan_to_value: int
    liquidation_threshold: int
    e_mode_loan_to_value: int
    e_mode_liquidation_threshold: int
    """In the category that the mandate wants; the asset's own where it does not belong to it."""
    supply_rate: int
    borrow_rate: int
    is_collateral: bool
    may_supply: bool
    may_borrow: bool
    """Whether mandate and pool allow more of it."""
    live: bool
    """Whether the pool lets anybody repay and withdraw."""

    @property
    def supplied(self) -> int:
        """Base units that the receipts stand for."""
        return ray_multiply(self.scaled_supplied, self.supply_index)

    @property
    def owed(self) -> int:
        """Base units of variable debt."""
        return ray_multiply(self.scaled_owed, self.borrow_index)


@dataclass(frozen=True, slots=True)
class LendingState:
    """The vault's account at a lending pool."""

    venue: int
    """How a leg names it."""
    pool: str
    e_mode: int
    wanted_e_mode: int
    health_factor: int
    """At 1e18, by the pool itself; 2**256 - 1 without debt."""
    reserves: tuple[ReserveState, ...]


@dataclass(frozen=True, slots=True)
class VaultState:
    """The vault's own state at the block."""

    address: str
    oracle: str
    """Its PriceOracle."""
    mandate: str
    """Its Mandate contract."""
    nonce: int
    breaker: BreakerState
    breaker_reason: int
    total_supply: int
    """Share base units (18 decimals)."""
    value_per_share: int
    """USD at 18 decimals per 10**18 share units."""
    peak: int
    """Highest value per share since the last rebase, same unit."""
    loss_level: int
    """Fraction at 1e18 standing in the loss bucket at the block's timestamp."""
    turnover_level: int
    """Fraction at 1e18 standing in the turnover bucket at the block's timestamp."""
    mandate_hash: str
    limits: VaultLimits
    settled_at: int = 0
    """Unix seconds of the last settlement; 0 before the first."""


@dataclass(frozen=True)
class Snapshot:
    """Everything the plan may depend on, all of it at one block hash."""

    chain_id: int
    block: Block
    vault: VaultState
    assets: tuple[AssetState, ...]
    pools: tuple[PoolState, ...]
    lending: LendingState | None = None

    @cached_property
    def value(self) -> int:
        """USD at 18 decimals of everything held less everything owed."""
        return sum(asset.value for asset in self.assets)

    @cached_property
    def weights(self) -> tuple[float, ...]:
        """Shape (n,): net exposures as fractions of value, negative for a net debt; zeros for an empty vault."""
        total = self.value
        return tuple(asset.value / total if total else 0.0 for asset in self.assets)

    @property
    def leverage(self) -> float:
        """Everything held over what is left after the debt; 1 without debt."""
        held, left = sum(asset.held_value for asset in self.assets), self.value
        return held / left if left > 0 and held > left else 1.0

    @property
    def health_factor(self) -> float | None:
        """Of the lending account, by the pool itself; `None` without debt."""
        if self.lending is None or self.lending.health_factor == NO_DEBT:
            return None
        return self.lending.health_factor / 10**18
