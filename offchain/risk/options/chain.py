# SPDX-License-Identifier: Apache-2.0
"""Option chains: what a file says, in dollars, with every row that cannot be used reported."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

import numpy as np

from offchain.risk.arrays import BoolArray, FloatArray, IntArray
from offchain.risk.options.errors import OptionError


class ChainProblemKind(StrEnum):
    """What can be wrong with a row of a chain; `CHAIN_RULES` says what happens to it."""

    SHORT_ROW = "short_row"
    BAD_VALUE = "bad_value"
    NO_PRICE = "no_price"
    EXPIRED = "expired"
    DUPLICATE = "duplicate"
    CROSSED = "crossed"
    PERCENT = "percent"
    NO_VOLATILITY = "no_volatility"
    TOO_FEW = "too_few"


CHAIN_RULES: dict[ChainProblemKind, str] = {
    ChainProblemKind.SHORT_ROW: "row ignored",
    ChainProblemKind.BAD_VALUE: "row ignored",
    ChainProblemKind.NO_PRICE: "row ignored",
    ChainProblemKind.EXPIRED: "row ignored",
    ChainProblemKind.DUPLICATE: "earlier row kept, later row ignored",
    ChainProblemKind.CROSSED: "bid and ask ignored, the mark counts",
    ChainProblemKind.PERCENT: "kept as written",
    ChainProblemKind.NO_VOLATILITY: "no volatility, left out of the surface",
    ChainProblemKind.TOO_FEW: "expiry left out of the surface",
}
"""The stated rule for each kind of problem."""


@dataclass(frozen=True, slots=True)
class ChainProblem:
    """One thing wrong with a chain.

    Attributes
    ----------
    kind
        What it is; ``CHAIN_RULES[kind]`` is what was done.
    row
        Row number as an editor shows it (the header is row 1); None for an expiry as a whole.
    contract
        The contract's name, or the row's own words for it.
    text
        What is wrong, in a sentence without the place.
    """

    kind: ChainProblemKind
    row: int | None
    contract: str
    text: str

    JSON_ALSO: ClassVar = ("rule",)

    @property
    def rule(self) -> str:
        """What was done about it."""
        return CHAIN_RULES[self.kind]

    def __str__(self) -> str:
        """Return place, problem and rule in one line."""
        place = f"row {self.row}: " if self.row is not None else ""
        return f"{place}{self.contract} {self.text}: {self.rule}"


@dataclass(frozen=True, eq=False)
class OptionChain:
    """Options quoted at one moment, prices in dollars.

    Attributes
    ----------
    file
        Where they come from.
    rows
        Shape (n,), row numbers in the file.
    contracts, underlyings, expiries
        Names, one an option; options of one expiry share its name though they were seen at different moments.
    is_call
        Shape (n,).
    strike, expiry_years, forward, rate
        Shape (n,).
    price
        Shape (n,), what the file calls price or mark; NaN where it gives a volatility only.
    volatility
        Shape (n,), per year, as the file gives it; NaN where it gives a price only.
    bid, ask
        Shape (n,), NaN where there is none.
    published
        The exchange's own Greeks by name, each of shape (n,), in the units of `exchange_greeks`; empty if none.
    coin_settled
        Whether the exchange quotes in the coin; prices here are already in dollars.
    problems
        What was wrong, in the order of the rows.
    """

    file: str
    rows: IntArray
    contracts: tuple[str, ...]
    underlyings: tuple[str, ...]
    expiries: tuple[str, ...]
    is_call: BoolArray
    strike: FloatArray
    expiry_years: FloatArray
    forward: FloatArray
    rate: FloatArray
    price: FloatArray
    volatility: FloatArray
    bid: FloatArray
    ask: FloatArray
    published: dict[str, FloatArray]
    coin_settled: bool
    problems: tuple[ChainProblem, ...]

    @property
    def log_moneyness(self) -> FloatArray:
        """Logarithm of strike over forward, shape (n,)."""
        k: FloatArray = np.log(self.strike / self.forward)
        return k

    def of(self, underlying: str) -> OptionChain:
        """Return the options on one underlying, with all problems.

        Raises
        ------
        OptionError
            When there are none; the error lists the underlyings there are.
        """
        kept = np.array([name == underlying for name in self.underlyings])
        if not kept.any():
            there = ", ".join(sorted(set(self.underlyings)))
            raise OptionError(f"{self.file}: no options on {underlying}; there are some on {there}")
        return self.where(kept)

    def where(self, kept: BoolArray) -> OptionChain:
        """Return the options of a mask of shape (n,), with all problems."""
        chosen = np.flatnonzero(kept)
        return OptionChain(
            file=self.file,
            rows=self.rows[chosen],
            contracts=tuple(self.contracts[at] for at in chosen),
            underlyings=tuple(self.underlyings[at] for at in chosen),
            expiries=tuple(self.expiries[at] for at in chosen),
            is_call=self.is_call[chosen],
            strike=self.strike[chosen],
            expiry_years=self.expiry_years[chosen],
            forward=self.forward[chosen],
            rate=self.rate[chosen],
            price=self.price[chosen],
            volatility=self.volatility[chosen],
            bid=self.bid[chosen],
            ask=self.ask[chosen],
            published={name: values[chosen] for name, values in self.published.items()},
            coin_settled=self.coin_settled,
            problems=self.problems,
        )

    def __len__(self) -> int:
        """Return the number of options."""
        return len(self.contracts)
