# SPDX-License-Identifier: Apache-2.0
"""From what is known to what should be done: the line that live keeper, replay and backtest share."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from threading import local
from typing import TYPE_CHECKING, Any

from offchain.mandate import Mandate
from offchain.market.history import PriceHistory
from offchain.market.snapshot import Snapshot

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

    from offchain.allocate.plan import Plan


def deliberate(snapshot: Snapshot, history: PriceHistory, mandate: Mandate, ether_usd: float | None = None) -> Plan:
    """Forecast and plan; the same arguments give the same plan, to the bit.

    Parameters
    ----------
    ether_usd
        Prices gas for a vault without ether; a keeper knows no such price.

    Raises
    ------
    PlimsollError
        What makes forecasting or planning impossible.
    """
    # A keeper that comes back must first ask what became of its orders: the solvers can wait.
    from offchain.allocate import make_plan
    from offchain.forecast import make_forecast

    with one_thread():
        return make_plan(snapshot, make_forecast(snapshot, history, mandate), mandate, ether_usd)


@contextmanager
def one_thread() -> Iterator[None]:
    """Linear algebra in one thread: the matrices have a row an asset, and threads that wait for each other cost more.

    The number of threads can change the last bit, so that live and replayed plans must have the same. Who makes many
    plans holds it around all of them.
    """
    if getattr(_held, "modules", 0) == len(sys.modules):
        yield
        return
    before = getattr(_held, "modules", 0)
    with _thread_pools(len(sys.modules)).limit(limits=1, user_api="blas"):
        _held.modules = len(sys.modules)
        try:
            yield
        finally:
            _held.modules = before


_held = local()
"""How many modules were loaded when this thread last took hold of their libraries."""


@lru_cache(maxsize=1)
def _thread_pools(modules: int) -> ThreadpoolController:
    """Of the libraries loaded by now; looked for again when more modules have been."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def volatility(weights: Sequence[float], snapshot: Snapshot, history: PriceHistory, mandate: Mandate) -> float:
    """Forecast volatility a year of holdings with these weights, as a fraction of their value."""
    import numpy as np

    from offchain.forecast import make_forecast

    held = np.array(weights)
    return float(np.sqrt(held @ make_forecast(snapshot, history, mandate).covariance @ held))


def plan_to_json(plan: Plan) -> str:
    """Encode a plan; equal plans give equal text, and floats are written exactly."""
    return json.dumps(dataclasses.asdict(plan), separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    import numpy as np

    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"a plan holds a {type(value).__name__}, which JSON does not know")
