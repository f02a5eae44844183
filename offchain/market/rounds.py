# SPDX-License-Identifier: Apache-2.0
"""Walking back through a Chainlink feed's rounds, several feeds a round trip.

A proxy numbers its rounds ``phase << 64 | round``: each phase is another aggregator,
whose rounds count from 1 (round 0 is empty). Rounds never change once written.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from enum import Enum

from offchain.market import abi
from offchain.market.errors import ReorgError
from offchain.market.multicall import Call, aggregate_request
from offchain.market.pools import decode_multicall
from offchain.market.rpc import NodeClient, RpcError
from offchain.market.snapshot import Block

LATEST_ROUND_DATA = abi.encode_call("latestRoundData()")
PHASE_BITS = 64
_ROUND_WORDS = 5
_FIRST_CHUNK = 64
_MAX_CHUNK = 1024
_CALLS_PER_REQUEST = 400
_MAX_ROUND_ID = 1 << 80

Walk = Generator[list[Call], list[bytes | None], "Walked"]


@dataclass(frozen=True, slots=True)
class Round:
    """One answer of a feed."""

    id: int
    """``phase << 64 | round of the phase's aggregator``."""
    answer: int
    """In the feed's own decimals."""
    updated_at: int
    """Unix seconds."""

    @property
    def phase(self) -> int:
        """Which aggregator wrote it."""
        return self.id >> PHASE_BITS

    @property
    def number(self) -> int:
        """Its number at that aggregator."""
        return self.id % (1 << PHASE_BITS)


class End(Enum):
    """Where a walk stopped."""

    KNOWN = "met a known round"
    START = "passed the start time"
    FIRST = "the feed has no older rounds"


@dataclass(frozen=True, slots=True)
class Walked:
    """Rounds found, oldest first, and why there are no more."""

    rounds: list[Round]
    end: End


def decode_round(answer: bytes | None) -> Round | None:
    """Decode ``latestRoundData`` or ``getRoundData``; `None` for a round without a usable answer."""
    if not answer or len(answer) != _ROUND_WORDS * abi.WORD:
        return None
    round_id, value, updated_at = abi.word(answer, 0), abi.signed(abi.word(answer, 1)), abi.word(answer, 3)
    if value <= 0 or updated_at == 0 or round_id >= _MAX_ROUND_ID:
        return None
    return Round(round_id, value, updated_at)


def walk_back(proxy: str, newest: Round, known: int, start: int) -> Walk:
    """Rounds older than `newest`, until one that is known or one not later than `start`, which is included.

    A generator of the calls it needs next, so that `run_walks` can make those of
    several feeds at once; it is sent their answers.

    Parameters
    ----------
    known
        Round id at which to stop, exclusive; 0 for none.
    start
        Unix seconds.
    """
    found: list[Round] = []
    oldest, phase, number, size = newest, newest.phase, newest.number, _FIRST_CHUNK
    while oldest.updated_at > start:
        if number <= 1:
            end = yield from _end_of_phase_before(proxy, phase)
            if end is None:
                return Walked(found[::-1], End.FIRST)
            phase, number = end[0], end[1] + 1
        low = max(1, number - size)
        wanted = [phase << PHASE_BITS | one for one in range(number - 1, low - 1, -1)]
        missing = [one for one in wanted if one > known]
        answers = yield [Call(proxy, abi.encode_call("getRoundData(uint80)", one)) for one in missing]
        found += [one for one in map(decode_round, answers) if one]
        if len(missing) < len(wanted):
            return Walked(found[::-1], End.KNOWN)
        oldest = found[-1] if found else newest
        number, size = low, min(size * 4, _MAX_CHUNK)
    return Walked(found[::-1], End.START)


def _end_of_phase_before(proxy: str, phase: int) -> Generator[list[Call], list[bytes | None], tuple[int, int] | None]:
    """Newest earlier phase that has rounds, and its last round's number."""
    while phase > 1:
        phase -= 1
        (aggregator,) = yield [Call(proxy, abi.encode_call("phaseAggregators(uint16)", phase))]
        if not aggregator or not abi.word(aggregator, 0):
            continue
        (last,) = yield [Call(abi.address(aggregator, 0), abi.encode_call("latestRound()"))]
        if last and (number := abi.word(last, 0)):
            return phase, number
    return None


def run_walks(client: NodeClient, block: Block, walks: Sequence[Walk]) -> list[Walked]:
    """Run the walks side by side, each step of all of them in one round trip at the block's hash."""
    results: dict[int, Walked] = {}
    pending: dict[int, list[Call]] = {}

    def advance(index: int, answers: list[bytes | None] | None) -> None:
        try:
            pending[index] = next(walks[index]) if answers is None else walks[index].send(answers)
        except StopIteration as stop:
            pending.pop(index, None)
            results[index] = stop.value

    for index in range(len(walks)):
        advance(index, None)
    while pending:
        asked = list(pending.items())
        answers = read_calls(client, block, [call for _, calls in asked for call in calls])
        position = 0
        for index, calls in asked:
            advance(index, answers[position : position + len(calls)])
            position += len(calls)
    return [results[index] for index in range(len(walks))]


def read_calls(client: NodeClient, block: Block, calls: Sequence[Call]) -> list[bytes | None]:
    """Answers of any number of calls at a block's hash, in one round trip.

    Raises
    ------
    ReorgError
        The node does not know the block (any more).
    """
    if not calls:
        return []
    parts = [calls[start : start + _CALLS_PER_REQUEST] for start in range(0, len(calls), _CALLS_PER_REQUEST)]
    try:
        raw = client.batch([aggregate_request(part, {"blockHash": block.hash}) for part in parts])
    except RpcError as error:
        raise unknown_block(client, block, error) from None
    return [answer for part, one in zip(parts, raw, strict=True) for answer in decode_multicall(client, one, len(part))]


def unknown_block(client: NodeClient, block: Block, error: RpcError) -> ReorgError:
    """Build the error for a node that refuses to answer at a block it gave us."""
    return ReorgError(
        f"{client.url}: cannot read at block {block.number} ({block.hash[:10]}…) any more: {error.message}; read again"
    )
