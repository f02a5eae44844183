# SPDX-License-Identifier: Apache-2.0
"""The demonstration: sixty days with a crash, from the first deposit to the last redemption; then a loan's crash."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from offchain.demo import loan
from offchain.demo.ape import ApeScripts
from offchain.demo.checks import FULL_LENGTH_DAYS, require
from offchain.demo.collect import Log
from offchain.demo.simulation import Simulation
from offchain.errors import PlimsollError
from offchain.mandate import load_mandate
from offchain.market.snapshot import BreakerState
from offchain.sandbox.anvil import PROJECT
from offchain.sandbox.blocks import BLOCK_SECONDS
from offchain.sandbox.paths import PricePath
from offchain.sandbox.prices_file import load_path
from offchain.sandbox.simulator import Crash, continued_from_the_sandbox, simulate
from offchain.sandbox.standup import Sandbox, launch
from offchain.settle.development import deployment_name, development_address
from offchain.web.record import LoanRecord, RunRecord

MANDATE = PROJECT / "mandates" / "blue-chip.yaml"
DEPOSITS = (("alice", 450_000), ("bob", 350_000), ("carol", 200_000))
"""Who pays in how many whole dollars; a million together."""
LEAVES_EARLY = "bob"
STAYS_LAST = "carol"
STAKES = "alice"
"""Who pays into the vault of the second act."""
DAY = 86_400
LEAST_DAYS = 2.0
CRASH_AT = 0.7
"""When the fall begins, as a fraction of the days."""
CRASH_DEPTH = -0.42
CRASH_DAYS = 2.5

Tell = Callable[[str], None]
Progress = Callable[[float], None]


class DemoError(PlimsollError):
    """The demonstration cannot run as it was asked to."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is to be shown.

    Attributes
    ----------
    days
        Simulated days.
    seed
        Of the prices, unless they come from a file, of the flow and of the base fee.
    prices
        Recorded prices instead of simulated ones, in the long format.
    out
        Folder for the report, the summary, the keeper's journal and its log.
    """

    days: float
    seed: int
    prices: Path | None
    out: Path

    @property
    def journal(self) -> Path:
        """File of the keeper's journal."""
        return self.out / "journal.sqlite"

    def path(self) -> PricePath:
        """The prices it runs on; a simulated path has one crash."""
        if self.days < LEAST_DAYS:
            raise DemoError(f"--days {self.days:g}: at least {LEAST_DAYS:g} are needed for a rise, a fall and an exit")
        if self.prices is None:
            crash = Crash(day=self.days * CRASH_AT, depth=CRASH_DEPTH, days=min(CRASH_DAYS, self.days / 6))
            # Half a day more than is played: scripts take blocks, and blocks take time.
            return simulate(self.seed, days=self.days + 0.5, crash=crash)
        path = continued_from_the_sandbox(load_path(self.prices, substitutes={"LINK": "ETH"}))
        if path.end - path.start < LEAST_DAYS * DAY:
            raise DemoError(f"--prices {self.prices}: covers less than {LEAST_DAYS:g} days; give a longer file")
        return path


def play(scenario: Scenario, tell: Tell, progress: Progress) -> RunRecord:
    """Run the scenario and its second act and return the record, which has passed `require`.

    Parameters
    ----------
    tell
        Called with what happens, a sentence each.
    progress
        Called with the simulated days that are over.

    Raises
    ------
    DemoFailed
        It ran and did not show what it has to.
    PlimsollError
        It could not run.
    """
    path = scenario.path()
    with launch() as below:
        with _stage(below) as sandbox:
            scripts = ApeScripts(scenario.out / "deployments", host=sandbox.rpc_url)
            tell(f"A sandbox stands: chain id 1, {len(sandbox.pools)} pools, {len(sandbox.feeds)} feeds.")
            record = _Run(scenario, sandbox, scripts, tell, progress).whole(path)
        with _stage(below) as sandbox:
            scripts = ApeScripts(scenario.out / "deployments", host=sandbox.rpc_url)
            record = replace(record, loan=_second_act(sandbox, scripts, tell))
    simulated = scenario.prices is None
    require(record, expect_trip=simulated, full_length=simulated and scenario.days >= FULL_LENGTH_DAYS)
    return record


@contextmanager
def _stage(below: Sandbox) -> Iterator[Sandbox]:
    """A fork of the sandbox as it was built."""
    with below.fork() as sandbox:
        # Otherwise blocks carry the machine's time while the scripts run, and no two runs are the same.
        sandbox.rpc.call("anvil_setBlockTimestampInterval", BLOCK_SECONDS)
        yield sandbox


def _second_act(sandbox: Sandbox, scripts: ApeScripts, tell: Tell) -> LoanRecord:
    """Stake on credit and let stETH crash, see `offchain.demo.loan`."""
    mandate = load_mandate(loan.MANDATE)
    deployed = scripts.answer("deploy", "--mandate", str(loan.MANDATE), "--account", "owner")
    tell(f"Second act. ape run deploy: {mandate.name} at {deployed['vault']}")
    sandbox.give(mandate.base_asset, development_address(STAKES), loan.STAKE * 10**18)
    scripts.answer("deposit", "--amount", str(loan.STAKE), "--account", STAKES)
    tell(f"ape run deposit: {STAKES} pays in {loan.STAKE} {mandate.base_asset}")
    with TemporaryDirectory(prefix="plimsoll-loan-") as folder:
        position = loan.open_position(sandbox, deployed["vault"], mandate, Path(folder) / "journal.sqlite")
        tell(f"The keeper opens the position: leverage {position.opened.leverage:.2f}. Then stETH falls, on two forks.")
        return loan.play_loan(position)


@dataclass
class _Run:
    scenario: Scenario
    sandbox: Sandbox
    scripts: ApeScripts
    tell: Tell
    progress: Progress
    bot_came: int | None = None
    """Block from which on the bot could read the mempool."""

    def whole(self, path: PricePath) -> RunRecord:
        mandate = load_mandate(MANDATE)
        first_block = int(self.sandbox.rpc.call("eth_blockNumber"), 16)
        deployed = self.scripts.answer("deploy", "--mandate", str(MANDATE), "--account", "owner")
        self.tell(f"ape run deploy: {mandate.name} at {deployed['vault']}")
        paid_in = [
            (role, self.scripts.answer("deposit", "--amount", str(dollars), "--account", role))
            for role, dollars in DEPOSITS
        ]
        total = sum(dollars for _, dollars in DEPOSITS)
        self.tell(f"ape run deposit: {', '.join(role for role, _ in DEPOSITS)} pay in ${total:,}")
        with Simulation(
            self.sandbox, deployed["vault"], mandate, path, seed=self.scenario.seed, journal=self.scenario.journal
        ) as simulation:
            log = Log(simulation, first_block)
            for role, answer in paid_in:
                log.deposit(role, answer)
            self._run_days(simulation, log)
            self._everybody_leaves(simulation, log)
            return self._record(log)

    def _run_days(self, simulation: Simulation, log: Log) -> None:
        start = simulation.driver.time
        end = min(start + self.scenario.days * DAY, simulation.driver.path.end)
        early_has_left = False
        while not simulation.ended and simulation.driver.time < end:
            if simulation.driver.time - start >= (end - start) / 2 and simulation.let_the_bot_in():
                self.bot_came = int(self.sandbox.rpc.call("eth_blockNumber"), 16)
                self.tell("The sandwich bot reads the mempool from here on.")
            simulation.market()
            simulation.guard()
            day = (simulation.driver.time - start) / DAY
            if not early_has_left and simulation.snapshot().vault.breaker is not BreakerState.ACTIVE:
                self.tell(f"Day {day:.1f}: the breaker trips, the vault only reduces.")
                self._leave(simulation, log, LEAVES_EARLY, "all", in_kind=True)
                early_has_left = True
            log.tick(simulation.tick())
            self.progress(day)
        if not early_has_left:
            self._leave(simulation, log, LEAVES_EARLY, "all", in_kind=True)

    def _everybody_leaves(self, simulation: Simulation, log: Log) -> None:
        for role, _ in DEPOSITS:
            if role not in (LEAVES_EARLY, STAYS_LAST):
                halted = simulation.snapshot().vault.breaker is BreakerState.HALTED
                if halted or self._leave(simulation, log, role, "max", in_kind=False)["shares_left"] != "0":
                    self._leave(simulation, log, role, "all", in_kind=True)
        self._leave(simulation, log, STAYS_LAST, "all", in_kind=True)

    def _leave(self, simulation: Simulation, log: Log, role: str, shares: str, *, in_kind: bool) -> dict[str, object]:
        arguments = ["--shares", shares, "--account", role, *(["--in-kind"] if in_kind else [])]
        with simulation.others():
            answer = dict(self.scripts.answer("redeem", *arguments))
        log.redemption(role, "redeem in kind" if in_kind else "redeem", answer)
        worth = log.redemptions[-1].value / 10**18
        self.tell(f"ape run redeem: {role} leaves {'in kind' if in_kind else 'for USDC'} with ${worth:,.0f}")
        return answer

    def _record(self, log: Log) -> RunRecord:
        source = "simulated prices" if self.scenario.prices is None else f"prices of {self.scenario.prices.name}"
        return log.record(
            title="Plimsoll demonstration",
            subtitle=f"{self.scenario.days:g} days of {source} on mainnet in a box",
            chain=deployment_name(self.sandbox.rpc),
            seed=self.scenario.seed,
            notes=(*NOTES, self._about_the_bot(log)),
        )

    def _about_the_bot(self, log: Log) -> str:
        read = sum(one.block >= self.bot_came for one in log.settlements) if self.bot_came is not None else 0
        attacked = sum(one.attacker_profit_usd is not None for one in log.settlements)
        return (
            f"In the second half a bot read {read} settlements before they were mined and attacked {attacked}: it does "
            "when what the signed minimum outputs leave it is worth more than the pools' fees and the gas."
        )


NOTES = (
    "Contracts of Uniswap, Chainlink and WETH are the published ones at their mainnet addresses on a local chain; "
    "prices, other people's trades and the base fee are made up from the seed.",
    "The feeds of ETH, BTC and LINK write at least every four hours instead of every hour, so that sixty days take "
    "minutes; their deviation thresholds are mainnet's.",
)
