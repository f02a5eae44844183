# SPDX-License-Identifier: Apache-2.0
"""What is read of a vault at a block besides the pools: oracle, vault, mandate, lending account."""

from __future__ import annotations

from collections.abc import Sequence

from offchain.mandate import Mandate, MandateParityError
from offchain.market import abi
from offchain.market.errors import SnapshotError
from offchain.market.lending import LendingKey, decode_lending, lending_calls
from offchain.market.multicall import MULTICALL3, Call
from offchain.market.oracle import explain_dead_oracle
from offchain.market.rpc import NodeClient
from offchain.market.snapshot import AssetState, Block, LendingState, PoolState, Snapshot
from offchain.market.vault import VaultAnswers, VaultParts, decode_prices

_TRY_PRICES = abi.encode_call("try_prices()")
_UPDATED_AT = abi.encode_call("updated_at()")
_BLOCK_NUMBER = abi.encode_call("getBlockNumber()")
_BLOCK_TIMESTAMP = abi.encode_call("getCurrentBlockTimestamp()")


class Moved(Exception):
    """What was learned in one trip no longer holds in the next."""


def state_calls(parts: VaultParts, account: LendingKey | None) -> list[Call]:
    """What is asked about a vault; see `decode_state`."""
    calls = [Call(MULTICALL3, _BLOCK_NUMBER), Call(MULTICALL3, _BLOCK_TIMESTAMP)]
    calls += [Call(parts.oracle, _TRY_PRICES), Call(parts.oracle, _UPDATED_AT), *parts.calls]
    return calls + (lending_calls(account, parts.vault) if account is not None else [])


def decode_state(
    client: NodeClient,
    mandate: Mandate,
    block: Block,
    parts: VaultParts,
    account: LendingKey | None,
    answers: Sequence[bytes | None],
    pools: tuple[PoolState, ...],
) -> Snapshot:
    """Decode the answers to `state_calls` and put the snapshot together.

    Raises
    ------
    Moved
        The answers are of another block.
    OracleError, SnapshotError, MandateParityError
        As `read_snapshot`; the node is asked once more to explain a dead oracle.
    """
    _same_block(block, answers[:2])
    vault_end = 4 + len(parts.calls)
    views = VaultAnswers.from_calls(parts, answers[4:vault_end])
    _same_tokens(mandate, views)
    live, prices, updated_at = decode_prices(parts.oracle, answers[2], answers[3], len(mandate.assets))
    if not live:
        raise explain_dead_oracle(client, mandate, block, parts.oracle, prices)
    vault, balances = views.state(parts), views.integers("holdings()")
    if len(balances) != len(prices):
        raise SnapshotError(f"vault {parts.vault}: {len(balances)} holdings, {len(prices)} prices; is it a vault?")
    lending = decode_lending(account, answers[vault_end:]) if account is not None else None
    return Snapshot(
        chain_id=mandate.chain_id,
        block=block,
        vault=vault,
        assets=_asset_states(mandate, balances, prices, updated_at, lending),
        pools=pools,
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


def _same_block(block: Block, answers: Sequence[bytes | None]) -> None:
    # A node that ignores EIP-1898 would answer for its newest block instead.
    number, timestamp = (abi.word(answer, 0) if answer else None for answer in answers)
    if (number, timestamp) != (block.number, block.timestamp):
        raise Moved(f"asked for block {block.number} by hash, got number {number} at time {timestamp}")


def _same_tokens(mandate: Mandate, views: VaultAnswers) -> None:
    tokens = views.addresses("tokens()")
    if [token.lower() for token in tokens] != [token.lower() for token in mandate.addresses]:
        raise MandateParityError("assets", ", ".join(mandate.addresses), ", ".join(tokens), "wrong vault or wrong file")
