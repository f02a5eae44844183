# SPDX-License-Identifier: Apache-2.0
"""Snapshots by events: the pools are carried from block to block, and only the rest is read.

What a pool is follows exactly from its events, and reading many costs a node most of a snapshot.
What passes with time is read anew each time: prices with their ages, budgets, fees, interest. So are
balances, which not every token announces. That is one round trip, at the hash of a block already
seen. A reorganisation, a gap that is too long or a node that does not tell makes it a full reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from offchain.errors import PlimsollError
from offchain.mandate import Mandate
from offchain.market import abi
from offchain.market.balancer import BalancerKey, decode_pool
from offchain.market.errors import SnapshotError
from offchain.market.lending import LendingKey
from offchain.market.multicall import aggregate_request
from offchain.market.node_errors import NodeError, RpcError
from offchain.market.pool_readings import PoolReading, Readings, V3Reading, decode_ticks, pool_states, tick_calls
from offchain.market.pool_updates import PoolUpdates, Request
from offchain.market.pools import AnyPoolKey, decode_multicall
from offchain.market.reader import (
    Reading,
    check_canonical,
    decode_orientation,
    orientation_calls,
    read_by_hash,
    read_full,
    refuse_errors,
)
from offchain.market.rpc import NodeClient
from offchain.market.snapshot import Block, Snapshot
from offchain.market.state_reading import Moved, decode_state, state_calls
from offchain.market.vault import VaultParts, decode_parts

LONGEST_GAP = 64
"""Blocks whose events are asked for at once; beyond, a full reading costs less."""
AUDIT_BLOCKS = 300
"""Between two full readings that events are checked against: an hour on mainnet."""
_REST_BLOCKS = 50
"""Full readings after a node that does not give logs."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Held:
    """The pools at a block."""

    block: Block
    parts: VaultParts
    pools: Readings


class SnapshotMirror:
    """Reads a vault's snapshots, the same to the byte as `read_snapshot`, for less.

    Parameters
    ----------
    pools, lending
        As for `read_snapshot`.
    audit_blocks
        Blocks between two full readings that the pools are checked against.
    """

    def __init__(
        self,
        client: NodeClient,
        vault: str,
        mandate: Mandate,
        pools: Sequence[AnyPoolKey],
        lending: LendingKey | None = None,
        *,
        audit_blocks: int = AUDIT_BLOCKS,
    ) -> None:
        self._client = client
        self._vault = vault
        self._mandate = mandate
        self._pools = tuple(pools)
        self._lending = lending
        self._audit_blocks = audit_blocks
        self._updates = PoolUpdates(self._pools, mandate.addresses)
        self._held: _Held | None = None
        self._audited = 0
        self._resting_until = 0

    def read(self, head: Block) -> Snapshot:
        """Everything a plan may depend on, at a block just seen or, where that must be read in full, at the newest.

        One round trip, two where a price has left the ticks known or events do not do.

        Raises
        ------
        PlimsollError
            As `read_snapshot`.
        """
        held = self._held
        if held is not None and self._follows(held, head):
            try:
                reading = self._read_on(held, head)
            except Moved as moved:
                log.info("snapshot in full", why=str(moved), block=head.number)
            else:
                self._hold(reading)
                return reading.snapshot
        self._held = None
        reading = read_full(self._client, self._vault, self._mandate, self._pools, self._lending, "latest")
        self._hold(reading)
        self._audited = reading.snapshot.block.number
        return reading.snapshot

    def follow(self, head: Block) -> None:
        """Carry the pools on to a block, when nothing waits for it, and check them when it is time to.

        What fails is forgotten, so that the next snapshot is a full one.
        """
        held = self._held
        if held is None:
            return
        if not self._follows(held, head):
            self._held = None
            return
        try:
            pools = held.pools if held.block.hash == head.hash else self._carry_on(held, head)
            if head.number - self._audited >= self._audit_blocks:
                pools = self._audit(head, pools)
        except (Moved, NodeError) as problem:
            log.info("pools not followed", why=str(problem), block=head.number)
            self._held = None
        else:
            self._held = replace(held, block=head, pools=pools)

    def _hold(self, reading: Reading) -> None:
        if reading.snapshot.block.number >= self._resting_until:
            self._held = _Held(reading.snapshot.block, reading.parts, reading.pools)

    @staticmethod
    def _follows(held: _Held, head: Block) -> bool:
        """Whether a block can come after the pools' own, or is it."""
        ahead = head.number - held.block.number
        if ahead <= 1:
            return head.hash == held.block.hash if ahead == 0 else ahead == 1 and head.parent_hash == held.block.hash
        return ahead <= LONGEST_GAP

    def _read_on(self, held: _Held, head: Block) -> Reading:
        """The snapshot at a block that follows; `Moved` when the chain is another, or the vault other contracts."""
        at = {"blockHash": head.hash}
        around = orientation_calls(self._vault, self._pools if _is_gap(held, head) else ())
        calls = state_calls(held.parts, self._lending)
        events = self._event_requests(held, head)
        answers = self._client.batch_answers(
            [
                *events,
                *_ancestor_request(held, head),
                aggregate_request([*around, *calls], at),
                ("eth_chainId", []),
                ("eth_getBlockByNumber", [hex(head.number), False]),
            ]
        )
        raw, chain_id, header = answers[-3:]
        refuse_errors([raw, header])
        self._client.check_chain(self._client.quantity(chain_id, "eth_chainId"), self._mandate.chain_id)
        check_canonical(self._client, head, header)
        try:
            return self._decode(
                held,
                head,
                answers[: len(answers) - 3],
                decode_multicall(self._client, raw, len(around) + len(calls)),
                len(around),
            )
        except abi.DecodeError as error:
            raise SnapshotError(
                f"{self._client.url}: a contract answers nonsense ({error}); is it the right chain?"
            ) from None

    def _decode(
        self, held: _Held, head: Block, told: Sequence[Any], answers: Sequence[bytes | None], around: int
    ) -> Reading:
        try:
            pools = self._carried(held, head, told)
        except Moved as moved:
            if not _is_gap(held, head):
                raise
            # What a full reading asks first is there already, so that it takes one more trip only.
            log.info("snapshot in full", why=str(moved), block=head.number)
            parts, words = decode_orientation(self._vault, self._pools, answers[:around])
            return read_by_hash(self._client, self._mandate, self._pools, self._lending, head, parts, words)
        if decode_parts(self._vault, answers[:2]) != held.parts:
            raise Moved("the vault has another oracle or mandate contract")
        states = pool_states(self._pools, pools)
        snapshot = decode_state(self._client, self._mandate, head, held.parts, self._lending, answers[around:], states)
        return Reading(snapshot, held.parts, pools)

    def _carry_on(self, held: _Held, head: Block) -> Readings:
        requests = [*self._event_requests(held, head), *_ancestor_request(held, head)]
        return self._carried(held, head, self._client.batch_answers(requests))

    def _event_requests(self, held: _Held, head: Block) -> list[Request]:
        return self._updates.requests(held.block, head) if head.number > held.block.number else []

    def _carried(self, held: _Held, head: Block, told: Sequence[Any]) -> Readings:
        """The pools at a block, from what was told of the events and, over a gap, of the block that they start from."""
        if _is_gap(held, head):
            *told, ancestor = told
            refuse_errors([ancestor])
            check_canonical(self._client, held.block, ancestor)
        for answer in told:
            if isinstance(answer, RpcError):
                self._resting_until = head.number + _REST_BLOCKS
                raise Moved(f"no logs: {answer.message}")
        try:
            pools, again = self._updates.apply(held.pools, told, held.block, head)
        except (abi.DecodeError, KeyError, IndexError, TypeError, ValueError) as error:
            raise Moved(f"the logs make no sense ({error!r})") from None
        return self._completed(pools, again, head)

    def _completed(
        self, pools: dict[AnyPoolKey, PoolReading], again: Sequence[BalancerKey], head: Block
    ) -> dict[AnyPoolKey, PoolReading]:
        """Read what events do not tell: ticks that a price has come near to, pools that were joined or left."""
        short = [(pool, pool.missing) for pool in pools.values() if isinstance(pool, V3Reading) and pool.missing]
        if not short and not again:
            return pools
        at = {"blockHash": head.hash}
        listed = [call for key in again for call in key.calls]
        requests = [aggregate_request(tick_calls(pool.key, missing), at) for pool, missing in short]
        requests += [aggregate_request(listed, at), ("eth_getBlockByNumber", [hex(head.number), False])]
        answers = self._client.batch_answers(requests)
        refuse_errors(answers)
        check_canonical(self._client, head, answers[-1])
        for (pool, missing), raw in zip(short, answers, strict=False):
            pools[pool.key] = _widened(pool, decode_ticks(self._client, raw, len(missing)))
        views = decode_multicall(self._client, answers[-2], len(listed))
        for key in again:
            state = decode_pool(key, views[: len(key.calls)])
            views = views[len(key.calls) :]
            pools.pop(key, None)
            if state is not None:
                pools[key] = state
        return pools

    def _audit(self, head: Block, pools: Readings) -> Readings:
        """Compare with a full reading of the block, which is believed; what is wrong is told as an error."""
        try:
            full = read_full(self._client, self._vault, self._mandate, self._pools, self._lending, hex(head.number))
        except NodeError:
            raise
        except PlimsollError as problem:
            log.info("pools not audited", why=str(problem), block=head.number)
            return pools
        if full.snapshot.block.hash != head.hash:
            raise Moved(f"block {head.number} is another one now")
        self._audited = head.number
        ours, theirs = pool_states(self._pools, pools), full.snapshot.pools
        if ours != theirs:
            wrong = sorted({one.address for one in {*ours} ^ {*theirs}})
            log.error("pools differ from their events", why=", ".join(wrong), block=head.number, node=self._client.url)
        return full.pools


def _is_gap(held: _Held, head: Block) -> bool:
    return head.number > held.block.number + 1


def _ancestor_request(held: _Held, head: Block) -> list[Request]:
    """Over a gap, whether the pools' own block is still the chain's."""
    return [("eth_getBlockByNumber", [hex(held.block.number), False])] if _is_gap(held, head) else []


def _widened(pool: V3Reading, ticks: dict[int, tuple[int, int]]) -> V3Reading:
    """With the ticks of the words that were missing; words that do not adjoin the window are forgotten."""
    window = pool.window
    if pool.words and pool.words[0] <= window[-1] + 1 and window[0] <= pool.words[-1] + 1:
        words = range(min(pool.words[0], window[0]), max(pool.words[-1], window[-1]) + 1)
        return replace(pool, ticks={**pool.ticks, **ticks}, words=words)
    return replace(pool, ticks=ticks, words=window)
