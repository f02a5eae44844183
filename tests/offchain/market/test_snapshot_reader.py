# SPDX-License-Identifier: Apache-2.0
"""Snapshots of a real vault on the sandbox, and of chains that move while being read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from offchain.abi import contract_abi
from offchain.mandate import Mandate, MandateParityError, compare_with_chain, load_mandate
from offchain.market.errors import OracleError, ReorgError, SnapshotError, StaleOracleError
from offchain.market.pool_readings import MAX_REACH_WORDS, REACH_TICKS, words_around
from offchain.market.pools import PoolKey, discover_pools
from offchain.market.reader import read_snapshot
from offchain.market.rpc import NodeClient, WrongChain
from offchain.market.snapshot import BreakerState, UniswapV2State, UniswapV3State
from offchain.market.vault import read_chain_mandate
from offchain.sandbox.contract import function
from offchain.sandbox.standup import Sandbox
from tests.offchain.market.conftest import MeddledClient, newest_block
from tests.support.contracts import PROJECT
from tests.support.vaults import BLUE_CHIP, DeployedVault, default_roles, deploy_vault

HOUR = 3600
POPULATED = function("getPopulatedTicksInWord(address,int16)")
TICKS = function("ticks(int24)", "uint128,int128,uint256,uint256,int56,uint160,uint32,bool")


@pytest.fixture
def pools(client: NodeClient, mandate: Mandate) -> tuple[PoolKey, ...]:
    return discover_pools(client, mandate)


@pytest.fixture
def log() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as entries:
        yield entries


def test_a_snapshot_is_two_round_trips(
    client: NodeClient, deployed: DeployedVault, mandate: Mandate, pools: tuple[PoolKey, ...]
) -> None:
    before = client.round_trips
    read_snapshot(client, deployed.address, mandate, pools)
    assert client.round_trips - before == 2


def test_the_vaults_state_is_what_its_views_answer(
    client: NodeClient, deployed: DeployedVault, mandate: Mandate, pools: tuple[PoolKey, ...]
) -> None:
    state = read_snapshot(client, deployed.address, mandate, pools).vault
    vault, policy = deployed.vault.functions, deployed.mandate.functions
    assert (state.oracle, state.mandate) == (deployed.oracle.address, deployed.mandate.address)
    assert (state.nonce, state.total_supply) == (vault.order_nonce().call(), vault.totalSupply().call())
    assert (state.value_per_share, state.peak) == (vault.value_per_share().call(), policy.peak().call())
    assert (state.loss_level, state.turnover_level) == (policy.loss_level().call(), policy.turnover_level().call())
    assert state.settled_at == policy.settled_at().call()
    assert (state.breaker, state.breaker_reason) == (BreakerState.ACTIVE, 0)
    assert state.mandate_hash == "0x" + policy.mandate_hash().call().hex()
    assert state.limits == mandate.vault_limits


def test_assets_come_in_the_vaults_order_with_the_oracles_prices(
    client: NodeClient, deployed: DeployedVault, mandate: Mandate, pools: tuple[PoolKey, ...]
) -> None:
    snapshot = read_snapshot(client, deployed.address, mandate, pools)
    assert tuple(asset.symbol for asset in snapshot.assets) == mandate.symbols
    assert (True, [asset.price for asset in snapshot.assets]) == tuple(deployed.oracle.functions.try_prices().call())
    assert [asset.price_updated_at for asset in snapshot.assets] == deployed.oracle.functions.updated_at().call()
    assert [asset.balance for asset in snapshot.assets] == [1_000 * 10**6, 0, 0, 0, 0]
    assert snapshot.value == deployed.vault.functions.value().call()


def test_prices_read_in_usd_for_a_whole_token(
    client: NodeClient, deployed: DeployedVault, mandate: Mandate, pools: tuple[PoolKey, ...]
) -> None:
    snapshot = read_snapshot(client, deployed.address, mandate, pools)
    assert [round(asset.price_usd, 3) for asset in snapshot.assets] == [1.0, 3000.0, 60000.0, 15.0, 3508.245]


def test_the_block_is_the_newest(
    client: NodeClient, deployed: DeployedVault, mandate: Mandate, pools: tuple[PoolKey, ...]
) -> None:
    assert read_snapshot(client, deployed.address, mandate, pools).block == newest_block(client)


def test_v2_reserves_are_the_pairs(
    sandbox: Sandbox, client: NodeClient, deployed: DeployedVault, mandate: Mandate, pools: tuple[PoolKey, ...]
) -> None:
    snapshot = read_snapshot(client, deployed.address, mandate, pools)
    pairs = [pool for pool in snapshot.pools if isinstance(pool, UniswapV2State)]
    assert len(pairs) == sum(not pool.is_v3 for pool in pools)
    for pair in pairs:
        there = sandbox.chain.call(pair.address, function("getReserves()", "uint112,uint112,uint32"))
        assert (pair.reserve0, pair.reserve1) == there[:2]


def test_v3_state_and_every_tick_in_reach_are_the_pools(
    sandbox: Sandbox, client: NodeClient, deployed: DeployedVault, mandate: Mandate, pools: tuple[PoolKey, ...]
) -> None:
    snapshot = read_snapshot(client, deployed.address, mandate, pools)
    concentrated = [pool for pool in snapshot.pools if isinstance(pool, UniswapV3State)]
    assert len(concentrated) == sum(pool.is_v3 for pool in pools)
    for pool in concentrated:
        slot0 = sandbox.chain.call(pool.address, function("slot0()", "uint160,int24,uint16,uint16,uint16,uint8,bool"))
        assert (pool.sqrt_price_x96, pool.tick) == slot0[:2]
        assert pool.liquidity == sandbox.chain.call(pool.address, function("liquidity()", "uint128"))
        assert pool.ticks == tuple(sorted(ticks_by_bitmap(sandbox, pool)))
        assert pool.ticks


def ticks_by_bitmap(sandbox: Sandbox, pool: UniswapV3State) -> list[tuple[int, int]]:
    """Initialised ticks of the words that the snapshot claims to know, from the pool itself."""
    found = []
    for word in range(pool.first_word, pool.last_word + 1):
        bitmap = sandbox.chain.call(pool.address, function("tickBitmap(int16)", "uint256"), word)
        for bit in range(256):
            if bitmap >> bit & 1:
                tick = (word * 256 + bit) * pool.tick_spacing
                found.append((tick, sandbox.chain.call(pool.address, TICKS, tick)[1]))
    return found


@pytest.mark.parametrize("spacing", [10, 60, 200])
@pytest.mark.parametrize("tick", [-887_220, -2561, -1, 0, 255, 200_005])
def test_words_cover_the_reach_to_both_sides(tick: int, spacing: int) -> None:
    words = words_around(tick, spacing)
    assert words[0] * 256 * spacing <= tick - REACH_TICKS
    assert (words[-1] + 1) * 256 * spacing > tick + REACH_TICKS


def test_words_of_the_finest_pools_are_limited() -> None:
    assert len(words_around(1565, 1)) == 2 * MAX_REACH_WORDS + 1


def test_a_reorganisation_between_the_trips_is_read_again(
    sandbox: Sandbox, deployed: DeployedVault, mandate: Mandate, pools: tuple[PoolKey, ...]
) -> None:
    mark = sandbox.rpc.call("evm_snapshot")
    sandbox.chain.mine()

    def reorganise() -> None:
        sandbox.rpc.call("evm_revert", mark)
        sandbox.chain.mine(sandbox.chain.timestamp() + 7)

    with MeddledClient(sandbox.rpc_url, {2: reorganise}) as client:
        snapshot = read_snapshot(client, deployed.address, mandate, pools)
        assert client.round_trips == 4
        assert snapshot.block == newest_block(client)


def test_a_new_block_between_the_trips_changes_nothing(
    sandbox: Sandbox, client: NodeClient, deployed: DeployedVault, mandate: Mandate, pools: tuple[PoolKey, ...]
) -> None:
    block = newest_block(client)

    def move() -> None:
        sandbox.push("ETH/USD", 3100.0)

    with MeddledClient(sandbox.rpc_url, {2: move}) as meddled:
        snapshot = read_snapshot(meddled, deployed.address, mandate, pools)
        assert meddled.round_trips == 2
    assert (snapshot.block, snapshot.assets[1].price_usd) == (block, 3000.0)


def test_a_chain_that_never_stands_still_is_an_error(
    sandbox: Sandbox, deployed: DeployedVault, mandate: Mandate, pools: tuple[PoolKey, ...]
) -> None:
    step = iter(range(1, 100))

    def reorganise() -> None:
        # Anvil's own reorganisation: the newest block is replaced by another.
        sandbox.rpc.call("anvil_rollback", 1)
        sandbox.chain.mine(sandbox.chain.timestamp() + next(step))

    sandbox.chain.mine()
    with (
        MeddledClient(sandbox.rpc_url, dict.fromkeys(range(2, 20, 2), reorganise)) as client,
        pytest.raises(ReorgError, match="no block stood still"),
    ):
        read_snapshot(client, deployed.address, mandate, pools)


def test_a_stale_feed_names_the_asset_and_the_age(
    sandbox: Sandbox, client: NodeClient, deployed: DeployedVault, mandate: Mandate, pools: tuple[PoolKey, ...]
) -> None:
    sandbox.chain.mine(sandbox.chain.timestamp() + 100)
    for feed, price in (("ETH/USD", 3000.0), ("BTC/USD", 60000.0)):
        sandbox.push(feed, price)
    sandbox.chain.mine(sandbox.chain.timestamp() + 5 * HOUR - 50)
    with pytest.raises(StaleOracleError, match=r"LINK.* seconds old, 18000 allowed") as caught:
        read_snapshot(client, deployed.address, mandate, pools)
    assert (caught.value.asset, caught.value.heartbeat) == ("LINK", 18000)
    assert 18000 < caught.value.age < 18200


def test_a_stale_base_feed_is_named_for_the_staking_token(
    sandbox: Sandbox, client: NodeClient, mandate: Mandate, pools: tuple[PoolKey, ...], tmp_path: Any
) -> None:
    file = tmp_path / "impatient.yaml"
    text = (PROJECT / "mandates" / "blue-chip.yaml").read_text()
    file.write_text(text.replace("base_heartbeat_s: 18000", "base_heartbeat_s: 60"))
    vault = deploy_vault(sandbox, file)
    sandbox.chain.mine(sandbox.chain.timestamp() + 100)
    with pytest.raises(StaleOracleError, match="oracle of wstETH: the last round of feed 0x5f4eC3Df"):
        read_snapshot(client, vault.address, vault.file_mandate, pools)


def test_a_price_out_of_bounds_names_the_asset(
    sandbox: Sandbox, client: NodeClient, deployed: DeployedVault, mandate: Mandate, pools: tuple[PoolKey, ...]
) -> None:
    sandbox.push("LINK/USD", 0.25)
    with pytest.raises(OracleError, match=r"oracle of LINK: the price is not between 0\.5 and 1000 USD"):
        read_snapshot(client, deployed.address, mandate, pools)


def test_an_address_without_a_vault_is_said_so(
    client: NodeClient, mandate: Mandate, pools: tuple[PoolKey, ...]
) -> None:
    nobody = "0x" + "77" * 20
    with pytest.raises(SnapshotError, match=f"vault {nobody}: oracle\\(\\) does not answer \\(nothing there\\)"):
        read_snapshot(client, nobody, mandate, pools)


def test_another_contract_is_no_vault(client: NodeClient, mandate: Mandate, pools: tuple[PoolKey, ...]) -> None:
    with pytest.raises(SnapshotError, match=r"oracle\(\) does not answer"):
        read_snapshot(client, mandate.addresses[0], mandate, pools)


def test_another_mandates_vault_is_refused(
    client: NodeClient, deployed: DeployedVault, pools: tuple[PoolKey, ...]
) -> None:
    other = load_mandate(PROJECT / "mandates" / "dollar-reserve.yaml")
    with pytest.raises(MandateParityError, match="wrong vault or wrong file"):
        read_snapshot(client, deployed.address, other, pools[:0])


def test_another_chain_is_refused(
    client: NodeClient, deployed: DeployedVault, mandate: Mandate, pools: tuple[PoolKey, ...]
) -> None:
    with pytest.raises(WrongChain):
        read_snapshot(client, deployed.address, mandate.model_copy(update={"chain_id": 5}), pools)


def test_a_pool_that_does_not_exist_is_left_out(
    client: NodeClient, deployed: DeployedVault, mandate: Mandate, pools: tuple[PoolKey, ...]
) -> None:
    ghosts = (PoolKey("0x" + "66" * 20, 0, 1, 500), PoolKey("0x" + "67" * 20, 0, 1, 0))
    snapshot = read_snapshot(client, deployed.address, mandate, (*ghosts, *pools))
    assert [pool.address for pool in snapshot.pools] == [pool.address for pool in pools]


def test_an_empty_vault_has_no_weights(
    sandbox: Sandbox, client: NodeClient, mandate: Mandate, pools: tuple[PoolKey, ...]
) -> None:
    snapshot = read_snapshot(client, deploy_vault(sandbox).address, mandate, pools)
    assert (snapshot.value, snapshot.weights, snapshot.vault.total_supply) == (0, (0.0,) * 5, 0)


def test_the_chains_mandate_is_the_files(client: NodeClient, deployed: DeployedVault, mandate: Mandate) -> None:
    chain = read_chain_mandate(client, deployed.address, mandate)
    assert compare_with_chain(mandate, chain) == mandate.vault_limits
    assert chain.oracle_feeds == mandate.oracle_feeds


def test_a_successors_table_is_the_one_compared(sandbox: Sandbox, client: NodeClient, tmp_path: Path) -> None:
    """The oracle's own table says what it always said; who answers now is another."""
    texts = [BLUE_CHIP.read_text() + "oracle: {replaceable: true}\n"]
    texts.append(texts[0].replace("heartbeat_s: 18000", "heartbeat_s: 18001"))
    files = [tmp_path / f"{name}.yaml" for name in ("first", "second")]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    roles = default_roles(delay=1)
    # Two vaults of the same terms would share a mandate, which serves one.
    first, second = (deploy_vault(sandbox, file, file.stem.encode(), roles) for file in files)
    abi = contract_abi("Timelock")
    timelock = first.web3.eth.contract(address=first.mandate.functions.owner().call(), abi=abi)
    call = first.oracle.functions.set_successor(second.oracle.address)
    operation = (first.oracle.address, 0, bytes.fromhex(call._encode_transaction_data()[2:]), bytes(32), bytes(32))
    first.send("owner", timelock.functions.schedule(*operation, 1))
    sandbox.chain.mine(sandbox.chain.timestamp() + 1)
    first.send("owner", timelock.functions.execute(*operation))

    chain = read_chain_mandate(client, first.address, second.file_mandate)
    assert chain.oracle_feeds == second.file_mandate.oracle_feeds != first.file_mandate.oracle_feeds
    with pytest.raises(MandateParityError, match="heartbeat"):
        compare_with_chain(first.file_mandate, chain)


def test_missing_decimals_are_the_mandates_and_logged(
    sandbox: Sandbox, client: NodeClient, deployed: DeployedVault, mandate: Mandate, log: list[Any]
) -> None:
    usdc = mandate.base.address
    # PUSH0 PUSH0 MSTORE PUSH1 32 PUSH0 RETURN: answers 0 to everything, as a slot that is missing does.
    code = sandbox.chain.code(usdc)
    sandbox.rpc.call("anvil_setCode", usdc, "0x5f5f5260205ff3")
    read_chain_mandate(client, deployed.address, mandate)
    sandbox.rpc.call("anvil_setCode", usdc, code)
    assert log == [
        {"event": "token.decimals", "log_level": "warning", "asset": "USDC", "token": usdc, "chain": 0, "used": 6}
    ]
