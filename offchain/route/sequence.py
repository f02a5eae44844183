# SPDX-License-Identifier: Apache-2.0
"""From a flow to swaps that can be run one after the other, in whole base units.

A flow balances every token but says nothing of time. Where it has no cycle of tokens, selling
each token once everything that comes in has come in spends nothing that is not there, and the
last of its swaps takes what is left, to the wei. Arbitrage makes cycles: those are walked with
what is at hand, in several rounds where one does not suffice; what no holding can get started
is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from offchain.route.errors import RouteError
from offchain.route.pool import AnyPool

_TINY = 1e-6
"""Of what a token has left to sell: less at hand is not worth a swap while more is to come."""
_PATIENT = 1e-4
"""Of the greatest weight: enough to take what rounding leaves."""


@dataclass(frozen=True, slots=True)
class PlannedSwap:
    """One edge of the flow.

    Attributes
    ----------
    pool
        Index into the pools.
    amount
        Base units of `token_in`, about.
    weight
        Value that the pool moves per unit of log price: with more of it, what rounding leaves costs less.
    """

    pool: int
    token_in: int
    token_out: int
    amount: float
    weight: float


@dataclass(frozen=True, slots=True)
class DoneSwap:
    """One exact swap, in base units."""

    pool: int
    token_in: int
    token_out: int
    amount_in: int
    amount_out: int


class Sequencer:
    """Runs planned swaps on exact pools.

    Parameters
    ----------
    pools
        States to begin from.
    holdings
        Base units at hand, by token.
    kept
        Token that is being gathered: what is left of it stays.

    Attributes
    ----------
    done
        The swaps, in order.
    holdings, pools
        After them.
    """

    def __init__(self, pools: Sequence[AnyPool], holdings: Sequence[int], kept: int) -> None:
        self.pools = list(pools)
        self.holdings = list(holdings)
        self.done: list[DoneSwap] = []
        self._kept = kept
        self._planned: list[PlannedSwap] = []
        self._left: list[int] = []
        self._open: dict[int, list[int]] = {}
        self._links: dict[int, dict[int, int]] = {}
        """By token bought, how many swaps from each token are left to do."""
        self._coming: dict[int, int] = {}

    def copy(self) -> Sequencer:
        """Another one at the same point."""
        other = Sequencer(self.pools, self.holdings, self._kept)
        other.done = list(self.done)
        return other

    def run(self, planned: Sequence[PlannedSwap], rounds: int) -> None:
        """Run what can be run of them.

        Parameters
        ----------
        rounds
            Swaps for each planned one, at most, before the rest of the cycles is given up; 0 gives them up at once.
        """
        self._planned = [swap for swap in planned if swap.amount >= 0.5]
        self._left = [round(swap.amount) for swap in self._planned]
        self._links, self._coming, self._open = {}, {}, {}
        for index, swap in enumerate(self._planned):
            self._open.setdefault(swap.token_in, []).append(index)
            sources = self._links.setdefault(swap.token_out, {})
            sources[swap.token_in] = sources.get(swap.token_in, 0) + 1
            self._coming[swap.token_out] = self._coming.get(swap.token_out, 0) + 1
        for token, indices in self._open.items():
            self._put_last(token, indices)
        budget = len(self.done) + rounds * len(self._planned)
        while self._open:
            complete = next((token for token in self._open if not self._coming.get(token)), None)
            if complete is not None:
                self._sell_all(complete)
            elif len(self.done) < budget and (chosen := self._choose()) is not None:
                self._sell_some(*chosen)
            else:
                self._drop_cycle()

    def sweep(self, planned: Sequence[PlannedSwap], worth_it: Sequence[int]) -> None:
        """Sell what is left of other tokens along the shortest ways to the one that is kept.

        Parameters
        ----------
        planned
            The swaps whose pools and directions may be used.
        worth_it
            By token, the least that is swept.
        """
        distance, ways = {self._kept: 0}, dict[int, PlannedSwap]()
        by_weight = sorted(planned, key=lambda swap: -swap.weight)
        for step in range(1, len(self.holdings)):
            for swap in by_weight:
                if swap.token_in not in distance and distance.get(swap.token_out, step) < step:
                    distance[swap.token_in], ways[swap.token_in] = step, swap
        for token in sorted(ways, key=lambda token: -distance[token]):
            if self.holdings[token] >= max(worth_it[token], 1):
                self._swap(ways[token], self.holdings[token])

    def _put_last(self, token: int, indices: list[int]) -> None:
        """Put the swap last that is to take what rounding leaves: best one whose proceeds do not come back."""
        back = self._reaching(token)
        most = max(self._planned[index].weight for index in indices)

        def place(index: int) -> tuple[bool, float, int]:
            swap = self._planned[index]
            return swap.token_out not in back and swap.weight >= _PATIENT * most, swap.weight, index

        indices.sort(key=place)

    def _sell_all(self, token: int) -> None:
        """Nothing more will come: run every swap that sells the token, the last with all that is left."""
        indices = self._open.pop(token)
        for place, index in enumerate(indices):
            amount = min(self._left[index], self.holdings[token])
            if place + 1 == len(indices) and token != self._kept:
                amount = self.holdings[token]
            self._swap(self._planned[index], amount)
            self._spend(index, self._left[index])

    def _choose(self) -> tuple[int, list[int]] | None:
        """The token of which most of what it can do now is at hand, and those swaps: first those that come back."""
        best: tuple[int, list[int]] | None = None
        most = _TINY
        for token, indices in self._open.items():
            if not self.holdings[token]:
                continue
            back = self._reaching(token)
            usable = [index for index in indices if self._left[index] > 0]
            ready = [index for index in usable if self._planned[index].token_out in back] or usable
            need = sum(self._left[index] for index in ready)
            part = min(self.holdings[token] / need, 1.0) if need else 0.0
            # A token that no swap comes back to can wait for what is still to come.
            if part > most and (ready is not usable or best is None):
                best, most = (token, ready), part
        return best

    def _sell_some(self, token: int, ready: list[int]) -> None:
        """Spend what is at hand on some of a token's swaps."""
        for index in ready:
            amount = min(self._left[index], self.holdings[token])
            if amount <= 0:
                break
            self._swap(self._planned[index], amount)
            self._spend(index, amount)
            if self._left[index] <= 0 and index != self._open[token][-1]:
                self._open[token].remove(index)

    def _spend(self, index: int, amount: int) -> None:
        """Count down what a swap has left to do; at nothing, nothing more is expected of it."""
        swap = self._planned[index]
        before = self._left[index]
        self._left[index] = before - amount
        if before > 0 >= self._left[index]:
            self._coming[swap.token_out] -= 1
            sources = self._links[swap.token_out]
            sources[swap.token_in] -= 1
            if not sources[swap.token_in]:
                del sources[swap.token_in]

    def _reaching(self, goal: int) -> set[int]:
        """Tokens from which what is left to do leads to the goal."""
        found, waiting = {goal}, [goal]
        while waiting:
            for token in self._links.get(waiting.pop(), ()):
                if token not in found:
                    found.add(token)
                    waiting.append(token)
        return found

    def _drop_cycle(self) -> None:
        """Leave out one cycle of what is left, by as much as its smallest part.

        Everything open waits for something, so walking against the stream must come back.
        """
        into: dict[int, int] = {}
        for token, indices in self._open.items():
            for index in indices:
                if self._left[index] > 0:
                    assert self._planned[index].token_in == token
                    into[self._planned[index].token_out] = index
        seen: dict[int, int] = {}
        path: list[int] = []
        token = next(iter(self._open))
        while token not in seen:
            seen[token] = len(path)
            path.append(into[token])
            token = self._planned[into[token]].token_in
        cycle = path[seen[token] :]
        part = min(self._left[index] / self._planned[index].amount for index in cycle)
        for index in cycle:
            swap = self._planned[index]
            amount = self._left[index] if self._left[index] <= part * swap.amount + 1 else round(part * swap.amount)
            self._spend(index, amount)
            indices = self._open[swap.token_in]
            if self._left[index] <= 0 and index != indices[-1]:
                indices.remove(index)

    def _swap(self, swap: PlannedSwap, amount: int) -> None:
        """Swap up to that much, in as many pieces as the pool demands; what pays nothing is not done."""
        while amount > 0:
            pool = self.pools[swap.pool]
            try:
                most = pool.most_in(swap.token_in, swap.token_out)
                piece = amount if most is None else min(amount, most)
                done = pool.swap(swap.token_in, piece, swap.token_out)
            except RouteError:
                return
            if done.amount_out <= 0:
                return
            self.pools[swap.pool] = done.after
            self.holdings[swap.token_in] -= done.amount_in
            self.holdings[swap.token_out] += done.amount_out
            self.done.append(DoneSwap(swap.pool, swap.token_in, swap.token_out, done.amount_in, done.amount_out))
            amount -= done.amount_in
            if done.amount_in < piece:
                return
