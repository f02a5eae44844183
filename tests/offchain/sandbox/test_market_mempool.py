# SPDX-License-Identifier: Apache-2.0
"""Blocks are ordered by price, and who reads the mempool first can profit only from what victims allow."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from offchain.route.leg import Venue
from offchain.sandbox import addresses
from offchain.sandbox.arbitrage import MarketMaker, pool_for
from offchain.sandbox.blocks import GWEI, BlockProducer, mining, pending_transactions, send
from offchain.sandbox.chain import Transaction
from offchain.sandbox.contract import function
from offchain.sandbox.flow import AheadOfUs
from offchain.sandbox.mempool import EXACT_INPUT_SINGLE, Watch
from offchain.sandbox.prices import token_prices
from offchain.sandbox.sandwich import SandwichBot
from offchain.sandbox.standup import Sandbox
from offchain.sandbox.tokens import APPROVE, BALANCE_OF
from offchain.settle.development import development_address

ALICE = development_address("alice")
AMOUNT = 4_000_000 * 10**6
QUOTE = function("quoteExactInputSingle((address,address,uint256,uint24,uint160))", "uint256,uint160,uint32,uint256")


@pytest.fixture
def arena(sandbox_fork: Sandbox) -> Iterator[Sandbox]:
    """A sandbox where Alice is about to buy ether with USDC through the v3 router."""
    sandbox_fork.chain.impersonate(ALICE)
    sandbox_fork.chain.send(addresses.USDC, APPROVE, addresses.UNISWAP_V3_ROUTER, 2**255, sender=ALICE)
    return sandbox_fork


@pytest.fixture
def bot(arena: Sandbox) -> SandwichBot:
    return SandwichBot(arena.chain, Watch(arena.chain, None), token_prices)


def quote(sandbox: Sandbox, amount: int = AMOUNT) -> int:
    """Wei that Alice's USDC buy on the newest state."""
    question = (addresses.USDC, addresses.WETH, amount, 500, 0)
    return int(sandbox.chain.call(addresses.UNISWAP_V3_QUOTER, QUOTE, question)[0])


def purchase(sandbox: Sandbox, tolerance: float, amount: int = AMOUNT) -> Transaction:
    """Alice's swap, which accepts this much less than the quote."""
    least = int(quote(sandbox, amount) * (1 - tolerance))
    order = (addresses.USDC, addresses.WETH, 500, ALICE, 2**40, amount, least, 0)
    return Transaction(ALICE, addresses.UNISWAP_V3_ROUTER, EXACT_INPUT_SINGLE.encode(order))


def balance(sandbox: Sandbox, symbol: str, account: str) -> int:
    return int(sandbox.chain.call(addresses.TOKENS[symbol], BALANCE_OF, account))


def test_sandwich_takes_what_a_loose_minimum_leaves(arena: Sandbox, bot: SandwichBot) -> None:
    fair = quote(arena)
    before = balance(arena, "WETH", ALICE)
    purse = bot.maker.balance("USDC")
    with mining(arena.chain, automatic=False):
        send(arena.chain, purchase(arena, tolerance=0.02), max_fee=20 * GWEI)
        producer = BlockProducer(arena.rpc_url, [bot])
        assert producer.produce() is not None
    (result,) = bot.results
    assert result.victim_succeeded
    received = balance(arena, "WETH", ALICE) - before
    assert received == result.attack.victim_amount_out
    assert 0.98 * fair <= received < 0.981 * fair
    assert result.gained == bot.maker.balance("USDC") - purse == result.attack.returned - result.attack.spent
    assert result.profit_usd > 5_000
    assert bot.profit_usd == result.profit_usd
    # What the attacker wins and more, the pool's fees, is what the victim loses.
    assert (fair - received) / 10**18 * 3_000 > result.gained / 10**6


def test_sandwich_leaves_a_tight_minimum_alone(arena: Sandbox, bot: SandwichBot) -> None:
    fair, before = quote(arena), balance(arena, "WETH", ALICE)
    with mining(arena.chain, automatic=False):
        send(arena.chain, purchase(arena, tolerance=0.0))
        BlockProducer(arena.rpc_url, [bot]).produce()
    assert bot.results == []
    assert balance(arena, "WETH", ALICE) - before == fair


def planned_profit(sandbox: Sandbox, bot: SandwichBot, tolerance: float, amount: int = AMOUNT) -> float:
    """USD that the bot expects of Alice's purchase, which is then taken back."""
    with mining(sandbox.chain, automatic=False):
        send(sandbox.chain, purchase(sandbox, tolerance, amount))
        attack = bot.plan(Watch(sandbox.chain, None).swaps(pending_transactions(sandbox.rpc))[0])
        sandbox.rpc.call("anvil_dropAllTransactions")
    return attack.profit_usd if attack is not None else 0.0


def test_sandwich_profit_grows_with_the_tolerance(arena: Sandbox, bot: SandwichBot) -> None:
    profits = [planned_profit(arena, bot, tolerance) for tolerance in (0.0, 0.001, 0.003, 0.01)]
    assert profits[0] == 0.0
    assert profits == sorted(profits)
    assert profits[3] > 5 * profits[1] > 0


def test_swap_that_moves_the_price_less_than_the_pools_fees_is_safe(arena: Sandbox, bot: SandwichBot) -> None:
    assert planned_profit(arena, bot, tolerance=0.05, amount=AMOUNT // 10) == 0.0


def test_thread_mines_for_whoever_waits(arena: Sandbox) -> None:
    seen = []

    class Onlooker:
        def before_block(self, pending: object) -> None:
            seen.append(threading.current_thread().name)

        def after_block(self) -> None:
            pass

    clock = arena.chain.timestamp()
    with BlockProducer(arena.rpc_url, [Onlooker()]):
        item = send(arena.chain, purchase(arena, tolerance=0.01))
        for _ in range(1_000):
            if (receipt := arena.rpc.call("eth_getTransactionReceipt", item)) is not None:
                break
    assert receipt is not None
    assert int(receipt["status"], 16) == 1
    assert seen == ["block-producer"]
    assert arena.chain.timestamp() == clock + 12
    assert arena.rpc.call("anvil_getAutomine") is True


def test_held_producer_mines_nothing(arena: Sandbox) -> None:
    with BlockProducer(arena.rpc_url) as producer:
        with producer.held():
            item = send(arena.chain, purchase(arena, tolerance=0.01))
            assert arena.rpc.call("eth_getTransactionReceipt", item) is None
            arena.chain.mine(arena.chain.timestamp() + 100)
        receipt = arena.rpc.call("eth_getTransactionReceipt", item)
    assert receipt is not None


def test_flow_ahead_of_us_costs_the_victim_a_little(arena: Sandbox) -> None:
    flow = AheadOfUs(MarketMaker.of_the_market(arena.chain), Watch(arena.chain, None), 3, probability=1.0)
    fair, before = quote(arena), balance(arena, "WETH", ALICE)
    with mining(arena.chain, automatic=False):
        send(arena.chain, purchase(arena, tolerance=0.02))
        BlockProducer(arena.rpc_url, [flow]).produce()
    assert flow.count == 1
    assert 0.99 * fair < balance(arena, "WETH", ALICE) - before < fair


def test_attack_works_in_a_v2_pair(sandbox_fork: Sandbox, bot: SandwichBot) -> None:
    pool, zero_for_one = pool_for("USDC", "WETH", Venue.UNISWAP_V2, 0)
    assert pool.address == sandbox_fork.pools["WETH/USDC v2"].address
    assert zero_for_one
    call = bot.maker.transaction("rehearse", (pool.address, 0, True, 10**12), 4 * 10**12)
    answer = sandbox_fork.rpc.call("eth_call", {"from": call.sender, "to": call.to, "data": call.data}, "latest")
    bought, left, returned = bot.maker.contract.function("rehearse", 2).decode(answer)
    assert 0 < left < 4 * bought
    assert returned > 10**12
