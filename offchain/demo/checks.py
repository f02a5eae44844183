# SPDX-License-Identifier: Apache-2.0
"""What a demonstration has to show, asked of its record."""

from __future__ import annotations

from collections.abc import Iterator

from offchain.errors import PlimsollError
from offchain.market.snapshot import BreakerState
from offchain.web.record import WAD, LoanRecord, RunRecord, totals

LEAST_SETTLEMENTS = 20
LEAST_OVER_TWO_VENUES = 3
DUST_USD = 0.01
FULL_LENGTH_DAYS = 60


class DemoFailed(PlimsollError):
    """The demonstration ran and did not show what it has to."""


def require(record: RunRecord, *, expect_trip: bool, full_length: bool) -> None:
    """Raise `DemoFailed` with everything that is missing.

    Parameters
    ----------
    expect_trip
        The path has a crash that must trip the breaker.
    full_length
        It ran long enough for the numbers of settlements to be asked for.
    """
    problems = [*_settlements(record, full_length=full_length), *_exits(record)]
    if expect_trip:
        problems += _breaker(record)
    if record.loan is not None:
        problems += _loan(record.loan)
    if problems:
        raise DemoFailed(f"the demonstration ran, but {'; '.join(problems)}")


def _settlements(record: RunRecord, *, full_length: bool) -> Iterator[str]:
    sums = totals(record)
    if full_length and sums.settlements < LEAST_SETTLEMENTS:
        yield f"settled {sums.settlements} times, not {LEAST_SETTLEMENTS}"
    across = sum(len({leg.venue for leg in one.legs}) > 1 for one in record.settlements)
    if full_length and across < LEAST_OVER_TWO_VENUES:
        yield f"{across} settlements went over Uniswap v2 and v3 both, not {LEAST_OVER_TWO_VENUES}"
    if not record.settlements:
        yield "nothing was settled"
    for one in record.settlements:
        if not one.closer:
            yield f"settlement {one.tx} ended outside the mandate and no closer to it"


def _breaker(record: RunRecord) -> Iterator[str]:
    drawdowns = [one for one in record.breaker_events if one.reason == "drawdown"]
    if not drawdowns:
        yield "the breaker did not trip"
        return
    tripped = drawdowns[0]
    if tripped.state is not BreakerState.REDUCE_ONLY:
        yield f"the breaker went to {tripped.state.name}, not REDUCE_ONLY"
    if not any(one.block > tripped.block and one.reason == "reduces" for one in record.settlements):
        yield "nothing was sold while the vault was only reducing"
    if not any(one.block > tripped.block and one.kind == "redeem in kind" for one in record.redemptions):
        yield "nobody left in kind while the vault was only reducing"


def _exits(record: RunRecord) -> Iterator[str]:
    if record.final_supply:
        yield f"{record.final_supply / WAD} shares are left"
    if record.final_value > DUST_USD * WAD:
        yield f"${record.final_value / WAD:,.6f} is left in the vault"


def _loan(loan: LoanRecord) -> Iterator[str]:
    for fate in (loan.kept, loan.rescued):
        if fate.liquidated:
            yield f"the vault {fate.name} was liquidated"
    if loan.kept.lowest_health <= loan.trigger:
        yield f"the keeper let the health factor fall to {loan.kept.lowest_health:.3f}, the trigger is {loan.trigger:g}"
    if not loan.rescued.repairs:
        yield "nobody deleveraged the vault whose keeper was dead"
    if not loan.control.liquidated:
        yield "the account at fixed leverage was not liquidated, so that nothing was shown"
