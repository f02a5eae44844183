# SPDX-License-Identifier: Apache-2.0
"""A journal that was lost, written again from the chain."""

from dataclasses import replace

import pytest

from offchain.backtest.replay import replay
from offchain.keeper.journal import Journal
from offchain.keeper.rebuild import RebuildError, rebuild
from offchain.keeper.records import Purpose
from offchain.keeper.states import State

FINALITY = 2


@pytest.fixture
def sailed(stage):
    """A vault that was settled twice and tripped; yields the journal that saw it."""
    with stage.journal() as journal:
        dispatch = stage.dispatch(journal)
        for dollars in (300_000, 100_000):
            stage.place(dispatch, journal, stage.buy_weth(dollars=dollars))
            stage.step(dispatch)
            stage.step(dispatch, FINALITY)
        stage.automine()
        stage.sandbox.push("ETH/USD", stage.vault.oracle.functions.prices().call()[1] / 10**18 * 0.2)
        stage.automine(False)
        dispatch.on_block(stage.node.head())
        stage.step(dispatch)
        stage.step(dispatch, FINALITY)
        yield journal


@pytest.fixture
def again(stage, tmp_path):
    with Journal.open(tmp_path / "again.sqlite", chain_id=1, vault=stage.vault.address) as journal:
        yield journal


def run(stage, journal):
    return rebuild(stage.node, journal, stage.vault.address, stage.vault.file_mandate)


def test_orders_and_their_settlements_are_the_same_again(stage, sailed, again):
    found = run(stage, again)

    assert (found.settlements, found.unreadable) == (2, ())
    for old, new in zip(sailed.orders(), again.orders(), strict=True):
        forget = {"tick": 0, "updated_at": 0.0, "created_block": 0}
        assert replace(old, **forget) == replace(new, **forget)


def test_transactions_are_the_same_again(stage, sailed, again):
    run(stage, again)
    old, new = sailed.transactions(), again.transactions()

    assert Purpose.TRIP in {row.purpose for row in old}
    forget = {"updated_at": 0.0, "sent_block": 0, "detail": ""}
    assert [replace(row, **forget) for row in new] == [replace(row, **forget) for row in old]
    assert all(row.state is State.FINAL for row in new)


def test_keeper_goes_on_with_a_rebuilt_journal(stage, sailed, again):
    run(stage, again)
    keeper = stage.keeper(again)
    keeper.recover()

    assert again.open_orders() == []
    assert not keeper.due(stage.node.head())


def test_rebuilt_ticks_are_not_replayed(stage, sailed, again):
    run(stage, again)

    assert list(replay(again)) == []


def test_only_an_empty_journal_is_written(stage, sailed):
    with pytest.raises(RebuildError, match="not empty"):
        run(stage, sailed)
