# SPDX-License-Identifier: Apache-2.0
"""Staking on credit through a crash of stETH: with a keeper, with a dead keeper, and left at fixed leverage.

One vault opens its position through orders, an ordinary account takes the same leverage beside it. Then stETH loses a
quarter against ether within a day, twice, on two forks of that chain: once the vault's keeper lives, once it is
dead. A liquidator watches vault and account at the real pool and strikes whom it may.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from offchain.demo.simulation import Simulation
from offchain.mandate import Mandate
from offchain.market.snapshot import Snapshot
from offchain.sandbox.anvil import PROJECT
from offchain.sandbox.borrower import leveraged_staker
from offchain.sandbox.contract import function
from offchain.sandbox.liquidator import Liquidator
from offchain.sandbox.paths import MARKET_SYMBOLS, PricePath
from offchain.sandbox.simulator import START_PRICES
from offchain.sandbox.standup import Sandbox
from offchain.sandbox.tokens import APPROVE
from offchain.settle.calls import DELEVERAGE, encode_deleverage
from offchain.settle.development import development_address
from offchain.settle.node import Node, Reverted
from offchain.web.record import LoanFate, LoanPoint, LoanRecord, LoanRepair

MANDATE = PROJECT / "mandates" / "leveraged-staking.yaml"
ONE = 10**18
HOUR = 3_600
STEP = 2 * HOUR
OPENING_HOURS, CRASH_HOURS, AFTER_HOURS = 8, 24, 4
DEPTH = 0.25
SEED = 3
STAKE = 100
"""Whole ether that the depositor brings."""
BORROWER, RESCUER = "bob", "carol"
PURSE = 1_000 * ONE
"""Wei of WETH that the rescuer can spend."""
DUST = ONE // 1_000
"""Wei of debt below which a repayment is not worth a line."""
VENUE, ETHER, STAKED = 0, 0, 1
"""Indices as ``deleverage`` takes them."""


@dataclass(frozen=True, slots=True)
class Position:
    """A vault that has borrowed, an account with the same leverage beside it, and the chain they stand on.

    Attributes
    ----------
    journal
        Of the keeper that opened the position.
    opened
        The vault, when it had.
    """

    sandbox: Sandbox
    vault: str
    mandate: Mandate
    journal: Path
    control: str
    opened: Snapshot


def fall(depth: float, hours: int, after: int = 0) -> PricePath:
    """Ether stands still; stETH loses `depth` in equal steps of half an hour, then stays there for `after` hours."""
    at = np.arange(2 * (hours + after) + 1) / 2
    prices = np.tile([START_PRICES[symbol] for symbol in MARKET_SYMBOLS], (len(at), 1))
    prices[:, MARKET_SYMBOLS.index("stETH")] *= 1 - depth * np.clip(at / hours, 0.0, 1.0)
    return PricePath(MARKET_SYMBOLS, (at * HOUR).astype(np.int64), prices)


def open_position(sandbox: Sandbox, vault: str, mandate: Mandate, journal: Path) -> Position:
    """Let the keeper bring a vault that holds ether to the leverage it wants, and somebody take the same by hand."""
    calm = fall(0.0, OPENING_HOURS)
    with Simulation(sandbox, vault, mandate, calm, seed=SEED, journal=journal) as simulation:
        for _ in range(OPENING_HOURS * HOUR // STEP):
            simulation.driver.step(STEP)
            simulation.guard()
            simulation.tick()
        opened = simulation.snapshot()
        with simulation.others():
            control = leveraged_staker(sandbox, BORROWER, opened.leverage, STAKE * ONE)
    return Position(sandbox, vault, mandate, journal, control, opened)


def play_loan(position: Position) -> LoanRecord:
    """Take the position through the crash on two forks of its chain."""
    limits, crash = position.mandate.limits, position.opened.block.timestamp
    kept, _ = with_keeper(position)
    rescued, control = with_dead_keeper(position)
    ether, staked = position.mandate.symbols
    return LoanRecord(
        mandate=position.mandate.name,
        collateral=staked,
        debt=ether,
        depth=DEPTH,
        crash=(crash, crash + CRASH_HOURS * HOUR),
        floor=limits.min_health_bps / 10_000,
        trigger=limits.deleverage_trigger_bps / 10_000,
        kept=kept,
        rescued=rescued,
        control=control,
    )


def with_keeper(position: Position) -> tuple[LoanFate, LoanFate]:
    """Crash with the keeper at work; return what became of the vault and of the account beside it."""
    with _crash(position) as voyage:
        keeper = voyage.simulation.keeper
        while voyage.market():
            before = voyage.now
            voyage.simulation.guard()
            if keeper.due(keeper.settle_down()):
                voyage.simulation.tick()
            voyage.note("keeper", before)
        return voyage.vault("with its keeper"), voyage.control


def with_dead_keeper(position: Position) -> tuple[LoanFate, LoanFate]:
    """Crash with nobody but a stranger who calls ``deleverage`` when the vault lets them."""
    with _crash(position) as voyage:
        simulation, chain = voyage.simulation, voyage.simulation.sandbox.chain
        rescuer = development_address(RESCUER)
        chain.impersonate(rescuer)
        token = position.mandate.ordered_assets[ETHER].address
        with simulation.others():
            simulation.sandbox.give("WETH", rescuer, PURSE)
            chain.send(token, APPROVE, position.vault, 2**256 - 1, sender=rescuer)
        arguments = (VENUE, ETHER, STAKED, PURSE)
        while voyage.market():
            before = voyage.now
            if _allowed(Node(simulation.client), position.vault, encode_deleverage(*arguments), rescuer):
                with simulation.others():
                    chain.send(position.vault, function(DELEVERAGE), *arguments, sender=rescuer)
            voyage.note("stranger", before)
        return voyage.vault("keeper dead, deleveraged by a stranger"), voyage.control


@dataclass
class _Voyage:
    """One crash under way."""

    position: Position
    simulation: Simulation
    liquidator: Liquidator
    points: list[LoanPoint] = field(default_factory=list)
    repairs: list[LoanRepair] = field(default_factory=list)
    control_points: list[LoanPoint] = field(default_factory=list)
    control_repairs: list[LoanRepair] = field(default_factory=list)

    @property
    def now(self) -> Snapshot:
        return self.simulation.snapshot()

    @property
    def control(self) -> LoanFate:
        name = "fixed leverage, nobody looks"
        return LoanFate(name, self.position.control, tuple(self.control_points), tuple(self.control_repairs))

    def vault(self, name: str) -> LoanFate:
        return LoanFate(name, self.position.vault, tuple(self.points), tuple(self.repairs))

    def market(self) -> bool:
        """Play the market's next step, after which the liquidator is faster than anybody; False when it is over."""
        driver = self.simulation.driver
        if driver.time + STEP > driver.path.end:
            return False
        driver.step(STEP)
        self._look()
        before = {account: self.liquidator.account(account).health for account in self.liquidator.accounts}
        with self.simulation.others():
            struck = self.liquidator.strike()
        for one in struck:
            repairs = self.control_repairs if one.account == self.position.control else self.repairs
            after = self.liquidator.account(one.account).health
            repairs.append(
                LoanRepair(
                    driver.time, "liquidator", one.debt_covered, one.collateral_taken, before[one.account] or 0.0, after
                )
            )
        if struck:
            self._look()
        return True

    def note(self, by: str, before: Snapshot) -> None:
        """Write down what somebody did to the vault's loan since `before`, if they repaid any of it."""
        now, was = self.now, before.assets
        repaid = was[ETHER].owed - now.assets[ETHER].owed
        if repaid <= 0:
            return
        self._look()
        if repaid >= DUST:
            given = was[STAKED].supplied - now.assets[STAKED].supplied
            time, healths = self.simulation.driver.time, (before.health_factor or 0.0, now.health_factor)
            self.repairs.append(LoanRepair(time, by, repaid, given, *healths))

    def _look(self) -> None:
        now, time = self.now, self.simulation.driver.time
        self.points.append(LoanPoint(time, now.health_factor, now.leverage, now.value))
        control = self.liquidator.account(self.position.control)
        self.control_points.append(LoanPoint(time, control.health, control.leverage, control.value))


@contextmanager
def _crash(position: Position) -> Iterator[_Voyage]:
    """A fork of the position's chain on which stETH is about to fall."""
    path = fall(DEPTH, CRASH_HOURS, AFTER_HOURS)
    with position.sandbox.fork() as fork, TemporaryDirectory(prefix="plimsoll-loan-") as folder:
        # A journal belongs to one chain, and a fork of it goes its own way.
        journal = Path(shutil.copy(position.journal, folder))
        with Simulation(fork, position.vault, position.mandate, path, seed=SEED, journal=journal) as simulation:
            voyage = _Voyage(position, simulation, Liquidator(fork.chain, [position.vault, position.control]))
            voyage._look()
            yield voyage


def _allowed(node: Node, vault: str, calldata: bytes, sender: str) -> bool:
    try:
        node.estimate_gas(vault, calldata, sender=sender)
    except Reverted:
        return False
    return True
