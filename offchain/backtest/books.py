# SPDX-License-Identifier: Apache-2.0
"""Double entry: every cause of a change of value is booked, and the holdings must agree with the books.

Twice over: in integers at oracle prices, exactly; and in floats at the market's prices, part by part.
"""

from __future__ import annotations

from collections.abc import Sequence

from offchain.backtest.errors import AccountingError
from offchain.backtest.execution import LegCost
from offchain.backtest.path import iso
from offchain.backtest.records import Row
from offchain.settle.order import Leg

TOLERANCE = 1e-9
"""Of value: how far floats may leave a step's parts from its change of value."""


class Books:
    """The books of one run.

    Attributes
    ----------
    row
        The step being booked.
    """

    def __init__(self, units: Sequence[float]) -> None:
        self._units = tuple(units)
        self._marks: tuple[float, ...] = (0.0,) * len(units)
        self._prices: tuple[int, ...] = (0,) * len(units)
        self._value = 0.0
        self._total = 0
        self.row = Row(0)

    @property
    def value(self) -> float:
        """Market value at the last close, USD."""
        return self._value

    @property
    def marks(self) -> tuple[float, ...]:
        """The market's USD per whole token."""
        return self._marks

    @property
    def prices(self) -> tuple[int, ...]:
        """Oracle prices, USD at 18 decimals per 10**18 base units."""
        return self._prices

    @property
    def unit_prices(self) -> tuple[float, ...]:
        """The market's USD per base unit."""
        return tuple(mark / unit for mark, unit in zip(self._marks, self._units, strict=True))

    def worth(self, amounts: Sequence[int]) -> float:
        """USD at the market's prices."""
        return sum(amount / unit * mark for amount, unit, mark in zip(amounts, self._units, self._marks, strict=True))

    def worth_of(self, asset: int, amount: int) -> float:
        """USD of one token's amount."""
        return amount / self._units[asset] * self._marks[asset]

    def reprice(
        self, holdings: Sequence[int], marks: Sequence[float], prices: Sequence[int], grown: Sequence[float]
    ) -> None:
        """Prices move under unchanged holdings.

        Parameters
        ----------
        grown
            Part of each new price that a staking ratio added since the last step.
        """
        before = self.worth(holdings)
        self._marks = tuple(marks)
        self._total += sum(held * (new - old) for held, new, old in zip(holdings, prices, self._prices, strict=True))
        self._prices = tuple(prices)
        staking = sum(
            held / unit * mark * part
            for held, unit, mark, part in zip(holdings, self._units, marks, grown, strict=True)
            if part
        )
        self.row.staking += staking
        self.row.market += self.worth(holdings) - before - staking

    def accrue(self, changes: Sequence[int]) -> None:
        """Balances change by themselves."""
        self._post(changes)
        self.row.carry += self.worth(changes)

    def owe(self, changes: Sequence[int]) -> None:
        """Interest falls due; changes of the exposure."""
        self._post(changes)
        self.row.borrow -= self.worth(changes)

    def seize(self, changes: Sequence[int]) -> None:
        """Liquidators, or who deleverages, repay and take; changes of the exposure."""
        self._post(changes)
        self.row.penalty -= self.worth(changes)

    def trade(
        self, legs: Sequence[Leg], amounts_in: Sequence[int], amounts_out: Sequence[int], costs: Sequence[LegCost]
    ) -> list[int]:
        """An order settled; returns by how much its swaps changed the exposures."""
        changes = [0] * len(self._units)
        for leg, paid, got in zip(legs, amounts_in, amounts_out, strict=True):
            if leg.token_in != leg.token_out:
                changes[leg.token_in] -= paid
                changes[leg.token_out] += got
        self._post(changes)
        self.row.fees += sum(cost.fee for cost in costs)
        self.row.impact += sum(cost.impact for cost in costs)
        self.row.sandwich += sum(cost.sandwich for cost in costs)
        self.row.basis += sum(cost.basis for cost in costs)
        return changes

    def enter(self, amounts: Sequence[int]) -> float:
        """Somebody brings tokens; returns their USD."""
        self._post(amounts)
        usd = self.worth(amounts)
        self.row.deposits += usd
        return usd

    def leave(self, amounts: Sequence[int]) -> float:
        """Somebody takes tokens; returns their USD."""
        self._post([-amount for amount in amounts])
        usd = self.worth(amounts)
        self.row.withdrawals += usd
        return usd

    def close(self, holdings: Sequence[int]) -> Row:
        """Check the step against the holdings and begin the next one.

        Raises
        ------
        AccountingError
            They disagree.
        """
        row = self.row
        total = sum(held * price for held, price in zip(holdings, self._prices, strict=True))
        if total != self._total:
            raise AccountingError(f"{iso(row.timestamps)}: holdings are worth {total}, the books say {self._total}")
        row.value = self.worth(holdings)
        gap = row.value - self._value - row.explained
        if abs(gap) > TOLERANCE * max(1.0, self._value, row.value):
            raise AccountingError(
                f"{iso(row.timestamps)}: value changed by {row.value - self._value:.6f} USD, "
                f"its parts by {row.explained:.6f}"
            )
        self._value = row.value
        self.row = Row(row.timestamps)
        return row

    def _post(self, amounts: Sequence[int]) -> None:
        self._total += sum(amount * price for amount, price in zip(amounts, self._prices, strict=True))
