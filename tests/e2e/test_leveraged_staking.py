# SPDX-License-Identifier: Apache-2.0
"""Staking on credit through a crash of stETH: with a keeper, with a dead keeper, and left at fixed leverage."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from offchain.backtest.replay import replay
from offchain.demo.loan import DEPTH, MANDATE, STAKE, Position, open_position, with_dead_keeper, with_keeper
from offchain.keeper.journal import Journal
from offchain.sandbox.standup import Sandbox
from offchain.settle.development import development_address
from offchain.web.record import LoanFate
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


def test_keeper_takes_it_through_the_crash(position: Position) -> None:
    vault, control = with_keeper(position)
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


def test_its_decisions_replay_to_identical_plans(position: Position) -> None:
    with Journal.read(position.journal) as journal:
        ticks = list(replay(journal))
    assert [one.differences for one in ticks if not one.identical] == []
    assert len(ticks) > 1
