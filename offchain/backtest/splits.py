# SPDX-License-Identifier: Apache-2.0
"""Training and test sets in time, with what would leak between them left out.

A label that spans several rows shares returns with its neighbours. Training rows whose labels reach into the test
set are purged, and so many rows after it are embargoed (López de Prado, "Advances in Financial Machine Learning"
(2018), chapter 7).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offchain.backtest.errors import BacktestError

IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Split:
    """Rows to learn from and rows to be judged on.

    Attributes
    ----------
    train, test
        Ascending row indices.
    """

    train: IntArray
    test: IntArray


def walk_forward(
    rows: int, *, train: int, test: int, horizon: int = 1, embargo: int = 0, anchored: bool = False
) -> Iterator[Split]:
    """Consecutive test windows, each after the rows it may be learnt from.

    Parameters
    ----------
    rows
        Length T of the series.
    train, test
        Rows in a window; the last test window may be shorter.
    horizon
        A row's label is made of its own and the following ``horizon - 1`` rows' returns: so many rows less one
        are purged from the end of the training window.
    embargo
        Further rows left out between training and test.
    anchored
        Whether training starts at row 0 always, and grows.

    Raises
    ------
    BacktestError
        The windows do not fit.
    """
    _check(horizon, embargo)
    if train < horizon or test < 1 or train + embargo + 1 > rows:
        raise BacktestError(f"{rows} rows hold no training window of {train} and a test window; use more data")
    for begin in range(train + embargo, rows, test):
        last = begin - embargo - (horizon - 1)
        first = 0 if anchored else begin - embargo - train
        yield Split(np.arange(first, last), np.arange(begin, min(begin + test, rows)))


def purged_folds(rows: int, folds: int, *, horizon: int = 1, embargo: int = 0) -> Iterator[Split]:
    """Every row is tested once; training rows before and after the test fold, less those that leak.

    Parameters
    ----------
    rows
        Length T of the series.
    folds
        Number of test folds.
    horizon
        See `walk_forward`. Labels of earlier rows that reach into the test fold are purged; so are rows after it
        which the test fold's own labels reach.
    embargo
        Rows left out after that: what is measured over a trailing window remembers the test fold.

    Raises
    ------
    BacktestError
        A fold would be empty.
    """
    _check(horizon, embargo)
    if not 2 <= folds <= rows:
        raise BacktestError(f"{rows} rows cannot be cut into {folds} folds; use 2 or more, and no more than rows")
    edges = np.linspace(0, rows, folds + 1).astype(np.int64)
    for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        before = np.arange(0, max(0, low - (horizon - 1)))
        after = np.arange(min(rows, high + (horizon - 1) + embargo), rows)
        yield Split(np.concatenate([before, after]), np.arange(low, high))


def _check(horizon: int, embargo: int) -> None:
    if horizon < 1 or embargo < 0:
        raise BacktestError(f"a horizon of {horizon} rows and an embargo of {embargo}: at least 1 and 0")
