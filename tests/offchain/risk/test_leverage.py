# SPDX-License-Identifier: Apache-2.0
"""Lending accounts by Aave's rules: health, interest, liquidation, its probability, and cascades."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.special import ndtr

from offchain.risk.arrays import RiskError
from offchain.risk.leverage import (
    LendingAccount,
    LeverageError,
    RateCurve,
    Reserve,
    cascade,
    debt_growth,
    fall_that_breaks,
    liquidate,
    liquidation_call,
    liquidation_risk,
    path_scenarios,
    safe_leverage,
)
from tests.support.recorded import recorded

# Aave v3 Ethereum, end of October 2023.
WETH = Reserve("WETH", 0.805, 0.83, 0.05, 0.1)
WBTC = Reserve("WBTC", 0.73, 0.78, 0.05, 0.1)
USDC_CURVE = RateCurve(0.0, 0.035, 0.6, 0.9, 0.1)
PRICES = {"WETH": 1_800.0, "WBTC": 34_000.0, "USDC": 1.0}
RESERVES = {"WETH": WETH, "WBTC": WBTC}


def account(weth: float = 10.0, wbtc: float = 0.0, usdc: float = 10_000.0) -> LendingAccount:
    """Collateral against dollars."""
    return LendingAccount({"WETH": weth, "WBTC": wbtc}, {"USDC": usdc}, RESERVES)


def test_terms_and_curve_are_those_of_the_recorded_market() -> None:
    report = "onchain/aave_bgd_reports/AaveV3Ethereum_UpgradeAaveV3ETHPooolWETHParameters_20231031_after.json"
    market = json.loads(recorded(report).read_text())
    terms = {one["symbol"]: one for one in market["reserves"].values()}
    for reserve in (WETH, WBTC):
        theirs = terms[reserve.symbol]
        assert (reserve.loan_to_value * 1e4, reserve.liquidation_threshold * 1e4) == pytest.approx(
            (theirs["ltv"], theirs["liquidationThreshold"])
        )
        assert (1 + reserve.liquidation_bonus) * 1e4 == pytest.approx(theirs["liquidationBonus"])
    curve = market["strategies"][terms["USDC"]["interestRateStrategy"]]
    ours = (USDC_CURVE.base, USDC_CURVE.slope, USDC_CURVE.steep_slope, USDC_CURVE.optimal)
    names = ("baseVariableBorrowRate", "variableRateSlope1", "variableRateSlope2", "optimalUsageRatio")
    assert ours == pytest.approx([curve[name] / 1e27 for name in names])


def test_every_recorded_reserve_fits_the_model() -> None:
    report = "onchain/aave_bgd_reports/AaveV3Ethereum_UpgradeAaveV3ETHPooolWETHParameters_20231031_after.json"
    market = json.loads(recorded(report).read_text())
    for one in market["reserves"].values():
        bonus = max(one["liquidationBonus"] / 1e4 - 1, 0.0)
        Reserve(one["symbol"], one["ltv"] / 1e4, one["liquidationThreshold"] / 1e4, bonus)


def test_rate_curve_by_hand() -> None:
    assert USDC_CURVE.borrow_rate([0.0, 0.45, 0.9, 0.95, 1.0]) == pytest.approx([0, 0.0175, 0.035, 0.335, 0.635])
    assert USDC_CURVE.supply_rate([0.9]) == pytest.approx([0.035 * 0.9 * 0.9])
    assert USDC_CURVE.rate_after(1_000.0, 800.0, 100.0) == pytest.approx(0.035)
    with pytest.raises(LeverageError, match="cannot be borrowed"):
        USDC_CURVE.rate_after(1_000.0, 800.0, 201.0)
    with pytest.raises(LeverageError, match="utilisation"):
        USDC_CURVE.borrow_rate(1.1)


def test_debt_compounds_as_on_chain() -> None:
    year = 365 * 86_400
    assert debt_growth(0.05, year) == pytest.approx(math.exp(0.05), rel=1e-6)
    assert debt_growth(0.05, 0) == 1.0
    assert debt_growth(0.05, 1) == pytest.approx(1 + 0.05 / year)
    assert debt_growth(1.0, year) < math.exp(1.0), "the third order falls short where rates are high"


def test_health_and_leverage_by_hand() -> None:
    one = account(10.0, 0.5)
    assert float(one.health_factor(PRICES)) == pytest.approx((18_000 * 0.83 + 17_000 * 0.78) / 10_000)
    assert float(one.equity(PRICES)) == pytest.approx(25_000)
    assert float(one.leverage(PRICES)) == pytest.approx(35 / 25)
    assert float(one.borrowing_power(PRICES)) == pytest.approx(18_000 * 0.805 + 17_000 * 0.73 - 10_000)
    assert float(account(usdc=0.0).health_factor(PRICES)) == math.inf
    assert float(account(usdc=20_000.0).leverage(PRICES)) == math.inf


def test_health_in_many_states_at_once() -> None:
    prices = {"WETH": np.array([1_800.0, 900.0]), "WBTC": 34_000.0, "USDC": 1.0}
    assert account().health_factor(prices) == pytest.approx([1.494, 0.747])


def test_at_the_liquidation_price_health_is_one() -> None:
    one = account(10.0, 0.1)
    price = one.liquidation_price("WETH", PRICES)
    assert float(one.health_factor({**PRICES, "WETH": price})) == pytest.approx(1.0)
    short = LendingAccount({"WBTC": 1.0}, {"WETH": 10.0}, RESERVES)
    price = short.liquidation_price("WETH", PRICES)
    assert price > PRICES["WETH"]
    assert float(short.health_factor({**PRICES, "WETH": price})) == pytest.approx(1.0)
    assert math.isnan(account(0.0, 1.0).liquidation_price("WETH", PRICES))


def test_interest_moves_both_sides() -> None:
    later = account().grown(1.0, {"USDC": 0.05}, {"WETH": 0.02})
    assert later.debt["USDC"] == pytest.approx(10_000 * math.exp(0.05))
    assert later.collateral["WETH"] == pytest.approx(10 * math.exp(0.02))


def test_aaves_worked_example() -> None:
    # Aave's documentation: Bob owes 5 ETH worth of DAI; a liquidator repays half and receives 2.5 ETH plus 5 %.
    bob = LendingAccount({"ETH": 10.0}, {"DAI": 5.0}, {"ETH": Reserve("ETH", 0.4, 0.48, 0.05)})
    call = liquidation_call(bob, {"ETH": 1.0, "DAI": 1.0}, "DAI", "ETH")
    assert (call.repaid, call.seized) == pytest.approx((2.5, 2.625))


def test_aaves_second_worked_example() -> None:
    # The same with 5 ETH and 4 ETH worth of YFI: seized in YFI at its 15 % bonus.
    terms = {"ETH": Reserve("ETH", 0.4, 0.6, 0.05), "YFI": Reserve("YFI", 0.3, 0.45, 0.15)}
    bob = LendingAccount({"ETH": 5.0, "YFI": 4.0}, {"DAI": 5.0}, terms)
    assert 0.95 < float(bob.health_factor(dict.fromkeys(("ETH", "YFI", "DAI"), 1.0))) < 1
    call = liquidation_call(bob, dict.fromkeys(("ETH", "YFI", "DAI"), 1.0), "DAI", "YFI")
    assert (call.repaid, call.seized) == pytest.approx((2.5, 2.875))


def test_close_factor_depends_on_health() -> None:
    barely = {**PRICES, "WETH": 10_000 / 10 / 0.83 * 0.97}
    deep = {**PRICES, "WETH": 10_000 / 10 / 0.83 * 0.94}
    assert liquidation_call(account(), barely, "USDC", "WETH").repaid == pytest.approx(5_000)
    call = liquidation_call(account(), deep, "USDC", "WETH")
    assert call.repaid == pytest.approx(10_000)
    assert call.protocol == pytest.approx(0.1 * (call.seized - call.seized / 1.05))


def test_collateral_limits_what_is_repaid() -> None:
    crash = {**PRICES, "WETH": 900.0}
    call = liquidation_call(account(), crash, "USDC", "WETH")
    assert call.seized == 10.0
    assert call.repaid == pytest.approx(9_000 / 1.05)
    result = liquidate(account(), crash)
    assert result.bad_debt == pytest.approx(10_000 - 9_000 / 1.05)
    assert result.penalty == pytest.approx(9_000 - 9_000 / 1.05)


def test_liquidation_ends_in_health() -> None:
    barely = {**PRICES, "WETH": 10_000 / 10 / 0.83 * 0.99}
    result = liquidate(account(), barely)
    assert float(result.account.health_factor(barely)) >= 1.0
    assert result.bad_debt == 0.0
    assert result.penalty == pytest.approx(0.05 * sum(call.repaid for call in result.calls))
    equity = float(account().equity(barely)) - float(result.account.equity(barely))
    assert equity == pytest.approx(result.penalty)


def test_healthy_accounts_are_left_alone() -> None:
    assert liquidate(account(), PRICES).calls == ()
    with pytest.raises(LeverageError, match="cannot be liquidated"):
        liquidation_call(account(), PRICES, "USDC", "WETH")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Reserve("X", 0.9, 0.8, 0.05),
        lambda: RateCurve(0.0, 0.1, 1.0, 1.0),
        lambda: LendingAccount({"WETH": -1.0}, {}, RESERVES),
        lambda: LendingAccount({"PEPE": 1.0}, {}, RESERVES),
        lambda: account().health_factor({"WETH": 1.0}),
    ],
)
def test_impossible_terms_are_refused(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(LeverageError):
        make()


def geometric_paths(sigma: float, days: int, count: int, seed: int) -> np.ndarray:
    """Daily returns of a geometric Brownian motion without drift in logarithms."""
    rng = np.random.default_rng(seed)
    return np.expm1(rng.normal(0.0, sigma / math.sqrt(365), (count, days, 1)))


def test_probability_of_a_brownian_motion_is_the_closed_one() -> None:
    # Reflection: twice the probability of ending below the barrier.
    one, sigma, days = account(usdc=11_000.0), 0.8, 30
    barrier = math.log(float(one.health_factor(PRICES)))
    exact = 2 * ndtr(-barrier / (sigma * math.sqrt(days / 365)))
    paths = geometric_paths(sigma, days, 40_000, 1)
    ours = liquidation_risk(one, PRICES, ["WETH"], paths, periods_per_year=365)
    closes = liquidation_risk(one, PRICES, ["WETH"], paths, periods_per_year=365, between=False)
    assert ours.probability == pytest.approx(exact, rel=0.04)
    assert closes.probability < ours.probability
    assert np.all(np.diff(ours.by_period) >= 0)
    assert ours.by_period[-1] == ours.probability
    assert ours.error == pytest.approx(math.sqrt(exact * (1 - exact) / 40_000), rel=0.1)


def test_safe_leverage_has_the_probability_it_promises() -> None:
    paths = geometric_paths(0.8, 30, 40_000, 2)
    ours = safe_leverage({"WETH": 1.0}, {"USDC": 1.0}, account(), ["WETH"], paths, 0.01, periods_per_year=365)
    # Closed form: 2 Phi(-ln(h) / (sigma root T)) = 1 %.
    health = math.exp(2.5758 * 0.8 * math.sqrt(30 / 365))
    assert ours.health_factor == pytest.approx(health, rel=0.03)
    assert ours.leverage == pytest.approx(1 / (1 - 0.83 / health), rel=0.03)
    size = ours.leverage / PRICES["WETH"]
    taken = LendingAccount({"WETH": size}, {"USDC": ours.leverage - 1}, RESERVES)
    risk = liquidation_risk(taken, PRICES, ["WETH"], paths, periods_per_year=365)
    assert risk.probability == pytest.approx(0.01, abs=2e-4)


def test_safe_leverage_ends_where_lending_does() -> None:
    paths = geometric_paths(0.05, 5, 2_000, 3)
    ours = safe_leverage({"WETH": 1.0}, {"USDC": 1.0}, account(), ["WETH"], paths, 0.05, periods_per_year=365)
    assert ours.limited_by == "loan to value"
    assert ours.leverage == pytest.approx(WETH.highest_leverage)


def test_interest_alone_can_liquidate() -> None:
    still = np.zeros((10, 365, 1))
    one = account(usdc=14_500.0)
    assert liquidation_risk(one, PRICES, ["WETH"], still, periods_per_year=365).probability == 0.0
    charged = liquidation_risk(one, PRICES, ["WETH"], still, periods_per_year=365, borrow_rates={"USDC": 0.1})
    assert charged.probability == 1.0
    assert charged.lowest_health[0] == pytest.approx(14_940 / 14_500 * math.exp(-0.1))


def test_correlated_debt_is_safer_than_dollars() -> None:
    rng = np.random.default_rng(4)
    common = rng.standard_t(4, (5_000, 20))
    paths = np.stack([0.03 * common, 0.03 * common + 0.002 * rng.standard_normal((5_000, 20))], axis=2)
    paths = np.maximum(paths, -0.99)
    staked = {"wstETH": Reserve("wstETH", 0.9, 0.93, 0.01)}
    collateral = LendingAccount({"wstETH": 1.0}, {}, staked)
    dollars, ether = (
        safe_leverage({"wstETH": 1.0}, {debt: 1.0}, collateral, ["wstETH", "ETH"], paths, 0.01, periods_per_year=365)
        for debt in ("USDC", "ETH")
    )
    assert ether.leverage > 2 * dollars.leverage


def test_wrong_questions_are_refused() -> None:
    paths = geometric_paths(0.8, 5, 100, 5)
    with pytest.raises(LeverageError, match="without debt"):
        liquidation_risk(account(usdc=0.0), PRICES, ["WETH"], paths, periods_per_year=365)
    with pytest.raises(LeverageError, match="2 symbols"):
        liquidation_risk(account(), PRICES, ["WETH", "WBTC"], paths, periods_per_year=365)
    with pytest.raises(LeverageError, match="sum to one"):
        safe_leverage({"WETH": 0.5}, {"USDC": 1.0}, account(), ["WETH"], paths, 0.01, periods_per_year=365)


@pytest.mark.parametrize("method", ["block", "filtered", "copula"])
def test_paths_look_like_the_past_and_repeat(method: str) -> None:
    rng = np.random.default_rng(6)
    common = 0.02 * rng.standard_t(5, 800)
    returns = np.column_stack([common + 0.005 * rng.standard_normal(800), common])
    paths = path_scenarios(returns, 10, count=4_000, method=method, seed=7)  # type: ignore[arg-type]
    assert paths.shape == (4_000, 10, 2)
    assert np.array_equal(paths, path_scenarios(returns, 10, count=4_000, method=method, seed=7))  # type: ignore[arg-type]
    rows = paths.reshape(-1, 2)
    assert np.corrcoef(rows.T)[0, 1] > 0.9
    assert rows[:, 1].std() == pytest.approx(common.std(), rel=0.35)
    assert paths.min() >= -1


def test_filtered_paths_start_in_todays_regime() -> None:
    rng = np.random.default_rng(8)
    calm_then_wild = np.concatenate([rng.normal(0, 0.01, 400), rng.normal(0, 0.06, 60)])[:, None]
    wild = path_scenarios(calm_then_wild, 5, count=2_000)
    calm = path_scenarios(calm_then_wild[:400], 5, count=2_000)
    assert wild.std() > 3 * calm.std()
    with pytest.raises(RiskError, match="'magic'"):
        path_scenarios(calm_then_wild, 5, method="magic")  # type: ignore[arg-type]


def market(count: int = 60) -> list[LendingAccount]:
    """Accounts with health factors from 1.02 up."""
    health = 1.02 + 0.02 * np.arange(count)
    return [account(10.0, 0.0, 18_000 * 0.83 / float(one)) for one in health]


def test_cascade_goes_below_the_shock() -> None:
    ours = cascade(market(), PRICES, {"WETH": -0.2}, {"WETH": 500_000.0})
    assert ours.prices["WETH"] < 0.8 * PRICES["WETH"]
    assert ours.amplification["WETH"] > 1
    assert len(ours.rounds) > 2
    assert ours.rounds[-1].liquidated == 0
    assert sum(one.sold for one in ours.rounds) == pytest.approx(ours.sold)
    assert ours.prices["USDC"] == 1.0


def test_deep_market_stops_a_cascade() -> None:
    shallow = cascade(market(), PRICES, {"WETH": -0.2}, {"WETH": 500_000.0})
    deep = cascade(market(), PRICES, {"WETH": -0.2}, {"WETH": 1e12})
    assert deep.prices["WETH"] == pytest.approx(0.8 * PRICES["WETH"], rel=1e-4)
    assert deep.liquidated < shallow.liquidated
    assert deep.bad_debt <= shallow.bad_debt


def test_small_shock_touches_nobody() -> None:
    ours = cascade(market(), PRICES, {"WETH": -0.01}, {"WETH": 500_000.0})
    assert (ours.liquidated, ours.sold, ours.bad_debt) == (0, 0.0, 0.0)
    assert ours.amplification["WETH"] == pytest.approx(1.0)


def test_first_round_by_hand() -> None:
    one = account(10.0, 0.0, 18_000 * 0.83 / 1.05)
    ours = cascade([one], PRICES, {"WETH": -0.07}, {"WETH": 100_000.0})
    price = 1_800 * 0.93
    repaid = 0.5 * one.debt["USDC"]
    tokens = repaid * 1.05 / price
    assert ours.rounds[0].sold == pytest.approx(tokens * price)
    assert ours.rounds[1].prices["WETH"] == pytest.approx(price / (1 + tokens * price / 100_000) ** 2)


def test_fall_that_leaves_bad_debt() -> None:
    fall = fall_that_breaks(market(20), PRICES, "WETH", {"WETH": 1e12})
    assert cascade(market(20), PRICES, {"WETH": -fall}, {"WETH": 1e12}).bad_debt > 0
    assert cascade(market(20), PRICES, {"WETH": -fall + 0.01}, {"WETH": 1e12}).bad_debt == 0
    assert fall_that_breaks(market(20), PRICES, "WETH", {"WETH": 3e4}) < fall
    assert math.isnan(fall_that_breaks(market(1), PRICES, "WBTC", {"WETH": 1e12}))


def test_cascade_refuses_what_it_does_not_know() -> None:
    with pytest.raises(LeverageError, match="no price of PEPE"):
        cascade(market(1), PRICES, {"PEPE": -0.5}, {"WETH": 1.0})
    with pytest.raises(LeverageError, match="above -1"):
        cascade(market(1), PRICES, {"WETH": -1.0}, {"WETH": 1.0})
