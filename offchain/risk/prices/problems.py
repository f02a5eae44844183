# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with a price file, and what is then done about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from offchain.errors import PlimsollError


class ProblemKind(StrEnum):
    """Kinds of problem; `RULES` says what happens to each."""

    SHORT_ROW = "short_row"
    NO_SYMBOL = "no_symbol"
    BAD_TIME = "bad_time"
    BAD_PRICE = "bad_price"
    BAD_BAR = "bad_bar"
    OUT_OF_ORDER = "out_of_order"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    GAP_FILLED = "gap_filled"
    GAP = "gap"
    REPLACED = "replaced"
    JUMP = "jump"
    STARTS_LATE = "starts_late"
    ENDS_EARLY = "ends_early"


RULES: dict[ProblemKind, str] = {
    ProblemKind.SHORT_ROW: "row ignored",
    ProblemKind.NO_SYMBOL: "row ignored",
    ProblemKind.BAD_TIME: "row ignored",
    ProblemKind.BAD_PRICE: "row ignored",
    ProblemKind.BAD_BAR: "price kept, high and low ignored",
    ProblemKind.OUT_OF_ORDER: "rows sorted by time",
    ProblemKind.DUPLICATE: "later row ignored",
    ProblemKind.CONFLICT: "earlier row kept, later row ignored",
    ProblemKind.GAP_FILLED: "last price carried forward",
    ProblemKind.GAP: "left empty; the first return after it is not computed",
    ProblemKind.REPLACED: "treated as another asset from here on; the return across is not computed",
    ProblemKind.JUMP: "kept: a real crash looks the same",
    ProblemKind.STARTS_LATE: "no price before its first row",
    ProblemKind.ENDS_EARLY: "no price after its last row",
}
"""The stated rule for each kind of problem. Nothing is ever taken from a later row to mend an earlier one."""


class PriceFileError(PlimsollError):
    """A price file that cannot be used.

    Attributes
    ----------
    file
        The file as it was named.
    row
        Row number as an editor shows it (the header is row 1); None when the file as a whole is at fault.
    column
        The column at fault, where there is one.
    value
        What stood there.
    """

    def __init__(
        self, file: str | Path, problem: str, *, row: int | None = None, column: str | None = None,
        value: str | None = None,
    ) -> None:  # fmt: skip
        self.file, self.row, self.column, self.value = str(file), row, column, value
        place = self.file + (f", row {row}" if row is not None else "") + (f", column {column}" if column else "")
        super().__init__(f"{place}: {problem}")


@dataclass(frozen=True, slots=True)
class PriceProblem:
    """One thing wrong with a file.

    Attributes
    ----------
    kind
        What it is; ``RULES[kind]`` is what was done.
    file
        The file as it was named.
    row
        Row number as an editor shows it; for a gap, the first row after it. None for a whole series.
    symbol
        The series, empty where the row does not say.
    column, value
        The cell, where there is one.
    text
        What is wrong, in a sentence without the place.
    """

    kind: ProblemKind
    file: str
    row: int | None
    symbol: str
    text: str
    column: str | None = None
    value: str | None = None

    JSON_ALSO: ClassVar = ("rule",)

    @property
    def rule(self) -> str:
        """What was done about it."""
        return RULES[self.kind]

    def error(self) -> PriceFileError:
        """Return the same as an error, for readers that take no problem at all."""
        return PriceFileError(self.file, self.text, row=self.row, column=self.column, value=self.value)

    def __str__(self) -> str:
        """Return place, problem and rule in one line."""
        place = self.file + (f", row {self.row}" if self.row is not None else "")
        return f"{place}: {self.text}: {self.rule}"


Report = Callable[[PriceProblem], None]
