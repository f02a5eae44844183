# SPDX-License-Identifier: Apache-2.0
"""judge, budgets: what any window of t seconds may cost is C + r * t."""

from __future__ import annotations

from fractions import Fraction
from functools import partial

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.contracts.mandate.conftest import Judge, deploy_judge, loose_limits
from tests.support.evm import Evm, attempt, reverts
from tests.support.reference import Windows
from tests.support.world import BPS, DAY, ONE

V = 10**24
"""A million dollars."""
UNIT = 10**7
"""What levels are kept in."""

in_pytest = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def lose(judge: Judge, fraction: int) -> dict[str, int]:
    """A settlement that loses a fraction at 1e18 of value."""
    return judge((V, V), (V, V - 2 * V * fraction // ONE))


def turn(judge: Judge, fraction: int) -> dict[str, int]:
    """A settlement that turns over a fraction at 1e18 and loses nothing."""
    moved = 2 * V * fraction // ONE
    return judge((V, V), (V + moved, V - moved))


def test_loss_is_the_fraction_lost_rounded_up(judge: Judge) -> None:
    assert judge((2 * ONE, ONE), (2 * ONE, ONE - 1))["loss"] == 1
    assert judge((3, 0), (2, 0))["loss"] == -(-ONE // 3)


def test_a_gain_is_no_loss(judge: Judge) -> None:
    assert judge((V, V), (V, V + V // 10))["loss"] == 0


@pytest.mark.parametrize(
    ("before", "after", "turnover"),
    [
        ((100, 100), (150, 50), 50),
        ((100, 100), (150, 40), 60),
        ((100, 100), (170, 50), 70),
        ((100, 100), (100, 100), 0),
    ],
)
def test_turnover_is_the_larger_of_bought_and_sold(
    judge: Judge, before: tuple[int, int], after: tuple[int, int], turnover: int
) -> None:
    assert judge(before, after)["turnover"] == turnover * ONE // 200


@pytest.mark.parametrize(("spend", "reason"), [(lose, "loss_budget: exhausted"), (turn, "turnover: exhausted")])
def test_the_bucket_holds_its_capacity_and_not_a_wei_more(evm: Evm, spend, reason: str) -> None:  # type: ignore[no-untyped-def]
    judge = deploy_judge(evm, loose_limits(2, loss_capacity_bps=100, turnover_capacity_bps=100))
    with evm.rolled_back():
        spend(judge, 100 * BPS)
        with reverts(reason):
            spend(judge, 1)
    with evm.rolled_back(), reverts(reason):
        spend(judge, 100 * BPS + 1)


def test_many_small_losses_under_a_per_trade_cap(evm: Evm) -> None:
    """A thousand losses of a basis point are ten per cent: the bucket sees the sum."""
    judge = deploy_judge(evm, loose_limits(2, loss_capacity_bps=100, loss_refill_bps_per_day=25))
    lost = 0
    for _ in range(1000):
        outcome, reason = attempt(lambda: lose(judge, BPS))
        assert reason in (None, "loss_budget: exhausted")
        lost += outcome["loss"] if outcome else 0
        evm.mine(60)
    assert lost <= 100 * BPS + 25 * BPS * 60 * 1000 // DAY
    assert lost >= 100 * BPS


def test_levels_are_kept_rounded_up(evm: Evm) -> None:
    """What a settlement costs is told exactly; what stands is never less than that, and less than a unit more."""
    judge = deploy_judge(evm, loose_limits(2))
    for fraction, loss, standing in ((1, 1, UNIT), (UNIT, UNIT, 2 * UNIT), (UNIT + 1, UNIT + 1, 4 * UNIT)):
        outcome = lose(judge, fraction)
        assert (outcome["loss"], outcome["loss_level"]) == (loss, standing)
        assert judge.mandate.loss_level() == standing


def test_settlements_every_second_do_not_keep_the_leak_from_running(evm: Evm) -> None:
    judge = deploy_judge(evm, loose_limits(2, loss_refill_bps_per_day=1))
    lose(judge, 100 * BPS)
    for _ in range(100):
        evm.timestamp += 1
        judge((V, V), (V, V))
    leaked = 100 * BPS - judge.mandate.loss_level()
    assert 100 * BPS // DAY - 100 * UNIT <= leaked <= 100 * BPS // DAY


def test_a_settlement_writes_one_slot_though_it_moves_the_peak(evm: Evm) -> None:
    judge = deploy_judge(evm, loose_limits(2))

    def slots() -> list[int]:
        return [evm.storage(judge.mandate.address, slot) for slot in range(64)]

    before = slots()
    evm.timestamp += 60
    judge((2 * V, V), (2 * V, V - 1), per_share_after=2 * ONE)
    assert judge.mandate.peak() == 2 * ONE
    assert judge.mandate.loss_level() > 0
    assert sum(old != new for old, new in zip(before, slots(), strict=True)) == 1


@pytest.mark.parametrize("clock", [0, 1, DAY - 1, 7 * DAY - 1, 365 * DAY - 1])
def test_a_budget_that_resets_at_a_clock_boundary(evm: Evm, clock: int) -> None:
    """Spent just before any boundary of the calendar, it is still spent just after it."""
    evm.timestamp = 1_704_067_200 + clock
    judge = deploy_judge(evm, loose_limits(2, loss_capacity_bps=100, loss_refill_bps_per_day=24))
    lose(judge, 100 * BPS)
    evm.timestamp += 2
    with reverts("loss_budget: exhausted"):
        lose(judge, BPS)


def test_a_rate_limit_keyed_by_timestamp_modulo_period(evm: Evm) -> None:
    judge = deploy_judge(evm, loose_limits(2, loss_capacity_bps=100, loss_refill_bps_per_day=24))
    lose(judge, 100 * BPS)
    evm.timestamp += 3600
    with reverts("loss_budget: exhausted"):
        lose(judge, BPS + 1)
    lose(judge, BPS)


def test_gains_refill_nothing(evm: Evm) -> None:
    judge = deploy_judge(evm, loose_limits(2, loss_capacity_bps=100))
    lose(judge, 100 * BPS)
    judge((V, V), (V, 2 * V))
    with reverts("loss_budget: exhausted"):
        lose(judge, 1)


def test_an_empty_settlement_passes_a_full_bucket(evm: Evm) -> None:
    judge = deploy_judge(evm, loose_limits(2, loss_capacity_bps=100, turnover_capacity_bps=100))
    lose(judge, 100 * BPS)
    judge((V, V), (V, V))


def test_idle_time_does_not_save_up_beyond_the_capacity(evm: Evm) -> None:
    judge = deploy_judge(evm, loose_limits(2, loss_capacity_bps=100, loss_refill_bps_per_day=25))
    evm.mine(1000 * DAY)
    with reverts("loss_budget: exhausted"):
        lose(judge, 101 * BPS)


def test_levels_leak_to_now(evm: Evm) -> None:
    judge = deploy_judge(evm, loose_limits(2, loss_refill_bps_per_day=24, turnover_refill_bps_per_day=48))
    lose(judge, 100 * BPS)
    turn(judge, 1000 * BPS)
    turnover = judge.mandate.turnover_level()
    evm.timestamp += 3600
    assert judge.mandate.loss_level() == 99 * BPS
    assert judge.mandate.turnover_level() == turnover - 2 * BPS
    evm.timestamp += 1000 * DAY
    assert judge.mandate.loss_level() == judge.mandate.turnover_level() == 0


def test_a_change_of_rates_counts_only_from_then_on(evm: Evm) -> None:
    """The leak until the change is booked at the old rate."""
    limits = loose_limits(2, loss_refill_bps_per_day=240)
    judge = deploy_judge(evm, limits)
    lose(judge, 1000 * BPS)
    evm.timestamp += DAY // 2
    judge.mandate.set_limits(limits._replace(loss_refill_bps_per_day=24), sender="curator")
    assert judge.mandate.loss_level() == 880 * BPS
    evm.timestamp += DAY // 2
    assert judge.mandate.loss_level() == 868 * BPS


def test_a_capacity_tightened_below_the_level_stops_losses_only(evm: Evm) -> None:
    limits = loose_limits(2)
    judge = deploy_judge(evm, limits)
    lose(judge, 1000 * BPS)
    judge.mandate.set_limits(limits._replace(loss_capacity_bps=500), sender="curator")
    turn(judge, 100 * BPS)
    with reverts("loss_budget: exhausted"):
        lose(judge, 1)


def test_the_largest_turnover_fits(evm: Evm) -> None:
    judge = deploy_judge(evm, loose_limits(2))
    assert judge((1, 10**20), (6 * 10**20, 10**20))["turnover_level"] <= 65_535 * BPS
    with reverts("turnover: exhausted"):
        judge((1, 10**20), (6 * 10**20, 10**20))


steps = st.lists(
    st.tuples(
        st.sampled_from(["loss", "turnover", "tighten"]),
        st.integers(0, 120 * BPS) | st.integers(0, 5),
        st.integers(0, 5) | st.integers(0, 3 * DAY),
    ),
    min_size=2,
    max_size=25,
)


@given(steps=steps, capacity=st.integers(0, 200), refill=st.integers(0, 300))
@in_pytest
def test_any_window_costs_at_most_capacity_and_refill(
    evm: Evm, steps: list[tuple[str, int, int]], capacity: int, refill: int
) -> None:
    """Every window between two settlements, recomputed from what was charged; refusals are justified too."""
    limits = loose_limits(
        2,
        loss_capacity_bps=capacity,
        loss_refill_bps_per_day=refill,
        turnover_capacity_bps=capacity,
        turnover_refill_bps_per_day=refill,
    )
    windows = {"loss": Windows(), "turnover": Windows()}
    levels = {"loss": Fraction(0), "turnover": Fraction(0)}
    with evm.rolled_back():
        judge = deploy_judge(evm, limits)
        for window in windows.values():
            window.set_rate(evm.timestamp, refill)
        for kind, amount, wait in steps:
            evm.timestamp += wait
            rate = Fraction(refill * BPS, DAY)
            levels = {name: max(Fraction(0), level - rate * wait) for name, level in levels.items()}
            if kind == "tighten":
                refill = refill * 2 // 3
                limits = limits._replace(loss_refill_bps_per_day=refill, turnover_refill_bps_per_day=refill)
                judge.mandate.set_limits(limits, sender="curator")
                for window in windows.values():
                    window.set_rate(evm.timestamp, refill)
                continue
            outcome, reason = attempt(partial(lose if kind == "loss" else turn, judge, amount))
            if outcome is None:
                note(f"{evm.timestamp}: {kind} of {amount} refused: {reason}")
                # What is lost is sold too, so a loss counts against both. The contract rounds up by
                # less than a unit a step.
                slack = UNIT * len(steps)
                assert max(levels["loss"] * (kind == "loss"), levels["turnover"]) + amount > capacity * BPS - slack
                continue
            for name, window in windows.items():
                window.charge(evm.timestamp, outcome[name], capacity)
                levels[name] += outcome[name]
                assert levels[name] <= outcome[f"{name}_level"] <= levels[name] + UNIT * len(steps)
        for window in windows.values():
            window.check()
