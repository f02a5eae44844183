# SPDX-License-Identifier: Apache-2.0
"""Feed rounds and pool events of the sandbox into a store, through restarts and reorganisations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from offchain.cli import app
from offchain.mandate import Mandate
from offchain.market.rpc import NodeClient
from offchain.market.store import Store
from offchain.market.sync import sync
from offchain.sandbox.market_driver import MarketDriver
from offchain.sandbox.paths import MARKET_SYMBOLS, PricePath
from offchain.sandbox.simulator import START_PRICES
from offchain.sandbox.standup import Sandbox
from tests.support.vaults import BLUE_CHIP


@pytest.fixture(scope="module")
def traded(sandbox_node: Sandbox) -> Iterator[NodeClient]:
    """A sandbox whose pools were traded in after its first blocks: ether jumped by a tenth."""
    times = np.arange(0, 86_401, 300)
    prices = np.tile([START_PRICES[symbol] for symbol in MARKET_SYMBOLS], (times.size, 1))
    prices[times >= 600, MARKET_SYMBOLS.index("ETH")] *= 1.1
    with sandbox_node.fork() as fork:
        driver = MarketDriver(fork, PricePath(MARKET_SYMBOLS, times, prices), seed=1)
        for _ in range(3):
            driver.step()
        with NodeClient(fork.rpc_url) as client:
            yield client


def test_rounds_and_events_of_the_mandate_are_stored_once(traded: NodeClient, mandate: Mandate, tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        first = sync(traded, mandate, store, days=400.0, first_block=0, confirmations=0)
        assert store.query("SELECT count(*) FROM rounds") == [(first.rounds,)]
        assert store.query("SELECT count(DISTINCT feed) FROM rounds")[0][0] >= len(mandate.symbols)
        assert store.query("SELECT count(*) FROM rounds WHERE CAST(answer AS HUGEINT) <= 0") == [(0,)]
        kinds = dict(store.query("SELECT kind, count(*) FROM pool_events GROUP BY 1"))
        assert sum(kinds.values()) == first.events
        assert kinds["swap"] >= 3
        again = sync(traded, mandate, store, confirmations=0)
        assert (again.rounds, again.events) == (0, 0)


def test_a_pools_liquidity_comes_back_as_a_series(traded: NodeClient, mandate: Mandate, tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        sync(traded, mandate, store, first_block=0, confirmations=0)
        pools = store.query("SELECT DISTINCT pool FROM pool_events")
        assert pools
        for (pool,) in pools:
            times, values = store.pool_liquidity(pool.lower())
            assert times.size == values.size > 0
            assert (np.diff(times) >= 0).all()
            assert (values > 0.0).all()


def test_what_a_reorganisation_took_back_is_dropped(sandbox_fork: Sandbox, mandate: Mandate, tmp_path: Path) -> None:
    rpc = sandbox_fork.rpc
    with NodeClient(sandbox_fork.rpc_url) as client, Store(tmp_path) as store:
        rpc.call("anvil_mine", "0x5")
        before = sync(client, mandate, store, first_block=0, confirmations=3)
        mark = rpc.call("evm_snapshot")
        rpc.call("anvil_mine", "0x9")
        ahead = sync(client, mandate, store, confirmations=0)
        assert ahead.block > before.block
        rpc.call("evm_revert", mark)
        rpc.call("evm_increaseTime", "0x7")
        rpc.call("anvil_mine", "0xc")
        after = sync(client, mandate, store, confirmations=0)
        assert after.first_block == before.block + 1, "it goes back to the last block that both chains share"
        chain = store.query("SELECT DISTINCT chain FROM anchors")[0][0]
        number, known = store.anchors(chain, "pools")[0]
        assert client.call("eth_getBlockByNumber", hex(number), False)["hash"] == known


def test_the_command_tells_progress_aside_and_the_result_as_json(sandbox: Sandbox, tmp_path: Path) -> None:
    wish = ["data", "sync", "--rpc", sandbox.rpc_url, "--mandate", str(BLUE_CHIP), "--store", str(tmp_path), "--json"]
    result = CliRunner().invoke(app, [*wish, "--from-block", "0", "--confirmations", "0"])
    told = json.loads(result.stdout)
    assert told["rounds"] > 0
    assert "pools: to block" in result.stderr


def test_a_node_that_does_not_answer_is_named(mandate: Mandate, tmp_path: Path) -> None:
    with (
        NodeClient("http://127.0.0.1:9") as nobody,
        Store(tmp_path) as store,
        pytest.raises(Exception, match=r"127\.0\.0\.1:9: does not answer"),
    ):
        sync(nobody, mandate, store)
