# SPDX-License-Identifier: Apache-2.0
"""Made-up records of loans, for what reads them."""

from __future__ import annotations

from offchain.web.record import LoanFate, LoanPoint, LoanRecord, LoanRepair

WAD = 10**18
START = 1_767_225_600
HOUR = 3_600


def fate(name: str, first: float, lowest: float, *, by: str | None, owes: bool = True) -> LoanFate:
    """An account whose health factor fell to `lowest`, where somebody repaid."""
    healths = (first, lowest, lowest + 0.1 if owes else None)
    points = tuple(
        LoanPoint(START + number * HOUR, health, 3.7, (300 - 100 * number) * WAD)
        for number, health in enumerate(healths)
    )
    repairs = (LoanRepair(START + HOUR, by, 142 * WAD, 150 * WAD, lowest, healths[-1]),) if by is not None else ()
    return LoanFate(name, "0x" + "12" * 20, points, repairs)


def loan_record() -> LoanRecord:
    """All three as they should be."""
    return LoanRecord(
        mandate="Staked <Ether>",
        collateral="wstETH",
        debt="WETH",
        depth=0.25,
        crash=(START, START + 2 * HOUR),
        floor=1.15,
        trigger=1.1,
        kept=fate("with its keeper", 1.3, 1.24, by="keeper", owes=False),
        rescued=fate("keeper dead", 1.3, 1.08, by="stranger"),
        control=fate("fixed leverage", 1.3, 0.97, by="liquidator"),
    )
