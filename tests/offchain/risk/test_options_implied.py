# SPDX-License-Identifier: Apache-2.0
"""An implied volatility reprices its option, or its row says why there is none."""

from __future__ import annotations

import math

import numpy as np
import pytest

from offchain.risk.options.black import black_76, black_scholes
from offchain.risk.options.errors import OptionError
from offchain.risk.options.implied import Reason, implied_volatility
from offchain.risk.options.implied_kernel import _carefully

FORWARD = 100.0


def out_of_the_money(log_strikes: np.ndarray, totals: np.ndarray) -> tuple[np.ndarray, ...]:
    """Strike, total volatility, is_call and price on a grid, where the price has digits left to invert."""
    k, s = (axis.ravel() for axis in np.meshgrid(log_strikes, totals))
    strike, is_call = FORWARD * np.exp(k), k >= 0
    price = black_76(FORWARD, strike, 1.0, s, is_call=is_call).price
    most = np.where(is_call, FORWARD, strike)
    kept = (price > 1e-290) & (price < most * (1 - 1e-13))
    return strike[kept], s[kept], is_call[kept], price[kept]


def test_volatility_is_recovered_over_the_usual_range() -> None:
    strike, total, is_call, price = out_of_the_money(np.linspace(-1.5, 1.5, 121), np.linspace(0.02, 2, 100))
    ours = implied_volatility(price, FORWARD, strike, 1.0, is_call=is_call)
    assert np.all(ours.reason == Reason.OK)
    assert np.abs(ours.volatility - total).max() < 1e-10


def test_extremes_are_solved_and_reprice() -> None:
    wings = np.concatenate([-np.geomspace(1e-9, 30, 60), [0.0], np.geomspace(1e-9, 30, 60)])
    strike, total, is_call, price = out_of_the_money(wings, np.geomspace(1e-4, 14, 120))
    ours = implied_volatility(price, FORWARD, strike, 1.0, is_call=is_call)
    assert np.all(ours.reason == Reason.OK)
    again = black_76(FORWARD, strike, 1.0, ours.volatility, is_call=is_call).price
    assert np.allclose(again, price, rtol=1e-9, atol=0)
    settled = price < 0.999 * np.where(is_call, FORWARD, strike)
    assert np.allclose(ours.volatility[settled], total[settled], rtol=1e-8, atol=1e-14)


def test_both_sides_of_the_money_give_one_volatility() -> None:
    strike = np.linspace(70, 140, 15)
    for is_call in (True, False):
        price = black_76(FORWARD, strike, 0.25, 0.7, is_call=is_call, rate=0.05).price
        ours = implied_volatility(price, FORWARD, strike, 0.25, is_call=is_call, rate=0.05)
        assert np.allclose(ours.volatility, 0.7, rtol=1e-12)


def test_hulls_price_gives_hulls_volatility() -> None:
    price = black_scholes(42, 40, 0.5, 0.2, rate=0.1).price
    ours = implied_volatility(price, 42 * math.exp(0.05), 40, 0.5, rate=0.1)
    assert float(ours.volatility) == pytest.approx(0.2, abs=1e-14)


@pytest.mark.parametrize(
    ("price", "forward", "strike", "time", "is_call", "reason"),
    [
        (9.99, 100.0, 90.0, 0.5, True, Reason.BELOW_INTRINSIC),
        (9.99, 100.0, 110.0, 0.5, False, Reason.BELOW_INTRINSIC),
        (-1e-9, 100.0, 110.0, 0.5, True, Reason.BELOW_INTRINSIC),
        (100.0, 100.0, 90.0, 0.5, True, Reason.ABOVE_MAXIMUM),
        (150.0, 100.0, 90.0, 0.5, True, Reason.ABOVE_MAXIMUM),
        (90.5, 100.0, 90.0, 0.5, False, Reason.ABOVE_MAXIMUM),
        (10.0, 100.0, 90.0, 0.5, True, Reason.NO_TIME_VALUE),
        (0.0, 100.0, 110.0, 0.5, True, Reason.NO_TIME_VALUE),
        (math.nan, 100.0, 90.0, 0.5, True, Reason.NOT_FINITE),
        (math.inf, 100.0, 90.0, 0.5, True, Reason.NOT_FINITE),
        (10.0, math.nan, 90.0, 0.5, True, Reason.NOT_FINITE),
        (10.0, 100.0, 90.0, math.inf, True, Reason.NOT_FINITE),
        (10.0, 0.0, 90.0, 0.5, True, Reason.NOT_POSITIVE),
        (10.0, 100.0, -90.0, 0.5, True, Reason.NOT_POSITIVE),
        (12.0, 100.0, 90.0, 0.0, True, Reason.EXPIRED),
        (12.0, 100.0, 90.0, -0.1, True, Reason.EXPIRED),
    ],
)
def test_without_an_answer_there_is_a_reason(
    price: float, forward: float, strike: float, time: float, is_call: bool, reason: Reason
) -> None:
    ours = implied_volatility(price, forward, strike, time, is_call=is_call)
    assert ours.reasons() == [reason]
    assert math.isnan(float(ours.volatility))
    assert reason.text


def test_bad_rows_leave_their_neighbours_alone() -> None:
    good = float(black_76(FORWARD, 110.0, 0.5, 0.6).price)
    ours = implied_volatility([good, -1.0, good, math.nan, good, 1e6], FORWARD, 110.0, 0.5)
    assert ours.volatility[[0, 2, 4]] == pytest.approx(0.6, abs=1e-14)
    assert ours.reasons()[1::2] == [Reason.BELOW_INTRINSIC, Reason.NOT_FINITE, Reason.ABOVE_MAXIMUM]


def test_every_answer_reprices_and_every_other_row_is_nan() -> None:
    rng = np.random.default_rng(5)
    size = 50_000
    price, strike = np.exp(rng.normal(1, 4, size)), FORWARD * np.exp(rng.normal(0, 1, size))
    time, is_call = rng.uniform(-0.1, 3, size), rng.random(size) < 0.5
    ours = implied_volatility(price, FORWARD, strike, time, is_call=is_call)
    good = ours.reason == Reason.OK
    assert np.isnan(ours.volatility[~good]).all()
    assert np.all(ours.volatility[good] > 0)
    assert not np.any(ours.reason == Reason.UNSOLVED)
    again = black_76(FORWARD, strike[good], time[good], ours.volatility[good], is_call=is_call[good]).price
    assert np.allclose(again, price[good], rtol=1e-9)


def test_careful_iteration_agrees_with_the_fast_one() -> None:
    price = float(black_76(FORWARD, 150.0, 1.0, 0.35).price)
    total, solved = _carefully(math.log(1.5), math.sqrt(1.5), price / FORWARD)
    assert solved
    assert total == pytest.approx(0.35, abs=1e-14)


def test_shapes_are_checked_and_kept() -> None:
    assert implied_volatility(5.0, FORWARD, [[90.0], [110.0]], [0.1, 0.2]).volatility.shape == (2, 2)
    with pytest.raises(OptionError, match="one shape"):
        implied_volatility([1.0, 2.0], FORWARD, [1.0, 2.0, 3.0], 0.5)
    with pytest.raises(OptionError, match="is_call"):
        implied_volatility(1.0, FORWARD, 100.0, 0.5, is_call="put")
