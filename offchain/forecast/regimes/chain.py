# SPDX-License-Identifier: Apache-2.0
"""Filtering and smoothing of a hidden Markov chain, whatever its states emit."""

from __future__ import annotations

import math

import numpy as np

from offchain.risk.arrays import FloatArray
from offchain.risk.compiled import compiled


@compiled
def forward(
    log_densities: FloatArray, start: FloatArray, transition: FloatArray, filtered: FloatArray, scales: FloatArray
) -> float:
    r"""Fill :math:`P(s_t | x_1 \ldots x_t)` and return the log-likelihood.

    Parameters
    ----------
    log_densities
        Shape (T, K): of each row under each state.
    start
        Shape (K,): probabilities of the first row's state.
    transition
        Shape (K, K): from row to column.
    filtered
        Shape (T, K), overwritten.
    scales
        Shape (T,), overwritten: density of each row given those before, relative to its best state's.
    """
    rows, states = log_densities.shape
    total = 0.0
    for t in range(rows):
        best = log_densities[t, 0]
        for k in range(1, states):
            best = max(best, log_densities[t, k])
        scale = 0.0
        for k in range(states):
            before = start[k]
            if t:
                before = 0.0
                for j in range(states):
                    before += filtered[t - 1, j] * transition[j, k]
            filtered[t, k] = before * math.exp(log_densities[t, k] - best)
            scale += filtered[t, k]
        if not scale > 0.0:
            return -math.inf
        for k in range(states):
            filtered[t, k] /= scale
        scales[t] = scale
        total += math.log(scale) + best
    return total


@compiled
def smooth(
    log_densities: FloatArray, transition: FloatArray, filtered: FloatArray, smoothed: FloatArray, moves: FloatArray
) -> None:
    r"""Fill :math:`P(s_t | x_1 \ldots x_T)` and the expected number of moves from state to state (Kim, 1994).

    For estimation alone: a smoothed probability knows the rows after it.
    """
    rows, states = filtered.shape
    ahead = np.empty(states)
    moves[:] = 0.0
    smoothed[rows - 1] = filtered[rows - 1]
    for t in range(rows - 2, -1, -1):
        for k in range(states):
            before = 0.0
            for j in range(states):
                before += filtered[t, j] * transition[j, k]
            ahead[k] = smoothed[t + 1, k] / before if before > 0.0 else 0.0
        for j in range(states):
            total = 0.0
            for k in range(states):
                move = filtered[t, j] * transition[j, k] * ahead[k]
                moves[j, k] += move
                total += move
            smoothed[t, j] = total


def stationary(transition: FloatArray) -> FloatArray:
    """Long-run probabilities of a chain's states, shape (K,)."""
    states = len(transition)
    system = np.vstack([transition.T - np.eye(states), np.ones(states)])
    answer = np.linalg.lstsq(system, np.append(np.zeros(states), 1.0), rcond=None)[0]
    clipped = np.maximum(answer, 0.0)
    shares: FloatArray = clipped / clipped.sum()
    return shares
