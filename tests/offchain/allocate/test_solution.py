# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys
from ctypes import c_int
from dataclasses import replace
from itertools import product
from typing import Any

import daqp
import numpy as np
import pytest

from offchain.allocate.errors import SolverError
from offchain.allocate.gas import each_pool, prune, rigorous_bound, used_pools, without_dust
from offchain.allocate.kernels.dual import INFEASIBLE, SOLVED, polyhedral_optimum
from offchain.allocate.reference import solve_reference
from offchain.allocate.solution import GAP, ROUNDING, Program, optimise
from offchain.route.kernels import build_table, product_table, select
from tests.support.markets import Market, mixed_curves, random_market


def _table(market: Market) -> Any:
    return product_table(market.ends, market.reserves, market.keep, market.units)


def _mixed(market: Market, seed: int, kinds: tuple[float, ...] = (0.4, 0.2, 0.3, 0.1)) -> Any:
    return build_table(mixed_curves(market, seed, kinds), [tuple(pair) for pair in market.ends.tolist()], market.units)


# Small quadratic programs


def _polyhedral(gram: Any, linear: Any, lower: Any, upper: Any, rows: Any, rooms: Any) -> tuple[int, Any, Any, Any]:
    size = len(linear)
    x, worth, response = np.zeros(size), np.zeros(2 * size + len(rooms)), np.zeros((size, size))
    status = polyhedral_optimum(gram, linear, lower, upper, rows, rooms, x, worth, response)
    return status, x, worth, response


def test_the_dual_method_finds_the_optimum_and_its_multipliers() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        size, count = rng.integers(1, 12), rng.integers(0, 8)
        root = rng.normal(size=(size, size))
        gram = root @ root.T + 10 ** rng.uniform(-6, 0) * np.eye(size)
        linear, rows = 3 * rng.normal(size=size), rng.normal(size=(count, size))
        lower, upper = -rng.random(size), rng.random(size)
        rooms = rows @ rng.uniform(lower, upper) + 0.1 * rng.random(count)
        status, x, worth, response = _polyhedral(gram, linear, lower, upper, rows, rooms)
        assert status == SOLVED
        bounds_above, bounds_below = np.concatenate([upper, rooms]), np.concatenate([lower, np.full(count, -1e30)])
        expected, _, flag, _ = daqp.solve(
            gram, -linear, np.ascontiguousarray(rows), bounds_above, bounds_below, np.zeros(size + count, dtype=c_int)
        )
        assert flag == 1
        value, best = linear @ x - x @ gram @ x / 2, linear @ expected - expected @ gram @ expected / 2
        assert value == pytest.approx(best, rel=1e-7, abs=1e-8)
        assert np.maximum(np.concatenate([lower - x, x - upper, rows @ x - rooms]), 0).max() < 1e-10
        slope = linear - gram @ x + worth[:size] - worth[size : 2 * size] - rows.T @ worth[2 * size :]
        assert np.abs(slope).max() < 1e-7
        shift = 1e-7 * rng.normal(size=size)
        moved = _polyhedral(gram, linear + shift, lower, upper, rows, rooms)[1]
        if np.array_equal(_polyhedral(gram, linear + shift, lower, upper, rows, rooms)[2] > 0, worth > 0):
            assert moved - x == pytest.approx(response @ shift, abs=1e-9 + 1e-6 * np.abs(response @ shift).max())


def test_limits_that_exclude_each_other_are_found_out() -> None:
    rows = np.array([[1.0, 1.0], [-1.0, -1.0]])
    status, *_ = _polyhedral(np.eye(2), np.zeros(2), -np.ones(2), np.ones(2), rows, np.array([0.0, -1.0]))
    assert status == INFEASIBLE


# Right


@pytest.mark.parametrize(
    ("tokens", "pools", "options"),
    [
        (5, 12, {}),
        (10, 100, {}),
        (10, 100, {"value": 1e5}),
        (10, 100, {"value": 1e9}),
        (10, 100, {"outside": True}),
        (10, 100, {"mispricing": 3.0}),
        (10, 100, {"risk_aversion": 20.0}),
        (10, 100, {"depth": 1e5}),
        (20, 300, {}),
    ],
)
def test_the_optimum_is_clarabels(tokens: int, pools: int, options: dict[str, Any]) -> None:
    for seed in range(3):
        market = random_market(tokens, pools, seed, **options)
        table = _mixed(market, seed, (0.6, 0.0, 0.4, 0.0))
        found = optimise(market.program, table)
        reference = solve_reference(market.program, table, market.root)
        assert found.violation <= ROUNDING
        assert 0 <= found.gap <= GAP
        assert found.value == pytest.approx(reference.value, rel=1e-6)
        assert found.bound >= reference.value - 2e-8 * max(1, abs(reference.value))


def test_the_answer_is_what_the_pools_give_at_its_prices() -> None:
    market = random_market(12, 200, 3)
    table = _mixed(market, 3)
    found = optimise(market.program, table)
    trades, surplus = each_pool(table, found.prices)
    flow = np.bincount(table.token, trades, 12)
    assert found.x == pytest.approx(market.program.start + flow, abs=1e-12)
    assert rigorous_bound(market.program, table, found) >= found.value
    assert surplus.sum() > 0


def test_no_market_is_too_strange() -> None:
    for options in (
        {"value": 1e5},
        {"value": 1e9},
        {"mispricing": 0.0},
        {"mispricing": 10.0},
        {"depth": 1e4},
        {"risk_aversion": 0.01},
        {"cap": 1.0},
    ):
        for seed in range(8):
            market = random_market(8, 60, 100 + seed, **options)
            table = _mixed(market, seed)
            found = optimise(market.program, table)
            assert found.gap <= GAP, (options, seed, found.gap)
            assert found.violation <= ROUNDING


def test_rows_bind_and_their_worth_is_what_relaxing_them_brings() -> None:
    market = random_market(6, 60, 5)
    table = _table(market)
    free = optimise(market.program, table)
    change = free.x - market.program.start
    rows = np.stack([np.sign(change) * (change > 0), -np.ones(6)])
    rooms = rows @ market.program.start + np.array([0.3, 1.0]) * (rows @ change)
    limited = replace(market.program, rows=rows, rooms=rooms, slack=1e-9)
    found = optimise(limited, table)
    assert found.gap <= GAP
    assert found.value == pytest.approx(solve_reference(limited, table, market.root).value, rel=1e-6)
    more = optimise(replace(limited, rooms=rooms + np.array([1e-4, 0])), table)
    assert found.worth[0] == pytest.approx((more.value - found.value) / 1e-4, rel=0.02)


def test_entries_of_the_objectives_own_are_free_of_prices() -> None:
    """Shortfall below a floor, as a variable with a row of its own."""
    market = random_market(5, 40, 7)
    program, table = market.program, _table(market)
    scenario = np.array([0.0, -0.4, 0.1, -0.2, 0.3])
    wide = Program(
        program.start,
        np.append(program.linear, -0.5),
        np.pad(program.gram, ((0, 1), (0, 1))),
        np.append(program.lower, 0.0),
        np.append(program.upper, 1.0),
        np.append(-scenario, -1.0)[None, :],
        np.array([0.01]),
        1e-9,
    )
    found = optimise(wide, table)
    assert found.gap <= GAP
    assert found.value == pytest.approx(solve_reference(wide, table).value, rel=1e-6)


@pytest.mark.parametrize("seeds", [20, pytest.param(250, marks=pytest.mark.slow)])
def test_every_market_is_solved_and_proven(seeds: int) -> None:
    for value in (1e4, 1e6, 1e8):
        for seed in range(seeds):
            market = random_market(8, 60, seed, value=value)
            found = optimise(market.program, _table(market))
            assert found.gap + 1e-12 >= 0
            assert found.gap <= GAP
            assert found.violation <= ROUNDING


def test_near_the_optimum_nothing_is_traded() -> None:
    exact = 0
    for seed in range(12):
        market = random_market(10, 100, seed, mispricing=0.0)
        slope = market.program.gram @ market.program.start
        wobble = np.random.default_rng(seed).uniform(-2e-4, 2e-4, 10)
        program = replace(market.program, linear=1 + wobble + slope)
        table = _table(market)
        found = without_dust(program, table, optimise(program, table))
        exact += bool(np.array_equal(found.x, program.start))
        assert np.abs(found.x - program.start).max() < 1e-6
    assert exact >= 11


def test_a_program_solved_before_is_solved_faster() -> None:
    market = random_market(20, 500, 1)
    table = _table(market)
    before = optimise(market.program, table)
    moved = market.reserves * np.exp(np.random.default_rng(0).normal(0, 2e-4, market.reserves.shape))
    again = product_table(market.ends, moved, market.keep, market.units)
    cold, warm = optimise(market.program, again), optimise(market.program, again, before)
    assert warm.gap <= GAP
    assert warm.passes < cold.passes / 2
    assert warm.value == pytest.approx(cold.value, abs=2 * GAP)


def test_a_token_without_pools_stays() -> None:
    market = random_market(6, 40, 2)
    kept = ~(market.ends == 5).any(axis=1)
    table = product_table(market.ends[kept], market.reserves[kept], market.keep[kept], market.units)
    found = optimise(market.program, table)
    assert found.gap <= GAP
    assert found.x[5] == market.program.start[5]


def test_what_no_pool_can_bring_about_is_said() -> None:
    market = random_market(5, 20, 1, value=1e12, outside=True)
    program = replace(market.program, upper=np.full(5, 0.21), lower=np.full(5, 0.19))
    found = optimise(program, _table(market))
    assert found.value == -np.inf
    assert found.violation > 1e-3


@pytest.mark.parametrize(("name", "bad"), [("linear", np.nan), ("gram", np.inf), ("lower", 2.0), ("start", np.nan)])
def test_numbers_without_meaning_are_named(name: str, bad: float) -> None:
    market = random_market(4, 8, 0)
    broken = getattr(market.program, name).copy()
    broken.flat[1] = bad
    with pytest.raises(SolverError, match=name):
        optimise(replace(market.program, **{name: broken}), _table(market))


# Gas


def _best_subset(program: Program, table: Any, costs: np.ndarray) -> float:
    best = program.value(program.start)
    for chosen in product((False, True), repeat=len(costs)):
        kept = np.array(chosen)
        if kept.any():
            found = optimise(program, select(table, kept))
            used = used_pools(table, found.prices, 0.0) & kept
            best = max(best, found.value - costs[used].sum())
    return best


@pytest.mark.parametrize("seed", range(6))
def test_pools_that_do_not_pay_are_struck_and_the_bound_holds(seed: int) -> None:
    market = random_market(4, 8, seed, cap=0.6)
    table = _table(market)
    costs = np.full(8, 2e-5)
    found = prune(market.program, table, costs)
    best = _best_subset(market.program, table, costs)
    everything = optimise(market.program, table)
    naive = everything.value - costs[used_pools(table, everything.prices, 0.0)].sum()
    assert found.bound >= best - 1e-9
    assert best - found.value <= 2e-5
    assert found.value >= naive - 1e-9


def test_the_bound_on_any_choice_of_pools_is_tight() -> None:
    for seed in range(3):
        market = random_market(20, 1000, seed)
        costs = np.full(1000, 2e-6)
        found = prune(market.program, _table(market), costs)
        assert (
            found.used.sum() < 0.7 * used_pools(_table(market), optimise(market.program, _table(market)).prices).sum()
        )
        assert 0 <= found.gap < 3e-5


def test_costs_that_are_none_are_refused() -> None:
    market = random_market(4, 8, 0)
    with pytest.raises(SolverError, match="costs"):
        prune(market.program, _table(market), np.full(8, -1.0))


# Compiled once


def test_a_second_process_does_not_compile_again() -> None:
    optimise(random_market(4, 8, 0).program, _table(random_market(4, 8, 0)))
    code = (
        "from tests.support.markets import random_market\n"
        "from offchain.allocate.solution import optimise\n"
        "from offchain.allocate.kernels.newton import minimise\n"
        "from offchain.route.kernels import product_table\n"
        "m = random_market(4, 8, 0)\n"
        "optimise(m.program, product_table(m.ends, m.reserves, m.keep, m.units))\n"
        "stats = minimise.stats\n"
        "print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "0"]
