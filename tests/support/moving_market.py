# SPDX-License-Identifier: Apache-2.0
"""A vault in a market that moves, interval by interval, and a depositor who comes and goes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from offchain.sandbox.blocks import mining
from offchain.sandbox.market_driver import MarketDriver
from offchain.sandbox.paths import PricePath
from offchain.sandbox.simulator import simulate
from offchain.sandbox.standup import Sandbox
from offchain.settle.development import development_address
from tests.support.vaults import BLUE_CHIP, DeployedVault, deploy_vault

DAY = 86_400
MONTH = 30
MILLION = 10**12
"""Of dollars, in USDC's base units."""
FINAL_AFTER_TWO = ("--slots-in-an-epoch", "1")
"""Options of an anvil whose blocks are final after two, so that nobody need mine dozens."""


def tide(days: float, seed: int) -> PricePath:
    """A simulated month that runs forwards and backwards again and again, so that no fall ends the voyage for good."""
    month = simulate(seed, days=MONTH)
    there_and_back = np.concatenate([month.prices, month.prices[-2:0:-1]])
    step = int(month.timestamps[1] - month.timestamps[0])
    rows = int(days * DAY / step) + 1
    prices = np.resize(there_and_back, (rows, len(month.symbols)))
    return PricePath(month.symbols, step * np.arange(rows, dtype=np.int64), prices)


class MovingMarket:
    """A vault with a million dollars of alice's; blocks are mined when somebody says so.

    Parameters
    ----------
    sandbox
        One's own, with `FINAL_AFTER_TWO`.
    path
        What prices do.
    seed
        Of trades and base fees.
    """

    def __init__(self, sandbox: Sandbox, path: PricePath, seed: int, file: Path = BLUE_CHIP) -> None:
        self.sandbox = sandbox
        self.vault: DeployedVault = deploy_vault(sandbox, file)
        sandbox.give("USDC", development_address("alice"), 3 * MILLION)
        self.vault.deposit("alice", MILLION)
        sandbox.rpc.call("evm_setAutomine", False)
        self.driver = MarketDriver(sandbox, path, seed)
        self.interval = int(self.vault.file_mandate.execution.interval_minutes * 60)
        self._bought = False

    def next_interval(self, *, trade: bool = True) -> None:
        """Let the market move, and alice come or go where there should be something to do."""
        self.driver.step(self.interval)
        if trade:
            with mining(self.sandbox.chain, automatic=True):
                self._come_or_go()

    def mine(self) -> None:
        """Mine one block."""
        self.sandbox.rpc.call("evm_mine")

    def now(self) -> int:
        """Unix seconds of the head."""
        return self.sandbox.chain.timestamp()

    def _come_or_go(self) -> None:
        alice = development_address("alice")
        if self._bought:
            shares = self.vault.vault.functions.balanceOf(alice).call()
            self.vault.send("alice", self.vault.vault.functions.redeem(shares // 20, alice, alice))
        else:
            self.vault.deposit("alice", MILLION // 20)
        self._bought = not self._bought
