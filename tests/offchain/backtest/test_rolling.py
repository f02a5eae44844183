# SPDX-License-Identifier: Apache-2.0
"""The fast path against a plain loop with Clarabel, closed forms and its own past."""

from __future__ import annotations

import clarabel
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from offchain.backtest.errors import BacktestError
from offchain.backtest.rolling import rolling_mean_variance
from offchain.risk.arrays import RiskError


def correlated(rows: int, count: int, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    common = 0.03 * rng.standard_t(5, (rows, 1))
    return common * rng.uniform(0.5, 1.5, count) + 0.03 * rng.standard_t(5, (rows, count)) + 5e-4


def plain_loop(
    returns: NDArray[np.float64], window: int, gamma: float, cost: float, low: float, high: float
) -> NDArray[np.float64]:
    rows, n = returns.shape
    eye, empty = sparse.eye(n), sparse.csc_matrix((n, n))
    budget = sparse.hstack([sparse.csc_matrix(np.ones((1, n))), sparse.csc_matrix((1, n))])
    matrix = sparse.vstack(
        [
            budget,
            sparse.hstack([eye, -eye]),
            sparse.hstack([-eye, -eye]),
            sparse.hstack([-eye, empty]),
            sparse.hstack([eye, empty]),
        ]
    ).tocsc()
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = 1e-11
    previous, found = np.full(n, 1 / n), []
    for k in range(rows - window):
        past = returns[k : k + window]
        hessian = sparse.block_diag([sparse.csc_matrix(np.triu(gamma * np.cov(past.T))), empty]).tocsc()
        linear = np.concatenate([-past.mean(axis=0), np.full(n, cost)])
        right = np.concatenate([[1.0], previous, -previous, np.full(n, -low), np.full(n, high)])
        cones = [clarabel.ZeroConeT(1), clarabel.NonnegativeConeT(4 * n)]
        weights = np.array(clarabel.DefaultSolver(hessian, linear, matrix, right, cones, settings).solve().x)[:n]
        found.append(weights)
        new = returns[window + k]
        previous = weights * (1 + new) / (1 + weights @ new)
    return np.array(found)


@pytest.mark.parametrize(("gamma", "cost_bps", "low", "high"), [(5, 10, 0, 1), (20, 0, 0.02, 0.3), (1, 50, 0, 0.25)])
def test_weights_are_those_of_a_plain_loop_with_clarabel(
    gamma: float, cost_bps: float, low: float, high: float
) -> None:
    returns = correlated(400, 12, seed=int(gamma))
    run = rolling_mean_variance(returns, window=100, risk_aversion=gamma, cost_bps=cost_bps, lower=low, upper=high)
    plain = plain_loop(returns, 100, gamma, cost_bps / 1e4, low, high)
    assert np.max(np.abs(run.weights - plain)) < 1e-4
    assert run.residual < 1e-12


def test_without_costs_and_with_one_pair_the_optimum_is_the_closed_form() -> None:
    returns = correlated(80, 2, seed=4)
    run = rolling_mean_variance(returns, window=60, risk_aversion=8.0, cost_bps=0.0, lower=-5.0, upper=5.0)
    for k in range(20):
        past = returns[k : k + 60]
        mean, matrix = past.mean(axis=0), np.cov(past.T)
        slope = mean[0] - mean[1] - 8.0 * (matrix[0, 1] - matrix[1, 1])
        share = slope / (8.0 * (matrix[0, 0] + matrix[1, 1] - 2 * matrix[0, 1]))
        assert run.weights[k, 0] == pytest.approx(min(max(share, -4.0), 5.0), abs=1e-9)


def test_costs_charge_what_was_traded() -> None:
    returns = correlated(200, 5, seed=6)
    run = rolling_mean_variance(returns, window=60, cost_bps=25.0)
    gross = (run.weights * returns[60:]).sum(axis=1)
    np.testing.assert_allclose(run.gross_returns, gross, rtol=0, atol=1e-15)
    drifted = run.weights[:-1] * (1 + returns[60:-1]) / (1 + gross[:-1])[:, None]
    traded = np.abs(run.weights[1:] - drifted).sum(axis=1)
    np.testing.assert_allclose(run.turnover[1:], traded, rtol=0, atol=1e-12)
    np.testing.assert_allclose(run.net_returns, gross - 25e-4 * run.turnover, rtol=0, atol=1e-15)


def test_prohibitive_costs_leave_the_portfolio_alone() -> None:
    run = rolling_mean_variance(correlated(150, 6, seed=7), window=60, cost_bps=5_000.0)
    assert run.turnover.max() < 1e-14


def test_the_future_does_not_reach_the_past() -> None:
    returns = correlated(300, 8, seed=8)
    poisoned = returns.copy()
    poisoned[200:] = 0.5
    one, other = rolling_mean_variance(returns, window=100), rolling_mean_variance(poisoned, window=100)
    assert np.array_equal(one.weights[:101], other.weights[:101])


def test_what_cannot_be_solved_is_refused() -> None:
    returns = correlated(100, 4, seed=9)
    with pytest.raises(BacktestError, match="a window of 100 rows in 100"):
        rolling_mean_variance(returns, window=100)
    with pytest.raises(BacktestError, match="leave no weights"):
        rolling_mean_variance(returns, window=50, upper=0.2)
    returns[7, 2] = np.nan
    with pytest.raises(RiskError, match=r"returns\[7, 2\] is nan"):
        rolling_mean_variance(returns, window=50)
