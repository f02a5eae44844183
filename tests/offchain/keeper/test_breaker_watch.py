# SPDX-License-Identifier: Apache-2.0
"""A condition that must persist, on the chain: recorded when it begins, tripped when its time is over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from offchain.keeper.breaker_watch import BreakerWatch, find_alarms
from offchain.keeper.records import Purpose
from offchain.keeper.submitter import Submitter
from tests.offchain.keeper.conftest import POLICY, URGENT, Stage
from tests.support.vaults import BLUE_CHIP, DeployedVault, deploy_vault

DEAD_MINUTES = 30
HALTED, DEAD_ORACLE = 2, 5


@pytest.fixture
def watched(stage: Stage, tmp_path: Path) -> DeployedVault:
    """A vault whose table halts it when a price has been dead for half an hour."""
    file = tmp_path / "watched.yaml"
    line = "  drawdown_halt_bps: 4000\n"
    text = BLUE_CHIP.read_text()
    assert line in text
    file.write_text(text.replace(line, f"{line}  oracle_dead_minutes: {DEAD_MINUTES}\n"))
    stage.automine()
    vault = deploy_vault(stage.sandbox, file)
    stage.automine(False)
    return vault


def test_a_dead_oracle_is_recorded_and_trips_half_an_hour_later(stage: Stage, watched: DeployedVault) -> None:
    mandate = watched.mandate
    alarms = find_alarms(stage.node, mandate.address, watched.file_mandate.vault_limits)
    with stage.journal() as journal:
        submitter = Submitter(stage.node, journal, stage.role("keeper"), 1, policy=POLICY, urgent_policy=URGENT)
        watch = BreakerWatch(stage.node, submitter, mandate.address, alarms)
        assert watch.record(stage.node.head(), None) is None
        stage.sandbox.rpc.call("evm_increaseTime", 3 * 86_400)
        stage.mine()
        assert watch.guard(stage.node.head(), None) is None
        recorded = watch.record(stage.node.head(), None)
        assert recorded is not None
        assert recorded.purpose is Purpose.POKE
        stage.mine()
        submitter.watch(stage.node.finalized_number())
        assert watch.record(stage.node.head(), None) is None
        stage.sandbox.rpc.call("evm_increaseTime", DEAD_MINUTES * 60)
        stage.mine()
        tripped = watch.guard(stage.node.head(), None)
        assert tripped is not None
        assert tripped.purpose is Purpose.TRIP
        stage.mine()
    state = mandate.functions.breaker_state().call(), mandate.functions.breaker_reason().call()
    assert state == (HALTED, DEAD_ORACLE)


def test_the_auction_of_deleveraging_needs_records(stage: Stage) -> None:
    limits = replace(stage.vault.file_mandate.vault_limits, deleverage_trigger_bps=12_000)
    mandate = stage.vault.mandate
    assert find_alarms(stage.node, mandate.address, limits) == mandate.functions.alarms().call()


def test_a_table_without_such_a_condition_needs_no_records(stage: Stage) -> None:
    assert find_alarms(stage.node, stage.vault.mandate.address, stage.vault.file_mandate.vault_limits) is None
