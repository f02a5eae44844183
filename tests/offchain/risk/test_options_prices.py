# SPDX-License-Identifier: Apache-2.0
"""Prices and Greeks against published numbers, finite differences and the textbook formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import erfcx, ndtr

from offchain.risk.options.black import (
    black_76,
    black_scholes,
    exchange_greeks,
    higher_greeks,
    intrinsic,
    inverse_black_76,
)
from offchain.risk.options.errors import OptionError
from offchain.risk.options.mills import mills
from tests.support.recorded import recorded

# Haug, The Complete Guide to Option Pricing Formulas (1998): type, strike, spot, yield, rate, time, volatility, price.
HAUG = [
    ("C", 65.0, 60.0, 0.0, 0.08, 0.25, 0.3, 2.1334),
    ("P", 95.0, 100.0, 0.05, 0.1, 0.5, 0.2, 2.4648),
    ("P", 19.0, 19.0, 0.1, 0.1, 0.75, 0.28, 1.7011),
    ("C", 19.0, 19.0, 0.1, 0.1, 0.75, 0.28, 1.7011),
    ("C", 1.6, 1.56, 0.08, 0.06, 0.5, 0.12, 0.0291),
    ("P", 70.0, 75.0, 0.05, 0.1, 0.5, 0.35, 4.087),
    ("C", 100.0, 90.0, 0.1, 0.1, 0.1, 0.15, 0.0205),
    ("C", 100.0, 100.0, 0.1, 0.1, 0.1, 0.15, 1.8734),
    ("C", 100.0, 110.0, 0.1, 0.1, 0.1, 0.15, 9.9413),
]


@pytest.fixture(scope="module")
def many() -> dict[str, np.ndarray]:
    """Options of every kind, far from and near the money."""
    rng = np.random.default_rng(11)
    size = 4_000
    spot = rng.uniform(50, 150, size)
    return {
        "spot": spot,
        "strike": spot * np.exp(rng.normal(0, 0.4, size)),
        "expiry_years": rng.uniform(0.01, 3, size),
        "volatility": rng.uniform(0.05, 2, size),
        "rate": rng.uniform(-0.02, 0.1, size),
        "carry_yield": rng.uniform(-0.02, 0.1, size),
        "is_call": rng.random(size) < 0.5,
    }


def textbook(spot, strike, expiry_years, volatility, rate, carry_yield, is_call):  # type: ignore[no-untyped-def]
    """Price with scipy's normal distribution."""
    deviation = volatility * np.sqrt(expiry_years)
    d1 = (np.log(spot / strike) + (rate - carry_yield) * expiry_years) / deviation + deviation / 2
    d2 = d1 - deviation
    first, second = spot * np.exp(-carry_yield * expiry_years), strike * np.exp(-rate * expiry_years)
    return np.where(is_call, first * ndtr(d1) - second * ndtr(d2), second * ndtr(-d2) - first * ndtr(-d1))


def test_mills_ratio_to_the_last_digits() -> None:
    x = np.concatenate([[0.0], np.linspace(0, 40, 2_001), np.geomspace(1e-9, 1e9, 500)])
    ours = np.array([mills(float(one)) for one in x])
    assert np.allclose(ours, math.sqrt(math.pi / 2) * erfcx(x / math.sqrt(2)), rtol=3e-15, atol=0)


@pytest.mark.parametrize("row", HAUG, ids=[f"{row[0]}{row[1]:g}-{row[2]:g}" for row in HAUG])
def test_haugs_prices(row: tuple[str, float, float, float, float, float, float, float]) -> None:
    kind, strike, spot, carry, rate, time, volatility, price = row
    ours = black_scholes(spot, strike, time, volatility, is_call=kind == "C", rate=rate, carry_yield=carry).price
    # One of the printed prices, 1.8734, is 5.5e-5 above the formula.
    assert ours == pytest.approx(price, abs=6e-5)


def test_hulls_example_of_42_on_40() -> None:
    call = black_scholes(42, 40, 0.5, 0.2, rate=0.1)
    put = black_scholes(42, 40, 0.5, 0.2, rate=0.1, is_call=False)
    assert (float(call.price), float(put.price)) == pytest.approx((4.759422392871533, 0.8085993729000936), rel=1e-14)
    assert float(call.vega) == pytest.approx(8.813415059602852, rel=1e-14)


def test_hulls_greeks_of_49_on_50() -> None:
    ours = black_scholes(49, 50, 0.3846, 0.2, rate=0.05)
    assert (float(ours.price), float(ours.delta), float(ours.gamma)) == pytest.approx(
        (2.400461087, 0.521601634, 0.0655453773), rel=1e-8
    )
    assert (float(ours.vega), float(ours.theta), float(ours.rho)) == pytest.approx(
        (12.1052427543, -4.3053899645, 8.9065740988), rel=1e-8
    )


def test_greeks_of_the_gauss_manual() -> None:
    ours = black_scholes(305, 300, 0.33, 0.25, rate=0.08)
    published = {"delta": 0.6446, "gamma": 0.0085, "theta": -38.5054, "vega": 65.2563, "rho": 56.872}
    assert {name: round(float(getattr(ours, name)), 4) for name in published} == published


def test_prices_agree_with_the_textbook(many: dict[str, np.ndarray]) -> None:
    assert np.allclose(black_scholes(**many).price, textbook(**many), rtol=1e-12, atol=1e-12)


def test_put_call_parity(many: dict[str, np.ndarray]) -> None:
    terms = {name: value for name, value in many.items() if name != "is_call"}
    call, put = black_scholes(**terms), black_scholes(**terms, is_call=False)
    time = terms["expiry_years"]
    forward = terms["spot"] * np.exp(-terms["carry_yield"] * time) - terms["strike"] * np.exp(-terms["rate"] * time)
    assert np.allclose(call.price - put.price, forward, atol=1e-11)
    assert np.allclose(call.gamma, put.gamma)
    assert np.allclose(call.delta - put.delta, np.exp(-terms["carry_yield"] * time))


@pytest.mark.parametrize(
    ("greek", "by", "sign"),
    [("delta", "spot", 1), ("vega", "volatility", 1), ("rho", "rate", 1), ("theta", "expiry_years", -1)],
)
def test_first_derivatives_are_the_slopes_of_the_price(
    many: dict[str, np.ndarray], greek: str, by: str, sign: int
) -> None:
    width = 1e-5 * np.maximum(1e-2, np.abs(many[by]))
    up = black_scholes(**{**many, by: many[by] + width}).price
    down = black_scholes(**{**many, by: many[by] - width}).price
    slope = sign * (up - down) / (2 * width)
    assert np.allclose(getattr(black_scholes(**many), greek), slope, rtol=2e-5, atol=2e-4)


@pytest.mark.parametrize(
    ("greek", "of", "by", "sign"),
    [
        ("vanna", "delta", "volatility", 1),
        ("volga", "vega", "volatility", 1),
        ("charm", "delta", "expiry_years", -1),
        ("veta", "vega", "expiry_years", -1),
        ("speed", "gamma", "spot", 1),
        ("zomma", "gamma", "volatility", 1),
        ("color", "gamma", "expiry_years", -1),
    ],
)
def test_higher_derivatives_are_slopes_of_the_first(
    many: dict[str, np.ndarray], greek: str, of: str, by: str, sign: int
) -> None:
    terms = {name: value[many["expiry_years"] > 0.05] for name, value in many.items()}
    width = 1e-5 * terms[by]
    up, down = black_scholes(**{**terms, by: terms[by] + width}), black_scholes(**{**terms, by: terms[by] - width})
    slope = sign * (getattr(up, of) - getattr(down, of)) / (2 * width)
    ours = getattr(higher_greeks(**terms), greek)
    assert np.allclose(ours, slope, rtol=1e-5, atol=1e-6 * np.abs(slope).max())


def test_gamma_is_the_slope_of_delta(many: dict[str, np.ndarray]) -> None:
    width = 1e-5 * many["spot"]
    up, down = (black_scholes(**{**many, "spot": many["spot"] + side}).delta for side in (width, -width))
    assert np.allclose(black_scholes(**many).gamma, (up - down) / (2 * width), rtol=1e-5, atol=1e-8)


def test_black_76_is_black_scholes_on_the_forward(many: dict[str, np.ndarray]) -> None:
    time, rate = many["expiry_years"], many["rate"]
    forward = many["spot"] * np.exp((rate - many["carry_yield"]) * time)
    ours = black_76(forward, many["strike"], time, many["volatility"], is_call=many["is_call"], rate=rate)
    assert np.allclose(ours.price, black_scholes(**many).price, atol=1e-11)
    assert np.allclose(ours.rho, -time * ours.price)


def test_inverse_option_is_worth_the_dollar_price_in_coin() -> None:
    ours = inverse_black_76(9_100.0, [8_000.0, 10_000.0], 0.1, 0.8, is_call=[False, True])
    dollars = black_76(9_100.0, [8_000.0, 10_000.0], 0.1, 0.8, is_call=[False, True])
    assert np.allclose(ours.price * 9_100.0, dollars.price)
    assert np.allclose(ours.net_delta, dollars.delta - ours.price)


def test_coin_derivatives_are_slopes_of_the_coin_price() -> None:
    forward, strike, width = 9_100.0, np.array([7_000.0, 9_000.0, 12_000.0]), 0.5

    def coin(at: float) -> np.ndarray:
        return inverse_black_76(at, strike, 0.25, 0.9, is_call=[True, False, True]).price

    ours = inverse_black_76(forward, strike, 0.25, 0.9, is_call=[True, False, True])
    assert np.allclose(ours.coin_delta, (coin(forward + width) - coin(forward - width)) / (2 * width), rtol=1e-6)
    bend = (coin(forward + width) - 2 * coin(forward) + coin(forward - width)) / width**2
    assert np.allclose(ours.coin_gamma, bend, rtol=1e-4)


@pytest.mark.parametrize(("time", "volatility"), [(0.0, 0.5), (1.0, 0.0), (0.0, 0.0)])
def test_without_time_or_volatility_the_price_is_intrinsic(time: float, volatility: float) -> None:
    strike = np.array([80.0, 100.0, 120.0])
    call = black_scholes(100.0, strike, time, volatility)
    put = black_scholes(100.0, strike, time, volatility, is_call=False)
    assert call.price.tolist() == [20.0, 0.0, 0.0]
    assert put.price.tolist() == [0.0, 0.0, 20.0]
    assert (call.delta[0], call.delta[2], put.delta[0], put.delta[2]) == (1.0, 0.0, 0.0, -1.0)
    for greek in (call.gamma, call.vega, call.theta):
        assert greek.tolist() == [0.0, 0.0, 0.0]
    assert np.all(higher_greeks(100.0, strike, time, volatility).vanna == 0.0)


def test_extreme_terms_stay_finite_and_within_bounds() -> None:
    strike = np.array([1e-8, 1e-3, 1.0, 1e5, 1e12])
    for is_call in (True, False):
        ours = black_76(100.0, strike, [[1e-9], [1.0], [50.0]], 3.0, is_call=is_call)
        for name in ("price", "delta", "gamma", "vega", "theta", "rho"):
            assert np.isfinite(getattr(ours, name)).all(), name
        assert np.all(ours.price >= intrinsic(100.0, strike, is_call=is_call) * (1 - 1e-12) - 1e-12)
        assert np.all(ours.price <= (100.0 if is_call else strike) * (1 + 1e-12))


def test_terms_broadcast() -> None:
    assert black_76(100.0, np.full((3, 1), 90.0), np.array([0.1, 0.2]), 0.5).price.shape == (3, 2)
    assert black_76(100.0, 90.0, 0.1, 0.5).price.shape == ()


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        (([100.0, -1.0], 90.0, 0.1, 0.5), r"spot or forward\[1\] is -1.0; it must be positive"),
        ((100.0, 0.0, 0.1, 0.5), "strike"),
        ((100.0, 90.0, [0.1, -0.1], 0.5), r"expiry_years\[1\]"),
        ((100.0, 90.0, 0.1, [[0.5, math.nan]]), r"volatility\[0, 1\]"),
        (([1.0, 2.0], [1.0, 2.0, 3.0], 0.1, 0.5), "one shape"),
    ],
)
def test_impossible_terms_are_named(terms: tuple[object, ...], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        black_76(*terms)  # type: ignore[arg-type]


def test_a_kind_as_text_is_refused() -> None:
    with pytest.raises(OptionError, match="compare kinds"):
        black_76(100.0, 90.0, 0.1, 0.5, is_call="call")


def test_deribit_greeks_of_a_whole_chain() -> None:
    import ast

    import pandas as pd

    frame = pd.read_csv(recorded("options/deribit_btc_2020-05-21_full_greeks.csv.gz"))
    published = {
        name: np.array([ast.literal_eval(cell)[name] for cell in frame["greeks"]])
        for name in ("delta", "gamma", "vega", "theta", "rho")
    }
    time = (frame["expiration_timestamp"] - frame["timestamp"]).to_numpy() / 1_000 / 86_400 / 365
    ours = exchange_greeks(
        frame["underlying_price"], frame["strike"], time, frame["mark_iv"] / 100,
        is_call=(frame["option_type"] == "call").to_numpy(),
    )  # fmt: skip
    assert len(frame) == 326
    assert np.abs(ours.delta - published["delta"]).max() < 2e-4
    assert np.abs(ours.gamma - published["gamma"]).max() < 1e-5
    assert np.abs(ours.vega - published["vega"]).max() < 5e-3
    assert np.abs(ours.rho - published["rho"]).max() < 2e-3
    # In an option's last days the exchange caps the theta it shows.
    assert np.abs(ours.theta - published["theta"])[time > 7 / 365].max() < 5e-3
    assert np.abs(ours.price / frame["underlying_price"] - frame["mark_price"]).max() < 3e-4
