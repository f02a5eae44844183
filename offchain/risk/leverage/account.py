# SPDX-License-Identifier: Apache-2.0
"""An account at a lending market, in one state of prices or in many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from offchain.risk.arrays import FloatArray
from offchain.risk.leverage.reserve import LeverageError, Reserve

Prices = Mapping[str, ArrayLike]


@dataclass(frozen=True)
class LendingAccount:
    """Collateral and debt.

    Attributes
    ----------
    collateral
        Whole tokens by symbol.
    debt
        Whole tokens by symbol.
    reserves
        Terms of each collateral, by symbol; in an efficiency mode those of its category.
    """

    collateral: Mapping[str, float]
    debt: Mapping[str, float]
    reserves: Mapping[str, Reserve]

    def __post_init__(self) -> None:
        """Refuse negative amounts and collateral without terms.

        Raises
        ------
        LeverageError
            Naming the asset.
        """
        for kind, amounts in (("collateral", self.collateral), ("debt", self.debt)):
            for symbol, amount in amounts.items():
                if not amount >= 0.0:
                    raise LeverageError(f"{kind} of {amount} {symbol}: amounts must not be negative")
        missing = sorted(set(self.collateral) - set(self.reserves))
        if missing:
            raise LeverageError(f"no terms for the collateral {', '.join(missing)}")

    @property
    def symbols(self) -> tuple[str, ...]:
        """Assets whose prices are needed."""
        return tuple(dict.fromkeys([*self.collateral, *self.debt]))

    def collateral_value(self, prices: Prices) -> FloatArray:
        """Return the collateral's worth in USD."""
        return _worth(self.collateral, prices)

    def debt_value(self, prices: Prices) -> FloatArray:
        """Return what is owed in USD."""
        return _worth(self.debt, prices)

    def equity(self, prices: Prices) -> FloatArray:
        """Return collateral less debt in USD."""
        equity: FloatArray = self.collateral_value(prices) - self.debt_value(prices)
        return equity

    def leverage(self, prices: Prices) -> FloatArray:
        """Return collateral over equity; infinite once nothing is left."""
        equity = self.equity(prices)
        with np.errstate(divide="ignore"):
            ratio: FloatArray = np.where(equity > 0.0, self.collateral_value(prices) / np.maximum(equity, 0.0), np.inf)
        return ratio

    def health_factor(self, prices: Prices) -> FloatArray:
        r"""Return :math:`\sum c_i p_i LT_i / \sum d_j p_j`; below one the account can be liquidated.

        Infinite without debt.
        """
        counted = {symbol: amount * self._terms(symbol).liquidation_threshold for symbol, amount in self._held()}
        owed = self.debt_value(prices)
        with np.errstate(divide="ignore", invalid="ignore"):
            factor: FloatArray = np.where(owed > 0.0, _worth(counted, prices) / owed, np.inf)
        return factor

    def borrowing_power(self, prices: Prices) -> FloatArray:
        """Return how many USD more may be borrowed; zero where the loan is at its limit already."""
        allowed = {symbol: amount * self._terms(symbol).loan_to_value for symbol, amount in self._held()}
        left: FloatArray = np.maximum(_worth(allowed, prices) - self.debt_value(prices), 0.0)
        return left

    def liquidation_price(self, symbol: str, prices: Prices) -> float:
        """Return the price of one asset at which the health factor is one, all others standing still.

        Below the present price for a net collateral, above it for a net debt; NaN when no price of this asset does it.
        """
        price = float(np.asarray(prices[symbol]))
        own = self.collateral.get(symbol, 0.0)
        weight = own * self._terms(symbol).liquidation_threshold if own else 0.0
        weight -= self.debt.get(symbol, 0.0)
        counted = {name: amount * self._terms(name).liquidation_threshold for name, amount in self._held()}
        rest = float(_worth(counted, prices) - self.debt_value(prices)) - weight * price
        found = -rest / weight if weight != 0.0 else -1.0
        return found if found > 0.0 else float("nan")

    def grown(
        self, years: float, borrow_rates: Mapping[str, float], supply_rates: Mapping[str, float]
    ) -> LendingAccount:
        """Return the account after interest at constant rates, continuously compounded."""

        def grow(amounts: Mapping[str, float], rates: Mapping[str, float]) -> dict[str, float]:
            return {name: amount * float(np.exp(rates.get(name, 0.0) * years)) for name, amount in amounts.items()}

        return LendingAccount(grow(self.collateral, supply_rates), grow(self.debt, borrow_rates), self.reserves)

    def _held(self) -> list[tuple[str, float]]:
        return list(self.collateral.items())

    def _terms(self, symbol: str) -> Reserve:
        return self.reserves[symbol]


def _worth(amounts: Mapping[str, float], prices: Prices) -> FloatArray:
    total: FloatArray = np.zeros(())
    for symbol, amount in amounts.items():
        if symbol not in prices:
            raise LeverageError(f"there is no price of {symbol}; there are prices of {', '.join(prices)}")
        total = total + amount * np.asarray(prices[symbol], dtype=np.float64)
    return total
