# SPDX-License-Identifier: Apache-2.0
"""A demonstration that did not show what it has to fails, and says what was missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from offchain.demo.checks import LEAST_SETTLEMENTS, DemoFailed, require
from offchain.demo.scenario import DEPOSITS, DemoError, Scenario
from offchain.market.snapshot import BreakerState
from offchain.web.record import (
    BreakerRecord,
    FlowRecord,
    LegRecord,
    LoanFate,
    RunLimits,
    RunRecord,
    SettlementRecord,
)
from tests.support.records import fate, loan_record

WAD = 10**18
TRIPPED_AT = 500


def settlement(number: int, reason: str = "improves") -> SettlementRecord:
    legs = tuple(
        LegRecord(venue, f"0x{pool:040x}", 0, "WETH", "USDC", WAD, 3000, 2990, 2999)
        for venue, pool in (("uniswap_v2", 1), ("uniswap_v3", 2))
    )
    return SettlementRecord(
        tx=f"0x{number:064x}", block=100 + number, timestamp=number, nonce=number, reason=reason,
        value_before=1000 * WAD, value_after=999 * WAD, loss=10**15, turnover=10**17, loss_level=10**15, gas_used=1,
        effective_gas_price=1, gas_cost_usd=0.0, planned_cost_usd=1.0, weights_before=(0.4, 0.6),
        planned_weights=(0.5, 0.5), weights=(0.5, 0.5), bounds=((0.1, 0.6), (0.2, 0.9)), legs=legs,
    )  # fmt: skip


@pytest.fixture
def record() -> RunRecord:
    trip = BreakerRecord(9, TRIPPED_AT, "0x01", BreakerState.REDUCE_ONLY, "drawdown", 79 * WAD // 100, WAD)
    left = FlowRecord(10, TRIPPED_AT + 1, "0x02", "bob", "redeem in kind", WAD, {"USDC": 1}, WAD, 1)
    settlements = [settlement(number) for number in range(LEAST_SETTLEMENTS)]
    settlements.append(replace(settlement(99, "reduces"), block=TRIPPED_AT + 2))
    return RunRecord(
        title="", subtitle="", vault="0x", chain="", mandate="", seed=1, assets=(), limits=RunLimits(1, 1, 1, 1), ticks=(),
        settlements=tuple(settlements), breaker_events=(trip,), deposits=(), redemptions=(left,), final_value=10**12,
        final_supply=0,
    )  # fmt: skip


def missing(record: RunRecord) -> str:
    with pytest.raises(DemoFailed) as failure:
        require(record, expect_trip=True, full_length=True)
    return str(failure.value)


def test_everything_shown_passes(record: RunRecord) -> None:
    require(record, expect_trip=True, full_length=True)


def test_settlement_that_left_the_mandate_is_named(record: RunRecord) -> None:
    bad = replace(settlement(7), weights=(0.05, 0.95))
    said = missing(replace(record, settlements=(*record.settlements, bad)))
    assert f"settlement {bad.tx} ended outside the mandate and no closer to it" in said


def test_settlement_that_came_closer_is_fine(record: RunRecord) -> None:
    closer = replace(settlement(7), weights_before=(0.01, 0.99), weights=(0.05, 0.95))
    require(replace(record, settlements=(*record.settlements, closer)), expect_trip=True, full_length=True)


def test_too_few_settlements(record: RunRecord) -> None:
    assert "settled 2 times, not 20" in missing(replace(record, settlements=record.settlements[-2:]))


def test_settlements_of_one_venue_only(record: RunRecord) -> None:
    single = tuple(replace(one, legs=one.legs[:1]) for one in record.settlements)
    assert "0 settlements went over Uniswap v2 and v3 both, not 3" in missing(replace(record, settlements=single))


def test_breaker_that_never_tripped(record: RunRecord) -> None:
    assert "the breaker did not trip" in missing(replace(record, breaker_events=()))


def test_nothing_sold_while_reducing(record: RunRecord) -> None:
    assert "nothing was sold" in missing(replace(record, settlements=record.settlements[:-1]))


def test_nobody_left_in_kind_while_reducing(record: RunRecord) -> None:
    assert "nobody left in kind" in missing(replace(record, redemptions=()))


def test_shares_or_value_left(record: RunRecord) -> None:
    assert "3.0 shares are left" in missing(replace(record, final_supply=3 * WAD))
    assert "$2.000000 is left in the vault" in missing(replace(record, final_value=2 * WAD))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"kept": fate("kept", 1.3, 0.9, by="liquidator")}, "the vault kept was liquidated"),
        ({"kept": fate("kept", 1.3, 1.05, by="keeper")}, "the keeper let the health factor fall to 1.050"),
        ({"rescued": fate("rescued", 1.3, 1.2, by=None)}, "nobody deleveraged the vault"),
        ({"control": fate("control", 1.3, 1.2, by=None)}, "was not liquidated, so that nothing was shown"),
    ],
)
def test_second_act_that_showed_something_else(record: RunRecord, changed: dict[str, LoanFate], said: str) -> None:
    assert said in missing(replace(record, loan=replace(loan_record(), **changed)))


def test_second_act_as_it_should_be(record: RunRecord) -> None:
    require(replace(record, loan=loan_record()), expect_trip=True, full_length=True)


def test_a_million_comes_from_three() -> None:
    assert len({role for role, _ in DEPOSITS}) == 3
    assert sum(dollars for _, dollars in DEPOSITS) == 1_000_000


def test_simulated_path_has_one_deep_fall_where_it_was_put(tmp_path: Path) -> None:
    path = Scenario(days=60, seed=43, prices=None, out=tmp_path).path()
    ether = path.series("ETH")
    at_crash = round(0.7 * 60 * 48)
    assert ether[at_crash + 120] / ether[at_crash] == pytest.approx(0.58, abs=1e-9)


def test_too_short_a_story_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="--days 1: at least 2"):
        Scenario(days=1, seed=43, prices=None, out=tmp_path).path()
