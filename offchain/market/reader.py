# SPDX-License-Identifier: Apache-2.0
"""Reading a snapshot: two round trips, one block hash.

The first trip learns which block is newest and where the pools' prices stand; the
second reads everything by that block's hash (EIP-1898), so that nothing can come
from another block, and asks once more whether the hash is still canonical.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from offchain.mandate import Mandate
from offchain.market import abi
from offchain.market.errors import ReorgError, SnapshotError
from offchain.market.lending import LendingKey, discover_lending
from offchain.market.multicall import Call, aggregate_request
from offchain.market.pool_readings import (
    Readings,
    V3Reading,
    decode_readings,
    decode_ticks,
    pool_states,
    tick_calls,
    words_by_pool,
)
from offchain.market.pools import SLOT0, AnyPoolKey, PoolKey, decode_multicall
from offchain.market.rpc import NodeClient, RpcError
from offchain.market.snapshot import Block, Snapshot
from offchain.market.state_reading import Moved, decode_state, state_calls
from offchain.market.vault import VaultParts, decode_parts, part_calls

_ATTEMPTS = 4
_PAUSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Reading:
    """A snapshot, and what reading on from it takes."""

    snapshot: Snapshot
    parts: VaultParts
    pools: Readings


def read_snapshot(
    client: NodeClient,
    vault_address: str,
    mandate: Mandate,
    pools: Sequence[AnyPoolKey],
    *,
    tag: str = "latest",
    lending: LendingKey | None = None,
) -> Snapshot:
    """Read everything a plan may depend on at one block hash, in two round trips.

    Parameters
    ----------
    pools
        As `discover_pools` found them. Those that no longer answer are left out.
    tag
        Which block: ``latest``, ``safe``, ``finalized`` or a 0x-prefixed number.
    lending
        As `discover_lending` found it, which is asked first where the mandate lends and it is not given.

    Raises
    ------
    StaleOracleError
        A feed is older than its heartbeat; names the asset and the age.
    OracleError
        A price is missing or outside its bounds.
    ReorgError
        The chain changed between the two trips, several times in a row.
    SnapshotError
        There is no vault at the address, or it answers nonsense.
    MandateParityError
        The vault holds other tokens than the mandate names.
    NodeError
        The node cannot be used, or serves another chain.
    """
    account = lending or discover_lending(client, mandate)
    return read_full(client, vault_address, mandate, pools, account, tag).snapshot


def read_full(
    client: NodeClient,
    vault_address: str,
    mandate: Mandate,
    pools: Sequence[AnyPoolKey],
    account: LendingKey | None,
    tag: str,
) -> Reading:
    """Read everything in two round trips; `read_snapshot` has the parameters and errors."""
    reason: Exception | None = None
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_SECONDS * attempt)
        try:
            block, parts, words = _first_trip(client, vault_address, mandate, pools, tag)
            return read_by_hash(client, mandate, pools, account, block, parts, words)
        except Moved as moved:
            reason = moved
        except abi.DecodeError as error:
            raise SnapshotError(
                f"{client.url}: a contract answers nonsense ({error}); is it the right chain?"
            ) from None
    raise ReorgError(
        f"{client.url}: no block stood still for {_ATTEMPTS} readings ({reason}); try again, or another node"
    )


def read_by_hash(
    client: NodeClient,
    mandate: Mandate,
    pools: Sequence[AnyPoolKey],
    account: LendingKey | None,
    block: Block,
    parts: VaultParts,
    words: Mapping[str, range],
) -> Reading:
    """The second trip: everything at a block; `Moved` when it is lost, or the words are not those around the prices."""
    at = {"blockHash": block.hash}
    calls = state_calls(parts, account)
    pool_calls = [call for pool in pools for call in pool.calls]
    v3_pools = [pool for pool in pools if isinstance(pool, PoolKey) and pool.address in words]
    answers = client.batch_answers(
        [
            aggregate_request([*calls, *pool_calls], at),
            *(aggregate_request(tick_calls(pool, words[pool.address]), at) for pool in v3_pools),
            ("eth_getBlockByNumber", [hex(block.number), False]),
        ]
    )
    refuse_errors(answers)
    check_canonical(client, block, answers[-1])
    state = decode_multicall(client, answers[0], len(calls) + len(pool_calls))
    ticks = {
        pool.address: decode_ticks(client, raw, len(words[pool.address]))
        for pool, raw in zip(v3_pools, answers[1:-1], strict=True)
    }
    readings = decode_readings(pools, state[len(calls) :], words, ticks)
    for reading in readings.values():
        if isinstance(reading, V3Reading) and reading.missing:
            raise Moved(f"the price of pool {reading.key.address} left the ticks that were read")
    states = pool_states(pools, readings)
    return Reading(decode_state(client, mandate, block, parts, account, state[: len(calls)], states), parts, readings)


def read_header(client: NodeClient, header: object) -> Block:
    """Decode a block header; `MalformedReply` when it is not one."""
    if not isinstance(header, Mapping):
        raise client.malformed("eth_getBlockByNumber", header)
    try:
        return Block(
            number=int(header["number"], 16),
            hash=str(header["hash"]),
            parent_hash=str(header["parentHash"]),
            timestamp=int(header["timestamp"], 16),
            base_fee=int(header["baseFeePerGas"], 16),
        )
    except (KeyError, TypeError, ValueError):
        raise client.malformed("eth_getBlockByNumber", dict(header)) from None


def refuse_errors(answers: Sequence[object]) -> None:
    """Raise `Moved` for a request by block hash that the node refuses: the block may be lost."""
    for answer in answers:
        if isinstance(answer, RpcError):
            raise Moved(answer.message)


def check_canonical(client: NodeClient, block: Block, header: object) -> None:
    """Raise `Moved` unless what the node has at the block's height is the block."""
    canonical = read_header(client, header)
    if canonical.hash != block.hash:
        raise Moved(f"block {block.number} was {block.hash[:10]}…, then {canonical.hash[:10]}…")


def orientation_calls(vault_address: str, pools: Sequence[AnyPoolKey]) -> list[Call]:
    """What has to be known before everything can be asked; see `decode_orientation`."""
    return [*part_calls(vault_address), *(Call(pool.address, SLOT0) for pool in _v3(pools))]


def decode_orientation(
    vault_address: str, pools: Sequence[AnyPoolKey], answers: Sequence[bytes | None]
) -> tuple[VaultParts, dict[str, range]]:
    """The vault's contracts, and the bitmap words to read of each v3 pool."""
    return decode_parts(vault_address, answers[:2]), words_by_pool(_v3(pools), answers[2:])


def _first_trip(
    client: NodeClient, vault_address: str, mandate: Mandate, pools: Sequence[AnyPoolKey], tag: str
) -> tuple[Block, VaultParts, dict[str, range]]:
    calls = orientation_calls(vault_address, pools)
    header, chain_id, raw = client.batch(
        [("eth_getBlockByNumber", [tag, False]), ("eth_chainId", []), aggregate_request(calls, tag)]
    )
    client.check_chain(client.quantity(chain_id, "eth_chainId"), mandate.chain_id)
    block = read_header(client, header)
    return block, *decode_orientation(vault_address, pools, decode_multicall(client, raw, len(calls)))


def _v3(pools: Sequence[AnyPoolKey]) -> list[PoolKey]:
    return [pool for pool in pools if isinstance(pool, PoolKey) and pool.is_v3]
