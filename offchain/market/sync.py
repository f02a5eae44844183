# SPDX-License-Identifier: Apache-2.0
"""Feed rounds and pool events from a node into a store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from offchain.errors import PlimsollError
from offchain.mandate import Mandate, StakedRatioOracle
from offchain.market import abi
from offchain.market.multicall import Call, aggregate_request
from offchain.market.pool_events import TOPICS, decode_event
from offchain.market.pools import decode_multicall, discover_pools
from offchain.market.reader import read_header
from offchain.market.rounds import LATEST_ROUND_DATA, PHASE_BITS, decode_round, run_walks, walk_back
from offchain.market.rpc import NodeClient, RpcError
from offchain.market.snapshot import Block
from offchain.market.store import Store

DAY = 86_400
CHUNK = 2_000
LEAST_CHUNK = 1
HEADERS = 200
POOLS = "pools"
ROUNDS = "rounds"


class SyncError(PlimsollError):
    """History that a node does not give."""


@dataclass(frozen=True, slots=True)
class Synced:
    """What a sync did.

    Attributes
    ----------
    block
        Up to which it read.
    rounds, events
        Rows that were new.
    first_block
        First block whose events were asked for.
    """

    block: int
    rounds: int
    events: int
    first_block: int


def sync(
    client: NodeClient,
    mandate: Mandate,
    store: Store,
    *,
    days: float = 30.0,
    first_block: int | None = None,
    confirmations: int = 12,
    report: Callable[[str], None] = lambda said: None,
) -> Synced:
    """Bring a store up to date with a mandate's feeds and pools, from where it ends.

    Blocks newer than `confirmations` are left for the next time. What was read on a chain that a reorganisation
    replaced is dropped and read again.

    Parameters
    ----------
    days
        How far back to begin a store without any.
    first_block
        Where events begin instead; needed when the node does not answer for old blocks.
    report
        Told of progress, one line each.

    Raises
    ------
    NodeError
        When the node cannot be used or serves another chain.
    SyncError
        When it does not give the logs of even a single block.
    """
    chain_id, genesis, latest = client.batch(
        [("eth_chainId", []), ("eth_getBlockByNumber", ["0x0", False]), ("eth_blockNumber", [])]
    )
    client.check_chain(client.quantity(chain_id, "eth_chainId"), mandate.chain_id)
    # A sandbox has the chain id of the network it stands in for; its first block is its own.
    chain = f"{mandate.chain_id}:{genesis['hash'] if isinstance(genesis, dict) else ''}"
    head = max(0, client.quantity(latest, "eth_blockNumber") - confirmations)
    block = read_header(client, client.call("eth_getBlockByNumber", hex(head), False))
    rounds = _sync_rounds(client, mandate, store, chain, block, days)
    report(f"rounds: {rounds} new, to block {block.number}")
    start = _resume(client, store, chain)
    if start is None:
        start = first_block if first_block is not None else _block_at(client, block, block.timestamp - int(days * DAY))
    events = _sync_events(client, mandate, store, chain, start, block, report)
    return Synced(block.number, rounds, events, start)


def _sync_rounds(client: NodeClient, mandate: Mandate, store: Store, chain: str, block: Block, days: float) -> int:
    oracles = [asset.oracle for asset in mandate.ordered_assets]
    bases = [oracle.base_feed for oracle in oracles if isinstance(oracle, StakedRatioOracle)]
    feeds = tuple(dict.fromkeys([*(oracle.feed for oracle in oracles), *bases]))
    calls = [Call(feed, LATEST_ROUND_DATA) for feed in feeds]
    calls += [Call(feed, abi.encode_call("decimals()")) for feed in feeds]
    raw = client.call(*_flat(aggregate_request(calls, {"blockHash": block.hash})))
    answers = decode_multicall(client, raw, len(calls))
    walks, newest = [], {}
    for feed, answer in zip(feeds, answers, strict=False):
        latest = decode_round(answer)
        if latest is None:
            raise SyncError(f"feed {feed}: latestRoundData() does not answer; check its address in the mandate")
        newest[feed] = latest
        known = store.last_round(chain, feed)
        walks.append((feed, walk_back(feed, latest, known, block.timestamp - int(days * DAY)), known))
    walked = run_walks(client, block, [walk for _, walk, _ in walks])
    rows: list[dict[str, Any]] = []
    for (feed, _, known), found, answer in zip(walks, walked, answers[len(feeds) :], strict=True):
        decimals = abi.word(answer, 0) if answer else 8
        for one in (*found.rounds, newest[feed]):
            if one.id > known:
                rows.append(
                    {
                        "chain": chain,
                        "feed": feed,
                        "phase": one.id >> PHASE_BITS,
                        "number": one.number,
                        "answer": str(one.answer),
                        "decimals": decimals,
                        "updated_at": one.updated_at,
                    }
                )
    return store.add("rounds", rows)


def _resume(client: NodeClient, store: Store, chain: str) -> int | None:
    """First block to read, after dropping what is no longer on the chain; None for an empty store."""
    for number, known in store.anchors(chain, POOLS):
        header = client.call("eth_getBlockByNumber", hex(number), False)
        if isinstance(header, dict) and str(header.get("hash")) == known:
            store.forget_after(chain, POOLS, number)
            return number + 1
    store.forget_after(chain, POOLS, -1)
    return None


def _block_at(client: NodeClient, block: Block, timestamp: int) -> int:
    """First block not before a time, by bisection."""
    low, high = 0, block.number
    while low < high:
        middle = (low + high) // 2
        header = read_header(client, client.call("eth_getBlockByNumber", hex(middle), False))
        if header.timestamp < timestamp:
            low = middle + 1
        else:
            high = middle
    return low


def _sync_events(
    client: NodeClient,
    mandate: Mandate,
    store: Store,
    chain: str,
    start: int,
    block: Block,
    report: Callable[[str], None],
) -> int:
    pools = [pool.address for pool in discover_pools(client, mandate)]
    if not pools:
        report("pools: the mandate's venues have none on this chain")
        return 0
    total, chunk = 0, CHUNK
    while start <= block.number:
        end = min(start + chunk - 1, block.number)
        query = {"address": pools, "topics": [list(TOPICS)], "fromBlock": hex(start), "toBlock": hex(end)}
        try:
            logs = client.call("eth_getLogs", query)
        except RpcError as error:
            # Providers cap the number of blocks or of results, each in words of its own.
            if chunk <= LEAST_CHUNK:
                raise SyncError(
                    f"{client.url}: no logs even of block {start} alone ({error.message[:120]}); "
                    "use a node that keeps them, or begin later with --from-block"
                ) from error
            chunk = max(LEAST_CHUNK, chunk // 4)
            continue
        rows = [row for log in logs if not log.get("removed") and (row := decode_event(log)) is not None]
        times = _times(client, sorted({int(row["block"]) for row in rows}))
        total += store.add("pool_events", [row | {"chain": chain, "time": times[row["block"]]} for row in rows])
        anchor = read_header(client, client.call("eth_getBlockByNumber", hex(end), False))
        store.add("anchors", [{"chain": chain, "what": POOLS, "block": end, "hash": anchor.hash}])
        report(f"pools: to block {end}, {total} events")
        start, chunk = end + 1, min(CHUNK, chunk * 2)
    return total


def _times(client: NodeClient, blocks: list[int]) -> dict[int, int]:
    """Timestamps of blocks, some hundred a round trip."""
    times: dict[int, int] = {}
    for at in range(0, len(blocks), HEADERS):
        part = blocks[at : at + HEADERS]
        headers = client.batch([("eth_getBlockByNumber", [hex(number), False]) for number in part])
        times |= {number: read_header(client, header).timestamp for number, header in zip(part, headers, strict=True)}
    return times


def _flat(request: tuple[str, Any]) -> tuple[Any, ...]:
    method, parameters = request
    return (method, *parameters)
