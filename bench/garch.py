# SPDX-License-Identifier: Apache-2.0
"""Estimation of GARCH(1,1) with normal errors against `arch`, at the same optimum."""

from __future__ import annotations

import numpy as np
from arch import arch_model

from bench import Row, compare
from offchain.forecast.volatility import Garch, Sample, Start

COUNT = 2_000


def rows() -> list[Row]:
    return [garch()]


def sample(seed: int = 0) -> np.ndarray:
    """A GARCH(1,1) path in percent a day, as a coin has it."""
    rng = np.random.default_rng(seed)
    omega, alpha, beta = 0.6, 0.1, 0.86
    returns, variance = np.empty(COUNT), omega / (1 - alpha - beta)
    for t in range(COUNT):
        returns[t] = 0.05 + np.sqrt(variance) * rng.standard_normal()
        variance = omega + alpha * (returns[t] - 0.05) ** 2 + beta * variance
    return returns


def garch() -> Row:
    returns = sample()
    given = Sample(returns)
    model = Garch(start=Start.BACKCAST)

    def ours():  # type: ignore[no-untyped-def]
        return model.fit(given)

    def peer():  # type: ignore[no-untyped-def]
        return arch_model(returns, mean="Constant", vol="GARCH", p=1, q=1).fit(disp="off", show_warning=False)

    mine, theirs = ours(), peer()
    return {
        "name": "garch",
        "size": {"rows": COUNT},
        "peer": "arch",
        **compare(ours, peer, runs=15),
        "log_likelihood": mine.log_likelihood,
        "peer_log_likelihood": float(theirs.loglikelihood),
        "largest_difference_of_parameters": float(
            np.max(np.abs(np.array(list(mine.parameters.values())) / np.asarray(theirs.params) - 1.0))
        ),
    }
