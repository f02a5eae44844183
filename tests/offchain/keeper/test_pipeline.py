# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import offchain.allocate
import offchain.forecast
from offchain.keeper.pipeline import deliberate
from offchain.mandate import load_mandate
from offchain.market.history import PriceHistory
from offchain.market.snapshot import Snapshot
from tests.support.made_vaults import MANDATE, Vaults


def _blas_threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def _history(snapshot: Snapshot, step: int) -> PriceHistory:
    """Two months of prices that walk up to the snapshot's."""
    times = snapshot.block.timestamp // step * step - step * np.arange(60 * 86_400 // step, dtype=np.int64)[::-1]
    moves = 0.003 * np.random.default_rng(0).standard_normal((len(times), len(snapshot.assets)))
    prices = np.exp(np.cumsum(moves, axis=0)) * [asset.price_usd for asset in snapshot.assets]
    return PriceHistory(tuple(asset.symbol for asset in snapshot.assets), times, prices)


def test_forecast_and_plan_use_one_thread_for_linear_algebra_however_many_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mandate = load_mandate(MANDATE)
    snapshot = Vaults(mandate).random_snapshot(0)
    seen: list[set[int]] = []

    def watch(room: Any, name: str) -> None:
        real = getattr(room, name)

        def call(*arguments: Any) -> Any:
            seen.append(_blas_threads())
            return real(*arguments)

        monkeypatch.setattr(room, name, call)

    watch(offchain.forecast, "make_forecast")
    watch(offchain.allocate, "make_plan")
    with threadpool_limits(limits=2, user_api="blas"):
        before = _blas_threads()  # some libraries are built for one
        plan = deliberate(snapshot, _history(snapshot, mandate.execution.grid_minutes * 60), mandate)
        assert 2 in before <= _blas_threads()
    assert plan.block_hash == snapshot.block.hash
    assert seen == [{1}, {1}]
