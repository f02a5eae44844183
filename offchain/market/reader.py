# SPDX-License-Identifier: Apache-2.0
"""Reading a snapshot: two round trips, one block hash.

The first trip learns which block is newest and where the pools' prices stand; the
second reads everything by that block's hash (EIP-1898), so that nothing can come
from another block, and asks once more whether the hash is still canonical.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from offchain.mandate import Mandate, MandateParityError
from offchain.market import abi
from offchain.market.abi import expect
from offchain.market.balancer import BalancerKey, decode_pool
from offchain.market.errors import ReorgError, SnapshotError
from offchain.market.lending import LendingKey, decode_lending, discover_lending, lending_calls
from offchain.market.multicall import MULTICALL3, Call, aggregate_request
from offchain.market.oracle import explain_dead_oracle
from offchain.market.pools import SLOT0, AnyPoolKey, PoolKey, decode_multicall, has_price
from offchain.market.rpc import NodeClient, RpcError
from offchain.market.snapshot import (
    AssetState,
    Block,
    LendingState,
    PoolState,
    Snapshot,
    UniswapV2State,
    UniswapV3State,
)
from offchain.market.vault import VaultAnswers, VaultParts, decode_parts, decode_prices, part_calls

TICK_LENS = "0xbfd8137f7d1516D3ea5cA83523914859ec47F573"

REACH_TICKS = 2000
"""Ticks are read this far to both sides of the price: a move of 22 %."""
MAX_REACH_WORDS = 4
"""At most so many bitmap words to a side, which binds in pools with a tick spacing of 1 (10 %)."""

_ATTEMPTS = 4
_PAUSE_SECONDS = 0.2
_TRY_PRICES = abi.encode_call("try_prices()")
_UPDATED_AT = abi.encode_call("updated_at()")
_BLOCK_NUMBER = abi.encode_call("getBlockNumber()")
_BLOCK_TIMESTAMP = abi.encode_call("getCurrentBlockTimestamp()")


class _Moved(Exception):
    """What was learned in the first trip no longer holds in the second."""


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
    reason: Exception | None = None
    account = lending or discover_lending(client, mandate)
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_SECONDS * attempt)
        try:
            return _read_once(client, vault_address, mandate, pools, account, tag)
        except _Moved as moved:
            reason = moved
        except abi.DecodeError as error:
            raise SnapshotError(
                f"{client.url}: a contract answers nonsense ({error}); is it the right chain?"
            ) from None
    raise ReorgError(
        f"{client.url}: no block stood still for {_ATTEMPTS} readings ({reason}); try again, or another node"
    )


def _read_once(
    client: NodeClient,
    vault_address: str,
    mandate: Mandate,
    pools: Sequence[AnyPoolKey],
    account: LendingKey | None,
    tag: str,
) -> Snapshot:
    block, parts, words = _first_trip(client, vault_address, mandate, pools, tag)
    at = {"blockHash": block.hash}
    account_calls = lending_calls(account, vault_address) if account is not None else []
    state_calls = _state_calls(parts, account_calls, pools)
    v3_pools = [pool for pool in pools if isinstance(pool, PoolKey) and pool.address in words]
    answers = client.batch_answers(
        [
            aggregate_request(state_calls, at),
            *(aggregate_request(_tick_calls(pool, words[pool.address]), at) for pool in v3_pools),
            ("eth_getBlockByNumber", [hex(block.number), False]),
        ]
    )
    for answer in answers:
        if isinstance(answer, RpcError):
            raise _Moved(answer.message)
    canonical = read_header(client, answers[-1])
    if canonical.hash != block.hash:
        raise _Moved(f"block {block.number} was {block.hash[:10]}…, then {canonical.hash[:10]}…")
    state = decode_multicall(client, answers[0], len(state_calls))
    _same_block(client, block, state[:2])
    vault_end = 4 + len(parts.calls)
    views = VaultAnswers.from_calls(parts, state[4:vault_end])
    _same_tokens(mandate, views)
    live, prices, updated_at = decode_prices(parts.oracle, state[2], state[3], len(mandate.assets))
    if not live:
        raise explain_dead_oracle(client, mandate, block, parts.oracle, prices)
    vault, balances = views.state(parts), views.integers("holdings()")
    if len(balances) != len(prices):
        raise SnapshotError(f"vault {vault_address}: {len(balances)} holdings, {len(prices)} prices; is it a vault?")
    pools_start = vault_end + len(account_calls)
    lending = decode_lending(account, state[vault_end:pools_start]) if account is not None else None
    ticks = {
        pool.address: _decode_ticks(client, raw, words[pool.address])
        for pool, raw in zip(v3_pools, answers[1:-1], strict=True)
    }
    return Snapshot(
        chain_id=mandate.chain_id,
        block=block,
        vault=vault,
        assets=_asset_states(mandate, balances, prices, updated_at, lending),
        pools=_pool_states(pools, state[pools_start:], words, ticks),
        lending=lending,
    )


def _asset_states(
    mandate: Mandate,
    balances: Sequence[int],
    prices: Sequence[int],
    updated_at: Sequence[int],
    lending: LendingState | None,
) -> tuple[AssetState, ...]:
    reserves = {reserve.asset: reserve for reserve in lending.reserves} if lending is not None else {}
    states = []
    rows = zip(mandate.ordered_assets, balances, prices, updated_at, strict=True)
    for index, (asset, balance, price, updated) in enumerate(rows):
        reserve = reserves.get(index)
        positions = (reserve.supplied, reserve.owed) if reserve is not None else (0, 0)
        states.append(AssetState(asset.symbol, asset.address, asset.decimals, balance, price, updated, *positions))
    return tuple(states)


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


def _first_trip(
    client: NodeClient, vault_address: str, mandate: Mandate, pools: Sequence[AnyPoolKey], tag: str
) -> tuple[Block, VaultParts, dict[str, range]]:
    """Newest block, the vault's contracts, and the bitmap words to read of each v3 pool."""
    v3_pools = [pool for pool in pools if isinstance(pool, PoolKey) and pool.is_v3]
    calls = [*part_calls(vault_address), *(Call(pool.address, SLOT0) for pool in v3_pools)]
    header, chain_id, raw = client.batch(
        [("eth_getBlockByNumber", [tag, False]), ("eth_chainId", []), aggregate_request(calls, tag)]
    )
    client.check_chain(client.quantity(chain_id, "eth_chainId"), mandate.chain_id)
    block = read_header(client, header)
    answers = decode_multicall(client, raw, len(calls))
    parts = decode_parts(vault_address, answers[:2])
    words = {
        pool.address: words_around(abi.signed(abi.word(answer, 1)), pool.tick_spacing)
        for pool, answer in zip(v3_pools, answers[2:], strict=True)
        if answer and has_price(answer)
    }
    return block, parts, words


def words_around(tick: int, tick_spacing: int) -> range:
    """Bitmap words that cover `REACH_TICKS` to both sides of a tick."""
    home = tick // tick_spacing >> 8
    first = max((tick - REACH_TICKS) // tick_spacing >> 8, home - MAX_REACH_WORDS)
    last = min((tick + REACH_TICKS) // tick_spacing >> 8, home + MAX_REACH_WORDS)
    return range(first, last + 1)


def _state_calls(parts: VaultParts, account_calls: Sequence[Call], pools: Sequence[AnyPoolKey]) -> list[Call]:
    calls = [Call(MULTICALL3, _BLOCK_NUMBER), Call(MULTICALL3, _BLOCK_TIMESTAMP)]
    calls += [Call(parts.oracle, _TRY_PRICES), Call(parts.oracle, _UPDATED_AT), *parts.calls, *account_calls]
    for pool in pools:
        calls += pool.calls
    return calls


def _tick_calls(pool: PoolKey, words: range) -> list[Call]:
    return [
        Call(TICK_LENS, abi.encode_call("getPopulatedTicksInWord(address,int16)", pool.address, word)) for word in words
    ]


def _same_block(client: NodeClient, block: Block, answers: Sequence[bytes | None]) -> None:
    # A node that ignores EIP-1898 would answer for its newest block instead.
    number, timestamp = (abi.word(answer, 0) if answer else None for answer in answers)
    if (number, timestamp) != (block.number, block.timestamp):
        raise _Moved(f"asked for block {block.number} by hash, got number {number} at time {timestamp}")


def _same_tokens(mandate: Mandate, views: VaultAnswers) -> None:
    tokens = views.addresses("tokens()")
    if [token.lower() for token in tokens] != [token.lower() for token in mandate.addresses]:
        raise MandateParityError("assets", ", ".join(mandate.addresses), ", ".join(tokens), "wrong vault or wrong file")


def _decode_ticks(client: NodeClient, raw: Any, words: range) -> tuple[tuple[int, int], ...]:
    ticks: list[tuple[int, int]] = []
    for answer in decode_multicall(client, raw, len(words)):
        try:
            rows = abi.array(expect(answer, "getPopulatedTicksInWord"), 0, width=3)
        except abi.DecodeError as error:
            raise SnapshotError(
                f"no Uniswap TickLens answers at {TICK_LENS} ({error}); is it the right chain?"
            ) from None
        ticks += [(abi.signed(tick), abi.signed(liquidity_net)) for tick, liquidity_net, _ in rows]
    return tuple(sorted(ticks))


def _pool_states(
    pools: Sequence[AnyPoolKey],
    answers: Sequence[bytes | None],
    words: Mapping[str, range],
    ticks: Mapping[str, tuple[tuple[int, int], ...]],
) -> tuple[PoolState, ...]:
    states: list[PoolState] = []
    position = 0
    for pool in pools:
        views = answers[position : position + len(pool.calls)]
        position += len(views)
        if isinstance(pool, BalancerKey):
            weighted = decode_pool(pool, views)
            states += [] if weighted is None else [weighted]
            continue
        first = views[0]
        if not first or not has_price(first):
            continue
        if not pool.is_v3:
            states.append(
                UniswapV2State(pool.address, pool.token0, pool.token1, abi.word(first, 0), abi.word(first, 1))
            )
            continue
        tick = abi.signed(abi.word(first, 1))
        if pool.address not in words or tick // pool.tick_spacing >> 8 not in words[pool.address]:
            raise _Moved(f"the price of pool {pool.address} left the ticks that were read")
        states.append(
            UniswapV3State(
                address=pool.address,
                token0=pool.token0,
                token1=pool.token1,
                fee_ppm=pool.fee_ppm,
                tick_spacing=pool.tick_spacing,
                sqrt_price_x96=abi.word(first, 0),
                tick=tick,
                liquidity=abi.word(expect(views[1], "liquidity()"), 0),
                ticks=ticks[pool.address],
                first_word=words[pool.address][0],
                last_word=words[pool.address][-1],
            )
        )
    return tuple(states)
