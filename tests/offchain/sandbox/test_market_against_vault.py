# SPDX-License-Identifier: Apache-2.0
"""The sandwich bot reads a vault's settlements; the signed minimum output is what bounds it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from offchain.route.leg import Venue
from offchain.sandbox import addresses
from offchain.sandbox.arbitrage import MarketMaker
from offchain.sandbox.blocks import GWEI, BlockProducer, mining, send
from offchain.sandbox.chain import Transaction
from offchain.sandbox.contract import function
from offchain.sandbox.flow import AheadOfUs
from offchain.sandbox.mempool import Watch
from offchain.sandbox.prices import token_prices
from offchain.sandbox.sandwich import SandwichBot
from offchain.sandbox.standup import Sandbox
from offchain.settle.calls import SETTLED, decode_settled, topic
from offchain.settle.development import development_address
from tests.support.vaults import DeployedVault, deploy_vault

USDC, WETH = 0, 1
QUOTE = function("quoteExactInputSingle((address,address,uint256,uint24,uint160))", "uint256,uint160,uint32,uint256")
KEEPER = development_address("keeper")


@pytest.fixture(scope="module")
def deployed(sandbox_node: Sandbox) -> Iterator[tuple[Sandbox, DeployedVault]]:
    """A vault of four million dollars on a node of its own."""
    with sandbox_node.fork() as fork:
        fork.chain.impersonate(KEEPER)
        vault = deploy_vault(fork)
        vault.deposit("alice", 4_000_000 * 10**6)
        yield fork, vault


@pytest.fixture
def market(deployed: tuple[Sandbox, DeployedVault]) -> Iterator[tuple[Sandbox, DeployedVault]]:
    """The same, put back after the test."""
    fork, vault = deployed
    mark = fork.rpc.call("evm_snapshot")
    yield fork, vault
    fork.rpc.call("evm_revert", mark)


def quote(sandbox: Sandbox, amount: int) -> int:
    """Wei of ether that the vault's dollars buy in the 0.05 % pool."""
    question = (addresses.USDC, addresses.WETH, amount, 500, 0)
    return int(sandbox.chain.call(addresses.UNISWAP_V3_QUOTER, QUOTE, question)[0])


def settlement(sandbox: Sandbox, vault: DeployedVault, tolerance: float) -> tuple[Transaction, int]:
    """Buy ether for 1.8 million dollars, accepting this much less than the quote; the transaction and the quote."""
    amount = 1_800_000 * 10**6
    fair = quote(sandbox, amount)
    leg = (int(Venue.UNISWAP_V3), USDC, WETH, 500, amount, int(fair * (1 - tolerance)))
    order = (
        vault.vault.functions.order_nonce().call(), 10**9,
        vault.mandate.functions.mandate_hash().call(), b"\0" * 32, [leg], 0, 10**15,
    )  # fmt: skip
    data = vault.vault.functions.settle(*vault.sign(order))._encode_transaction_data()
    return Transaction(KEEPER, vault.address, data), fair


def settled(sandbox: Sandbox, transaction: str) -> int:
    """Wei that the vault received, by its own event."""
    receipt = sandbox.rpc.call("eth_getTransactionReceipt", transaction)
    assert int(receipt["status"], 16) == 1
    (log,) = (log for log in receipt["logs"] if log["topics"][0] == topic(SETTLED))
    return decode_settled(log).amounts_out[0]


def test_sandwich_costs_the_vault_no_more_than_the_signed_minimum_allows(
    market: tuple[Sandbox, DeployedVault],
) -> None:
    sandbox, vault = market
    bot = SandwichBot(sandbox.chain, Watch(sandbox.chain, vault.address), token_prices)
    transaction, fair = settlement(sandbox, vault, tolerance=0.003)
    with mining(sandbox.chain, automatic=False):
        item = send(sandbox.chain, transaction, max_fee=20 * GWEI)
        BlockProducer(sandbox.rpc_url, [bot]).produce()
    (result,) = bot.results
    received = settled(sandbox, item)
    assert result.victim_succeeded
    assert result.profit_usd > 500
    assert fair * 0.997 - 1 <= received == result.attack.victim_amount_out < fair * 0.9971


def test_sandwich_cannot_touch_a_tight_minimum(market: tuple[Sandbox, DeployedVault]) -> None:
    sandbox, vault = market
    bot = SandwichBot(sandbox.chain, Watch(sandbox.chain, vault.address), token_prices)
    transaction, fair = settlement(sandbox, vault, tolerance=0.0)
    with mining(sandbox.chain, automatic=False):
        item = send(sandbox.chain, transaction, max_fee=20 * GWEI)
        BlockProducer(sandbox.rpc_url, [bot]).produce()
    assert bot.results == []
    assert settled(sandbox, item) == fair


def test_flow_runs_ahead_of_a_settlement(market: tuple[Sandbox, DeployedVault]) -> None:
    sandbox, vault = market
    flow = AheadOfUs(
        MarketMaker.of_the_market(sandbox.chain), Watch(sandbox.chain, vault.address), seed=1, probability=1.0
    )
    transaction, fair = settlement(sandbox, vault, tolerance=0.01)
    with mining(sandbox.chain, automatic=False):
        item = send(sandbox.chain, transaction, max_fee=20 * GWEI)
        BlockProducer(sandbox.rpc_url, [flow]).produce()
    assert flow.count == 1
    assert 0.99 * fair < settled(sandbox, item) < fair
