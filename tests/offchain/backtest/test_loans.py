# SPDX-License-Identifier: Apache-2.0
"""Staking on credit through the backtest's own line: interest, the crash's three fates, who deleverages and liquidates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from offchain.backtest.engine import fit_to_prices, run_backtest
from offchain.backtest.errors import BacktestError
from offchain.backtest.lending import CURVES, LendingRates, accrued, lending_market
from offchain.backtest.liquidity import ModelledLiquidity
from offchain.backtest.path import MarketPath
from offchain.backtest.records import BacktestRun, EventKind
from offchain.backtest.settings import BacktestSettings, CapitalFlow, FlowKind, Perpetual
from offchain.backtest.venues import default_pools
from offchain.mandate import Mandate, load_mandate
from offchain.risk.leverage import debt_growth
from tests.offchain.backtest.conftest import DAY, MANDATE, START, Market, unexplained

HOUR = 3_600
PAST_HOURS, OPENING_HOURS, CRASH_HOURS, AFTER_HOURS = 60 * 24, 8, 24, 4
DEPTH = 0.25
"""Of the crash: that of the sandbox's test of the same three fates."""


@pytest.fixture(scope="module")
def staking() -> Mandate:
    return load_mandate(MANDATE.with_name("leveraged-staking.yaml"))


def crash(depth: float = DEPTH, after: int = AFTER_HOURS) -> MarketPath:
    """Ether walks for two months, then stands still; stETH falls against it in equal steps of two hours."""
    hours = np.arange((PAST_HOURS + OPENING_HOURS + CRASH_HOURS + after) // 2 + 1) * 2 - PAST_HOURS
    moves = np.random.default_rng(1).standard_normal(len(hours)) * 0.6 * np.sqrt(2 / 8_760)
    ether = 2_000 * np.exp(np.cumsum(np.where(hours < 0, moves, 0.0)))
    times = START + (hours * HOUR).astype(np.int64)
    ratio = 1.15 * (1 + 0.03 * (times - times[0]) / (365 * DAY))
    fallen = np.clip((hours - OPENING_HOURS) / CRASH_HOURS, 0.0, 1.0) * depth
    prices = np.column_stack([ether, ether * ratio * (1 - fallen)])
    ratios = np.column_stack([np.ones(len(hours)), ratio])
    return MarketPath(("WETH", "wstETH"), times, prices, ratios, ether, np.full(len(hours), 10**9, dtype=np.int64))


def sail(mandate: Mandate, path: MarketPath | None = None, **settings: Any) -> BacktestRun:
    path = path or crash()
    mandate, _ = fit_to_prices(mandate, path)
    liquidity = ModelledLiquidity(mandate, default_pools(mandate))
    chosen = BacktestSettings(deposit_usd=200_000.0, recovery_days=None, **settings)
    return run_backtest(mandate, path, liquidity, chosen, start=START)


def kinds(run: BacktestRun) -> set[EventKind]:
    return {event.kind for event in run.events}


def with_limits(mandate: Mandate, **limits: int) -> Mandate:
    return mandate.model_copy(update={"limits": mandate.limits.model_copy(update=limits)})


DEAD = START + OPENING_HOURS * HOUR


# The three fates of tests/e2e/test_leveraged_staking.py


def test_the_keeper_takes_it_through_the_crash(staking: Mandate) -> None:
    run = sail(staking)
    # The sandbox's run of this path opens at 3.71 too, and at its lowest has a health factor of 1.246.
    assert run.track.leverage.max() == pytest.approx(3.7, abs=0.3)
    assert 1.2 < run.track.health_factor.min() < 1.3
    assert run.track.leverage[-1] < 1.2
    assert not kinds(run) & {EventKind.LIQUIDATED, EventKind.DELEVERAGED}
    assert run.track.penalty.sum() == 0
    assert unexplained(run.track) < 1e-9


def test_anybody_saves_it_when_the_keeper_is_dead(staking: Mandate) -> None:
    run = sail(staking, keeper_stops=DEAD)
    # As in the sandbox: from 1.08 up to the target, at the mandate's discount.
    assert run.track.health_factor.min() == pytest.approx(1.08, abs=5e-3)
    saved = [event.text for event in run.events if event.kind is EventKind.DELEVERAGED]
    assert saved[0].startswith("health factor 1.084 -> 1.200")
    assert EventKind.LIQUIDATED not in kinds(run)
    assert run.track.penalty.sum() > 0
    assert unexplained(run.track) < 1e-9


def test_fixed_leverage_is_liquidated(staking: Mandate) -> None:
    fixed = with_limits(staking, deleverage_trigger_bps=0, deleverage_target_bps=0)
    run = sail(fixed, keeper_stops=DEAD)
    assert EventKind.LIQUIDATED in kinds(run)
    at = int(np.flatnonzero(run.track.penalty)[0])
    before, after = run.track.leverage[at - 1], run.track.leverage[at]
    assert after < before
    assert run.track.health_factor[at] < 1.0
    assert unexplained(run.track) < 1e-9


def test_with_nobody_about_it_is_liquidated_though_anybody_might_have_saved_it(staking: Mandate) -> None:
    run = sail(staking, keeper_stops=DEAD, deleveraged=False)
    assert EventKind.LIQUIDATED in kinds(run)


# Interest


def test_the_price_of_the_loan_is_the_rate_on_what_is_owed(staking: Mandate) -> None:
    run = sail(staking, crash(depth=0.0, after=24 * 4), rates=LendingRates(borrow=0.02))
    track = run.track
    # The first row is the deposit alone: what was decided in it shows a row later.
    owed = (track.value * (track.leverage - 1))[1:-1]
    expected = float(owed.sum()) * (debt_growth(0.02, 2 * HOUR) - 1)
    assert float(track.borrow[2:].sum()) == pytest.approx(expected, rel=5e-3)
    assert float(track.staking.sum()) > float(track.borrow.sum())
    assert unexplained(track) < 1e-9


def test_dearer_loans_are_not_taken(staking: Mandate) -> None:
    run = sail(staking, crash(depth=0.0), rates=LendingRates(borrow=0.05))
    assert run.track.leverage.max() == 1.0


def test_collateral_that_earns_is_carry(staking: Mandate) -> None:
    run = sail(staking, crash(depth=0.0, after=48), rates=LendingRates(borrow=0.02, supply=0.01))
    assert run.track.carry.sum() > 0
    assert unexplained(run.track) < 1e-9


def test_debt_compounds_every_second(staking: Mandate) -> None:
    market = lending_market(staking, LendingRates(borrow=0.06))
    assert market is not None
    ether = accrued(market.account, 365 * DAY).reserves[0]
    # Aave's series ends at the third order, whose coefficient it truncates.
    assert ether.borrow_index / 10**27 == pytest.approx(np.exp(0.06), rel=1e-5)


# Flows


def test_who_leaves_brings_his_part_of_the_debt(staking: Mandate) -> None:
    leaving = CapitalFlow(START + 6 * HOUR, FlowKind.REDEEM_IN_KIND, part=0.3)
    run = sail(staking, crash(depth=0.0), flows=(leaving,))
    at = int(np.searchsorted(run.track.timestamps, START + 6 * HOUR))
    track = run.track
    # A share's exit fee is 115 bps, which stays.
    assert track.value[at] / track.value[at - 1] == pytest.approx(1 - 0.3 * (1 - 0.0115), rel=1e-4)
    assert track.health_factor[at] >= track.health_factor[at - 1] * (1 - 1e-6)
    assert unexplained(track) < 1e-9


# What has no terms


def test_an_asset_without_known_terms_is_refused(staking: Mandate) -> None:
    (uniswap, aave) = staking.venues
    strange = staking.model_copy(update={"venues": (uniswap, aave.model_copy(update={"e_mode": 7}))})
    with pytest.raises(BacktestError, match="efficiency mode 7 has no known terms"):
        lending_market(strange, CURVES)


def test_a_mandate_that_does_not_lend_has_no_account(mandate: Mandate) -> None:
    assert lending_market(mandate, CURVES) is None


def test_a_short_perpetual_pays_the_fall_and_receives_funding(market: Market) -> None:
    short = Perpetual(asset=1, size=-10.0, times=(START,), rates=(0.10,))
    path = market.path()
    track = market.run(path, BacktestSettings(carries=(short,))).track
    ether = path.prices[np.searchsorted(path.timestamps, track.timestamps), 1]
    funding = 10.0 * 0.10 / 365 * ether[:-1].sum()
    assert float(track.carry.sum()) == pytest.approx(10.0 * (ether[0] - ether[-1]) + funding, abs=0.01)
    assert unexplained(track) < 1e-9
