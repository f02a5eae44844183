# SPDX-License-Identifier: Apache-2.0
from random import Random
from typing import Any

import pytest

from offchain.market.snapshot import UniswapV2State
from offchain.route.errors import InsufficientLiquidityError, InvalidAmountError, InvalidPoolError, UnknownTokenError
from offchain.route.uniswap_v2 import UniswapV2Pool

TRADER = "0x" + "11" * 20


def _pair(reserve0: int, reserve1: int) -> UniswapV2Pool:
    return UniswapV2Pool.from_state(UniswapV2State("0xPair", 4, 7, reserve0, reserve1))


def _pays(uniswap: Any, reverted: type[Exception], pair: str, token_in: int, amount_in: int, amount_out: int) -> bool:
    """Whether the real pair pays that much for that input; leaves its state as after the swap."""
    try:
        uniswap.call(uniswap.tokens[token_in], "transfer(address,uint256)", (pair, amount_in))
        outs = (amount_out, 0) if token_in == 1 else (0, amount_out)
        uniswap.call(pair, "swap(uint256,uint256,address,bytes)", (*outs, TRADER, b""))
    except reverted:
        return False
    return True


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.slow)])
def test_quotes_are_what_the_real_pair_pays_and_not_a_wei_less(
    uniswap: Any, reverted: type[Exception], count: int
) -> None:
    random = Random(11)
    for _ in range(count):
        reserves = int(10 ** random.uniform(1, 33)), int(10 ** random.uniform(1, 33))
        state = uniswap.write_pair(reserves)
        pool = UniswapV2Pool.from_state(state)
        token_in = random.randrange(2)
        amount_in = max(1, int(reserves[token_in] * 10 ** random.uniform(-8, 0.5)))
        swap = pool.swap(token_in, amount_in)
        uniswap.write_pair(reserves)
        assert not _pays(uniswap, reverted, state.address, token_in, amount_in, swap.amount_out + 1)
        uniswap.write_pair(reserves)
        if swap.amount_out:
            assert _pays(uniswap, reverted, state.address, token_in, amount_in, swap.amount_out)
            left = uniswap.call(state.address, "getReserves()", (), ("uint112", "uint112", "uint32"))
            assert left[:2] == (swap.after.reserve0, swap.after.reserve1)


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.slow)])
def test_the_input_of_an_exact_output_is_the_least_that_the_real_pair_accepts(
    uniswap: Any, reverted: type[Exception], count: int
) -> None:
    random = Random(12)
    for _ in range(count):
        reserves = int(10 ** random.uniform(1, 30)), int(10 ** random.uniform(1, 30))
        state = uniswap.write_pair(reserves)
        pool = UniswapV2Pool.from_state(state)
        token_in = random.randrange(2)
        amount_out = max(1, int(reserves[1 - token_in] * 10 ** random.uniform(-6, -0.1)))
        amount_in = pool.quote_out(token_in, amount_out)
        assert pool.quote_in(token_in, amount_in) >= amount_out
        uniswap.write_pair(reserves)
        assert not _pays(uniswap, reverted, state.address, token_in, amount_in - 1, amount_out)
        uniswap.write_pair(reserves)
        assert _pays(uniswap, reverted, state.address, token_in, amount_in, amount_out)


def test_the_best_trade_at_outside_prices_cannot_be_improved_by_trading_more_or_less() -> None:
    pool = _pair(10**24, 3 * 10**21)
    for shift in (0.5, 0.9, 1.2, 2.0):
        price0 = 3e-3 * shift
        response = pool.respond(price0, 1.0)
        sold, given, price_in, price_out = (
            (4, -response.amount0, price0, 1.0) if response.amount0 < 0 else (7, -response.amount1, 1.0, price0)
        )

        def gain(amount: float, sold: int = sold, price_in: float = price_in, price_out: float = price_out) -> float:
            return pool.quote_in(sold, int(amount)) * price_out - int(amount) * price_in

        assert gain(given) == pytest.approx(response.amount0 * price0 + response.amount1, rel=1e-9)
        assert gain(given) > max(gain(given * 0.999), gain(given * 1.001), 0.0)


def test_prices_inside_the_fee_band_call_for_no_trade() -> None:
    pool = _pair(10**24, 3 * 10**21)
    for shift in (0.998, 1.0, 1.002):
        response = pool.respond(3e-3 * shift, 1.0)
        assert (response.amount0, response.amount1) == (0.0, 0.0)
        assert response.curvature > 0


def test_an_empty_pair_says_so() -> None:
    with pytest.raises(InsufficientLiquidityError, match="empty"):
        _pair(0, 0).quote_in(4, 1)
    assert _pair(0, 0).respond(1.0, 1.0).amount0 == 0


def test_more_than_the_pair_holds_cannot_be_bought() -> None:
    with pytest.raises(InsufficientLiquidityError, match="1000"):
        _pair(10**6, 1000).quote_out(4, 1000)


def test_an_input_that_overflows_the_pairs_reserve_is_refused() -> None:
    with pytest.raises(InsufficientLiquidityError, match="overflow"):
        _pair(2**112 - 10, 10**6).quote_in(4, 10)


def test_a_foreign_token_is_refused() -> None:
    with pytest.raises(UnknownTokenError, match="not 5"):
        _pair(10**6, 10**6).quote_in(5, 1)


@pytest.mark.parametrize("amount", [-1, 1.5, float("nan")])
def test_an_amount_that_is_no_count_of_base_units_is_refused(amount: Any) -> None:
    with pytest.raises(InvalidAmountError):
        _pair(10**6, 10**6).quote_in(4, amount)


def test_a_reserve_beyond_112_bits_is_refused() -> None:
    with pytest.raises(InvalidPoolError, match="112"):
        _pair(2**112, 1)
