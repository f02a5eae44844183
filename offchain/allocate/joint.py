# SPDX-License-Identifier: Apache-2.0
"""The mandate's program over a snapshot's pools, by the compiled kernels.

The unknowns are the net changes z, in fractions of the value before, and t, the part of today's
violations that is left standing; see `offchain.allocate.program` for the program. What is bought
and what is sold may each be at most the turnover that is left: a limit on the sum of positive parts is
as many linear rows as there are sets of tokens, of which only those that an answer breaks are
added, until none is broken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from offchain.allocate.bounds import Frame
from offchain.allocate.outer import approximate_target
from offchain.allocate.program import Answer, Objective
from offchain.allocate.solution import Program, Solution, optimise
from offchain.allocate.target import Target
from offchain.route.pool import Pool

FloatArray = NDArray[np.float64]

SLACK = 1e-7
"""Violation that counts as none: the frame's margins are ten thousand times that."""
ACCEPTED = 1e-6
"""Gap beyond which an answer is not believed."""
_FARTHEST = 3.0  # relative price of a token that no path leads to
_NOTHING = 1e-8
_SETS = 40


def best_target(
    pools: Sequence[Pool], unit_values: FloatArray, frame: Frame, objective: Objective, enough: float
) -> Target:
    """Find the best net changes.

    Parameters
    ----------
    pools
        To trade through.
    unit_values
        Shape (n,): value of one base unit, as a fraction of the value before.
    frame, objective
        Limits and utility.
    enough
        Utility that a plan must promise; where the bound lies below it there is no need of one.

    Raises
    ------
    SolverError
        Neither the kernels' answer nor the fallback's can be trusted.
    """
    from offchain.route.kernels import build_table

    table = build_table([pool.curve() for pool in pools], [pool.tokens for pool in pools], unit_values)
    program, names = state(frame, objective)
    found = optimise(program, table)
    idle = objective.value(frame.weights)
    if not _proven(found, objective):
        return approximate_target(pools, unit_values, frame, objective, enough)
    for _ in range(_SETS):
        broken = _broken_turnover(found.x[: len(frame.weights)], frame.turnover, program)
        if not len(broken):
            break
        narrower = replace(
            program,
            rows=np.concatenate([program.rows, broken]),
            rooms=np.concatenate([program.rooms, np.full(len(broken), frame.turnover)]),
        )
        other = optimise(narrower, table, found)
        if not _proven(other, objective):
            break
        program, found = narrower, other
    target = _target(found, program, names, frame, idle, enough)
    count = len(frame.weights)
    overspent = frame.spent(found.x[:count])
    if target.change is None or overspent <= 1 + 100 * SLACK:
        return target
    # Gains that the vault may not take within its turnover have no price; what pools allow they allow in part.
    # Turnover is worth at least what it brings on average.
    needed = overspent * frame.turnover if frame.turnover > 0 else float(np.maximum(found.x[:count], 0.0).sum())
    gained = found.value + objective.penalty * frame.violated
    prices = target.answer.shadow_prices | {"turnover": np.array([max(0.0, gained) / needed])}
    answer = replace(target.answer, shadow_prices=prices)
    if frame.turnover <= 0:
        return replace(target, change=None, bound=idle - objective.penalty * frame.violated, answer=answer)
    return replace(target, change=target.change / overspent, answer=answer)


def _proven(found: Solution, objective: Objective) -> bool:
    return bool(np.isfinite(found.value)) and found.gap <= ACCEPTED * (1 + objective.penalty)


def state(frame: Frame, objective: Objective) -> tuple[Program, tuple[tuple[str, int], ...]]:
    """The program without its turnover limit, and what each of its rows is: (limit, asset)."""
    count = len(frame.weights)
    size = count + int(frame.violated)
    gram = np.zeros((size, size))
    gram[:count, :count] = objective.factor @ objective.factor.T
    linear = np.full(size, -objective.penalty)
    linear[:count] = objective.linear - gram[:count, :count] @ frame.weights
    lower, upper = np.zeros(size), np.ones(size)
    lower[:count], upper[:count] = frame.floor, frame.ceiling
    names: list[tuple[str, int]] = [("loss", -1)]
    rows, rooms = [_row(size, count, -1.0)], [frame.loss]
    for asset in range(count):
        if frame.lower[asset] > 0:
            row = _row(size, count, frame.lower[asset])
            row[asset] -= 1.0
            row[count:] = -frame.excess_lower[asset]
            rows.append(row)
            rooms.append(frame.weights[asset] - frame.lower[asset])
            names.append(("lower", asset))
        if frame.upper[asset] < 1:
            row = _row(size, count, -frame.upper[asset])
            row[asset] += 1.0
            row[count:] = -frame.excess_upper[asset]
            rows.append(row)
            rooms.append(frame.upper[asset] - frame.weights[asset])
            names.append(("upper", asset))
    program = Program(np.zeros(count), linear, gram, lower, upper, np.array(rows), np.array(rooms), SLACK)
    return program, tuple(names)


def _row(size: int, count: int, value: float) -> FloatArray:
    """The same number for every asset."""
    row = np.zeros(size)
    row[:count] = value
    return row


def _broken_turnover(change: FloatArray, turnover: float, program: Program) -> FloatArray:
    """Rows, shape (k, N), for the sets of tokens whose purchases or sales are too much together."""
    found = []
    for sign in (1.0, -1.0):
        part = np.maximum(sign * change, 0.0)
        if part.sum() > turnover + 2 * SLACK:
            row = np.zeros(len(program.linear))
            row[: len(change)] = sign * (part > _NOTHING)
            if not (program.rows == row).all(axis=1).any():
                found.append(row)
    return np.array(found).reshape(len(found), len(program.linear))


def _target(
    found: Solution, program: Program, names: tuple[tuple[str, int], ...], frame: Frame, idle: float, enough: float
) -> Target:
    count = len(frame.weights)
    bound = idle + found.bound
    answer = Answer(
        change=found.x[:count],
        standing=float(found.x[count]) if frame.violated else 0.0,
        value=bound,
        shadow_prices=_shadow_prices(found, program, names, frame),
    )
    if bound <= enough:
        return Target(None, np.ones(count), bound, answer)
    change = found.x[:count].copy()
    change[np.abs(change) < _NOTHING] = 0.0
    change[frame.floor == frame.ceiling] = 0.0
    prices = np.clip(found.prices / found.prices[0], 1 / _FARTHEST, _FARTHEST)
    return Target(change, prices, bound, answer)


def _shadow_prices(
    found: Solution, program: Program, names: tuple[tuple[str, int], ...], frame: Frame
) -> dict[str, FloatArray]:
    """Worth of relaxing each limit by one unit of weight."""
    count = len(frame.weights)
    prices = {"lower": np.zeros(count), "upper": np.zeros(count), "loss": np.zeros(1)}
    for (limit, asset), worth in zip(names, found.worth.tolist(), strict=False):
        prices[limit][max(asset, 0)] += worth
    pull = program.linear - program.gram @ found.x - found.worth @ program.rows
    slope = pull[:count] - found.prices
    fixed = frame.floor == frame.ceiling
    # What may not be traded could at best be exchanged for the base asset at its reference price.
    slope[fixed] = np.abs(pull[:count][fixed] - found.prices[0])
    at_ceiling = fixed | (found.x[:count] >= frame.ceiling - 10 * SLACK)
    prices["ceiling"] = np.where(at_ceiling, np.maximum(slope, 0.0), 0.0)
    prices["turnover"] = np.array([found.worth[len(names) :].sum()])
    return prices
