# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
import pytest

from offchain.allocate import ForecastInvalidError, MismatchError, Plan, PlanReason, make_plan
from offchain.allocate.judge import Portfolio, refusals
from offchain.allocate.limits import outside, values
from offchain.forecast.forecast import Forecast
from offchain.market.snapshot import AssetState, BreakerState, Snapshot
from offchain.route.gas import EtherPriceUnknownError
from offchain.route.leg import Venue
from offchain.route.pool import pools_from_states
from offchain.route.split import execute

Settled = Callable[[Snapshot, Plan], Snapshot]
REDUCE_ONLY = BreakerState.REDUCE_ONLY


def _utility(mandate: Any, forecast: Forecast, weights: np.ndarray) -> float:
    years = forecast.horizon_days / 365
    risk = mandate.objective.risk_aversion / 2 * years * weights @ forecast.covariance @ weights
    return float((1 + forecast.expected_returns * years) @ weights - risk)


def _values(snapshot: Snapshot) -> tuple[int, ...]:
    return values([asset.balance for asset in snapshot.assets], [asset.price for asset in snapshot.assets])


def _shifted(weight: float) -> tuple[float, ...]:
    """Benchmark weights with some WBTC turned into WETH."""
    return (0.2, 0.3 + weight, 0.27 - weight, 0.08, 0.15)


# Improving


def test_the_benchmark_is_left_alone(vaults: Any, mandate: Any) -> None:
    plan = make_plan(vaults.snapshot(seed=1), vaults.forecast(), mandate)
    assert (plan.reason, plan.trades) == (PlanReason.NO_TRADE_PAYS, False)
    assert plan.gain_bound < mandate.execution.min_improvement_bps / 1e4 + plan.gas_cost_usd / 1e6 + 1e-4
    assert plan.weights_after == plan.weights_before


def test_there_is_a_region_without_trade_and_it_grows_with_gas(vaults: Any, mandate: Any) -> None:
    shifts = np.linspace(0, 0.1, 11)
    decisions = {
        gwei: [
            make_plan(vaults.snapshot(_shifted(shift), base_fee_gwei=gwei), vaults.forecast(), mandate).trades
            for shift in shifts
        ]
        for gwei in (1.0, 200.0)
    }
    for trades in decisions.values():
        assert not trades[0]
        assert trades[-1]
        assert trades == sorted(trades)  # once it pays to trade, it pays further out too
    assert sum(decisions[200.0]) < sum(decisions[1.0])


def test_between_two_settlements_the_vault_cools_down(vaults: Any, mandate: Any) -> None:
    slow = mandate.model_copy(update={"limits": mandate.limits.model_copy(update={"cool_down_s": 600})})
    snapshot = vaults.snapshot(_shifted(0.08))
    for seconds, reason in ((599, PlanReason.WAITS), (600, PlanReason.IMPROVES)):
        vault = replace(snapshot.vault, settled_at=snapshot.block.timestamp - seconds)
        assert make_plan(replace(snapshot, vault=vault), vaults.forecast(), slow).reason is reason


def test_a_gain_below_the_mandates_threshold_is_left(vaults: Any, mandate: Any) -> None:
    snapshot = vaults.snapshot(_shifted(0.08))
    gain = make_plan(snapshot, vaults.forecast(), mandate).gain
    for factor, trades in ((0.99, True), (1.01, False)):
        picky = mandate.execution.model_copy(update={"min_improvement_bps": gain * 1e4 * factor})
        plan = make_plan(snapshot, vaults.forecast(), mandate.model_copy(update={"execution": picky}))
        assert plan.trades is trades


def test_the_gain_is_the_utility_gained_less_gas(vaults: Any, mandate: Any) -> None:
    snapshot, forecast = vaults.snapshot(_shifted(0.08)), vaults.forecast()
    plan = make_plan(snapshot, forecast, mandate)
    assert plan.reason is PlanReason.IMPROVES
    assert plan.utility_before == pytest.approx(_utility(mandate, forecast, np.array(snapshot.weights)), abs=1e-9)
    after = np.array(plan.weights_after) * plan.value_after / snapshot.value
    assert plan.utility_after == pytest.approx(_utility(mandate, forecast, after), abs=1e-9)
    gas = plan.gas_cost_usd / (snapshot.value / 1e18)
    assert plan.gain == pytest.approx(plan.utility_after - plan.utility_before - gas, abs=1e-12)
    assert mandate.execution.min_improvement_bps / 1e4 < plan.gain <= plan.gain_bound


def test_costs_are_exact(vaults: Any, mandate: Any, settled: Settled) -> None:
    snapshot = vaults.snapshot(_shifted(0.08), seed=3)
    plan = make_plan(snapshot, vaults.forecast(), mandate)
    after = settled(snapshot, plan)
    assert after.value == plan.value_after
    assert plan.slippage_cost_usd == pytest.approx((snapshot.value - after.value) / 1e18)
    assert plan.weights_after == pytest.approx(after.weights, abs=1e-12)
    gas = 235_000 + sum(120_000 if leg.venue is Venue.UNISWAP_V3 else 90_000 for leg in plan.legs)
    assert plan.gas_cost_usd == pytest.approx(gas * 5e-9 * 3000)


def test_a_second_look_changes_nothing(vaults: Any, mandate: Any, settled: Settled) -> None:
    random = Random(8)
    traded = 0
    for seed in range(12):
        weights = np.array(mandate.benchmark_weights) * np.exp([random.gauss(0, 0.2) for _ in range(5)])
        snapshot = vaults.snapshot(tuple(np.clip(weights, 0.06, 0.4)), 10 ** random.uniform(5, 6.7), seed=seed)
        plan = make_plan(snapshot, vaults.forecast(), mandate)
        traded += plan.trades
        assert not make_plan(settled(snapshot, plan), vaults.forecast(), mandate).trades
    assert traded > 6


def test_a_feed_that_lags_is_no_reason_to_trade(vaults: Any, mandate: Any) -> None:
    moved = type(vaults)(mandate, usd=(1.0, 3012.0, 60000.0, 15.0, 3514.0))  # the pools know: ether is up 0.4 %
    snapshot = replace(vaults.snapshot(), pools=moved.snapshot().pools)
    assert not make_plan(snapshot, vaults.forecast(), mandate).trades


def test_a_pool_beyond_every_feeds_error_is_taken(vaults: Any, mandate: Any) -> None:
    moved = type(vaults)(mandate, usd=(1.0, 3150.0, 60000.0, 15.0, 3675.0))
    snapshot = replace(vaults.snapshot(), pools=moved.snapshot().pools)
    plan = make_plan(snapshot, vaults.forecast(), mandate)
    assert plan.trades
    assert plan.slippage_cost_usd < 0
    assert plan.weights_after[1] < 0.3


def test_expected_returns_pull_the_weights(vaults: Any, mandate: Any) -> None:
    base = vaults.forecast()
    better = vaults.forecast(returns=base.expected_returns + np.array([0, 0, 0.15, 0, 0]))
    plan = make_plan(vaults.snapshot(), better, mandate)
    assert plan.weights_after[2] > 0.3


def test_the_budget_that_binds_is_named_with_its_price(vaults: Any, mandate: Any) -> None:
    forecast = vaults.forecast(returns=vaults.forecast().expected_returns + np.array([0, 0, 3.0, 0, 0]))
    plan = make_plan(vaults.snapshot(), forecast, mandate)
    binding = {limit.name: limit.shadow_price for limit in plan.binding_limits}
    assert plan.weights_after[2] == pytest.approx(0.448, abs=2e-4)
    assert binding["maximum weight of WBTC"] > 0.05
    short = make_plan(vaults.snapshot(turnover_level=95 * 10**16), forecast, mandate)
    assert short.binding_limits[0].name == "turnover budget"


# Whatever it does, the vault accepts it


@pytest.mark.parametrize("block", range(4))
def test_every_plan_passes_the_vaults_checks(vaults: Any, mandate: Any, settled: Settled, block: int) -> None:
    traded = 0
    for seed in range(block * 30, block * 30 + 30):
        random = Random(seed)
        state: dict[str, Any] = {}
        if random.random() < 0.25:
            state["breaker"] = REDUCE_ONLY
        if random.random() < 0.4:
            state["turnover_level"] = int(random.random() * 10**18)
        if random.random() < 0.4:
            state["loss_level"] = int(random.random() * 10**16)
        snapshot = vaults.random_snapshot(seed, **state)
        plan = make_plan(snapshot, vaults.forecast(), mandate)
        assert len(plan.legs) <= mandate.execution.max_legs
        if not plan.trades:
            continue
        traded += 1
        after = settled(snapshot, plan)  # asserts that every leg pays what it says
        assert refusals(snapshot, Portfolio.of(after), snapshot.vault.limits) == ()
        assert after.value == plan.value_after
        assert plan.gain <= plan.gain_bound
    assert traded >= 10


def test_the_same_arguments_give_the_same_plan(vaults: Any, mandate: Any) -> None:
    snapshots = [vaults.random_snapshot(seed) for seed in (2, 5, 9)]
    first = [make_plan(snapshot, vaults.forecast(), mandate) for snapshot in snapshots]
    again = [make_plan(snapshot, vaults.forecast(), mandate) for snapshot in reversed(snapshots)]
    assert first == again[::-1]


# Repairing


def test_a_deposit_is_invested(vaults: Any, mandate: Any, settled: Settled) -> None:
    snapshot = vaults.snapshot((1, 0, 0, 0, 0), seed=2)
    plan = make_plan(snapshot, vaults.forecast(), mandate)
    assert plan.reason is PlanReason.REPAIRS
    after = settled(snapshot, plan)
    assert outside(_values(after), mandate.vault_limits) == ()
    assert make_plan(after, vaults.forecast(), mandate).trades is False


def test_a_repair_takes_as_many_steps_as_the_budgets_ask(vaults: Any, mandate: Any, settled: Settled) -> None:
    limits = replace(mandate.vault_limits, turnover_capacity_bps=2500)
    snapshot = vaults.snapshot((1, 0, 0, 0, 0), limits=limits)
    steps = 0
    while outside(_values(snapshot), limits):
        plan = make_plan(snapshot, vaults.forecast(), mandate)
        assert plan.reason is PlanReason.REPAIRS
        snapshot = settled(snapshot, plan)
        snapshot = replace(snapshot, vault=replace(snapshot.vault, turnover_level=0, loss_level=0))
        steps += 1
    assert steps == 3  # 25 % a step, less a margin: 50 % is the most cash allowed, 15 % the least of WETH and WBTC


def test_a_loss_budget_slices_a_repair(vaults: Any, mandate: Any, settled: Settled) -> None:
    snapshot = vaults.snapshot((1, 0, 0, 0, 0), loss_level=97 * 10**14)
    plan = make_plan(snapshot, vaults.forecast(), mandate)
    assert plan.reason is PlanReason.REPAIRS
    assert plan.slippage_cost_usd < 300
    assert plan.binding_limits[0].name == "loss budget"
    assert outside(_values(settled(snapshot, plan)), mandate.vault_limits)


def test_a_weight_above_its_limit_is_brought_inside(vaults: Any, mandate: Any, settled: Settled) -> None:
    snapshot = vaults.snapshot((0.05, 0.6, 0.2, 0.05, 0.1))
    after = settled(snapshot, make_plan(snapshot, vaults.forecast(), mandate))
    assert outside(_values(after), mandate.vault_limits) == ()


def test_without_budget_a_repair_waits_and_says_why(vaults: Any, mandate: Any) -> None:
    plan = make_plan(vaults.snapshot((1, 0, 0, 0, 0), turnover_level=10**18), vaults.forecast(), mandate)
    assert (plan.reason, plan.trades) == (PlanReason.WAITS, False)
    assert "turnover budget" in plan.note


def test_a_repair_worth_less_than_its_gas_waits(vaults: Any, mandate: Any) -> None:
    snapshot = vaults.snapshot((0.15, 0.45001, 0.25, 0.04999, 0.1), value=2000, base_fee_gwei=100)
    plan = make_plan(snapshot, vaults.forecast(), mandate)
    assert plan.reason is PlanReason.WAITS
    assert "gas" in plan.note


@pytest.mark.parametrize("gift", [1, 10**12, 3 * 10**16, 10**17, 10**19])
@pytest.mark.parametrize("weights", [(0.2, 0.48, 0.17, 0, 0.15), (0.22, 0.38, 0.25, 0, 0.15)])
def test_a_gift_of_what_may_not_be_held_stops_no_plan(
    vaults: Any, mandate: Any, settled: Settled, weights: tuple[float, ...], gift: int
) -> None:
    """A wei to a hundred and fifty dollars of LINK, whose maximum is nothing, given to a million dollars."""
    assets = tuple(
        one.model_copy(update={"min_weight_bps": 0, "max_weight_bps": 0}) if one.symbol == "LINK" else one
        for one in mandate.assets
    )
    closing = mandate.model_copy(update={"assets": assets})
    snapshot = vaults.snapshot(weights, limits=closing.vault_limits)
    given = replace(snapshot.assets[3], balance=gift)
    snapshot = replace(snapshot, assets=(*snapshot.assets[:3], given, *snapshot.assets[4:]))
    plan = make_plan(snapshot, vaults.forecast(), closing)
    assert plan.trades
    after = settled(snapshot, plan)
    assert after.assets[3].balance in ((gift,) if gift <= 10**12 else (0,))
    assert outside(_values(after), closing.vault_limits) == ()


# Reducing


def test_while_reducing_everything_risky_is_sold(vaults: Any, mandate: Any, settled: Settled) -> None:
    snapshot = vaults.snapshot(breaker=REDUCE_ONLY, seed=4)
    plan = make_plan(snapshot, vaults.forecast(), mandate)
    assert plan.reason is PlanReason.REDUCES
    after = settled(snapshot, plan)
    assert [asset.balance for asset in after.assets[1:]] == [0, 0, 0, 0]
    assert make_plan(after, vaults.forecast(), mandate).reason is PlanReason.NO_TRADE_PAYS


def test_a_standing_drawdown_reduces_before_anybody_trips(vaults: Any, mandate: Any) -> None:
    plan = make_plan(vaults.snapshot(value_per_share=79 * 10**16), vaults.forecast(), mandate)
    assert plan.reason is PlanReason.REDUCES


def test_budgets_slice_the_reduction(vaults: Any, mandate: Any, settled: Settled) -> None:
    snapshot = vaults.snapshot(breaker=REDUCE_ONLY, turnover_level=9 * 10**17)
    risky = [sum(_values(snapshot)[1:])]
    for _ in range(3):
        snapshot = settled(snapshot, make_plan(snapshot, vaults.forecast(), mandate))
        snapshot = replace(snapshot, vault=replace(snapshot.vault, turnover_level=9 * 10**17))
        risky.append(sum(_values(snapshot)[1:]))
    drops = [(before - after) / snapshot.value for before, after in pairwise(risky)]
    assert drops == pytest.approx([0.1] * 3, abs=2e-3)


def test_no_risky_balance_rises_when_a_fill_is_better_than_planned(vaults: Any, mandate: Any) -> None:
    weights = (0.85, 0.0, 0.0, 0.1, 0.05)  # everything must pass through WETH, of which there is none
    snapshot = vaults.snapshot(weights, breaker=REDUCE_ONLY)
    plan = make_plan(snapshot, vaults.forecast(), mandate)
    assert any(leg.token_out == 1 for leg in plan.legs)
    better = type(vaults)(mandate, usd=(1.0, 2985.0, 60000.0, 15.0, 3500.0)).snapshot().pools
    held = [asset.balance for asset in snapshot.assets]
    _, after, _ = execute(pools_from_states(better), held, plan.legs)
    assert sum(leg.amount_out for leg in plan.legs if leg.token_out == 1) > 0
    assert all(now <= before for now, before in zip(after[1:], held[1:], strict=True))


def test_dust_is_not_worth_selling(vaults: Any, mandate: Any) -> None:
    snapshot = vaults.snapshot((0.9998, 0.0001, 0.0001, 0, 0), breaker=REDUCE_ONLY, base_fee_gwei=20)
    assert make_plan(snapshot, vaults.forecast(), mandate).reason is PlanReason.NO_TRADE_PAYS


# Not trading


@pytest.mark.parametrize("state", [{"breaker": BreakerState.HALTED}, {"value_per_share": 59 * 10**16}])
def test_a_halted_vault_does_not_trade(vaults: Any, mandate: Any, state: dict[str, Any]) -> None:
    plan = make_plan(vaults.snapshot((1, 0, 0, 0, 0), **state), vaults.forecast(), mandate)
    assert (plan.reason, plan.trades) == (PlanReason.HALTED, False)


def test_an_empty_vault_does_not_trade(vaults: Any, mandate: Any) -> None:
    assert make_plan(vaults.snapshot(value=0), vaults.forecast(), mandate).reason is PlanReason.EMPTY


def test_without_pools_nothing_is_traded(vaults: Any, mandate: Any) -> None:
    for weights in ((0.2, 0.3, 0.27, 0.08, 0.15), (1.0, 0.0, 0.0, 0.0, 0.0)):
        snapshot = replace(vaults.snapshot(weights), pools=())
        assert not make_plan(snapshot, vaults.forecast(), mandate).trades


def test_only_the_mandates_venues_are_used(vaults: Any, mandate: Any) -> None:
    only_v3 = mandate.model_copy(update={"venues": tuple(v for v in mandate.venues if v.kind == "uniswap_v3")})
    plan = make_plan(vaults.snapshot((1, 0, 0, 0, 0), 5e6), vaults.forecast(), only_v3)
    assert plan.trades
    assert {leg.venue for leg in plan.legs} == {Venue.UNISWAP_V3}


def test_legs_are_as_many_as_the_mandate_allows(vaults: Any, mandate: Any) -> None:
    few = mandate.model_copy(update={"execution": mandate.execution.model_copy(update={"max_legs": 4})})
    plan = make_plan(vaults.snapshot((1, 0, 0, 0, 0)), vaults.forecast(), few)
    assert 0 < len(plan.legs) <= 4


def test_other_assets_are_refused(vaults: Any, mandate: Any) -> None:
    forecast = replace(vaults.forecast(), symbols=("USDC", "WETH", "WBTC", "LINK", "DAI"))
    with pytest.raises(MismatchError, match="DAI"):
        make_plan(vaults.snapshot(), forecast, mandate)


def test_a_forecast_with_holes_is_refused(vaults: Any, mandate: Any) -> None:
    returns = vaults.forecast().expected_returns.copy()
    returns[3] = np.nan
    with pytest.raises(ForecastInvalidError, match="LINK"):
        make_plan(vaults.snapshot(), vaults.forecast(returns=returns), mandate)


def test_a_covariance_that_is_none_is_refused(vaults: Any, mandate: Any) -> None:
    forecast = replace(vaults.forecast(), covariance=np.diag([1.0, 1, 1, 1, -1]))
    with pytest.raises(ForecastInvalidError, match="negative eigenvalue"):
        make_plan(vaults.snapshot(), forecast, mandate)


def _without_weth(snapshot: Snapshot) -> Snapshot:
    renamed: list[AssetState] = list(snapshot.assets)
    renamed[1] = replace(renamed[1], symbol="ETHX", address="0x" + "77" * 20)
    return replace(snapshot, assets=tuple(renamed))


def test_gas_needs_a_price(vaults: Any, mandate: Any) -> None:
    snapshot = _without_weth(vaults.snapshot(_shifted(0.08)))
    assets = tuple(
        asset.model_copy(update={"symbol": "ETHX"}) if asset.symbol == "WETH" else asset for asset in mandate.assets
    )
    other = mandate.model_copy(update={"assets": assets})
    forecast = replace(vaults.forecast(), symbols=other.symbols)
    with pytest.raises(EtherPriceUnknownError, match="price of ether"):
        make_plan(snapshot, forecast, other)
    assert make_plan(snapshot, forecast, other, ether_usd=3000.0).trades
