# SPDX-License-Identifier: Apache-2.0
"""Running one mandate over one history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from offchain.backtest.errors import BacktestError
from offchain.backtest.feeds import Oracle
from offchain.backtest.liquidity import Liquidity
from offchain.backtest.path import MarketPath, iso
from offchain.backtest.records import BacktestRun
from offchain.backtest.settings import BacktestSettings
from offchain.backtest.simulator import Observer, Simulator
from offchain.keeper.pipeline import one_thread
from offchain.mandate import Mandate

SIMULATED = frozenset({"uniswap_v2", "uniswap_v3", "aave_v3"})
"""Venues that the simulated market has."""


def run_backtest(
    mandate: Mandate,
    path: MarketPath,
    liquidity: Liquidity,
    settings: BacktestSettings | None = None,
    *,
    start: int | None = None,
    oracle: Oracle | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    observe: Observer | None = None,
) -> BacktestRun:
    """Run a mandate over a market path.

    Parameters
    ----------
    mandate
        `fit_to_prices` adapts one whose grid is finer than the prices.
    path
        Rows before `start` are the past that the first forecast is made from.
    liquidity
        Fresh: it is moved along.
    start
        Unix seconds of the first deposit; by default the first time a forecast can be made.
    oracle
        By default the mandate's feeds with their own rules.
    progress
        Called with steps done and their number, about a hundred times.
    observe
        Called with snapshot, history and plan of every decision that was reached.

    Raises
    ------
    BacktestError
        The path cannot carry the mandate; names the asset or the first possible start.
    AccountingError
        A step's parts do not add up.
    """
    more = {} if observe is None else {"observe": observe}
    simulator = Simulator(mandate, path, liquidity, settings or BacktestSettings(), oracle, **more)
    first = first_row(simulator, start)
    simulator.open(first)
    total = len(path) - 1 - first
    every = max(1, total // 100)
    with one_thread():
        for done in range(1, total + 1):
            simulator.step(first + done)
            if done % every == 0 or done == total:
                progress(done, total)
    return simulator.result()


def first_row(simulator: Simulator, start: int | None) -> int:
    """First row from `start` on at which a forecast can be made.

    Raises
    ------
    BacktestError
        There is none, or it is later than a start that was asked for.
    """
    times = [int(time) for time in simulator.path.timestamps]
    wanted = 0 if start is None else next((row for row, time in enumerate(times) if time >= start), len(times))
    if wanted >= len(times) - 1:
        raise BacktestError(f"the prices end at {iso(times[-1])}; there is no step after the start")
    reason = ""
    for row in range(wanted, len(times) - 1):
        problem = simulator.unready(row)
        if not problem:
            if start is not None and row != wanted:
                raise BacktestError(f"cannot start at {iso(start)} ({reason}); the first start is {iso(times[row])}")
            return row
        reason = reason or problem
    raise BacktestError(f"no step from {iso(times[wanted])} on can be planned: {simulator.unready(len(times) - 2)}")


def fit_to_prices(mandate: Mandate, path: MarketPath) -> tuple[Mandate, tuple[str, ...]]:
    """A mandate whose grid and interval are no finer than the prices, and what was changed, in words.

    The limits that the chain enforces stay as they are.

    Raises
    ------
    BacktestError
        The prices' step does not divide a day.
    """
    strange = [str(venue.kind) for venue in mandate.venues if venue.kind not in SIMULATED]
    notes = [f"{kind} is not simulated: decisions are made without it." for kind in strange]
    step = path.step_seconds
    if step % 60 or (1440 % (step // 60) and step != 86_400):
        raise BacktestError(f"prices every {step} seconds: give some whose step divides a day")
    minutes, execution = step // 60, mandate.execution
    changes: dict[str, float] = {}
    if execution.grid_minutes % minutes or execution.grid_minutes < minutes:
        coarser = next(
            m for m in range(max(minutes, execution.grid_minutes), 1441) if m % minutes == 0 and 1440 % m == 0
        )
        changes["grid_minutes"] = coarser
        notes.append(f"Estimators use prices every {coarser} minutes instead of {execution.grid_minutes}.")
    if execution.interval_minutes < minutes:
        changes["interval_minutes"] = float(minutes)
        notes.append(f"Decisions every {minutes} minutes instead of {execution.interval_minutes:g}.")
    if not changes:
        return mandate, tuple(notes)
    return mandate.model_copy(update={"execution": execution.model_copy(update=changes)}), tuple(notes)


def with_notes(run: BacktestRun, notes: tuple[str, ...]) -> BacktestRun:
    """The same run with more to say."""
    return replace(run, notes=(*run.notes, *notes))
