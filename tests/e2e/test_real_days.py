# SPDX-License-Identifier: Apache-2.0
"""The keeper through days that happened; what it did is judged from raw chain state alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog

from offchain.demo.simulation import Simulation
from offchain.keeper.report import TickReport
from offchain.sandbox.prices_file import load_path
from offchain.sandbox.simulator import continued_from_the_sandbox
from offchain.sandbox.standup import Sandbox
from tests.support.recorded import recorded
from tests.support.vaults import DeployedVault, deploy_vault

HOUR = 3_600
ONE = 10**18
FULL_BPS = 10_000
VIRTUAL_SHARES = 10**12
"""Of a vault whose base asset has six decimals."""

OLD = "prices/binance_spot_1h_2019-10_2020-05_btc_eth.csv.gz"
NEW = "prices/binance_spot_1h_2020_2022.csv.gz"


@dataclass(frozen=True)
class Days:
    """Some days of recorded prices, with a calm day or two before them to invest on."""

    name: str
    file: str
    first: datetime
    last: datetime
    falls: float
    """What ether lost at worst from the first row on, at least."""


def day(year: int, month: int, number: int) -> datetime:
    return datetime(year, month, number, tzinfo=UTC)


PERIODS = (
    Days("march 2020", OLD, day(2020, 3, 11), day(2020, 3, 14), 0.45),
    Days("may 2021", NEW, day(2021, 5, 18), day(2021, 5, 20), 0.25),
    Days("november 2022", NEW, day(2022, 11, 7), day(2022, 11, 11), 0.25),
)


@dataclass
class Chain:
    """Raw answers of the vault's contracts at a block."""

    vault: DeployedVault

    def holdings(self, block: int | str = "latest") -> list[int]:
        return list(self.vault.vault.functions.holdings().call(block_identifier=block))

    def prices(self, block: int | str = "latest") -> list[int]:
        return list(self.vault.oracle.functions.try_prices().call(block_identifier=block)[1])

    def values(self, block: int | str = "latest") -> list[int]:
        return [held * price // ONE for held, price in zip(self.holdings(block), self.prices(block), strict=True)]

    def value_per_share(self, block: int | str = "latest") -> int:
        supply = self.vault.vault.functions.totalSupply().call(block_identifier=block)
        return (sum(self.values(block)) + self.prices(block)[0] // ONE) * ONE // (supply + VIRTUAL_SHARES)

    def state(self, block: int | str = "latest") -> int:
        return int(self.vault.mandate.functions.breaker_state().call(block_identifier=block))

    def violations(self, block: int, values: list[int], *, reducing: bool) -> list[int]:
        """Value times 10**4 by which each bound is broken: lower bounds, then upper ones."""
        limits: Any = self.vault.mandate.functions.limits().call(block_identifier=block)
        total = sum(values)
        lower = [max(0, bps * total - FULL_BPS * worth) for bps, worth in zip(limits[0], values, strict=True)]
        upper = [max(0, FULL_BPS * worth - bps * total) for bps, worth in zip(limits[1], values, strict=True)]
        if reducing:
            lower[1:] = [0] * (len(lower) - 1)
            upper[0] = 0
        return lower + upper


@dataclass
class Journey:
    """What happened, tick by tick."""

    chain: Chain
    settlements: list[TickReport] = field(default_factory=list)
    expected: list[int] = field(default_factory=list)
    """State of the breaker that the rule asks for at each tick."""
    found: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@pytest.fixture(
    scope="module",
    # One worker a period, or each test would live through it again.
    params=[pytest.param(days, marks=pytest.mark.xdist_group(days.name), id=days.name) for days in PERIODS],
)
def journey(
    request: pytest.FixtureRequest, sandbox_node: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Journey]:
    days: Days = request.param
    path = load_path(recorded(days.file), start=days.first, end=days.last, substitutes={"LINK": "ETH"})
    ether = path.series("ETH")
    assert 1 - ether.min() / ether[0] > days.falls
    folder: Path = tmp_path_factory.mktemp("days")
    with sandbox_node.fork() as fork, structlog.testing.capture_logs():
        vault = deploy_vault(fork)
        vault.deposit("alice", 600_000 * 10**6)
        vault.deposit("bob", 400_000 * 10**6)
        with Simulation(
            fork,
            vault.address,
            vault.file_mandate,
            continued_from_the_sandbox(path),
            seed=11,
            journal=folder / "journal.sqlite",
        ) as simulation:
            yield sail(simulation, Journey(Chain(vault)))


def sail(simulation: Simulation, journey: Journey) -> Journey:
    """Go to the end of the path, asking the chain after every step what the rule says."""
    chain, limits = journey.chain, simulation.mandate.limits
    peak, latched = chain.value_per_share(), 0
    while not simulation.ended:
        simulation.market()
        worth = chain.value_per_share()
        for state, bps in ((1, limits.drawdown_reduce_bps), (2, limits.drawdown_halt_bps)):
            if worth * FULL_BPS <= peak * (FULL_BPS - bps):
                latched = max(latched, state)
        simulation.guard()
        journey.expected.append(latched)
        journey.found.append(chain.state())
        report = simulation.tick()
        if report.settlement is not None:
            journey.settlements.append(report)
            peak = max(peak, chain.value_per_share(report.settlement.block_number))
            journey.problems += outside(chain, report.settlement.block_number)
    return journey


def outside(chain: Chain, block: int) -> list[str]:
    """What is wrong with the settlement of a block: outside the mandate, and not closer to it."""
    # Nothing but the settlement touches vault and feeds in its block.
    prices = chain.prices(block)
    before = [held * price // ONE for held, price in zip(chain.holdings(block - 1), prices, strict=True)]
    after, reducing = chain.values(block), chain.state(block) == 1
    old = chain.violations(block, before, reducing=reducing)
    new = chain.violations(block, after, reducing=reducing)
    if not any(new):
        return []
    shares = [(now * sum(before), then * sum(after)) for now, then in zip(new, old, strict=True)]
    if all(now <= then for now, then in shares) and any(now < then for now, then in shares):
        return []
    return [f"block {block}: violations {old} became {new}"]


def test_every_settlement_ends_inside_the_mandate_or_closer_to_it(journey: Journey) -> None:
    assert len(journey.settlements) >= 3
    assert journey.problems == []


def test_breaker_stands_where_the_rule_says_at_every_tick(journey: Journey) -> None:
    assert journey.found == journey.expected
    assert journey.found[0] == 0


def test_each_state_is_entered_once_and_by_drawdown(journey: Journey) -> None:
    mandate = journey.chain.vault.mandate
    trips = mandate.events.Tripped().get_logs(from_block=0)
    states = sorted(set(journey.expected) - {0})
    assert [trip["args"]["state"] for trip in trips] == states
    assert all(trip["args"]["reason"] == 1 for trip in trips)
    for trip in trips:
        worth = journey.chain.value_per_share(trip["blockNumber"])
        assert trip["args"]["value_per_share"] == worth
