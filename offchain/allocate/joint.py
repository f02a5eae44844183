# SPDX-License-Identifier: Apache-2.0
"""The mandate's program over a snapshot's pools, by the compiled kernels.

The unknowns are the net changes z, in fractions of the value before, and t, the part of today's
violations that is left standing; see `offchain.allocate.program` for the program. What is bought
and what is sold may each be at most the turnover that is left: a limit on the sum of positive parts is
as many linear rows as there are sets of tokens, of which only those that an answer breaks are
added, until none is broken. So are the tangents of the objective's terms (`offchain.allocate.terms`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from offchain.allocate.borrowing import Borrowing
from offchain.allocate.bounds import Frame
from offchain.allocate.errors import SolverError
from offchain.allocate.outer import approximate_target
from offchain.allocate.program import Answer, Objective
from offchain.allocate.solution import Program, Solution, optimise
from offchain.allocate.target import Target, TargetProblem
from offchain.allocate.terms import Term
from offchain.allocate.versions import with_versions
from offchain.route.pool import Pool

if TYPE_CHECKING:
    from offchain.route.kernels import PoolTable

FloatArray = NDArray[np.float64]

SLACK = 1e-7
"""Violation that counts as none: the frame's margins are ten thousand times that."""
ACCEPTED = 1e-6
"""Gap beyond which an answer is not believed."""
_FARTHEST = 3.0  # relative price of a token that no path leads to
_NOTHING = 1e-8
_SETS = 40
_ROUNDS = 120
_TRUE = 2e-7
"""Utility by which an answer may overstate the terms."""


def best_target(problem: TargetProblem, table: PoolTable | None = None) -> Target:
    """Find the best net changes.

    Parameters
    ----------
    problem
        Pools, limits and utility.
    table
        Of its pools, from `pool_table`, where there is one already.

    Raises
    ------
    SolverError
        Neither the kernels' answer nor the fallback's can be trusted.
    """
    frame, objective, enough = problem.frame, problem.objective, problem.enough
    if table is None:
        table = pool_table(problem.pools, problem.unit_values)
    program, names = state(frame, objective)
    found = optimise(program, table)
    if not _proven(found, objective):
        if objective.terms or frame.bands:
            raise SolverError(
                f"the program's answer is {found.gap:.1e} from its bound and breaks a limit by {found.violation:.1e}; "
                "are scenarios, covariance and constraints of a sensible size?"
            )
        return approximate_target(problem)
    best = _Best(frame, objective)
    best.see(found)
    for _ in range(_ROUNDS if objective.terms else _SETS):
        if best.bound <= enough:
            break
        broken = _broken_turnover(found.x[: len(frame.weights)], frame.turnover, program)
        missing = best.missing_tangents(found)
        if not broken and not missing:
            break
        added = [*broken, *missing]
        narrower = replace(
            program,
            rows=np.concatenate([program.rows, [row.slopes for row in added]]),
            rooms=np.concatenate([program.rooms, [row.room for row in added]]),
        )
        other = optimise(narrower, table, found)
        if not _proven(other, objective):
            break
        program, found, names = narrower, other, (*names, *((row.name, -1) for row in added))
        best.see(found)
    target = _target(found, program, names, frame, best.bound, enough)
    count = len(frame.weights)
    overspent = frame.spent(found.x[:count])
    if target.change is None or overspent <= 1 + 100 * SLACK:
        return target
    # Gains that the vault may not take within its turnover have no price; what pools allow they allow in part.
    # Turnover is worth at least what it brings on average.
    needed = overspent * frame.turnover if frame.turnover > 0 else float(np.maximum(found.x[:count], 0.0).sum())
    idle = objective.value(frame.weights) - objective.penalty * frame.violated
    gained = best.bound - idle
    prices = target.answer.shadow_prices | {"turnover": np.array([max(0.0, gained) / needed])}
    answer = replace(target.answer, shadow_prices=prices)
    if frame.turnover <= 0:
        return replace(target, change=None, bound=idle, answer=answer)
    return replace(target, change=target.change / overspent, answer=answer)


def pool_table(pools: Sequence[Pool], unit_values: FloatArray) -> PoolTable:
    """The pools as compiled code walks over them."""
    from offchain.route.kernels import build_table

    return build_table([pool.curve() for pool in pools], [pool.tokens for pool in pools], unit_values)


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """slopes @ x <= room, and which limit it belongs to."""

    name: str
    slopes: FloatArray
    room: float


class _Best:
    """The lowest bound seen, and what an answer's own entries for the terms overstate."""

    def __init__(self, frame: Frame, objective: Objective) -> None:
        self.frame, self.objective = frame, objective
        self.bound = np.inf
        self._first = len(frame.weights) + int(frame.violated)
        self._constant = objective.quadratic(frame.weights)

    def see(self, found: Solution) -> None:
        """Every program in the course of the search is a relaxation of the true one."""
        self.bound = min(self.bound, self._constant + found.bound)

    def missing_tangents(self, found: Solution) -> list[_Row]:
        """Tangents where an answer counts more than a term is worth there; none when that is within `_TRUE`."""
        if not self.objective.terms:
            return []
        count = len(self.frame.weights)
        after = self.frame.weights + found.x[:count]
        rows: list[_Row] = []
        place, overstated = self._first, 0.0
        for term in self.objective.terms:
            claimed = found.x[place : place + term.pieces]
            more = np.maximum(claimed - term.values(after), 0.0)
            overstated += float(more.sum())
            rows += [
                row
                for piece, row in enumerate(tangents(term, after, self.frame.weights, place, len(found.x)))
                if more[piece] > _TRUE / (10 * term.pieces)
            ]
            place += term.pieces
        return rows if overstated > _TRUE else []


def tangents(term: Term, at: FloatArray, weights: FloatArray, place: int, size: int) -> list[_Row]:
    """Rows that keep a term's entries, from `place` on, below its tangents at holdings."""
    slopes, offsets = term.tangents(at)
    rows = []
    for piece in range(term.pieces):
        row = np.zeros(size)
        row[: len(weights)] = -slopes[piece]
        row[place + piece] = 1.0
        rows.append(_Row("tangent", row, float(offsets[piece] + slopes[piece] @ weights)))
    return rows


def _proven(found: Solution, objective: Objective) -> bool:
    return bool(np.isfinite(found.value)) and found.gap <= ACCEPTED * (1 + objective.penalty)


def state(frame: Frame, objective: Objective) -> tuple[Program, tuple[tuple[str, int], ...]]:
    """The program without its turnover limit, and what each of its rows is: (limit, asset or group)."""
    count = len(frame.weights)
    first = count + int(frame.violated)
    owed = first + sum(term.pieces for term in objective.terms)
    debts = np.flatnonzero(frame.borrowing.allowed) if frame.borrowing is not None else np.zeros(0, np.int64)
    size = owed + len(debts)
    gram = np.zeros((size, size))
    gram[:count, :count] = objective.factor @ objective.factor.T
    linear = np.ones(size)
    linear[count:first] = -objective.penalty
    linear[:count] = objective.linear - gram[:count, :count] @ frame.weights
    lower, upper = np.zeros(size), np.ones(size)
    lower[:count], upper[:count] = frame.floor, frame.ceiling
    linear[owed:], upper[owed:] = 0.0, frame.whole
    if objective.interest is not None:
        linear[owed:] = -objective.interest[debts]
    kinds, slopes, rooms = _weight_rows(frame, size, first)
    rows: list[_Row] = []
    names: list[tuple[str, int]] = [("loss", -1), *kinds]

    def bounded(kind: str, index: int, members: FloatArray, limit: float, excess: float, sign: float) -> None:
        """Add the row sign * (what the members weigh - limit * the whole) <= excess * t."""
        row = _row(size, count, -sign * limit)
        row[:count] += sign * members
        row[count:first] = -excess
        rows.append(_Row(kind, row, sign * (limit - float(members @ frame.weights))))
        names.append((kind, index))

    for index, band in enumerate(frame.bands):
        if band.lower > 0:
            bounded("band_lower", index, band.members, band.lower, band.excess_lower, -1.0)
        if band.upper < frame.whole:
            bounded("band_upper", index, band.members, band.upper, band.excess_upper, 1.0)
    if frame.borrowing is not None:
        added = _debt_rows(frame, frame.borrowing, debts, slice(count, first), owed, size)
        rows += added
        names += [(row.name, -1) for row in added]
    place = first
    for term in objective.terms:
        lower[place : place + term.pieces], upper[place : place + term.pieces] = -term.most, term.most
        added = tangents(term, frame.weights, frame.weights, place, size)
        rows += added
        names += [(row.name, -1) for row in added]
        place += term.pieces
    if rows:
        slopes = np.concatenate([slopes, [row.slopes for row in rows]])
        rooms = np.concatenate([rooms, [row.room for row in rows]])
    return Program(np.zeros(count), linear, gram, lower, upper, slopes, rooms, SLACK), tuple(names)


def _weight_rows(frame: Frame, size: int, first: int) -> tuple[list[tuple[str, int]], FloatArray, FloatArray]:
    """The loss that may be spent, and every asset's bounds: sign * (weight - limit * the whole) <= excess * t.

    Returns
    -------
    What each row after the first is, slopes and rooms of all.
    """
    count = len(frame.weights)
    limits = np.column_stack([frame.lower, frame.upper]).ravel()
    excesses = np.column_stack([frame.excess_lower, frame.excess_upper]).ravel()
    signs = np.tile([-1.0, 1.0], count)
    bound = np.flatnonzero(np.column_stack([frame.lower > 0, frame.upper < frame.whole]).ravel())
    assets = bound // 2
    slopes = np.zeros((1 + len(bound), size))
    slopes[0, :count] = -1.0
    slopes[1:, :count] = (-signs * limits)[bound, None]
    slopes[np.arange(1, 1 + len(bound)), assets] += signs[bound]
    slopes[1:, count:first] = -excesses[bound, None]
    rooms = np.concatenate([[frame.loss], signs[bound] * (limits[bound] - frame.weights[assets])])
    return [(("lower", "upper")[place % 2], place // 2) for place in bound.tolist()], slopes, rooms


def _debt_rows(
    frame: Frame, borrowing: Borrowing, debts: NDArray[np.int64], standing: slice, owed: int, size: int
) -> list[_Row]:
    """What limits debt, whose entries begin at `owed`; see `offchain.allocate.borrowing`."""
    count, weights = len(frame.weights), frame.weights
    rows = []
    for place, asset in enumerate(debts.tolist()):
        row = np.zeros(size)
        row[asset] = row[owed + place] = -1.0
        rows.append(_Row("debt", row, float(weights[asset] - borrowing.kept[asset])))
    health = np.zeros(size)
    health[:count] = -borrowing.counts
    health[owed:] = borrowing.health * borrowing.weighs[debts] - borrowing.counts[debts]
    health[standing] = -borrowing.excess_health
    rows.append(_Row("health", health, float(borrowing.counts @ weights)))
    leverage = _row(size, count, 1.0 - borrowing.leverage)
    leverage[owed:] = 1.0
    leverage[standing] = -borrowing.excess_leverage
    rows.append(_Row("leverage", leverage, (borrowing.leverage - 1.0) * float(weights.sum())))
    return rows


def _row(size: int, count: int, value: float) -> FloatArray:
    """The same number for every asset."""
    row = np.zeros(size)
    row[:count] = value
    return row


def _broken_turnover(change: FloatArray, turnover: float, program: Program) -> list[_Row]:
    """Rows for the sets of tokens whose purchases or sales are too much together."""
    found = []
    for sign in (1.0, -1.0):
        part = np.maximum(sign * change, 0.0)
        if part.sum() > turnover + 2 * SLACK:
            row = np.zeros(len(program.linear))
            row[: len(change)] = sign * (part > _NOTHING)
            if not (program.rows == row).all(axis=1).any():
                found.append(_Row("turnover", row, turnover))
    return found


def _target(
    found: Solution, program: Program, names: tuple[tuple[str, int], ...], frame: Frame, bound: float, enough: float
) -> Target:
    count = len(frame.weights)
    answer = Answer(
        change=found.x[:count],
        standing=float(found.x[count]) if frame.violated else 0.0,
        value=bound,
        shadow_prices=_shadow_prices(found, program, names, frame),
    )
    if bound <= enough:
        return Target(None, np.ones(count), bound, answer, _solver())
    change = found.x[:count].copy()
    change[np.abs(change) < _NOTHING] = 0.0
    change[frame.floor == frame.ceiling] = 0.0
    prices = np.clip(found.prices / found.prices[0], 1 / _FARTHEST, _FARTHEST)
    return Target(change, prices, bound, answer, _solver())


def _solver() -> str:
    return with_versions("proximal Newton kernels", "plimsoll", "numba", "numpy", "scipy")


def _shadow_prices(
    found: Solution, program: Program, names: tuple[tuple[str, int], ...], frame: Frame
) -> dict[str, FloatArray]:
    """Worth of relaxing each limit by one unit of weight."""
    count = len(frame.weights)
    groups = len(frame.bands)
    prices = {"lower": np.zeros(count), "upper": np.zeros(count), "loss": np.zeros(1), "turnover": np.zeros(1)}
    prices |= {"health": np.zeros(1), "leverage": np.zeros(1)}
    prices |= {"band_lower": np.zeros(groups), "band_upper": np.zeros(groups)}
    for (limit, index), worth in zip(names, found.worth.tolist(), strict=True):
        if limit in prices:
            prices[limit][max(index, 0)] += worth
    pull = program.linear - program.gram @ found.x - found.worth @ program.rows
    slope = pull[:count] - found.prices
    fixed = frame.floor == frame.ceiling
    # What may not be traded could at best be exchanged for the base asset at its reference price.
    slope[fixed] = np.abs(pull[:count][fixed] - found.prices[0])
    at_ceiling = fixed | (found.x[:count] >= frame.ceiling - 10 * SLACK)
    prices["ceiling"] = np.where(at_ceiling, np.maximum(slope, 0.0), 0.0)
    return prices
