# SPDX-License-Identifier: Apache-2.0
"""Quotes of v4, Balancer and Curve pools against real bytecode and recorded answers of the chain, to the wei."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from offchain.route.balancer_weighted import BalancerWeightedPool
from offchain.route.curve_stable import CurveStablePool
from offchain.route.errors import InsufficientLiquidityError, InvalidAmountError
from offchain.route.uniswap_v4 import UniswapV4Pool
from tests.support.protocols import Balancer, Reverted, UniswapV4, random_weights
from tests.support.recorded import recorded

SPACINGS = {500: 10, 3000: 60, 10000: 200}


@pytest.mark.parametrize("books", [6, pytest.param(260, marks=pytest.mark.slow)])
def test_v4_swaps_pay_what_was_quoted(random_book: Callable[[Random, int], tuple[int, Any]], books: int) -> None:
    manager, random = UniswapV4(), Random(books)
    crossed = quotes = 0
    for book in range(books):
        fee = random.choice(list(SPACINGS))
        # A spacing of its own for every book: its ticks start from nothing.
        spacing = SPACINGS[fee]
        lp_fee = fee + book
        price, ticks = random_book(random, fee)
        protocol = random.choice(((0, 0), (1000, 1000), (37, 600)))
        tick, liquidity = manager.write_pool(lp_fee, spacing, price, ticks, protocol)
        pool = UniswapV4Pool.build(
            "pool", 0, 1, lp_fee_ppm=lp_fee, tick_spacing=spacing, sqrt_price_x96=price, tick=tick,
            liquidity=liquidity, ticks=ticks, protocol_fees_ppm=protocol,
        )  # fmt: skip
        for _ in range(40):
            token_in = random.randrange(2)
            amount = max(1, min(int((pool.liquidity or 10**18) * 10 ** random.uniform(-12, 2)), 2**100))
            before = manager.chain.evm.snapshot()
            swap = pool.swap(token_in, amount)
            try:
                paid = manager.swap(lp_fee, spacing, token_in == 0, amount)
            except Reverted:
                assert swap.amount_in == 0 or swap.amount_out > 2**119  # nothing there, or more than the manager holds
            else:
                assert paid == (swap.amount_in, swap.amount_out)
                assert manager.state(lp_fee, spacing)[0] == swap.after.sqrt_price_x96
                assert pool.quote_in(token_in, amount) == swap.amount_out
                crossed += swap.after.liquidity != pool.liquidity
            manager.chain.evm.revert(before)
            wanted = random.choice((swap.amount_out, max(1, swap.amount_out // 3)))
            if wanted:
                before = manager.chain.evm.snapshot()
                asked = pool.swap_out(token_in, wanted)
                try:
                    taken = manager.swap(lp_fee, spacing, token_in == 0, wanted, exact_out=True)
                except Reverted:
                    assert asked.amount_in == 0 or wanted > 2**119
                else:
                    assert taken == (asked.amount_in, asked.amount_out)
                manager.chain.evm.revert(before)
            quotes += 1
    assert crossed > books
    assert quotes == 40 * books


@pytest.mark.parametrize("pools", [9, pytest.param(252, marks=pytest.mark.slow)])
def test_weighted_pools_answer_what_was_quoted(pools: int) -> None:
    balancer, random = Balancer(), Random(pools)
    refused = quotes = 0
    for number in range(pools):
        version = number % 3 + 1
        chosen = sorted(random.sample(range(len(balancer.tokens)), random.randint(2, 4)))
        weights, fee = random_weights(random, len(chosen)), random.choice((10**14, 3 * 10**15, 10**17))
        address, pool_id = balancer.create(version, chosen, weights, fee)
        decimals = tuple(balancer.decimals[index] for index in chosen)
        with balancer.vault_speaks():
            for _ in range(20):
                balances = tuple(int(10 ** random.uniform(1, 9 + places)) for places in decimals)
                pool = BalancerWeightedPool(address, tuple(chosen), balances, decimals, weights, fee, version)
                first, second = random.sample(range(len(chosen)), 2)
                for exact_out in (False, True):
                    scale = balances[second] if exact_out else balances[first]
                    amount = max(1, int(scale * 10 ** random.uniform(-8, -0.3)))
                    quote = pool.quote_out if exact_out else pool.quote_in
                    asked = (address, pool_id, (chosen[first], chosen[second]), amount)
                    try:
                        ours = quote(chosen[first], amount, chosen[second])
                    except (InsufficientLiquidityError, InvalidAmountError):
                        refused += 1
                        with pytest.raises(Reverted):
                            balancer.quote(*asked, (balances[first], balances[second]), exact_out)
                        continue
                    assert ours == balancer.quote(*asked, (balances[first], balances[second]), exact_out)
                    quotes += 1
    assert quotes > 25 * pools
    assert refused > pools / 2


def test_recorded_quotes_of_curve_are_met_to_the_wei() -> None:
    name = "onchain/pools/curve_tripool_block_24407242"
    state = json.loads(recorded(f"{name}.json").read_text())
    quotes = json.loads(recorded(f"{name}.quotes.json").read_text())["entries"]
    symbols = [token["symbol"] for token in state["tokens"]]
    pool = CurveStablePool(
        state["address"],
        (0, 1, 2),
        tuple(state["balances"]),
        tuple(10 ** (36 - token["decimals"]) for token in state["tokens"]),
        state["a_coefficient"],
        state["fee"],
        1,
        state["admin_fee"],
        False,
    )
    assert len(quotes) == 18
    for key, answer in quotes.items():
        _, _, way, amount = key.split("|")
        sold, bought = (symbols.index(symbol) for symbol in way.split("->"))
        assert pool.quote_in(sold, int(amount), bought) == answer["value"]


def test_one_state_explains_all_recorded_quotes_of_balancer_to_the_wei() -> None:
    # The quotes are of a USDT/WETH pool whose state was not recorded. Fee, weights and balances were found from some
    # of them; that a single state gives all eighteen leaves the arithmetic nothing to hide behind.
    name = "onchain/pools/balancer_weighted_usdc_weth_50_50.quotes.json"
    quotes = json.loads(recorded(name).read_text())["entries"]
    balances = 6_289_667_028, 3_008_102_220_163_638_974
    pool = BalancerWeightedPool("0x3e5F", (0, 1), balances, (6, 18), (5 * 10**17, 5 * 10**17), 9 * 10**14)
    assert len(quotes) == 18
    for key, answer in quotes.items():
        _, _, side, way, amount = key.split("|")
        assert side == "GIVEN_IN"
        sold = ("USDT->WETH", "WETH->USDT").index(way)
        assert pool.quote_in(sold, int(amount), 1 - sold) == answer["value"]
