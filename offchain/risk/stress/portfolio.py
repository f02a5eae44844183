# SPDX-License-Identifier: Apache-2.0
"""What an event would do to weights held through it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from offchain.risk.arrays import RiskError, as_series
from offchain.risk.stress.events import StressEvent, events, stress_path


@dataclass(frozen=True, slots=True)
class StressResult:
    """An event applied to a portfolio that is not rebalanced.

    Attributes
    ----------
    name, title
        Of the event.
    total
        Return over the whole event.
    worst
        Lowest return from the start to any daily close.
    worst_day
        Lowest return of a single day, on ``worst_date``.
    at_troughs
        Return if every asset stood at its own trough at once: a bound, not an outcome.
    stand_ins
        What was taken for assets without a record.
    """

    name: str
    title: str
    total: float
    worst: float
    worst_day: float
    worst_date: str
    at_troughs: float
    stand_ins: Mapping[str, str]


def stress_portfolio(
    symbols: Sequence[str],
    weights: ArrayLike,
    chosen: Iterable[StressEvent] | None = None,
    stand_ins: Mapping[str, str] | None = None,
) -> tuple[StressResult, ...]:
    """Apply recorded events to weights.

    Parameters
    ----------
    weights
        Shape (n,), fractions of value; what they lack to one is cash.
    chosen
        All recorded events by default.
    stand_ins
        See `offchain.risk.stress.events.stress_path`.
    """
    held = as_series(weights, "weights")
    if held.size != len(symbols):
        raise RiskError(f"{len(symbols)} symbols and {held.size} weights")
    results = []
    for one in events().values() if chosen is None else chosen:
        path = stress_path(one, symbols, stand_ins)
        growth = np.cumprod(1.0 + path.returns, axis=0)
        value = np.concatenate([[1.0], 1.0 + (growth - 1.0) @ held])
        daily = value[1:] / value[:-1] - 1.0
        worst_at = int(np.argmin(daily))
        results.append(
            StressResult(
                name=one.name,
                title=one.title,
                total=float(value[-1]) - 1.0,
                worst=float(value.min()) - 1.0,
                worst_day=float(daily[worst_at]),
                worst_date=one.days[worst_at],
                at_troughs=float(path.trough @ held),
                stand_ins=path.stand_ins,
            )
        )
    return tuple(results)
