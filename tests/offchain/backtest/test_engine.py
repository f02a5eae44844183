# SPDX-License-Identifier: Apache-2.0
"""The engine: books that balance, returns that plain numpy gives too, and no way to see the future."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from offchain.backtest.books import Books
from offchain.backtest.engine import fit_to_prices
from offchain.backtest.errors import AccountingError, BacktestError
from offchain.backtest.feeds import Oracle
from offchain.backtest.leaks import find_leak
from offchain.backtest.liquidity import ModelledLiquidity
from offchain.backtest.path import MarketPath
from offchain.backtest.records import BacktestRun, EventKind
from offchain.backtest.settings import BacktestSettings, CapitalFlow, FlowKind, Interest
from offchain.backtest.simulator import Simulator
from offchain.backtest.venues import default_pools
from offchain.market.history import PriceHistory
from offchain.market.snapshot import BreakerState
from tests.offchain.backtest.conftest import DAY, START, Market, unexplained


def test_value_changes_by_the_sum_of_its_parts_every_step(base_run: BacktestRun) -> None:
    track = base_run.track
    assert unexplained(track) < 1e-9


def test_books_that_do_not_agree_with_the_holdings_stop_the_run() -> None:
    books = Books([1e6, 1e18])
    books.reprice([0, 0], [1.0, 3000.0], [10**30, 3000 * 10**18], [0.0, 0.0])
    books.enter([5 * 10**6, 0])
    with pytest.raises(AccountingError, match="the books say"):
        books.close([5 * 10**6 + 1, 0])


def test_gross_returns_are_those_of_plain_numpy(market: Market, base_run: BacktestRun) -> None:
    path, track = market.path(), base_run.track
    rows = np.searchsorted(path.timestamps, track.timestamps)
    moves = path.prices[rows][1:] / path.prices[rows][:-1] - 1.0
    # The first step's book also holds the first decision; from the second on weights are those at its start.
    plain = (track.weights[1:-1] * moves[1:]).sum(axis=1)
    np.testing.assert_allclose(track.gross_returns[1:], plain, rtol=0, atol=1e-12)


def test_a_vault_that_does_not_trade_is_worth_its_coins(market: Market) -> None:
    idle = market.mandate.model_copy(
        update={"execution": market.mandate.execution.model_copy(update={"min_improvement_bps": 1e6})}
    )
    # Inside its bounds from the first day on, it never has a reason to move.
    bounds = {"min_weight_bps": 0, "max_weight_bps": 10_000}
    wide = tuple(asset.model_copy(update=bounds) for asset in idle.assets)
    run = replace(market, mandate=idle.model_copy(update={"assets": wide})).run()
    assert not run.settlements
    np.testing.assert_allclose(run.track.value, 1_000_000.0, rtol=1e-12)


def test_planned_costs_are_what_is_paid_when_nobody_interferes(base_run: BacktestRun) -> None:
    assert base_run.settlements
    for one in base_run.settlements[1:]:
        paid = one.fees + one.impact + one.basis
        # Planned against a feed that lags the market by up to its deviation.
        assert abs(paid - one.planned_cost) < 0.005 * one.turnover / 1e18 * one.value


def test_wstETH_earns_its_staking_yield(base_run: BacktestRun) -> None:
    track = base_run.track
    days = (track.timestamps[-1] - track.timestamps[0]) / DAY
    held = float(np.mean(track.weights[1:, 4] * track.value[1:]))
    assert float(track.staking.sum()) == pytest.approx(held * 0.03 * days / 365, rel=0.1)


def test_interest_is_booked_as_carry(market: Market) -> None:
    run = market.run(settings=BacktestSettings(carries=(Interest(0, 0.05),)))
    track = run.track
    # In the first step what is left of the cash after the first trades earns.
    held = np.concatenate(
        [(track.weights * track.value[:, None])[1:2, 0], (track.weights * track.value[:, None])[1:-1, 0]]
    )
    expected = float(held.sum()) * 0.05 / 365
    assert float(track.carry.sum()) == pytest.approx(expected, rel=0.05)


def test_the_same_run_twice_is_the_same_to_the_bit(market: Market, base_run: BacktestRun) -> None:
    again = market.run()
    assert np.array_equal(again.track.value, base_run.track.value)
    assert again.settlements == base_run.settlements


# Looking ahead.


def test_poisoning_the_future_changes_nothing_in_the_past(market: Market) -> None:
    path = market.path()
    flows = (CapitalFlow(START + 50 * DAY, FlowKind.REDEEM, part=0.1),)
    for row in (45, 70):
        assert find_leak(lambda p: market.run(p, BacktestSettings(flows=flows, attacked=True)), path, row) is None


class Clairvoyant(Oracle):
    """A planted leak: histories that end one row late."""

    def history(self, row: int, grid_minutes: int, window_days: float) -> PriceHistory:
        return super().history(min(row + 1, len(self._times) - 1), grid_minutes, window_days)


def test_a_planted_look_ahead_is_caught(market: Market) -> None:
    path = market.path()

    def run(given: MarketPath) -> BacktestRun:
        mandate, _ = fit_to_prices(market.mandate, given)
        simulator = Simulator(
            mandate, given, ModelledLiquidity(mandate, default_pools(mandate)), BacktestSettings(),
            Clairvoyant(mandate, given),
        )  # fmt: skip
        simulator.open(40)
        # The keeper's own forecast refuses to read past its block; this one has been talked out of it.
        simulator._snapshot = _late(simulator)  # type: ignore[method-assign]
        for row in range(41, 60):
            simulator.step(row)
        return simulator.result()

    leak = find_leak(run, path, 55)
    assert leak is not None
    assert leak.timestamp == int(path.timestamps[54])


def _late(simulator: Simulator):  # type: ignore[no-untyped-def]
    honest = Simulator._snapshot

    def snapshot(row: int):  # type: ignore[no-untyped-def]
        seen = honest(simulator, row)
        return replace(seen, block=replace(seen.block, timestamp=seen.block.timestamp + DAY))

    return snapshot


# Capital, breaker, dead prices.


def test_deposits_and_redemptions_pay_their_fees_to_those_who_stay(market: Market) -> None:
    flows = (
        CapitalFlow(START + 60 * DAY, FlowKind.DEPOSIT, usd=500_000.0),
        CapitalFlow(START + 70 * DAY, FlowKind.REDEEM, part=0.1),
        CapitalFlow(START + 75 * DAY, FlowKind.REDEEM_IN_KIND, part=0.2),
    )
    run, quiet = market.run(settings=BacktestSettings(flows=flows)), market.run()
    track = run.track
    kinds = [event.kind for event in run.events]
    assert kinds.count(EventKind.DEPOSIT) == 2
    assert kinds.count(EventKind.REDEMPTION) == 2
    assert track.deposits[1:].sum() == pytest.approx(500_000, rel=1e-3)
    assert track.withdrawals.sum() > 0.25 * track.value[-1]
    # 50 bps of a deposit of a third of the vault, and of two redemptions, stay with the others.
    assert track.equity[-1] > quiet.track.equity[-1]


def test_a_crash_trips_the_breaker_and_the_owner_resumes_after_the_delay(market: Market) -> None:
    path = market.path()
    prices = path.prices.copy()
    prices[60:, 1:] *= 0.6
    crashed = replace(path, prices=prices, ether=np.where(np.arange(len(path)) >= 60, 0.6, 1.0) * path.ether)
    run = market.run(crashed, BacktestSettings(recovery_days=5))
    trip = next(event for event in run.events if event.kind is EventKind.TRIPPED)
    resumed = next(event for event in run.events if event.kind is EventKind.RESUMED)
    assert trip.timestamp == int(path.timestamps[60])
    assert resumed.timestamp == trip.timestamp + 5 * DAY
    during = run.track.breaker[(run.track.timestamps >= trip.timestamp) & (run.track.timestamps < resumed.timestamp)]
    assert set(during.tolist()) == {int(BreakerState.REDUCE_ONLY)}
    assert any(one.reason == "reduces" for one in run.settlements)


def test_without_recovery_a_tripped_vault_stays_tripped(market: Market) -> None:
    path = market.path()
    prices = path.prices.copy()
    prices[60:, 1:] *= 0.3
    run = market.run(replace(path, prices=prices, ether=path.ether), BacktestSettings(recovery_days=None))
    assert run.track.breaker[-1] == BreakerState.HALTED
    assert not [one for one in run.settlements if one.timestamp >= int(path.timestamps[60])]


def test_a_price_that_stops_freezes_the_vault_and_is_written_off(market: Market) -> None:
    path = market.path()
    prices = path.prices.copy()
    prices[70:, 3] = np.nan
    flows = (
        CapitalFlow(START + 80 * DAY, FlowKind.DEPOSIT, usd=1000.0),
        CapitalFlow(START + 82 * DAY, FlowKind.REDEEM_IN_KIND, part=0.5),
    )
    run = market.run(replace(path, prices=prices), BacktestSettings(flows=flows, write_off_days=3))
    kinds = [event.kind for event in run.events]
    assert EventKind.ORACLE_DEAD in kinds
    assert EventKind.WRITTEN_OFF in kinds
    assert EventKind.FLOW_REFUSED in kinds
    assert EventKind.REDEMPTION in kinds
    assert not [one for one in run.settlements if one.timestamp > START + 71 * DAY]
    assert run.track.weights[-1, 3] == 0.0


def test_an_asset_that_dies_takes_no_more_than_its_weight(market: Market) -> None:
    path = market.path()
    prices = path.prices.copy()
    prices[70:, 3] = 15.0 * np.exp(-2.5 * np.arange(1, len(path) - 70 + 1)).clip(1e-12)
    run = market.run(replace(path, prices=prices))
    before = run.track.weights[run.track.timestamps < path.timestamps[70]][-1, 3]
    dead = next(event for event in run.events if event.kind is EventKind.ORACLE_DEAD)
    assert "LINK out of bounds" in dead.text
    change = run.track.value_per_share[-1] / run.track.value_per_share[run.track.timestamps < path.timestamps[70]][-1]
    rest = path.prices[-1, :3] / path.prices[69, :3]
    assert change > 1 - before - 0.5 * abs(rest - 1).max() - 0.15


def test_a_mandate_that_can_never_trade_says_why(market: Market) -> None:
    low = market.mandate.execution.model_copy(update={"max_base_fee_gwei": 1.0})
    run = replace(market, mandate=market.mandate.model_copy(update={"execution": low})).run()
    assert not run.settlements
    assert set(run.decisions) == {"order refused: orders: base fee above ceiling"}
    refusals = [event for event in run.events if event.kind is EventKind.ORDER_REFUSED]
    assert len(refusals) == 1


def test_a_start_before_the_past_is_long_enough_names_the_first_possible(market: Market) -> None:
    with pytest.raises(BacktestError, match=r"cannot start at 2023-11-20.*the first start is 2023-12-"):
        market.run(start=START + 5 * DAY)


def test_an_attacker_takes_no_more_than_the_slippage_allows(market: Market) -> None:
    # Ten million in pools made for one: small orders are not worth an attacker's own fees.
    quiet = market.run(settings=BacktestSettings(deposit_usd=1e7))
    attacked = market.run(settings=BacktestSettings(deposit_usd=1e7, attacked=True))
    bound = market.mandate.execution.slippage_bps / 1e4
    assert sum(one.sandwich for one in quiet.settlements) == pytest.approx(0.0, abs=1e-6)
    assert sum(one.sandwich for one in attacked.settlements) > 0
    for one in attacked.settlements:
        assert one.sandwich <= 1.01 * bound * 2 * one.turnover / 1e18 * one.value
    assert attacked.track.equity[-1] < quiet.track.equity[-1]
