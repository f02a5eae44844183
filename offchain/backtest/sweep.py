# SPDX-License-Identifier: Apache-2.0
"""Many backtests in one go, on several processes, resumed where they stopped.

A cell is a mandate over a market. What it gave is written down, a line each, as soon as it is done; a cell whose
line is there is not run again. The line's key is a hash of everything that decides the result, the code included.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from offchain.backtest.engine import fit_to_prices, run_backtest
from offchain.backtest.errors import BacktestError
from offchain.backtest.liquidity import ModelledLiquidity
from offchain.backtest.model_pools import Flow
from offchain.backtest.path import STAKING_YIELD, IntArray, path_from_prices
from offchain.backtest.results import Result, append, read_journal, source_digest
from offchain.backtest.settings import BacktestSettings
from offchain.backtest.venues import default_pools
from offchain.errors import PlimsollError
from offchain.mandate import Mandate
from offchain.risk.prices import PriceTable

DEFAULT = BacktestSettings()


@dataclass(frozen=True)
class MarketSpec:
    """The market that every cell of a sweep runs over.

    Attributes
    ----------
    prices
        From `offchain.risk.prices.load_prices`.
    base_fees
        Gwei, or wei on the table's grid, shape (T,).
    start, end
        Unix seconds of the first deposit and of the last row.
    depth_scale
        Multiplies the pools' stated depth.
    staking_yield
        Growth of staking ratios a year, where no series tells it.
    """

    prices: PriceTable
    base_fees: float | IntArray = 20.0
    start: int | None = None
    end: int | None = None
    depth_scale: float = 1.0
    flow: Flow = Flow.CENTRED
    staking_yield: float = STAKING_YIELD

    @property
    def digest(self) -> str:
        """Hash of all that it says."""
        told = hashlib.sha256()
        for array in (self.prices.timestamps, self.prices.prices, np.asarray(self.base_fees)):
            told.update(np.ascontiguousarray(array).tobytes())
        said = (self.prices.symbols, self.start, self.end, self.depth_scale, str(self.flow), self.staking_yield)
        told.update(repr(said).encode())
        return told.hexdigest()


@dataclass(frozen=True)
class Cell:
    """One backtest of a sweep."""

    name: str
    mandate: Mandate
    settings: BacktestSettings = DEFAULT

    def key(self, market: MarketSpec) -> str:
        """Identifies what the cell gives."""
        text = "|".join(
            (source_digest(), self.name, self.mandate.model_dump_json(), repr(self.settings), market.digest)
        )
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def run_cell(cell: Cell, market: MarketSpec, progress: Callable[[int, int], None] | None = None) -> Result:
    """Run one cell; what makes it impossible becomes its problem."""
    try:
        path = path_from_prices(
            cell.mandate, market.prices, base_fees=market.base_fees, staking_yield=market.staking_yield
        ).between(None, market.end)
        mandate, notes = fit_to_prices(cell.mandate, path)
        liquidity = ModelledLiquidity(mandate, default_pools(mandate, market.depth_scale), market.flow)
        more: dict[str, Any] = {} if progress is None else {"progress": progress}
        run = run_backtest(mandate, path, liquidity, cell.settings, start=market.start, **more)
    except PlimsollError as error:
        return Result(cell.name, None, str(error))
    return Result(cell.name, replace(run, notes=(*run.notes, *notes)))


def sweep(
    cells: Sequence[Cell],
    market: MarketSpec,
    *,
    journal: Path | None = None,
    workers: int | str = 1,
    done: Callable[[Result, bool], None] = lambda result, resumed: None,
    progress: Callable[[str, int, int], None] = lambda name, steps, total: None,
) -> list[Result]:
    """Run all cells; results in the cells' order.

    Parameters
    ----------
    journal
        JSON lines of finished cells; created, read first, appended to. A torn last line is run again.
    workers
        Processes on this machine, or ``"ray"`` for the Ray cluster that is running (one is started here otherwise).
    done
        Called with each result and whether it came from the journal.
    progress
        Called with a cell's name, its steps done and their number; only where one process does the work.

    Raises
    ------
    BacktestError
        The journal cannot be used, or Ray is asked for and not installed.
    """
    known = read_journal(journal) if journal is not None else {}
    keys = [cell.key(market) for cell in cells]
    results: dict[str, Result] = {}
    for key in keys:
        if key in known:
            results[key] = known[key]
            done(known[key], True)
    missing = [(key, cell) for key, cell in zip(keys, cells, strict=True) if key not in results]
    for key, result in _run_all(missing, market, workers, progress):
        if journal is not None:
            append(journal, key, result)
        results[key] = result
        done(result, False)
    return [results[key] for key in keys]


def default_workers() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# Where the work is done.


def _run_all(
    tasks: Sequence[tuple[str, Cell]],
    market: MarketSpec,
    workers: int | str,
    progress: Callable[[str, int, int], None],
) -> Iterator[tuple[str, Result]]:
    if not tasks:
        return
    if workers == "ray":
        yield from _on_ray(tasks, market)
    elif isinstance(workers, int) and workers > 1 and len(tasks) > 1:
        # Forked children would share the threads' locks of numba and of the linear algebra libraries.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(workers, len(tasks)), context, initializer=_prepare, initargs=(market,)) as pool:
            futures = {pool.submit(_run_prepared, cell): key for key, cell in tasks}
            for future in as_completed(futures):
                yield futures[future], future.result()
    elif isinstance(workers, int) and workers >= 1:
        for key, cell in tasks:
            yield key, run_cell(cell, market, partial(progress, cell.name))
    else:
        raise BacktestError(f"--workers {workers}: give a number of processes, or ray")


_market: MarketSpec | None = None


def _prepare(market: MarketSpec) -> None:
    global _market
    _market = market


def _run_prepared(cell: Cell) -> Result:
    assert _market is not None
    return run_cell(cell, _market)


def _on_ray(tasks: Sequence[tuple[str, Cell]], market: MarketSpec) -> Iterator[tuple[str, Result]]:
    try:
        import ray
    except ImportError:
        raise BacktestError("--workers ray: the package ray is not installed; install it, or give a number") from None
    if not ray.is_initialized():
        ray.init(address=os.environ.get("RAY_ADDRESS"), logging_level="ERROR")
    shared = ray.put(market)
    remote = ray.remote(run_cell)
    waiting = {remote.remote(cell, shared): key for key, cell in tasks}
    while waiting:
        (ready,), _ = ray.wait(list(waiting), num_returns=1)
        yield waiting.pop(ready), ray.get(ready)
