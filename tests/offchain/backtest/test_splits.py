# SPDX-License-Identifier: Apache-2.0
"""Purge and embargo: no label of training reaches into the test, and overlapping labels show why."""

from __future__ import annotations

import numpy as np
import pytest

from offchain.backtest.errors import BacktestError
from offchain.backtest.splits import purged_folds, walk_forward

HORIZON = 20


@pytest.mark.parametrize("embargo", [0, 7])
@pytest.mark.parametrize("anchored", [False, True])
def test_walk_forward_trains_only_on_labels_that_ended_before_the_test(embargo: int, anchored: bool) -> None:
    splits = list(walk_forward(500, train=120, test=50, horizon=HORIZON, embargo=embargo, anchored=anchored))
    for split in splits:
        assert split.train[-1] + HORIZON - 1 < split.test[0] - embargo
        assert len(split.train) == (split.train[-1] + 1 if anchored else 120 - HORIZON + 1)
    tested = np.concatenate([split.test for split in splits])
    assert np.array_equal(tested, np.arange(120 + embargo, 500))


@pytest.mark.parametrize("embargo", [0, 7])
def test_folds_share_no_return_between_training_and_test(embargo: int) -> None:
    seen = []
    for split in purged_folds(300, 5, horizon=HORIZON, embargo=embargo):
        spans = {row + k for row in split.train.tolist() for k in range(HORIZON)}
        tested = {row + k for row in split.test.tolist() for k in range(HORIZON)}
        assert not spans & tested
        after = split.train[split.train > split.test[-1]]
        if len(after):
            assert after[0] >= split.test[-1] + HORIZON + embargo
        seen += split.test.tolist()
    assert seen == list(range(300))


def test_without_purge_overlapping_labels_make_noise_look_predictable() -> None:
    # Twenty-row returns of pure noise, predicted by the mean of the nearest rows in time: neighbours share returns.
    rng = np.random.default_rng(3)
    noise = rng.standard_normal(2000)
    labels = np.convolve(noise, np.ones(HORIZON), "valid")[:1900]

    def score(horizon: int, embargo: int) -> float:
        guesses, truths = [], []
        for split in purged_folds(len(labels), 95, horizon=horizon, embargo=embargo):
            for row in split.test.tolist():
                nearest = split.train[np.argsort(np.abs(split.train - row), kind="stable")[:5]]
                guesses.append(labels[nearest].mean())
                truths.append(labels[row])
        return float(np.corrcoef(guesses, truths)[0, 1])

    assert score(horizon=1, embargo=0) > 0.3
    assert abs(score(horizon=HORIZON, embargo=0)) < 0.12


def test_windows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BacktestError, match="100 rows hold no training window of 120"):
        list(walk_forward(100, train=120, test=10))
    with pytest.raises(BacktestError, match="at least 1 and 0"):
        list(purged_folds(100, 5, horizon=0))
    with pytest.raises(BacktestError, match="cut into 1 folds"):
        list(purged_folds(100, 1))
