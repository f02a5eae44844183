# SPDX-License-Identifier: Apache-2.0
"""A vault, its keeper and the market around them, one tick after the other on one sandbox.

Nothing here waits for a clock: the market's tick is played, then the keeper works, and
whenever it waits for a block the next one is mined. The same arguments give the same chain.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from offchain.keeper.journal import Journal
from offchain.keeper.keeper import Keeper, KeeperSettings
from offchain.keeper.report import TickReport
from offchain.mandate import Mandate
from offchain.market.history import HistoryReader
from offchain.market.reader import read_snapshot
from offchain.market.round_cache import RoundCache
from offchain.market.rpc import NodeClient
from offchain.market.snapshot import Snapshot
from offchain.sandbox.arbitrage import MarketMaker
from offchain.sandbox.blocks import BlockProducer, mining
from offchain.sandbox.flow import AheadOfUs
from offchain.sandbox.keys import PASSWORD, keyfile
from offchain.sandbox.market_driver import MarketDriver, Tick
from offchain.sandbox.mempool import Watch
from offchain.sandbox.paths import PricePath
from offchain.sandbox.sandwich import SandwichBot
from offchain.sandbox.standup import Sandbox
from offchain.settle.accounts import open_keyfile


class Simulation:
    """Takes a vault along a price path; a context manager that ends the keeper, not the sandbox.

    Parameters
    ----------
    sandbox
        Where the vault stands; a fork of a sandbox is much faster than the sandbox itself.
    vault
        Address of the vault.
    mandate
        The file it was deployed from.
    path
        Is moved in time so that it begins at the chain's clock.
    seed
        Of the market's flow and of the base fee.
    journal
        File of the keeper's journal.

    Attributes
    ----------
    keeper
        As `plimsoll keeper run` makes it, with the development keys of keeper and optimizer.
    driver
        The market.
    bot
        The attacker; it watches the mempool once `let_the_bot_in` was called.
    """

    def __init__(
        self, sandbox: Sandbox, vault: str, mandate: Mandate, path: PricePath, *, seed: int, journal: Path
    ) -> None:
        self.sandbox, self.vault, self.mandate = sandbox, vault, mandate
        self._stack = ExitStack()
        sandbox.rpc.call("evm_setAutomine", False)
        self._producer = BlockProducer(sandbox.rpc_url)
        with mining(sandbox.chain, automatic=True):
            self.driver = MarketDriver(sandbox, path, seed, producer=self._producer)
            watch = Watch(sandbox.chain, vault)
            self.bot = SandwichBot(sandbox.chain, watch, lambda: self.driver.prices)
            ahead = AheadOfUs(MarketMaker.of_the_market(sandbox.chain), watch, seed + 2)
        self._producer.participants.append(ahead)
        self.client = self._stack.enter_context(NodeClient(sandbox.rpc_url))
        self.keeper = self._open_keeper(journal)
        self.keeper.recover()

    def _open_keeper(self, journal_file: Path) -> Keeper:
        payer, signer = (open_keyfile(keyfile(role), PASSWORD) for role in ("keeper", "optimizer"))
        journal = Journal.open(journal_file, chain_id=self.mandate.chain_id, vault=self.vault)
        self._stack.enter_context(journal)
        # Of this chain nobody will ask again.
        rounds = RoundCache(Path(self._stack.enter_context(TemporaryDirectory(prefix="plimsoll-rounds-"))))
        self._stack.callback(rounds.close)
        return Keeper(
            self.client,
            self.vault,
            self.mandate,
            payer=payer,
            signer=signer,
            journal=journal,
            settings=KeeperSettings(poll_seconds=0.0),
            pause=self.mine,
            history_reader=HistoryReader(self.client, self.mandate, rounds),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def ended(self) -> bool:
        """Whether the path leaves no room for another tick."""
        return self.driver.ended

    def let_the_bot_in(self) -> bool:
        """From now on every public transaction may be sandwiched; return whether that is new."""
        if self.bot in self._producer.participants:
            return False
        self._producer.participants.insert(0, self.bot)
        return True

    def market(self) -> Tick:
        """Play the market's next tick."""
        return self.driver.step()

    def guard(self) -> None:
        """Let the keeper look at the new blocks, trip the breaker if it must, and wait for that."""
        self.keeper.settle_down()

    def tick(self) -> TickReport:
        """Let the keeper decide, and follow its order to the end."""
        return self.keeper.tick()

    def mine(self) -> None:
        """Mine what is pending, or an empty block: what the keeper does instead of sleeping."""
        if self._producer.produce() is None:
            self.sandbox.chain.mine()

    @contextmanager
    def others(self) -> Iterator[None]:
        """Mine a block for each transaction while the context lasts, for those who wait for receipts."""
        with self._producer.held(), mining(self.sandbox.chain, automatic=True):
            yield

    def snapshot(self, block: int | None = None) -> Snapshot:
        """The vault's state, without pools, at a block or now."""
        return read_snapshot(self.client, self.vault, self.mandate, (), tag="latest" if block is None else hex(block))
