# SPDX-License-Identifier: Apache-2.0
"""Staking on credit through a crash of stETH: with a keeper, with a dead keeper, and left at fixed leverage.

One vault of `mandates/leveraged-staking.yaml` opens its position through orders; then stETH loses a quarter
against ether within a day. A liquidator watches vault and control at the real pool and strikes whom it may.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import structlog

from offchain.demo.simulation import Simulation
from offchain.market.snapshot import Snapshot
from offchain.sandbox import addresses
from offchain.sandbox.liquidator import Liquidator
from offchain.sandbox.paths import MARKET_SYMBOLS, PricePath
from offchain.sandbox.simulator import START_PRICES
from offchain.sandbox.standup import Sandbox
from offchain.settle.development import development_address
from tests.support.borrowers import leveraged_staker
from tests.support.stakers import STAKING
from tests.support.vaults import DeployedVault, deploy_vault

ONE = 10**18
HOUR = 3_600
STAKE = 100 * ONE
OPENING_HOURS, CRASH_HOURS, AFTER_HOURS = 8, 24, 4
STEP = 2 * HOUR
DEPTH = 0.25


def crash() -> PricePath:
    """Ether stands still; stETH stands still for some hours, then loses `DEPTH` in equal steps, then stays there."""
    rows = 2 * (OPENING_HOURS + CRASH_HOURS + AFTER_HOURS) + 1
    hours = np.arange(rows) / 2
    fallen = np.clip((hours - OPENING_HOURS) / CRASH_HOURS, 0.0, 1.0) * DEPTH
    prices = np.tile([START_PRICES[symbol] for symbol in MARKET_SYMBOLS], (rows, 1))
    prices[:, MARKET_SYMBOLS.index("stETH")] *= 1 - fallen
    return PricePath(MARKET_SYMBOLS, (hours * HOUR).astype(np.int64), prices)


@dataclass
class Voyage:
    """A vault that has opened its position, the control beside it, and what became of both."""

    simulation: Simulation
    vault: DeployedVault
    control: str
    liquidator: Liquidator
    opened: Snapshot
    healths: list[float] = field(default_factory=list)
    """The vault's, after every step of the market and again after what was done about it."""

    @property
    def now(self) -> Snapshot:
        return self.simulation.snapshot()

    def liquidated(self, account: str) -> bool:
        return any(one.account == account for one in self.liquidator.liquidations)

    def market(self) -> None:
        """The market's next step, after which the liquidator is faster than anybody."""
        self.simulation.driver.step(STEP)
        with self.simulation.others():
            self.liquidator.strike()
        self.note()

    def note(self) -> None:
        self.healths.append(self.now.health_factor or float("inf"))

    def figures(self, name: str) -> str:
        now, start = self.now, self.opened
        ends = "no debt" if now.health_factor is None else f"{now.health_factor:.3f}"
        return (
            f"{name}: leverage {start.leverage:.2f} -> {now.leverage:.2f}, health factor {start.health_factor:.3f} -> "
            f"{ends} (lowest {min(self.healths):.3f}), "
            f"value {start.value / ONE:,.0f} -> {now.value / ONE:,.0f} USD, "
            f"control liquidated {sum(one.account == self.control for one in self.liquidator.liquidations)} times"
        )


@pytest.fixture
def voyage(sandbox_node: Sandbox, tmp_path: Path) -> Iterator[Voyage]:
    with sandbox_node.fork() as fork, structlog.testing.capture_logs():
        vault = deploy_vault(fork, STAKING)
        fork.give("WETH", development_address("alice"), STAKE)
        vault.deposit("alice", STAKE)
        with Simulation(
            fork, vault.address, vault.file_mandate, crash(), seed=3, journal=tmp_path / "journal.sqlite"
        ) as simulation:
            for _ in range(OPENING_HOURS * HOUR // STEP):
                simulation.driver.step(STEP)
                simulation.guard()
                simulation.tick()
            opened = simulation.snapshot()
            with simulation.others():
                control = leveraged_staker(fork, "bob", opened.leverage)
            liquidator = Liquidator(fork.chain, [vault.address, control])
            yield Voyage(simulation, vault, control, liquidator, opened)


def test_keeper_takes_it_through_the_crash(voyage: Voyage) -> None:
    while not voyage.simulation.driver.time + STEP > voyage.simulation.driver.path.end:
        voyage.market()
        voyage.simulation.guard()
        if voyage.simulation.keeper.due(voyage.simulation.keeper.settle_down()):
            voyage.simulation.tick()
        voyage.note()
    print(voyage.figures("keeper alive"))
    assert voyage.opened.leverage > 3
    assert not voyage.liquidated(voyage.vault.address)
    assert min(voyage.healths) > 1.1
    assert voyage.now.leverage <= 4.5
    assert voyage.liquidated(voyage.control)


def test_anybody_saves_it_when_the_keeper_is_dead(voyage: Voyage) -> None:
    rescuer, vault = "carol", voyage.vault
    simulation = voyage.simulation
    with simulation.others():
        simulation.sandbox.give("WETH", development_address(rescuer), 1_000 * ONE)
        vault.send(rescuer, vault.token(0).functions.approve(vault.address, 2**256 - 1))
    while not simulation.driver.time + STEP > simulation.driver.path.end:
        voyage.market()
        health = vault.vault.functions.health().call()
        if vault.mandate.functions.deleverage_terms(health).call()[0]:
            with simulation.others():
                vault.send(rescuer, vault.vault.functions.deleverage(0, 0, 1, 1_000 * ONE))
            voyage.note()
    print(voyage.figures("keeper dead"))
    events = vault.vault.events.Deleveraged().get_logs(from_block=0)
    assert events
    assert all(one["args"]["health_after"] > one["args"]["health_before"] for one in events)
    assert not voyage.liquidated(vault.address)
    assert voyage.liquidated(voyage.control)
    # Left alone it would have gone the control's way: same collateral, same debt, same leverage.
    assert voyage.opened.health_factor is not None
    assert voyage.opened.health_factor * (1 - DEPTH) < 1
    assert voyage.now.assets[0].owed < 0.7 * voyage.opened.assets[0].owed


def test_fixed_leverage_is_liquidated_by_the_real_pool(voyage: Voyage) -> None:
    """The control's collateral goes at a bonus, and the loan is still there."""
    while not voyage.liquidated(voyage.control):
        voyage.market()
    (done,) = [one for one in voyage.liquidator.liquidations if one.account == voyage.control]
    assert (done.collateral, done.debt) == ("wstETH", "WETH")
    assert done.debt_covered > 0
    price = voyage.now.assets[1].price / voyage.now.assets[0].price
    assert done.collateral_taken * price / done.debt_covered == pytest.approx(1.01, abs=2e-3)
    assert voyage.vault.file_mandate.lending.pool == addresses.AAVE_POOL  # type: ignore[union-attr]
