# SPDX-License-Identifier: Apache-2.0
"""A vault of real USDC, USDT and WETH that trades in the real pools of a mainnet block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import structlog

from offchain.mandate import compare_with_chain
from offchain.market.pools import discover_pools
from offchain.market.reader import read_snapshot
from offchain.market.rpc import NodeClient
from offchain.market.snapshot import Snapshot
from offchain.market.vault import read_chain_mandate
from offchain.route.pool import Pool, pool_from_state
from offchain.sandbox.contract import function
from offchain.sandbox.standup import Sandbox
from offchain.settle.calls import SETTLED, SettledEvent, decode_settled, topic
from offchain.settle.development import development_address
from tests.support.contracts import PROJECT
from tests.support.mainnet import RICH, mainnet_state
from tests.support.vaults import DeployedVault, deploy_vault

USDC, USDT, WETH = 0, 1, 2
DOLLAR = 10**6
# USDT's answers nothing.
TRANSFER = function("transfer(address,uint256)")
DOLLAR_RESERVE = PROJECT / "mandates" / "dollar-reserve.yaml"

PAIR = "0xB4e16d0168e52d35CaCD2c6185b44281Ec28C9Dc"
USDC_WETH_500 = "0x88e6A0c2dDD26FEEb64F039a2c41296FcB3f5640"
WETH_USDT_500 = "0x11b815efB8f581194ae79006d24E0d814B7697F6"

pytestmark = pytest.mark.xdist_group("mainnet state")


@dataclass
class Reserve:
    """The vault, and what the keeper's own code reads of its chain."""

    chain: Sandbox
    vault: DeployedVault
    client: NodeClient

    def snapshot(self) -> Snapshot:
        pools = discover_pools(self.client, self.vault.file_mandate)
        return read_snapshot(self.client, self.vault.address, self.vault.file_mandate, pools)

    def balance(self, asset: int, holder: str) -> int:
        return int(self.vault.token(asset).functions.balanceOf(holder).call())


@pytest.fixture(scope="module")
def deployed(sandbox_node: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reserve]:
    with mainnet_state(sandbox_node, tmp_path_factory.mktemp("mainnet")) as chain:
        vault = deploy_vault(chain, DOLLAR_RESERVE)
        for role in ("alice", "bob"):
            chain.chain.send(
                chain.tokens["USDC"], TRANSFER, development_address(role), 1_000_000 * DOLLAR, sender=RICH["USDC"]
            )
        with NodeClient(chain.rpc_url) as client:
            yield Reserve(chain, vault, client)


@pytest.fixture
def reserve(deployed: Reserve) -> Iterator[Reserve]:
    mark = deployed.chain.rpc.call("evm_snapshot")
    yield deployed
    deployed.chain.rpc.call("evm_revert", mark)


def settle(reserve: Reserve) -> tuple[list[int], SettledEvent]:
    """Bring a vault of nothing but dollars inside its mandate; exact quotes of the three legs, and the event."""
    snapshot = reserve.snapshot()
    pools: dict[str, Pool] = {state.address: pool_from_state(state) for state in snapshot.pools}
    held = snapshot.assets[USDC].balance
    plan = [(PAIR, USDC, WETH, held // 10), (USDC_WETH_500, USDC, WETH, held * 4 // 10)]
    quotes = [pools[address].quote_in(token_in, amount) for address, token_in, _, amount in plan]
    # Two fifths of the value go on from ether to the other dollar.
    plan.append((WETH_USDT_500, WETH, USDT, sum(quotes) * 6 // 10))
    quotes.append(pools[WETH_USDT_500].quote_in(WETH, plan[-1][3]))
    legs = [
        (int(pools[address].venue), token_in, token_out, pools[address].fee_ppm, amount, quote)
        for (address, token_in, token_out, amount), quote in zip(plan, quotes, strict=True)
    ]
    vault = reserve.vault
    mandate_hash = vault.mandate.functions.mandate_hash().call()
    order = (snapshot.vault.nonce, snapshot.block.number + 10, mandate_hash, b"\1" * 32, legs, 0, 10**12)
    receipt = vault.send("keeper", vault.vault.functions.settle(*vault.sign(order)))
    block = reserve.chain.rpc.call("eth_getTransactionReceipt", receipt["transactionHash"].to_0x_hex())
    [log] = [one for one in block["logs"] if one["topics"][0] == topic(SETTLED)]
    return quotes, decode_settled(log)


def test_decimals_that_the_state_lacks_are_the_mandates_and_said_so(reserve: Reserve) -> None:
    with structlog.testing.capture_logs() as log:
        chain = read_chain_mandate(reserve.client, reserve.vault.address, reserve.vault.file_mandate)
    said = [(one["asset"], one["chain"], one["used"]) for one in log if one["event"] == "token.decimals"]
    assert ("USDC", 0, 6) in said
    assert compare_with_chain(reserve.vault.file_mandate, chain) == reserve.vault.file_mandate.vault_limits


def test_real_dollars_buy_shares(reserve: Reserve) -> None:
    reserve.vault.deposit("alice", 100_000 * DOLLAR)
    fee = reserve.vault.file_mandate.fees.entry_bps
    shares = reserve.vault.vault.functions.balanceOf(development_address("alice")).call()
    assert shares == 100_000 * 10**18 * (10_000 - fee) // 10_000
    assert reserve.balance(USDC, reserve.vault.address) == 100_000 * DOLLAR


def test_settles_in_the_real_pools_for_exactly_what_was_quoted(reserve: Reserve) -> None:
    reserve.vault.deposit("alice", 100_000 * DOLLAR)
    quotes, settled = settle(reserve)
    assert list(settled.amounts_out) == quotes
    # Pool fees of 0.3 % on a tenth, 0.05 % on the rest, and what feeds and pools disagree on.
    assert settled.loss < 2 * 10**15


def test_the_settlement_ends_inside_the_mandate(reserve: Reserve) -> None:
    reserve.vault.deposit("alice", 100_000 * DOLLAR)
    settle(reserve)
    after = reserve.snapshot()
    limits = after.vault.limits
    assert all(
        low <= 10_000 * weight <= high
        for low, weight, high in zip(limits.min_weights_bps, after.weights, limits.max_weights_bps, strict=True)
    )


def test_leaves_in_kind_with_real_tokens_of_each(reserve: Reserve) -> None:
    vault, alice = reserve.vault, development_address("alice")
    vault.deposit("alice", 100_000 * DOLLAR)
    vault.deposit("bob", 300_000 * DOLLAR)
    settle(reserve)
    holdings = vault.vault.functions.holdings().call()
    before = [reserve.balance(asset, alice) for asset in (USDC, USDT, WETH)]
    shares = vault.vault.functions.balanceOf(alice).call()
    part = shares / vault.vault.functions.totalSupply().call() * (1 - vault.file_mandate.fees.exit_bps / 10_000)
    vault.send("alice", vault.vault.functions.redeem_in_kind(shares, alice, alice, 0))
    got = [reserve.balance(asset, alice) - old for asset, old in zip((USDC, USDT, WETH), before, strict=True)]
    assert got == pytest.approx([part * held for held in holdings], rel=1e-9)
    assert all(amount > 0 for amount in got)


def test_redeems_for_real_dollars(reserve: Reserve) -> None:
    vault, alice = reserve.vault, development_address("alice")
    vault.deposit("alice", 100_000 * DOLLAR)
    before = reserve.balance(USDC, alice)
    vault.send("alice", vault.vault.functions.redeem(10_000 * 10**18, alice, alice))
    fees = vault.file_mandate.fees
    worth = 10_000 / (1 - fees.entry_bps / 10_000) * (1 - fees.exit_bps / 10_000)
    assert reserve.balance(USDC, alice) - before == pytest.approx(worth * DOLLAR, rel=1e-6)
