# SPDX-License-Identifier: Apache-2.0
import copy
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from offchain.allocate.instance import parse_plan_instance
from offchain.allocate.planner import make_plan
from offchain.cli import app
from offchain.mandate import Mandate, load_mandate
from offchain.route.json_reader import InstanceError
from offchain.route.pool import pools_from_states

MANDATE = Path(__file__).parents[3] / "mandates" / "blue-chip.yaml"
SYMBOLS = ("LINK", "USDC", "WETH", "WBTC", "wstETH")
DECIMALS = (18, 6, 18, 8, 18)
USD = (15.0, 1.0, 3000.0, 60000.0, 3500.0)
WEIGHTS = (0.05, 0.45, 0.2, 0.15, 0.15)


def _document(value: float = 1e6) -> dict[str, Any]:
    volatility = (0.95, 0.005, 0.65, 0.55, 0.66)
    covariance = [
        [first * second * (1.0 if i == j else 0.98 if {i, j} == {2, 4} else 0.0 if 1 in (i, j) else 0.7)
         for j, second in enumerate(volatility)]
        for i, first in enumerate(volatility)
    ]  # fmt: skip
    pools = [
        {
            "id": f"0x{index:040x}", "kind": "uniswap_v2", "tokens": [token, 1], "fee_ppm": 3000,
            "reserves": [str(int(5e7 / USD[token] * 10 ** DECIMALS[token])), str(int(5e7 * 10**6))],
        }
        for index, token in enumerate((0, 2, 3, 4), 1)
    ]  # fmt: skip
    return {
        "tokens": [
            {"symbol": s, "decimals": d, "price_usd": p} for s, d, p in zip(SYMBOLS, DECIMALS, USD, strict=True)
        ],
        "pools": pools,
        "holdings": [
            {"token": i, "amount": str(int(w * value / USD[i] * 10 ** DECIMALS[i]))} for i, w in enumerate(WEIGHTS)
        ],
        "covariance": covariance,
        "gas_price_gwei": 2,
        "eth_price_usd": 3000,
    }


@pytest.fixture(scope="module")
def rules() -> Mandate:
    return load_mandate(MANDATE)


def test_the_plan_of_a_file_runs_on_its_pools_to_the_wei(tmp_path: Path) -> None:
    file = tmp_path / "problem.json"
    file.write_text(json.dumps(_document()))
    asked = ["plan", "--mandate", str(MANDATE), "--instance", str(file)]
    answer = json.loads(CliRunner().invoke(app, [*asked, "--json"], catch_exceptions=False).stdout)
    assert answer["reason"] == "improves"
    assert 0 < answer["gain"] <= answer["gain_bound"]
    snapshot = parse_plan_instance(_document(), load_mandate(MANDATE)).snapshot
    pools = {pool.address: pool for pool in pools_from_states(snapshot.pools)}
    lost = 0.0
    for leg in answer["legs"]:
        swap = pools[leg["pool"]].swap(leg["token_in"], leg["amount_in"])
        assert swap.amount_out == leg["amount_out"]
        pools[leg["pool"]] = swap.after
        lost += leg["cost_usd"]
    assert lost == pytest.approx(answer["slippage_cost_usd"], abs=1e-6)
    text = CliRunner().invoke(app, asked, catch_exceptions=False).stdout
    assert "no plan gains more than" in text
    assert text.count("costs $") == len(answer["legs"])


def test_the_order_of_tokens_in_the_file_does_not_matter(rules: Mandate) -> None:
    problem = parse_plan_instance(_document(), rules)
    assert problem.snapshot.weights == pytest.approx((0.45, 0.2, 0.15, 0.05, 0.15), abs=1e-6)
    assert problem.forecast.symbols == rules.symbols
    turned = copy.deepcopy(_document())
    order = [4, 3, 2, 1, 0]
    turned["tokens"] = [turned["tokens"][i] for i in order]
    turned["covariance"] = [[turned["covariance"][i][j] for j in order] for i in order]
    for pool in turned["pools"]:
        pool["tokens"] = [4 - token for token in pool["tokens"]]
    for held in turned["holdings"]:
        held["token"] = 4 - held["token"]
    other = parse_plan_instance(turned, rules)
    plans = [make_plan(one.snapshot, one.forecast, rules, one.ether_usd) for one in (problem, other)]
    assert plans[0].weights_after == plans[1].weights_after


def test_the_basket_to_sell_is_what_is_held_where_nothing_else_says(rules: Mandate) -> None:
    document = _document()
    document["sell"] = document.pop("holdings")
    assert (
        parse_plan_instance(document, rules).snapshot.assets == parse_plan_instance(_document(), rules).snapshot.assets
    )


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda d: d["tokens"].pop(), "tokens: wstETH is missing"),
        (lambda d: d["tokens"][1].update(decimals=18), "tokens[1].decimals: must be 6"),
        (lambda d: d["tokens"][0].pop("price_usd"), "tokens[0].price_usd: is missing"),
        (lambda d: d["tokens"][0].update(price_usd=float("nan")), "tokens[0].price_usd: must be a finite number"),
        (lambda d: d["holdings"][0].update(amount="-5"), "holdings[0].amount: must be at least 0"),
        (lambda d: d.pop("covariance"), "covariance: is missing"),
        (lambda d: d["covariance"][0].__setitem__(1, 5.0), "covariance: must be symmetric"),
        (lambda d: d["covariance"][0].__setitem__(1, float("nan")), "covariance[0][1]: must be a finite number"),
        (lambda d: d["pools"][0].update(fee_ppm=500), "pools[0]: a vault trades with"),
        (lambda d: d["pools"][0]["reserves"].__setitem__(0, -1), "pools[0].reserves[0]"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_named(rules: Mandate, change: Any, named: str) -> None:
    document = _document()
    change(document)
    with pytest.raises(InstanceError) as raised:
        parse_plan_instance(document, rules)
    assert named in str(raised.value)


def test_plan_wants_a_vault_or_a_file() -> None:
    answer = CliRunner().invoke(app, ["plan", "--mandate", str(MANDATE)])
    assert answer.exit_code == 2
    assert "--instance" in answer.output
