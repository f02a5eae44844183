# SPDX-License-Identifier: Apache-2.0
"""Selling baskets: optimal by cvxpy, exact by replay, and in markets that are hard."""

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from offchain.allocate.reference import solve_reference
from offchain.allocate.solution import Program
from offchain.cli import app
from offchain.route.errors import InvalidAmountError, RouteNotFoundError
from offchain.route.instance import parse_instance
from offchain.route.json_reader import InstanceError
from offchain.route.kernels import build_table
from offchain.route.pool import AnyPool
from offchain.route.sale import SaleRoute, sell_basket
from offchain.route.solve_instance import solve_instance
from offchain.route.tick_math import sqrt_ratio_at_tick
from offchain.route.uniswap_v2 import UniswapV2Pool

DECIMALS = (6, 18, 8, 18, 0, 2)
USD = (1.0, 3000.0, 60000.0, 15.0, 40.0, 0.5)


def _replay(pools: tuple[AnyPool, ...], sold: list[int], buy: int, route: SaleRoute) -> None:
    """The route on the pools: what each swap really pays, and that nothing is spent that is not there."""
    states, held = list(pools), list(sold)
    for swap in route.swaps:
        done = states[swap.pool].swap(swap.token_in, swap.amount_in, swap.token_out)
        assert (done.amount_in, done.amount_out) == (swap.amount_in, swap.amount_out)
        states[swap.pool] = done.after
        held[swap.token_in] -= swap.amount_in
        held[swap.token_out] += swap.amount_out
        assert held[swap.token_in] >= 0
    assert held[buy] == route.out
    held[buy] = 0
    assert tuple(held) == route.left


def _units(decimals: tuple[int, ...] = DECIMALS) -> np.ndarray:
    return np.array([usd / 10**places for usd, places in zip(USD, decimals, strict=True)])


def _pairs(seed: int, count: int, units: np.ndarray, decades: float = 3.0) -> tuple[UniswapV2Pool, ...]:
    """Pairs around the reference prices whose sizes span that many decades."""
    random = Random(seed)
    found = []
    for index in range(count):
        first = index + 1 if index < len(USD) - 1 else random.randrange(len(USD))
        second = 0 if index < len(USD) - 1 else random.choice([i for i in range(len(USD)) if i != first])
        side = 10 ** random.uniform(7.5 - decades / 2, 7.5 + decades / 2)
        reserves = int(side / units[first] * np.exp(random.gauss(0, 1e-3))), int(side / units[second])
        if min(reserves) > 0:
            found.append(UniswapV2Pool(f"pair {index}", first, second, *reserves))
    return tuple(found)


def test_no_routing_yields_more_than_cvxpys_optimum_and_ours_reaches_it() -> None:
    for seed in range(3):
        units = _units((6, 18, 8, 18, 9, 9))
        pools = _pairs(seed, 25, units)
        sold = [0, *(int(2e5 / unit) for unit in units[1:3]), 0, int(1e5 / units[4]), 0]
        route = sell_basket(pools, sold, 0)
        _replay(pools, sold, 0, route)
        basket = float(units @ np.array(sold, float))
        table = build_table([pool.curve() for pool in pools], [pool.tokens for pool in pools], units / basket)
        start = units / basket * np.array(sold, float)
        wanted = np.zeros(len(units))
        wanted[0] = 1.0
        program = Program.box(start, wanted, np.zeros((6, 6)), np.zeros(6), np.full(6, 2.0))
        best = solve_reference(program, table, np.zeros((1, 6))).value
        assert route.out * units[0] / basket == pytest.approx(best, rel=1e-6)
        assert route.gap < 1e-6
        assert route.bound * units[0] / basket >= best * (1 - 1e-8)


@pytest.mark.parametrize("seed", range(4))
def test_reserves_over_fifteen_decades_and_tokens_of_any_decimals(seed: int) -> None:
    units = _units()
    pools = _pairs(seed, 60, units, decades=15.0)
    deep = tuple(UniswapV2Pool(f"deep {i}", i, 0, int(1e9 / units[i]), int(1e9 / units[0])) for i in range(1, 6))
    sold = [0, *(int(3e4 / unit) for unit in units[1:])]
    route = sell_basket((*pools, *deep), sold, 0)
    _replay((*pools, *deep), sold, 0, route)
    # A token without decimals is worth 40 dollars a unit: rounding alone may cost that much.
    assert route.gap < 5e-4
    assert sum(left * unit for left, unit in zip(route.left, units, strict=True)) < 50


def test_duplicates_share_what_one_pool_of_both_would_trade() -> None:
    pool = UniswapV2Pool("one", 0, 1, 10**13, 10**22)
    twin = UniswapV2Pool("two", 0, 1, 10**13, 10**22)
    both = UniswapV2Pool("both", 0, 1, 2 * 10**13, 2 * 10**22)
    route = sell_basket((pool, twin), [10**12, 0], 1)
    assert sorted(swap.amount_in for swap in route.swaps) == pytest.approx([5 * 10**11] * 2, rel=1e-6)
    assert route.out == pytest.approx(both.quote_in(0, 10**12), rel=1e-9)


def test_empty_and_one_sided_pools_are_passed_over() -> None:
    good = UniswapV2Pool("good", 0, 1, 10**13, 10**22)
    pools = (UniswapV2Pool("empty", 0, 1, 0, 0), good, UniswapV2Pool("one-sided", 0, 1, 10**13, 0))
    route = sell_basket(pools, [10**11, 0], 1)
    assert [swap.pool for swap in route.swaps] == [1]
    assert route.out == good.quote_in(0, 10**11)


def _concentrated(name: str, ranges: list[tuple[int, int, int]], tick: int = 0) -> dict[str, Any]:
    nets: dict[int, int] = {}
    for low, high, size in ranges:
        nets[low] = nets.get(low, 0) + size
        nets[high] = nets.get(high, 0) - size
    return {
        "id": name, "kind": "uniswap_v3", "tokens": [0, 1], "fee_ppm": 3000, "tick_spacing": 60, "tick": tick,
        "sqrt_price_x96": str(sqrt_ratio_at_tick(tick)),
        "liquidity": str(sum(size for low, high, size in ranges if low <= tick < high)),
        "ticks": [[place, str(net)] for place, net in sorted(nets.items())],
    }  # fmt: skip


def _instance(pools: list[dict[str, Any]], amount: str = "1000000000000000000", **more: Any) -> dict[str, Any]:
    tokens = [{"symbol": "A", "decimals": 18}, {"symbol": "B", "decimals": 18}]
    return {"tokens": tokens, "pools": pools, "sell": [{"token": 0, "amount": amount}], "buy": 1} | more


@pytest.mark.parametrize(
    "ranges",
    [
        [(-120, 120, 10**19), (-1200, -600, 10**21)],  # a gap below the price
        [(-600, -120, 10**21)],  # nothing at the price itself
        [(120, 600, 10**21), (-6000, -3000, 10**22)],  # only one side is for sale
    ],
)
def test_liquidity_with_gaps_is_crossed(ranges: list[tuple[int, int, int]]) -> None:
    document = _instance([_concentrated("gaps", ranges), _concentrated("thin", [(-6000, 6000, 10**18)])])
    problem = parse_instance(document)
    answer = solve_instance(problem)
    _replay(problem.pools, [10**18, 0], 1, answer.route)
    assert answer.route.gap < 1e-6
    thin = problem.pools[1].quote_in(0, 10**18)
    assert answer.route.out >= max(thin, problem.pools[0].quote_in(0, 10**18))


def test_what_no_pool_takes_is_left_and_said() -> None:
    document = _instance([_concentrated("small", [(-120, 120, 10**18)])], amount=str(10**24))
    answer = solve_instance(parse_instance(document)).as_json()
    (left,) = answer["unsold"]
    assert int(left["amount"]) > 10**23
    assert answer["gap"] < 1e-6


def test_a_token_without_a_path_is_named() -> None:
    pools = (UniswapV2Pool("p", 0, 1, 10**13, 10**22), UniswapV2Pool("island", 2, 3, 10**13, 10**22))
    with pytest.raises(RouteNotFoundError, match="token 2"):
        sell_basket(pools, [1000, 0, 1000, 0], 1)


@pytest.mark.parametrize(("sold", "named"), [([-1, 0], "negative"), ([0, 0], "nothing"), ([1, 1], "both sold")])
def test_baskets_without_meaning_are_refused(sold: list[int], named: str) -> None:
    with pytest.raises(InvalidAmountError, match=named):
        sell_basket((UniswapV2Pool("p", 0, 1, 10**13, 10**22),), sold, 1)


def test_gas_keeps_small_trades_in_one_pool() -> None:
    pools = tuple(UniswapV2Pool(f"p{i}", 0, 1, 10**13, 10**22) for i in range(5))
    free = sell_basket(pools, [10**9, 0], 1)
    dear = sell_basket(pools, [10**9, 0], 1, [10.0**14] * 5)
    assert len(free.swaps) == 5
    assert len(dear.swaps) == 1
    assert dear.net <= dear.bound


def test_standing_arbitrage_is_taken_along_when_it_pays() -> None:
    pools = (UniswapV2Pool("cheap", 0, 1, 10**22, 10**22), UniswapV2Pool("dear", 0, 1, 10**22, 11 * 10**21))
    route = sell_basket(pools, [10**20, 0], 1)
    _replay(pools, [10**20, 0], 1, route)
    assert route.out > 1.003 * pools[1].quote_in(0, 10**20)
    assert route.gap < 2e-4


def test_the_command_answers_as_documented_and_to_the_wei(tmp_path: Path) -> None:
    balancer = {
        "id": "weighted", "kind": "balancer_weighted", "tokens": [0, 1], "fee_ppm": 1000,
        "balances": [str(10**22), str(10**22)], "weights": ["0.5", "0.5"],
    }  # fmt: skip
    stable = {
        "id": "stable", "kind": "curve_stable", "tokens": [0, 1], "fee_ppm": 400, "amplification": 100,
        "balances": [str(10**20), str(10**20)], "rates": [str(10**18)] * 2,
    }  # fmt: skip
    pair = {"id": "pair", "kind": "uniswap_v2", "tokens": [0, 1], "fee_ppm": 3000, "reserves": [str(10**22)] * 2}
    document = _instance([balancer, stable, pair, _concentrated("range", [(-6000, 6000, 10**22)])], str(10**21))
    file = tmp_path / "basket.json"
    file.write_text(json.dumps(document))
    output = CliRunner().invoke(app, ["route", "--instance", str(file), "--json"], catch_exceptions=False)
    answer = json.loads(output.stdout)
    assert {"out", "legs", "gap", "dual_prices", "seconds"} <= set(answer)
    pools = {pool.address: pool for pool in parse_instance(document).pools}
    held = [10**21, 0]
    for leg in answer["legs"]:
        done = pools[leg["pool"]].swap(leg["token_in"], int(leg["amount_in"]), leg["token_out"])
        assert str(done.amount_out) == leg["amount_out"]
        pools[leg["pool"]] = done.after
        held[leg["token_in"]] -= done.amount_in
        held[leg["token_out"]] += done.amount_out
        assert held[leg["token_in"]] >= 0
    assert str(held[1]) == answer["out"]
    assert len(answer["legs"]) >= 3
    assert answer["gap"] < 1e-6


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda d: d.pop("buy"), "buy: is missing"),
        (lambda d: d["sell"][0].update(amount="-1"), "sell[0].amount: must be at least 0"),
        (lambda d: d["sell"][0].update(amount="NaN"), "sell[0].amount: must be a whole number"),
        (lambda d: d["sell"][0].update(amount=1.5), "sell[0].amount: must be a whole number"),
        (lambda d: d["sell"][0].update(token=7), "sell[0].token: must be at most 1"),
        (lambda d: d["tokens"][0].update(decimals=99), "tokens[0].decimals: must be at most 36"),
        (lambda d: d.update(gas_price_gwei=float("nan")), "gas_price_gwei: must be a finite number"),
        (lambda d: d["pools"][0].update(kind="sushi"), "pools[0].kind: 'sushi' is unknown"),
        (lambda d: d["pools"][0].update(tokens=[0, 0]), "pools[0].tokens[1]: token 0 is there twice"),
        (lambda d: d["pools"][0]["reserves"].__setitem__(0, "-3"), "pools[0].reserves[0]: must be at least 0"),
        (lambda d: d["pools"].append(d["pools"][0]), "pools[1].id: 'pair' is the id of"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_in_a_file_is_named(change: Any, named: str) -> None:
    document = _instance(
        [{"id": "pair", "kind": "uniswap_v2", "tokens": [0, 1], "fee_ppm": 3000, "reserves": ["9", "9"]}]
    )
    change(document)
    with pytest.raises(InstanceError) as raised:
        parse_instance(document)
    assert named in str(raised.value)
