# SPDX-License-Identifier: Apache-2.0
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from offchain.market.snapshot import UniswapV3State
from offchain.route.errors import (
    InsufficientLiquidityError,
    InvalidAmountError,
    InvalidPoolError,
    LiquidityUnknownError,
    UnknownTokenError,
)
from offchain.route.tick_math import MAX_TICK, MIN_TICK, sqrt_ratio_at_tick
from offchain.route.uniswap_v3 import UniswapV3Pool

RECORDED = Path(__file__).parents[4] / "shared" / "data" / "onchain" / "pools"
Book = tuple[tuple[int, int], ...]
BookBuilder = Callable[[Random, int], tuple[int, Book]]


def _state(ticks: Book = ((-6000, 10**18), (6000, -(10**18))), sqrt_price: int = 2**96, **more: Any) -> UniswapV3State:
    liquidity = sum(net for tick, net in ticks if sqrt_ratio_at_tick(tick) <= sqrt_price)
    words = MIN_TICK // 60 >> 8, MAX_TICK // 60 >> 8
    state = UniswapV3State("0xPool", 3, 5, 3000, 60, sqrt_price, 0, liquidity, ticks, *words)
    return replace(state, **more)


def _amount(random: Random, pool: UniswapV3Pool) -> int:
    scale = pool.liquidity or 10**18
    return max(1, int(scale * 10 ** random.uniform(-12, 2)))


def test_recorded_mainnet_quotes_are_met_to_the_wei() -> None:
    name = "uniswap_v3_wbtc_weth_block_24407242"
    if not (RECORDED / f"{name}.json").exists():
        pytest.skip(f"recorded pools are not in {RECORDED}")
    pool_file = json.loads((RECORDED / f"{name}.json").read_text())
    quotes = json.loads((RECORDED / f"{name}.quotes.json").read_text())["entries"]
    scalars = pool_file["scalars"]
    spacing = scalars["tick_spacing"]
    pool = UniswapV3Pool.from_state(
        UniswapV3State(
            pool_file["pool"],
            0,
            1,
            scalars["fee"],
            spacing,
            scalars["sqrt_price_x96"],
            scalars["tick"],
            scalars["liquidity"],
            tuple(sorted((int(tick), values[1]) for tick, values in pool_file["tick_data"].items())),
            MIN_TICK // spacing >> 8,
            MAX_TICK // spacing >> 8,
        )
    )
    assert len(quotes) == 80
    for key, answer in quotes.items():
        _, method, direction, amount = key.split("|")
        token_in = 0 if direction == "WBTC->WETH" else 1
        if method == "quoteExactInputSingle":
            assert pool.quote_in(token_in, int(amount)) == answer["value"]
        else:
            assert pool.swap_out(token_in, int(amount)).amount_in == answer["value"]


@pytest.mark.parametrize("books", [10, pytest.param(250, marks=pytest.mark.slow)])
@pytest.mark.parametrize("fee", [500, 3000, 10000])
def test_random_quotes_are_met_to_the_wei(
    uniswap: Any, reverted: type[Exception], random_book: BookBuilder, fee: int, books: int
) -> None:
    random = Random(fee)
    crossed = 0
    for _ in range(books):
        state = uniswap.write_pool(fee, *random_book(random, fee))
        pool = UniswapV3Pool.from_state(state)
        for _ in range(40):
            token_in = random.randrange(2)
            amount = _amount(random, pool)
            swap = pool.swap(token_in, amount)
            if swap.amount_in == 0:  # nothing left to buy: the pool never asks to be paid
                with pytest.raises(reverted):
                    uniswap.v3_quote_in(fee, token_in, amount)
                continue
            assert (swap.amount_out, swap.after.sqrt_price_x96) == uniswap.v3_quote_in(fee, token_in, amount)
            assert pool.quote_in(token_in, amount) == swap.amount_out
            crossed += swap.after.liquidity != pool.liquidity
            wanted = random.choice((swap.amount_out, _amount(random, pool), 1))
            if wanted == 0:
                continue
            try:
                taken = pool.quote_out(token_in, wanted)
            except InsufficientLiquidityError:
                with pytest.raises(reverted):
                    uniswap.v3_quote_out(fee, token_in, wanted)
                continue
            after = pool.swap_out(token_in, wanted).after
            assert (taken, after.sqrt_price_x96) == uniswap.v3_quote_out(fee, token_in, wanted)
        _erase(uniswap, state)
    assert crossed > 5 * books


def _erase(uniswap: Any, state: UniswapV3State) -> None:
    """Uninitialise the ticks, so that the next book starts from nothing."""
    uniswap.write_pool(state.fee_ppm, 2**96, tuple((tick, 0) for tick, _ in state.ticks))


def test_states_after_a_walk_of_swaps_are_the_contracts(uniswap: Any, random_book: BookBuilder) -> None:
    random = Random(21)
    for _ in range(6):
        state = uniswap.write_pool(500, *random_book(random, 500))
        pool = UniswapV3Pool.from_state(state)
        for _ in range(40):
            token_in = random.randrange(2)
            amount = _amount(random, pool)
            swap = pool.swap(token_in, amount)
            if swap.amount_in == 0:
                continue  # at its limit: the contract refuses the swap
            assert uniswap.v3_swap(500, token_in, amount) == swap.amount_out
            pool = swap.after
            assert uniswap.v3_state(state.address) == (pool.sqrt_price_x96, pool.tick, pool.liquidity)
        _erase(uniswap, state)


def test_a_swap_that_ends_exactly_on_a_tick_crosses_it(uniswap: Any) -> None:
    ticks = ((-600, 10**18), (-60, 10**20), (60, -(10**20)), (600, -(10**18)))
    state = uniswap.write_pool(3000, 2**96, ticks)
    pool = UniswapV3Pool.from_state(state)
    low, high = 0, 10**30  # bisect for the least input that reaches the inner range's end
    while low < high:
        middle = (low + high) // 2
        if pool.swap(0, middle).after.sqrt_price_x96 > sqrt_ratio_at_tick(-60):
            low = middle + 1
        else:
            high = middle
    after = pool.swap(0, low).after
    assert (after.tick, after.liquidity) == (-61, 10**18)
    uniswap.v3_swap(3000, 0, low)
    assert uniswap.v3_state(state.address) == (after.sqrt_price_x96, after.tick, after.liquidity)
    again = UniswapV3Pool.from_state(
        replace(state, sqrt_price_x96=after.sqrt_price_x96, tick=after.tick, liquidity=after.liquidity)
    )
    for token_in in (0, 1):
        assert again.quote_in(token_in, 10**17) == uniswap.v3_quote_in(3000, token_in, 10**17)[0]
    _erase(uniswap, state)


def test_a_gap_in_the_liquidity_is_jumped_over(uniswap: Any) -> None:
    ticks = ((-60000, 10**19), (-30000, -(10**19)), (-60, 10**18), (60, -(10**18)))
    state = uniswap.write_pool(3000, 2**96, ticks)
    pool = UniswapV3Pool.from_state(state)
    for amount in (10**15, 10**16, 10**18, 10**22):
        assert pool.quote_in(0, amount) == uniswap.v3_quote_in(3000, 0, amount)[0]
    _erase(uniswap, state)


def test_a_swap_past_the_ticks_that_were_read_is_refused() -> None:
    pool = UniswapV3Pool.from_state(_state(((-6000, 10**18), (6000, -(10**18))), first_word=-1, last_word=0))
    assert pool.quote_in(3, 10**15) > 0
    with pytest.raises(LiquidityUnknownError, match="word -2") as caught:
        pool.quote_in(3, 10**30)
    assert (caught.value.pool, caught.value.word) == ("0xPool", -2)
    with pytest.raises(LiquidityUnknownError, match="word 1"):
        pool.quote_in(5, 10**30)


def test_a_search_takes_unread_ticks_for_absent_liquidity() -> None:
    pool = UniswapV3Pool.from_state(_state(((-6000, 10**18), (6000, -(10**18))), first_word=-1, last_word=0))
    far, farther = pool.respond(1e-9, 1.0), pool.respond(1e-12, 1.0)
    assert far == farther
    assert far.curvature == 0


def test_the_best_trade_at_outside_prices_leaves_the_marginal_price_there() -> None:
    ticks = ((-6000, 10**18), (-120, 10**20), (180, -(10**20)), (6000, -(10**18)))
    pool = UniswapV3Pool.from_state(_state(ticks))
    for shift in (0.6, 0.9, 0.99, 0.9965, 1.0035, 1.01, 1.1, 1.6):
        response = pool.respond(shift, 1.0)
        sold, given = (3, -response.amount0) if response.amount0 < 0 else (5, -response.amount1)
        swap = pool.swap(sold, round(given))
        assert swap.after.marginal_price(sold) == pytest.approx(shift if sold == 3 else 1 / shift, rel=1e-9)
        paid = response.amount1 if sold == 3 else response.amount0
        assert swap.amount_out == pytest.approx(paid, rel=1e-9)


def test_prices_inside_the_fee_band_call_for_no_trade() -> None:
    pool = UniswapV3Pool.from_state(_state())
    response = pool.respond(1.0029, 1.0)
    assert (response.amount0, response.amount1) == (0.0, 0.0)
    assert response.curvature > 0


def test_more_than_the_pool_holds_cannot_be_bought() -> None:
    with pytest.raises(InsufficientLiquidityError, match="at most"):
        UniswapV3Pool.from_state(_state()).quote_out(3, 10**30)


def test_a_foreign_token_is_refused() -> None:
    with pytest.raises(UnknownTokenError, match="not 4"):
        UniswapV3Pool.from_state(_state()).quote_in(4, 1)


def test_a_negative_amount_is_refused() -> None:
    with pytest.raises(InvalidAmountError):
        UniswapV3Pool.from_state(_state()).quote_in(3, -1)


@pytest.mark.parametrize(
    "change",
    [
        {"tick": 1},
        {"sqrt_price_x96": 0},
        {"liquidity": -1},
        {"ticks": ((60, 1), (0, -1))},
        {"ticks": ((1, 1),)},
        {"first_word": 0},
        {"tick_spacing": 0},
    ],
)
def test_a_state_that_contradicts_itself_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidPoolError, match="0xPool"):
        UniswapV3Pool.from_state(replace(_state(), **change))
