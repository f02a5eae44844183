# SPDX-License-Identifier: Apache-2.0
"""Every number of the file of published values, computed again to the digits given; a number without a test fails."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
import pytest

from offchain.forecast.regimes import Hamilton
from offchain.forecast.volatility import Egarch, Garch, Sample
from offchain.risk.execution import ImpactModel, optimal_schedule
from offchain.risk.options.black import Greeks, black_scholes
from offchain.risk.options.chain_file import read_chain
from offchain.risk.options.report import greeks_report
from offchain.risk.options.svi import RawSvi
from offchain.risk.positions import trade_probability
from offchain.route.swap_math import amount0_delta, sqrt_price_after_input
from tests.support.recorded import DATA, recorded

FILE = "reference/reference_values.json"
Leaf = tuple[str | int, ...]

NOTES = {"status", "source", "data", "files", "inputs", "init", "cols", "cpmm_rate", "fees", "deterministic_blocks"}
"""Texts that say where a number is from, or a formula."""
BOUNDS = "deribit_greeks_convention"
"""Texts that bound differences from an exchange's file; a test of their own reads the bounds from them."""
GARCH, HAMILTON = "garch_bollerslev_ghysels_1996", "hamilton_1989_ar4"
LOOSER: dict[Leaf, float] = {
    # One in the last digit beside the formula.
    ("hull", "S49_K50_r5_s20_T0.3846", "vega", 1): 6e-11,
    # Printed 5.5e-5 above the formula.
    ("haug_1998_prices", "rows", 7, 7): 5.6e-5,
    # In extended precision the optimum is at -0.0061904008 and 0.0107613988: one in the sixth digit beside.
    (GARCH, "mu"): 1e-8,
    (GARCH, "omega"): 1e-7,
    # TSP says of its eleven digits that six to nine are right.
    **{(GARCH, "egarch", name): 1.1e-7 for name in ("mu", "omega", "alpha(sign)", "beta", "gamma(abs)")},
    # These are RATS's, by another method than second derivatives: of that size, no more.
    **{(GARCH, "egarch", "se", i): 3.5e-3 for i in range(5)},
    # EViews stops short of the optimum, at which test_regimes.py has statsmodels agree to seven digits.
    **{(HAMILTON, name): 2.5e-6 for name in ("p00", "mu_recession", "mu_expansion")},
    (HAMILTON, "sigma2"): 2.5e-5,
    (HAMILTON, "sigma_log"): 2.5e-5,
    **{(HAMILTON, "ar", i): 2.5e-6 for i in range(4)},
    # The file's is the value at 0.8793, the true place to four digits.
    ("svi", "Vogt", "min_g"): 1e-9,
}
"""Where the printed number is not right to its last digit, and why."""


def published() -> Any:
    """The file, its numbers with their digits."""
    return json.loads((DATA / FILE).read_text(), parse_float=Decimal, parse_int=Decimal)


def leaves(node: Any, path: Leaf = ()) -> Iterator[tuple[Leaf, Any]]:
    """Paths and values of a tree's ends."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else None
    if children is None:
        yield path, node
        return
    for key, child in children:
        yield from leaves(child, (*path, key))


def hull() -> Any:
    call, put = (black_scholes(42, 40, 0.5, 0.2, rate=0.1, is_call=kind) for kind in (True, False))
    other = black_scholes(49, 50, 0.3846, 0.2, rate=0.05)
    names = {"price": "price", "delta": "delta", "gamma": "gamma", "vega": "vega", "rho": "rho"}
    second = {name: [getattr(other, of)] * 2 for name, of in names.items()} | {"theta_per_year": [other.theta] * 2}
    first = {"call": [call.price] * 2, "put": [put.price] * 2, "vega": call.vega}
    return {"S42_K40_r10_s20_T0.5": first, "S49_K50_r5_s20_T0.3846": second}


def gauss_manual() -> Any:
    ours: Greeks = black_scholes(305, 300, 0.33, 0.25, rate=0.08)
    return {name: getattr(ours, name) for name in ("delta", "gamma", "theta", "vega", "rho")}


def haug() -> Any:
    rows = []
    for kind, *numbers in published()["haug_1998_prices"]["rows"]:
        strike, spot, carry, rate, time, volatility = (float(one) for one in numbers[:6])
        ours = black_scholes(spot, strike, time, volatility, is_call=kind == "C", rate=rate, carry_yield=carry)
        rows.append([kind, strike, spot, carry, rate, time, volatility, ours.price])
    return {"rows": rows}


def garch() -> Any:
    sample = Sample(np.loadtxt(recorded("reference/bollerslev_ghysels_dem_gbp.txt"), skiprows=1))
    plain, lopsided = Garch().fit(sample), Egarch().fit(sample)
    theirs = {"mu": "mu", "omega": "omega", "alpha(sign)": "alpha", "beta": "beta", "gamma(abs)": "gamma"}
    errors = lopsided.standard_errors(sample)
    egarch: dict[str, Any] = {name: lopsided.parameters[ours] for name, ours in theirs.items()}
    egarch["se"] = [errors[name] for name in ("mu", "omega", "alpha", "beta", "gamma")]
    return {
        **plain.parameters,
        "loglik": plain.log_likelihood,
        "se_hessian": list(plain.standard_errors(sample).values()),
        "egarch": egarch,
    }


def hamilton() -> Any:
    series = np.loadtxt(recorded("reference/hamilton_rgnp_growth.csv"), delimiter=",", skiprows=1, usecols=1)
    fit = Hamilton(lags=4).fit(series)
    found = fit.parameters
    return {
        "p00": found["p00"], "p10": found["p10"], "mu_recession": found["mu0"], "mu_expansion": found["mu1"],
        "sigma2": found["sigma2"], "sigma_log": 0.5 * math.log(found["sigma2"]),
        "ar": [found[f"ar{lag}"] for lag in range(1, 5)], "loglik": fit.log_likelihood,
    }  # fmt: skip


def almgren_chriss() -> Any:
    model = ImpactModel(volatility=0.95, spread=0.0625, permanent=2.5e-7, temporary=2.5e-6)
    table = []
    for millionths in (0.001, 0.005, 0.009):
        one = optimal_schedule(1e6, 5.0, 5, millionths * 1e-6, model)
        utility = one.expected_cost + millionths * 1e-6 * one.variance
        table.append([millionths, one.expected_cost / 1e6, one.variance / 1e12, utility / 1e6, 1.0 / one.urgency])
    ours = optimal_schedule(1e6, 5.0, 5, 1e-6, model)
    return {
        "DRIP_table[lambda x1e-6; E $M; Var $M^2; U; 1/kappa]": table,
        "lambda_1e-6": {
            "kappa": ours.urgency, "1/kappa": 1.0 / ours.urgency, "x": ours.holdings.tolist(),
            "E": ours.expected_cost, "sd": math.sqrt(ours.variance),
        },
    }  # fmt: skip


def liquidity() -> Any:
    chances = [trade_probability(0.05, points / 1e4, 7_200.0) for points in (1, 5, 10, 30, 100)]
    return {"P_trade(12s blocks, sigma 5%/day, gamma 1,5,10,30,100bp)": chances}


def svi() -> Any:
    plain = RawSvi(0.04, 0.4, -0.4, 0.05, 0.1)
    vogt = RawSvi(-0.041, 0.1331, 0.306, 0.3586, 0.4153)
    first, second = plain.slopes(0.25)
    lowest, where = vogt.lowest_butterfly()
    wings = vogt.jump_wings(1.0)
    repaired = wings.repaired()
    return {
        "P1": {
            "a": plain.a, "b": plain.b, "rho": plain.rho, "m": plain.m, "sigma": plain.sigma,
            "w(-0.3,0,0.25)": plain.total_variance([-0.3, 0.0, 0.25]).tolist(), "w'(0.25)": first, "w''(0.25)": second,
            "g(0,0.25)": plain.butterfly([0.0, 0.25]).tolist(),
        },
        "Vogt": {
            "raw": {"a": vogt.a, "b": vogt.b, "rho": vogt.rho, "m": vogt.m, "sigma": vogt.sigma, "T": 1},
            "g(-0.5,0.9)": vogt.butterfly([-0.5, 0.9]).tolist(), "min_g": lowest, "argmin_k": where,
            "JW(v,psi,p,c,vtilde)": [wings.v, wings.psi, wings.p, wings.c, wings.v_low],
            "GJ_repair(c',vtilde')": [repaired.c, repaired.v_low],
        },
    }  # fmt: skip


def uniswap_book() -> Any:
    book = {name: int(text.split()[0].replace("e18", "0" * 18)) for name, text in published()["uniswap_v3_book"].items()
            if name != "status"}  # fmt: skip
    after = sqrt_price_after_input(book["sqrtP_x96"], book["L"], book["in"], zero_for_one=False)
    out = amount0_delta(book["sqrtP_x96"], after, book["L"], round_up=False)
    return {name: str(value) for name, value in (book | {"sqrtP_after": after, "out": out}).items()}


COMPUTED: dict[str, Callable[[], Any]] = {
    "hull": hull,
    "gauss_docs_greeks": gauss_manual,
    "haug_1998_prices": haug,
    "garch_bollerslev_ghysels_1996": garch,
    "hamilton_1989_ar4": hamilton,
    "almgren_chriss_2000": almgren_chriss,
    "lvr": liquidity,
    "uniswap_v3_book": uniswap_book,
    "svi": svi,
}
"""By section of the file: the same tree with our numbers in it."""


@cache
def ours(section: str) -> dict[Leaf, Any]:
    return dict(leaves(COMPUTED[section](), (section,)))


def digits_of(number: Decimal) -> float:
    """Half of the last digit given."""
    exponent = number.as_tuple().exponent
    return 0.5 * 10.0 ** int(exponent) if number != number.to_integral_value() else 0.5


NUMBERS = (
    [path for path, _ in leaves(published()) if path[0] != BOUNDS and path[-1] not in NOTES]
    if (DATA / FILE).exists()
    else [("none",)]
)


@pytest.mark.parametrize("path", NUMBERS, ids=lambda path: "/".join(str(key) for key in path))
def test_published_number(path: Leaf) -> None:
    theirs = dict(leaves(json.loads(recorded(FILE).read_text(), parse_float=Decimal, parse_int=Decimal)))[path]
    assert path[0] in COMPUTED, "a section of the file that nothing computes"
    found = ours(str(path[0]))
    assert path in found, "a number of the file that nothing computes"
    if isinstance(theirs, str):
        assert found[path] == theirs.split()[0].replace("e18", "0" * 18)
        return
    # A hair for rounding of binary fractions that end in five.
    allowed = max(LOOSER.get(path, 0.0), digits_of(theirs) * (1.0 + 1e-6), 4e-15 * abs(float(theirs)))
    assert float(found[path]) == pytest.approx(float(theirs), abs=allowed, rel=0.0)


def test_exchange_greeks_within_the_differences_that_were_measured() -> None:
    told = json.loads(recorded(FILE).read_text())[BOUNDS]
    chain = read_chain(recorded("options/deribit_btc_2020-05-21_full_greeks.csv.gz"))
    report = greeks_report(chain)
    for name in ("delta", "gamma", "vega", "rho"):
        bound = float(re.search(r"max\|err\| ([0-9.e-]+)", told[name]).group(1))  # type: ignore[union-attr]
        assert report.largest_difference[name] <= bound
    median, most = re.search(r"median\|err\| ([0-9.e-]+) .*max ([0-9.e-]+) ", told["mark_price_coin"]).groups()  # type: ignore[union-attr]
    model = np.array([row.price for row in report.rows]) / np.array([row.forward for row in report.rows])
    away = np.abs(model - chain.price / chain.forward)
    assert np.median(away) <= 1.02 * float(median)
    assert away.max() <= 1.02 * float(most)
