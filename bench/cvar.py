# SPDX-License-Identifier: Apache-2.0
"""Least CVaR of 100 weights over 5,000 scenarios: cutting planes against skfolio, where it is installed, and cvxpy."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from bench import Row, median_seconds
from offchain.allocate.solvers.shortfall import Shortfall, minimise_shortfall

ASSETS, SCENARIOS, LEVEL = 100, 5_000, 0.95
RUNS = 5

Floats = NDArray[np.float64]


def rows() -> list[Row]:
    scenarios = market()
    problem = Shortfall.build(scenarios, LEVEL)
    answer = minimise_shortfall(problem)
    ours_s = median_seconds(lambda: minimise_shortfall(problem), RUNS)
    row: Row = {
        "name": "cvar", "size": {"assets": ASSETS, "scenarios": SCENARIOS}, "ours_s": ours_s, "gap": answer.gap,
        "violation": answer.primal_residual, "planes": answer.planes,
    }  # fmt: skip
    found = []
    for name, solve in {"skfolio": by_skfolio, "cvxpy+clarabel": by_cvxpy}.items():
        if find_spec(name.split("+")[0]) is None:
            found.append(row | {"peer": name, "note": f"{name} is not installed"})
            continue
        weights = solve(scenarios)
        peer_s = median_seconds(lambda solve=solve: solve(scenarios), 1)  # type: ignore[misc]
        worse = problem.cut(weights)[0] - answer.value
        found.append(row | {"peer": name, "peer_s": peer_s, "ratio": peer_s / ours_s, "peer_worse_by": worse})
    return found


def market() -> Floats:
    """Daily returns with three factors and fat tails."""
    rng = np.random.default_rng(0)
    factors = 0.02 * rng.standard_t(4, (SCENARIOS, 3))
    return factors @ rng.normal(0.5, 0.4, (3, ASSETS)) + 0.02 * rng.standard_t(4, (SCENARIOS, ASSETS)) + 5e-4


def by_skfolio(scenarios: Floats) -> Floats:
    from skfolio import RiskMeasure
    from skfolio.optimization import MeanRisk

    return np.asarray(MeanRisk(risk_measure=RiskMeasure.CVAR, cvar_beta=LEVEL).fit(scenarios).weights_)


def by_cvxpy(scenarios: Floats) -> Floats:
    import cvxpy as cp

    x, threshold, beyond = cp.Variable(ASSETS), cp.Variable(), cp.Variable(SCENARIOS, nonneg=True)
    tail = threshold + cp.sum(beyond) / ((1 - LEVEL) * SCENARIOS)
    limits = [beyond >= -scenarios @ x - threshold, cp.sum(x) == 1, x >= 0, x <= 1]
    cp.Problem(cp.Minimize(tail), limits).solve(solver=cp.CLARABEL)
    return np.asarray(x.value)
