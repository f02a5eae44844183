# SPDX-License-Identifier: Apache-2.0
"""Plans of a vault that borrows: how much leverage, in which legs, and what the crash makes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from offchain.allocate import Plan, PlanReason, make_plan
from offchain.allocate.borrowing import compile_borrowing
from offchain.allocate.bounds import compile_frame
from offchain.allocate.joint import best_target
from offchain.allocate.judge import Portfolio, refusals
from offchain.allocate.lending import MAX_LEGS
from offchain.allocate.objective import mean_variance
from offchain.allocate.outer import approximate_target
from offchain.allocate.report import plan_lines
from offchain.allocate.target import TargetProblem
from offchain.mandate import Mandate
from offchain.market.snapshot import BreakerState, Snapshot
from offchain.route.leg import LendingAction
from offchain.route.lending import ONE, LendingAccount
from offchain.route.pool import pools_from_states
from offchain.sandbox.standup import Sandbox
from tests.support.stakers import ETHER, STAKED, Stakers, stakers_of

FLOOR, TARGET = 1.15, 1.3


@pytest.fixture(scope="module")
def stakers(sandbox_node: Sandbox) -> Stakers:
    mark = sandbox_node.rpc.call("evm_snapshot")
    found = stakers_of(sandbox_node)
    sandbox_node.rpc.call("evm_revert", mark)
    return found


@pytest.fixture
def opening(stakers: Stakers) -> Snapshot:
    """A hundred ether in the wallet."""
    return stakers.holding(ether=100 * ONE)


def healths(plan: Plan, snapshot: Snapshot) -> list[float]:
    """Health factor after each leg, by the account's twin alone."""
    assert snapshot.lending is not None
    account, found = LendingAccount.from_state(snapshot.lending), []
    for leg in plan.legs:
        if leg.is_swap:
            continue
        act = LendingAction(leg.fee_ppm)
        if act is LendingAction.SET_E_MODE:
            account = account.in_wanted_mode()
            continue
        change = {
            LendingAction.SUPPLY: LendingAccount.supply,
            LendingAction.WITHDRAW: LendingAccount.withdraw,
            LendingAction.BORROW: LendingAccount.borrow,
            LendingAction.REPAY: LendingAccount.repay,
        }[act]
        account = change(account, leg.token_in, leg.amount_in)
        found.append(account.health_factor / ONE)
    return found


def test_carry_is_taken_with_the_leverage_that_the_health_factor_allows(stakers: Stakers, opening: Snapshot) -> None:
    plan = make_plan(opening, stakers.forecast(), stakers.mandate)
    assert plan.reason is PlanReason.IMPROVES
    # 1.3 / (1.3 - 0.95), the leverage at which the health factor is the target.
    assert plan.target_weights[STAKED] == pytest.approx(TARGET / (TARGET - 0.95), rel=2e-3)
    assert plan.binding_limits[0].name == "health factor of 1.3"
    assert len(plan.legs) <= MAX_LEGS
    assert plan.health_after is not None and TARGET <= plan.health_after < 1.4  # noqa: PT018
    assert plan.leverage_after > 3.3


def test_no_leg_on_the_way_goes_below_the_floor(stakers: Stakers, opening: Snapshot) -> None:
    plan = make_plan(opening, stakers.forecast(), stakers.mandate)
    found = healths(plan, opening)
    assert min(found) >= FLOOR
    assert min(found) < FLOOR * 1.01
    assert found[-1] == plan.health_after


def test_second_settlement_finishes_what_sixteen_legs_could_not(stakers: Stakers) -> None:
    plan = make_plan(stakers.leveraged(3.5), stakers.forecast(), stakers.mandate)
    assert plan.health_after == pytest.approx(TARGET, rel=1e-6)
    assert plan.leverage_after == pytest.approx(TARGET / (TARGET - 0.95), rel=2e-3)


def test_without_carry_nothing_is_borrowed(stakers: Stakers, opening: Snapshot) -> None:
    assert not make_plan(opening, stakers.forecast(carry=0.0), stakers.mandate).trades


def test_interest_above_the_carry_is_not_paid(stakers: Stakers, opening: Snapshot) -> None:
    """Ether costs 1.7 % at the sandbox's utilisation: a carry of 1 % is worth taking with own money only."""
    plan = make_plan(opening, stakers.forecast(carry=0.01), stakers.mandate)
    assert plan.trades
    assert plan.leverage_after == pytest.approx(1.0, abs=1e-9)
    assert plan.weights_after[STAKED] > 0.9


def test_riskier_paths_allow_less_leverage(stakers: Stakers, opening: Snapshot) -> None:
    calm, wild = (
        compile_borrowing(opening, stakers.forecast(deviation=deviation), stakers.mandate) for deviation in (0.01, 0.4)
    )
    assert calm is not None
    assert wild is not None
    assert calm.health == TARGET
    assert wild.health > TARGET
    # By definition: at that health factor one path in a hundred is liquidated.
    paths = stakers.forecast(deviation=0.4).paths
    assert paths is not None
    ratio = np.cumprod(1 + paths[:, :, STAKED], axis=1) / np.cumprod(1 + paths[:, :, ETHER], axis=1)
    ends_below = (ratio.min(axis=1) * wild.health < 1.0).mean()
    # Between the ends of days more are: the quantile counts these too.
    assert 0.001 < ends_below <= 0.01


def test_small_fall_of_the_health_factor_is_let_be(stakers: Stakers) -> None:
    snapshot = stakers.discounted(stakers.leveraged(3.5), 2)
    assert snapshot.health_factor == pytest.approx(1.264, abs=1e-3)
    assert make_plan(snapshot, stakers.forecast(), stakers.mandate).reason is PlanReason.NO_TRADE_PAYS


@pytest.mark.parametrize("words", [4, 6])
def test_in_a_crash_debt_is_paid_back_first(stakers: Stakers, words: int) -> None:
    """10 and 14 % down: the second stands below the chain's floor, where the way may dip half of what is left."""
    snapshot = stakers.discounted(stakers.leveraged(3.5), words)
    plan = make_plan(snapshot, stakers.forecast(), stakers.mandate)
    assert plan.reason is PlanReason.REPAIRS
    assert plan.health_after is not None
    assert snapshot.health_factor is not None
    assert plan.health_after > snapshot.health_factor
    assert plan.leverage_after < snapshot.leverage
    found, now = healths(plan, snapshot), snapshot.health_factor
    assert min(found) > min(FLOOR, 1 + (now - 1) / 2 - 1e-9)
    assert [LendingAction(leg.fee_ppm) for leg in plan.legs if not leg.is_swap][:2] == [
        LendingAction.WITHDRAW, LendingAction.REPAY,
    ]  # fmt: skip
    assert min(found[1::2]) == found[1]


def test_reducing_pays_the_debt_and_keeps_ether(stakers: Stakers) -> None:
    snapshot = stakers.leveraged(2.0)
    stopped = replace(snapshot, vault=replace(snapshot.vault, breaker=BreakerState.REDUCE_ONLY))
    plan = make_plan(stopped, stakers.forecast(), stakers.mandate)
    assert plan.reason is PlanReason.REDUCES
    assert plan.leverage_after < 1.01
    assert plan.weights_after[STAKED] < 0.05


@pytest.mark.parametrize(("words", "buffer"), [(0, 0), (3, 0), (5, 0), (3, 500)])
def test_kernels_and_the_program_in_cvxpy_agree(stakers: Stakers, words: int, buffer: int) -> None:
    snapshot = stakers.discounted(stakers.leveraged(3.0 if words else 2.0), words)
    snapshot, mandate = with_limits(stakers, snapshot, min_buffer_bps=buffer)
    forecast = stakers.forecast()
    borrowing = compile_borrowing(snapshot, forecast, mandate)
    frame = compile_frame(snapshot, mandate.vault_limits, (True, True), borrowing=borrowing)
    objective = mean_variance(forecast, mandate.objective.risk_aversion, borrowing)
    objective = replace(objective, penalty=float(frame.violated))
    pools = pools_from_states(snapshot.pools)
    units = np.array([asset.price / 10**18 / snapshot.value for asset in snapshot.assets])
    fast = best_target(TargetProblem(pools, units, frame, objective))
    slow = approximate_target(TargetProblem(pools, units, frame, objective))
    assert fast.change is not None
    assert slow.change is not None
    assert fast.change == pytest.approx(slow.change, abs=2e-3)
    assert fast.bound == pytest.approx(slow.bound, abs=2e-5)


def checked(stakers: Stakers, before: Snapshot, after: Snapshot, **limits: int) -> set[str]:
    """Rules that refuse going from one account to another."""
    rules = replace(stakers.mandate.vault_limits, **limits)
    stands = replace(before, vault=replace(before.vault, limits=rules))
    return {one.rule for one in refusals(stands, Portfolio.of(after), rules)}


def test_leverage_above_the_cap_is_refused_unless_it_falls(stakers: Stakers) -> None:
    two, three, four = (stakers.leveraged(one) for one in (2.0, 3.0, 4.0))
    assert checked(stakers, two, three, max_leverage_bps=25_000) == {"limits: leverage"}
    assert checked(stakers, four, three, max_leverage_bps=25_000) == set()
    assert checked(stakers, three, four, max_leverage_bps=25_000) == {"limits: leverage"}


def test_health_factor_below_the_floor_is_refused_unless_it_rises(stakers: Stakers) -> None:
    two, three, four = (stakers.leveraged(one) for one in (2.0, 3.0, 4.0))
    assert checked(stakers, two, three, min_health_bps=15_000) == {"limits: health factor"}
    assert checked(stakers, four, three, min_health_bps=15_000) == set()
    assert checked(stakers, three, four, min_health_bps=15_000) == {"limits: health factor"}


def test_reducing_lets_no_leverage_rise(stakers: Stakers) -> None:
    two, three = stakers.leveraged(2.0), stakers.leveraged(3.0)
    stopped = replace(two, vault=replace(two.vault, breaker=BreakerState.REDUCE_ONLY))
    assert "limits: leverage increased" in checked(stakers, stopped, three)
    assert "limits: leverage increased" not in checked(stakers, replace(three, vault=stopped.vault), two)


def test_a_reader_sees_what_is_borrowed(stakers: Stakers, opening: Snapshot) -> None:
    lines = "\n".join(plan_lines(make_plan(opening, stakers.forecast(), stakers.mandate), opening))
    assert "Leverage 1.00 -> 3.53, health factor 1.326" in lines
    assert "  enter efficiency mode 1" in lines
    assert "  borrow 82.4" in lines


def with_limits(stakers: Stakers, snapshot: Snapshot, **limits: Any) -> tuple[Snapshot, Mandate]:
    """File and chain with other limits."""
    mandate = stakers.mandate
    mandate = mandate.model_copy(update={"limits": mandate.limits.model_copy(update=limits)})
    return replace(snapshot, vault=replace(snapshot.vault, limits=mandate.vault_limits)), mandate


def left_in_the_wallet(plan: Plan, snapshot: Snapshot, asset: int = ETHER) -> float:
    """Base units after all legs, as a fraction of the value in that asset."""
    held = snapshot.assets[asset].balance
    for leg in plan.legs:
        if leg.is_swap:
            held += (leg.token_out == asset) * leg.amount_out - (leg.token_in == asset) * leg.amount_in
        elif leg.token_in == asset and leg.fee_ppm != LendingAction.SET_E_MODE:
            takes = leg.fee_ppm in (LendingAction.WITHDRAW, LendingAction.BORROW)
            held += leg.amount_in if takes else -leg.amount_in
    return held * snapshot.assets[asset].price / ONE / plan.value_after


def test_the_buffer_stays_in_the_wallet_though_it_is_owed(stakers: Stakers, opening: Snapshot) -> None:
    snapshot, mandate = with_limits(stakers, opening, min_buffer_bps=500)
    plan = make_plan(snapshot, stakers.forecast(), mandate)
    assert plan.reason is PlanReason.IMPROVES
    assert plan.leverage_after > 3
    assert 0.05 <= left_in_the_wallet(plan, snapshot) < 0.06
    # Without one everything is spent or repaid.
    free = make_plan(opening, stakers.forecast(), stakers.mandate)
    assert left_in_the_wallet(free, opening) < 1e-6


def test_a_buffer_that_redemptions_used_is_borrowed_again(stakers: Stakers) -> None:
    snapshot, mandate = with_limits(stakers, stakers.leveraged(2.0), min_buffer_bps=500)
    plan = make_plan(snapshot, stakers.forecast(carry=0.0), mandate)
    assert plan.reason is PlanReason.REPAIRS
    assert left_in_the_wallet(plan, snapshot) >= 0.05


def test_in_a_crash_the_buffer_is_kept_and_while_reducing_it_pays(stakers: Stakers) -> None:
    crashed = stakers.discounted(stakers.leveraged(3.5), 4)
    ether = crashed.assets[ETHER]
    some = replace(crashed, assets=(replace(ether, balance=10 * ONE), crashed.assets[STAKED]))
    snapshot, mandate = with_limits(stakers, some, min_buffer_bps=500)
    plan = make_plan(snapshot, stakers.forecast(), mandate)
    assert plan.reason is PlanReason.REPAIRS
    assert left_in_the_wallet(plan, snapshot) >= 0.05
    stopped = replace(snapshot, vault=replace(snapshot.vault, breaker=BreakerState.REDUCE_ONLY))
    reduced = make_plan(stopped, stakers.forecast(), mandate)
    assert reduced.leverage_after < plan.leverage_after


def test_no_more_is_held_at_the_venue_than_its_cap(stakers: Stakers, opening: Snapshot) -> None:
    snapshot, mandate = with_limits(stakers, opening, max_venues_bps=(20_000,))
    plan = make_plan(snapshot, stakers.forecast(), mandate)
    assert plan.reason is PlanReason.IMPROVES
    assert plan.weights_after[STAKED] == pytest.approx(1.998, abs=2e-3)
    assert "maximum weight of the group held at the lending venue" in {one.name for one in plan.binding_limits}


def test_one_settlement_loses_no_more_than_its_limit(stakers: Stakers, opening: Snapshot) -> None:
    snapshot, mandate = with_limits(stakers, opening, loss_per_settlement_bps=1)
    plan = make_plan(snapshot, stakers.forecast(), mandate)
    assert plan.trades
    assert plan.value_after >= snapshot.value * 0.9999
