# SPDX-License-Identifier: Apache-2.0
"""Books of positions: values, Greeks by underlying, and profit by revaluation and by approximation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from offchain.risk.options.black import black_76, inverse_black_76
from offchain.risk.positions import (
    Book,
    Coin,
    LiquidityPosition,
    MarketState,
    Option,
    Perpetual,
    Position,
    PositionError,
    Sensitivities,
    funding_paid,
    inverse_perpetual_profit,
    ladder,
    liquidity_of,
    scenarios,
    straddle,
)

NOW = MarketState({"ETH": 2_000.0, "BTC": 40_000.0, "USDC": 1.0})
RANGE = LiquidityPosition("ETH", "USDC", 1_000.0, 1_500.0, 2_500.0)
POSITIONS: dict[str, Position] = {
    "coin": Coin("ETH", 3.0, yield_per_year=0.04),
    "debt": Coin("USDC", -5_000.0, yield_per_year=0.06),
    "perpetual": Perpetual("ETH", -2.0, 1_900.0, funding_per_year=0.1),
    "call": Option("ETH", 4.0, True, 2_200.0, 0.25, 0.7, rate=0.02, forward_ratio=1.01),
    "put": Option("ETH", -4.0, False, 1_800.0, 0.25, 0.8),
    "range": RANGE,
    "full range": LiquidityPosition("ETH", "BTC", 5.0),
}


@pytest.mark.parametrize("name", POSITIONS)
def test_sensitivities_are_slopes_of_the_value(name: str) -> None:
    position = POSITIONS[name]
    ours = position.sensitivities(NOW)

    def value(moves: dict[str, float], shift: float = 0.0, years: float = 0.0) -> float:
        prices = {key: float(NOW.price(key)) * (1 + moves.get(key, 0.0)) for key in NOW.prices}
        return float(position.value(MarketState(prices, {"ETH": shift}, years)))

    for asset in position.underlyings:
        price = float(NOW.price(asset))
        up, down, middle = value({asset: 1e-4}), value({asset: -1e-4}), value({})
        assert ours.delta[asset] == pytest.approx((up - down) / (2e-4 * price), rel=1e-6, abs=1e-9)
        bend = (up - 2 * middle + down) / (1e-4 * price) ** 2
        assert ours.gamma.get((asset, asset), 0.0) == pytest.approx(bend, rel=1e-4, abs=1e-6)
    assert ours.vega.get("ETH", 0.0) == pytest.approx((value({}, 1e-4) - value({}, -1e-4)) / 2e-4, rel=1e-6, abs=1e-6)
    decay = (value({}, years=1e-6) - value({})) / 1e-6
    assert sum(ours.theta.values()) == pytest.approx(decay, rel=1e-4, abs=1e-3)


def test_cross_gamma_of_two_risky_assets() -> None:
    position = POSITIONS["full range"]

    def value(one: float, other: float) -> float:
        return float(position.value(MarketState({"ETH": 2_000 + one, "BTC": 40_000 + other})))

    cross = (value(1, 20) - value(1, -20) - value(-1, 20) + value(-1, -20)) / 80
    assert position.sensitivities(NOW).gamma[("BTC", "ETH")] == pytest.approx(cross, rel=1e-4)


def test_book_adds_up_by_underlying() -> None:
    held = Book(tuple(POSITIONS.values()))
    assert held.underlyings == ("ETH", "USDC", "BTC")
    assert float(held.value(NOW)) == pytest.approx(sum(float(one.value(NOW)) for one in POSITIONS.values()))
    ether = held.greeks(NOW)[0]
    assert ether.delta == pytest.approx(sum(one.sensitivities(NOW).delta.get("ETH", 0) for one in held.positions))
    assert ether.dollar_delta == pytest.approx(2_000 * ether.delta)
    assert ether.dollar_gamma == pytest.approx(0.01 * 2_000**2 * ether.gamma)
    assert ether.vega == pytest.approx(sum(one.sensitivities(NOW).vega.get("ETH", 0) for one in held.positions))


def test_approximation_agrees_with_revaluation_for_small_moves() -> None:
    held = Book(tuple(POSITIONS.values()))
    then = MarketState(
        {"ETH": 2_000 * np.array([0.99, 1.0, 1.01]), "BTC": 40_000 * np.array([1.005, 1.0, 0.995]), "USDC": 1.0},
        {"ETH": np.array([0.01, 0.005, -0.01])},
        1 / 365,
    )
    exact = held.profit(NOW, then)
    assert held.approximate_profit(NOW, then, second_order_volatility=True) == pytest.approx(exact, rel=5e-3, abs=2.0)


def test_approximation_fails_for_large_moves_and_revaluation_does_not() -> None:
    short = Book(straddle("ETH", -10.0, 2_000.0, 7 / 365, 0.6))
    then = MarketState({"ETH": np.array([1_200.0, 2_800.0])}, {"ETH": 0.5})
    exact, rough = short.profit(NOW, then), short.approximate_profit(NOW, then)
    received = -float(short.value(NOW))
    assert exact == pytest.approx(-8_000 + received, rel=0.01)
    assert np.all(rough < 2 * exact), "a short straddle's gamma does not go on for ever"


def test_linear_positions_are_exact_in_the_approximation() -> None:
    held = Book((Coin("ETH", 3.0), Perpetual("BTC", 0.2, 39_000.0)))
    then = MarketState({"ETH": np.array([500.0, 5_000.0]), "BTC": np.array([10_000.0, 90_000.0]), "USDC": 1.0})
    assert held.approximate_profit(NOW, then) == pytest.approx(held.profit(NOW, then))


def test_option_after_expiry_is_worth_its_payoff() -> None:
    then = MarketState({"ETH": np.array([1_800.0, 2_300.0])}, years=0.3)
    assert Option("ETH", 2.0, True, 2_200.0, 0.25, 0.7).value(then) == pytest.approx([0.0, 200.0])


def test_coin_settled_option_pays_the_same_dollars() -> None:
    price = np.array([1_500.0, 2_500.0])
    coin = inverse_black_76(price, 2_200.0, 0.0, 0.7).price
    assert coin * price == pytest.approx(
        Option("ETH", 1.0, True, 2_200.0, 0.25, 0.7).value(MarketState({"ETH": price}, years=1.0))
    )


def test_option_is_black_76() -> None:
    ours = Option("ETH", 1.0, True, 2_200.0, 0.25, 0.7, rate=0.02, forward_ratio=1.01).value(NOW)
    assert float(ours) == pytest.approx(float(black_76(2_020.0, 2_200.0, 0.25, 0.7, rate=0.02).price))


def test_inverse_perpetual_is_a_linear_one_in_dollars() -> None:
    price = np.array([1_000.0, 2_000.0, 4_000.0])
    coin = inverse_perpetual_profit(10_000.0, 2_000.0, price)
    dollars = Perpetual("ETH", 10_000.0 / 2_000.0, 2_000.0).value(MarketState({"ETH": price}))
    assert coin * price == pytest.approx(dollars)
    assert coin.tolist() == [-5.0, 0.0, 2.5]


@pytest.mark.parametrize(("quantity", "margin"), [(2.0, 800.0), (-2.0, 800.0), (0.1, 15.0)])
def test_at_the_liquidation_price_equity_is_the_maintenance_margin(quantity: float, margin: float) -> None:
    position = Perpetual("ETH", quantity, 2_000.0)
    price = position.liquidation_price(margin, 0.05)
    equity = margin + float(position.value(MarketState({"ETH": price})))
    assert equity == pytest.approx(0.05 * abs(quantity) * price)
    assert (price < 2_000) == (quantity > 0)


def test_fully_paid_long_is_never_liquidated() -> None:
    assert Perpetual("ETH", 1.0, 2_000.0).liquidation_price(2_500.0, 0.05) == 0.0


def test_funding_accumulates_on_the_mark() -> None:
    paid = funding_paid(-2.0, [100.0, 110.0, 120.0], [1e-4, -1e-4, 2e-4])
    assert paid == pytest.approx([-0.02, 0.002, -0.046])
    with pytest.raises(PositionError, match="3 prices and 2"):
        funding_paid(1.0, [1.0, 1.0, 1.0], [0.1, 0.1])


def test_ladder_has_every_combination() -> None:
    moves, shifts = np.array([-0.2, 0.0, 0.2]), np.array([0.0, 0.3])
    then = ladder("ETH", NOW, moves, shifts)
    profit = Book((POSITIONS["call"],)).profit(NOW, then).reshape(3, 2)
    assert profit[1, 0] == 0.0
    assert np.all(np.diff(profit, axis=0) > 0)
    assert np.all(np.diff(profit, axis=1) > 0)


def test_scenarios_move_prices_and_volatilities() -> None:
    returns = np.array([[-0.3, -0.2], [0.2, 0.1]])
    then = scenarios(NOW, ["ETH", "BTC"], returns, years=0.1, volatility_response=0.5)
    assert then.price("ETH") == pytest.approx([1_400.0, 2_400.0])
    assert then.volatility_shift("BTC") == pytest.approx(-0.5 * np.log([0.8, 1.1]))
    assert float(then.price("USDC")) == 1.0
    assert Book(tuple(POSITIONS.values())).profit(NOW, then).shape == (2,)


def test_liquidity_holds_one_asset_outside_its_range() -> None:
    below, above = RANGE.holdings(1_000.0), RANGE.holdings(3_000.0)
    assert below[1] == 0.0
    assert above[0] == 0.0
    assert float(below[0]) == pytest.approx(1_000 * (1 / math.sqrt(1_500) - 1 / math.sqrt(2_500)))


def test_liquidity_of_deposits_and_back() -> None:
    base, quote = (float(one) for one in RANGE.holdings(2_000.0))
    assert liquidity_of(base, quote, 2_000.0, 1_500.0, 2_500.0) == pytest.approx(1_000.0)
    assert liquidity_of(base, 2 * quote, 2_000.0, 1_500.0, 2_500.0) == pytest.approx(1_000.0)
    assert liquidity_of(5.0, 0.0, 1_000.0, 1_500.0, 2_500.0) > 0


def test_full_range_divergence_is_the_textbooks() -> None:
    ratio = np.array([0.25, 0.5, 1.0, 2.0, 4.0])
    ours = LiquidityPosition("ETH", "USDC", 10.0).divergence(2_000.0, 2_000.0 * ratio)
    assert ours == pytest.approx(2 * np.sqrt(ratio) / (1 + ratio) - 1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: LiquidityPosition("ETH", "USDC", 1.0, 2_000.0, 1_000.0),
        lambda: LiquidityPosition("ETH", "ETH", 1.0),
        lambda: Option("ETH", 1.0, True, -1.0, 0.1, 0.5),
        lambda: MarketState({"ETH": [1.0, 0.0]}),
        lambda: Perpetual("ETH", 0.0, 1.0).liquidation_price(1.0, 0.1),
        lambda: Coin("DOGE", 1.0).value(NOW),
    ],
)
def test_impossible_positions_are_refused(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(PositionError):
        make()


def test_nothing_answers_to_nothing() -> None:
    assert float(Sensitivities().change(NOW, NOW)) == 0.0
