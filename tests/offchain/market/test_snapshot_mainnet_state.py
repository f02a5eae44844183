# SPDX-License-Identifier: Apache-2.0
"""Reading real mainnet pools and tokens, of which only the slots one block touched are known."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from offchain.mandate import compare_with_chain
from offchain.market.codec import from_json, to_json
from offchain.market.errors import HistoryError
from offchain.market.history import HistoryReader
from offchain.market.pools import discover_pools
from offchain.market.reader import read_snapshot
from offchain.market.round_cache import RoundCache
from offchain.market.rpc import NodeClient
from offchain.market.snapshot import Snapshot, UniswapV2State, UniswapV3State
from offchain.market.vault import read_chain_mandate
from offchain.sandbox import addresses
from offchain.sandbox.anvil import Anvil
from offchain.sandbox.chain import Chain
from offchain.sandbox.chainlink import deploy_feeds, submission
from offchain.sandbox.standup import Sandbox
from offchain.settle.development import development_address, sandbox_deployer
from tests.support.contracts import PROJECT
from tests.support.vaults import DeployedVault, deploy_vault

STATE = PROJECT.parent / "shared" / "data" / "mainnet" / "block-24628607.state.json.gz"
BLOCK_TIMESTAMP = 1_773_164_303
ETHER = 2065.0

pytestmark = pytest.mark.skipif(not STATE.is_file(), reason=f"real mainnet state is not there: {STATE}")


@pytest.fixture(scope="module")
def reserve(sandbox_node: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployedVault]:
    """A dollar-reserve vault beside the real tokens and pools, priced by feeds of our own."""
    state = tmp_path_factory.mktemp("mainnet") / "state.json"
    state.write_bytes(gzip.decompress(STATE.read_bytes()))
    copied = (addresses.MULTICALL3, addresses.UNISWAP_V3_TICK_LENS, addresses.CREATE2_DEPLOYER)
    code = {address: sandbox_node.chain.code(address) for address in copied}
    code[sandbox_deployer()] = code[addresses.CREATE2_DEPLOYER]
    with Anvil(load_state=state, timestamp=BLOCK_TIMESTAMP + 12) as anvil:
        chain = Chain(anvil.rpc, development_address("market"))
        actors = [chain.sender, *(development_address(role) for role in ("oracle0", "oracle1", "oracle2", "owner"))]
        chain.impersonate(*actors)
        for actor in actors:
            chain.set_balance(actor, 10**20)
        for address, runtime in code.items():
            anvil.rpc.call("anvil_setCode", address, runtime)
        feeds = deploy_feeds(chain)
        for pair, price in (("ETH/USD", ETHER), ("USDC/USD", 1.0), ("USDT/USD", 1.0)):
            chain.send_all([submission(chain, feeds[pair], feeds[pair].answer(price))])
        yield deploy_vault(Sandbox(anvil, chain, feeds=feeds), PROJECT / "mandates" / "dollar-reserve.yaml")


@pytest.fixture(scope="module")
def node(reserve: DeployedVault) -> Iterator[NodeClient]:
    with NodeClient(str(reserve.web3.provider.endpoint_uri)) as client:  # type: ignore[attr-defined]
        yield client


@pytest.fixture(scope="module")
def snapshot(node: NodeClient, reserve: DeployedVault) -> Snapshot:
    return read_snapshot(node, reserve.address, reserve.file_mandate, discover_pools(node, reserve.file_mandate))


def test_the_real_pools_are_found(snapshot: Snapshot) -> None:
    found = {pool.address for pool in snapshot.pools}
    assert {
        "0xB4e16d0168e52d35CaCD2c6185b44281Ec28C9Dc",  # USDC/WETH v2
        "0x88e6A0c2dDD26FEEb64F039a2c41296FcB3f5640",  # USDC/WETH v3 0.05 %
        "0x11b815efB8f581194ae79006d24E0d814B7697F6",  # WETH/USDT v3 0.05 %
    } <= found


def test_real_pools_agree_on_the_price_of_ether(snapshot: Snapshot) -> None:
    for pool in snapshot.pools:
        scale = 10.0 ** (snapshot.assets[pool.token0].decimals - snapshot.assets[pool.token1].decimals)
        if isinstance(pool, UniswapV2State):
            price = pool.reserve1 / pool.reserve0 * scale
        else:
            price = (pool.sqrt_price_x96 / 2**96) ** 2 * scale
        in_usd = price if snapshot.assets[pool.token0].symbol == "WETH" else 1 / price
        assert in_usd == pytest.approx(ETHER, rel=0.02)


def test_ticks_of_the_present_range_are_read(snapshot: Snapshot) -> None:
    pool = next(pool for pool in snapshot.pools if pool.address == "0x88e6A0c2dDD26FEEb64F039a2c41296FcB3f5640")
    assert isinstance(pool, UniswapV3State)
    assert any(tick <= pool.tick for tick, _ in pool.ticks)
    assert any(tick > pool.tick for tick, _ in pool.ticks)


def test_decimals_that_the_state_lacks_are_the_mandates(node: NodeClient, reserve: DeployedVault) -> None:
    with structlog.testing.capture_logs() as log:
        chain = read_chain_mandate(node, reserve.address, reserve.file_mandate)
    assert [(entry["asset"], entry["chain"], entry["used"]) for entry in log if entry["event"] == "token.decimals"] == [
        ("USDC", 0, 6),
        ("USDT", 0, 6),
        ("WETH", 0, 18),
    ]
    assert compare_with_chain(reserve.file_mandate, chain) == reserve.file_mandate.vault_limits


def test_a_real_snapshot_survives_exactly(snapshot: Snapshot) -> None:
    assert from_json(to_json(snapshot)) == snapshot


def test_feeds_without_a_past_are_said_so(
    node: NodeClient, reserve: DeployedVault, snapshot: Snapshot, tmp_path: Path
) -> None:
    with pytest.raises(HistoryError, match="no common past"):
        HistoryReader(node, reserve.file_mandate, RoundCache(tmp_path)).read(snapshot.block)
