# SPDX-License-Identifier: Apache-2.0
"""Staking on credit through a crash of stETH: with a keeper, with a dead keeper, and left at fixed leverage."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from offchain.backtest.records import BacktestRun, EventKind
from offchain.backtest.replay import replay
from offchain.demo.loan import (
    AFTER_HOURS,
    DEPTH,
    HOUR,
    MANDATE,
    OPENING_HOURS,
    STAKE,
    Position,
    open_position,
    with_dead_keeper,
    with_keeper,
)
from offchain.keeper.journal import Journal
from offchain.mandate import load_mandate
from offchain.sandbox.standup import Sandbox
from offchain.settle.development import development_address
from offchain.web.record import LoanFate
from tests.offchain.backtest.conftest import START
from tests.offchain.backtest.test_loans import crash, sail
from tests.support.vaults import deploy_vault

ONE = 10**18


@pytest.fixture(scope="module")
def position(sandbox_node: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Position]:
    journal = tmp_path_factory.mktemp("loan") / "journal.sqlite"
    with sandbox_node.fork() as fork, structlog.testing.capture_logs():
        vault = deploy_vault(fork, MANDATE)
        fork.give("WETH", development_address("alice"), STAKE * ONE)
        vault.deposit("alice", STAKE * ONE)
        yield open_position(fork, vault.address, vault.file_mandate, journal)


@pytest.fixture(scope="module")
def without_keeper(position: Position) -> tuple[LoanFate, LoanFate]:
    return with_dead_keeper(position)


@pytest.fixture(scope="module")
def kept(position: Position) -> tuple[LoanFate, LoanFate]:
    return with_keeper(position)


def test_keeper_takes_it_through_the_crash(position: Position, kept: tuple[LoanFate, LoanFate]) -> None:
    vault, control = kept
    assert position.opened.leverage > 3
    assert not vault.liquidated
    assert vault.lowest_health > 1.1
    assert vault.points[-1].leverage <= 4.5
    assert control.liquidated


def test_anybody_saves_it_when_the_keeper_is_dead(
    position: Position, without_keeper: tuple[LoanFate, LoanFate]
) -> None:
    vault, control = without_keeper
    assert not vault.liquidated
    assert vault.repairs
    assert {one.by for one in vault.repairs} == {"stranger"}
    assert all(one.health_after is None or one.health_after > one.health_before for one in vault.repairs)
    assert control.liquidated
    # Left alone it would have gone the control's way: same collateral, same debt, same leverage.
    assert position.opened.health_factor is not None
    assert position.opened.health_factor * (1 - DEPTH) < 1
    assert sum(one.debt_repaid for one in vault.repairs) > 0.3 * position.opened.assets[0].owed


def test_fixed_leverage_is_liquidated_by_the_real_pool(
    position: Position, without_keeper: tuple[LoanFate, LoanFate]
) -> None:
    """The control's collateral goes at Aave's bonus, and the loan is still there."""
    _, control = without_keeper
    first = control.repairs[0]
    assert first.by == "liquidator"
    assert first.health_before < 1
    assert first.debt_repaid > 0
    ether, staked = position.opened.assets
    # Struck after the last step of the fall: the feed stands at the bottom.
    paid = first.collateral_given * (1 - DEPTH) * staked.price / ether.price
    assert paid / first.debt_repaid == pytest.approx(1.01, abs=5e-3)


def simulated(keeper_stops: int | None) -> BacktestRun:
    """The same crash through the backtest's simulator, on its own pools and a history of its own."""
    return sail(load_mandate(MANDATE), crash(DEPTH, AFTER_HOURS), keeper_stops=keeper_stops)


def lowest(run: BacktestRun) -> dict[int, float]:
    """Lowest health factor by hours since the fall began."""
    hours = (run.track.timestamps - START) // HOUR - OPENING_HOURS
    return dict(zip(hours.tolist(), run.track.health_factor.tolist(), strict=True))


def seen(position: Position, fate: LoanFate) -> dict[int, float]:
    """The same of the sandbox's vault."""
    found: dict[int, float] = {}
    for one in fate.points:
        hour = round((one.timestamp - position.opened.block.timestamp) / HOUR)
        found[hour] = min(found.get(hour, float("inf")), one.health or float("inf"))
    return found


def test_the_simulator_tells_the_same_of_an_abandoned_vault(
    position: Position, without_keeper: tuple[LoanFate, LoanFate]
) -> None:
    """Until somebody deleverages within a tenth of a per cent; that happens at the same step, up to the same target."""
    run = simulated(START + OPENING_HOURS * HOUR)
    ours, real = lowest(run), seen(position, without_keeper[0])
    vault = without_keeper[0]
    began = position.opened.block.timestamp
    saved = round((vault.repairs[0].timestamp - began) / HOUR)
    steps = [hour for hour in real if 0 <= hour <= saved and hour in ours]
    assert len(steps) > 8
    gaps = {hour: ours[hour] / real[hour] - 1 for hour in steps}
    assert max(abs(gap) for gap in gaps.values()) < 1e-3
    first = next(event for event in run.events if event.kind is EventKind.DELEVERAGED)
    assert (first.timestamp - START) // HOUR - OPENING_HOURS == saved
    assert "-> 1.200" in first.text
    assert vault.repairs[0].health_after == pytest.approx(1.2, abs=1e-3)


def test_the_simulated_keeper_takes_it_through_as_the_real_one(
    position: Position, kept: tuple[LoanFate, LoanFate]
) -> None:
    """Neither is liquidated; leverage and lowest health factor within a tenth of a per cent, what is left within seven.

    Both repay in the same steps, by different parts: each forecasts from a past of its own.
    """
    vault, _ = kept
    run = simulated(None)
    assert not vault.liquidated
    assert EventKind.LIQUIDATED not in {event.kind for event in run.events}
    at = int(run.track.timestamps.searchsorted(START + OPENING_HOURS * HOUR))
    assert run.track.leverage[at] == pytest.approx(position.opened.leverage, rel=1e-3)
    assert run.track.health_factor.min() == pytest.approx(vault.lowest_health, rel=1e-3)
    left, really = run.track.value[-1] / run.track.value[at], vault.points[-1].value / vault.points[0].value
    assert left == pytest.approx(really, rel=0.07)


def test_its_decisions_replay_to_identical_plans(position: Position) -> None:
    with Journal.read(position.journal) as journal:
        ticks = list(replay(journal))
    assert [one.differences for one in ticks if not one.identical] == []
    assert len(ticks) > 1
    # And the simulated vault settles what the real one settled, loan legs included.
    assert [one.simulated_refusal for one in ticks if one.simulated_refusal] == []
    assert max(abs(one.settlement_bps or 0.0) for one in ticks) < 0.1
