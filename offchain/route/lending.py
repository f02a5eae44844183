# SPDX-License-Identifier: Apache-2.0
"""An account at Aave v3 in the pool's own integers: what each action leaves, and how far each may go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from offchain.market.ray import ray_divide
from offchain.market.snapshot import NO_DEBT, LendingState, ReserveState
from offchain.route.errors import InsufficientLiquidityError

ONE: Final = 10**18
FULL_BPS: Final = 10_000


@dataclass(frozen=True, slots=True)
class LendingAccount:
    """One holder's account: ``GenericLogic.calculateUserAccountData`` and the scaled balances behind it.

    Exact for versions 3.0 to 3.4 at the indices of one block. Everything supplied counts as collateral, as the
    pool has it by default for the first supply of an asset.

    Attributes
    ----------
    reserves
        By the asset's index.
    e_mode
        Category of the account.
    wanted_e_mode
        Category whose terms the reserves carry.
    """

    reserves: Mapping[int, ReserveState]
    e_mode: int
    wanted_e_mode: int

    @classmethod
    def from_state(cls, state: LendingState) -> LendingAccount:
        """The account as the market room read it."""
        return cls({reserve.asset: reserve for reserve in state.reserves}, state.e_mode, state.wanted_e_mode)

    def supplied(self, asset: int) -> int:
        """Base units that the receipts stand for; 0 for an asset the account cannot have."""
        return self.reserves[asset].supplied if asset in self.reserves else 0

    def owed(self, asset: int) -> int:
        """Base units of debt."""
        return self.reserves[asset].owed if asset in self.reserves else 0

    @property
    def has_debt(self) -> bool:
        """Whether anything is owed."""
        return any(reserve.scaled_owed for reserve in self.reserves.values())

    @property
    def health_factor(self) -> int:
        """At 1e18, rounded as the pool does; `NO_DEBT` where nothing is owed."""
        debt = sum(self._debt(reserve) for reserve in self.reserves.values())
        if debt == 0:
            return NO_DEBT
        collateral = list(self._collateral())
        total = sum(value for value, _ in collateral)
        threshold = sum(value * terms for value, terms in collateral) // total if total else 0
        counted = (total * threshold + FULL_BPS // 2) // FULL_BPS
        return (counted * ONE + debt // 2) // debt

    def in_wanted_mode(self) -> LendingAccount:
        """The account in the mandate's category."""
        return replace(self, e_mode=self.wanted_e_mode)

    def supply(self, asset: int, amount: int) -> LendingAccount:
        """Move base units from the wallet to the account."""
        reserve = self.reserves[asset]
        return self._with(
            reserve,
            scaled_supplied=reserve.scaled_supplied + ray_divide(amount, reserve.supply_index),
            available=reserve.available + amount,
            is_collateral=reserve.is_collateral or reserve.scaled_supplied == 0,
        )

    def withdraw(self, asset: int, amount: int) -> LendingAccount:
        """Move base units back to the wallet.

        Raises
        ------
        InsufficientLiquidityError
            More than is supplied, or than lies in the reserve.
        """
        reserve = self.reserves[asset]
        most = min(reserve.supplied, reserve.available)
        if amount > most:
            raise InsufficientLiquidityError(f"asset {asset}: {most} can be withdrawn, not {amount}; withdraw less")
        scaled = min(ray_divide(amount, reserve.supply_index), reserve.scaled_supplied)
        return self._with(
            reserve, scaled_supplied=reserve.scaled_supplied - scaled, available=reserve.available - amount
        )

    def borrow(self, asset: int, amount: int) -> LendingAccount:
        """Owe base units more.

        Raises
        ------
        InsufficientLiquidityError
            More than lies in the reserve.
        """
        reserve = self.reserves[asset]
        if amount > reserve.available:
            raise InsufficientLiquidityError(f"asset {asset}: {reserve.available} can be borrowed, not {amount}")
        scaled = reserve.scaled_owed + ray_divide(amount, reserve.borrow_index)
        return self._with(reserve, scaled_owed=scaled, available=reserve.available - amount)

    def repay(self, asset: int, amount: int) -> LendingAccount:
        """Owe base units less; at most what is owed is taken."""
        reserve = self.reserves[asset]
        paid = min(amount, reserve.owed)
        scaled = max(0, reserve.scaled_owed - ray_divide(paid, reserve.borrow_index))
        return self._with(reserve, scaled_owed=scaled, available=reserve.available + paid)

    def withdrawable(self, asset: int, health: int) -> int:
        """Base units that can be withdrawn with the health factor no lower than `health`, at 1e18."""
        if asset not in self.reserves or not self.reserves[asset].live:
            return 0
        reserve = self.reserves[asset]
        most = min(reserve.supplied, reserve.available)
        if not self.has_debt or not reserve.is_collateral:
            return most
        spare = self._counted() - self._needed(health)
        threshold = self._terms(reserve)
        if threshold == 0:
            return most
        return min(most, max(0, spare * _unit(reserve) // (reserve.price * threshold)))

    def borrowable(self, asset: int, health: int) -> int:
        """Base units that can be borrowed with the health factor no lower than `health`, within the loan to value."""
        if asset not in self.reserves or not self.reserves[asset].may_borrow:
            return 0
        reserve = self.reserves[asset]
        by_health = self._counted() * ONE // health
        by_rule = sum(
            self._value(one, one.supplied) * self._loan_to_value(one)
            for one in self.reserves.values()
            if one.is_collateral
        )
        spare = min(by_health, by_rule) - sum(self._debt(one) for one in self.reserves.values()) * FULL_BPS
        return min(reserve.available, max(0, spare * _unit(reserve) // (reserve.price * FULL_BPS)))

    def _counted(self) -> int:
        """Collateral at its thresholds, in base currency times 10,000."""
        return sum(value * terms for value, terms in self._collateral())

    def _needed(self, health: int) -> int:
        debt = sum(self._debt(reserve) for reserve in self.reserves.values())
        return -(-debt * FULL_BPS * health // ONE)

    def _collateral(self) -> Iterator[tuple[int, int]]:
        for reserve in self.reserves.values():
            if reserve.is_collateral and reserve.scaled_supplied:
                yield self._value(reserve, reserve.supplied), self._terms(reserve)

    def _debt(self, reserve: ReserveState) -> int:
        return self._value(reserve, reserve.owed)

    @staticmethod
    def _value(reserve: ReserveState, amount: int) -> int:
        return amount * reserve.price // _unit(reserve)

    def threshold(self, asset: int) -> int:
        """Liquidation threshold of an asset in the account's mode, basis points."""
        return self._terms(self.reserves[asset])

    def _terms(self, reserve: ReserveState) -> int:
        in_mode = self.e_mode != 0 and self.e_mode == self.wanted_e_mode
        return reserve.e_mode_liquidation_threshold if in_mode else reserve.liquidation_threshold

    def _loan_to_value(self, reserve: ReserveState) -> int:
        in_mode = self.e_mode != 0 and self.e_mode == self.wanted_e_mode
        return reserve.e_mode_loan_to_value if in_mode else reserve.loan_to_value

    def _with(self, reserve: ReserveState, **changes: int | bool) -> LendingAccount:
        changed = replace(reserve, **changes)  # type: ignore[arg-type]
        return replace(self, reserves={**self.reserves, reserve.asset: changed})


def _unit(reserve: ReserveState) -> int:
    return int(10**reserve.decimals)
