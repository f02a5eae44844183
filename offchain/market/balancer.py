# SPDX-License-Identifier: Apache-2.0
"""Weighted pools of Balancer v2 that a mandate lists: which they are, and their state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eth_utils.address import to_checksum_address

from offchain.mandate import BalancerV2Venue, Mandate
from offchain.market import abi
from offchain.market.abi import expect
from offchain.market.errors import SnapshotError
from offchain.market.multicall import Call
from offchain.market.snapshot import BalancerV2State

_POOL_TOKENS = "getPoolTokens(bytes32)"
_CALLS_TO_FIND = 3
_ADDRESS_DIGITS = 42


@dataclass(frozen=True, slots=True)
class BalancerKey:
    """A pool's identity; its state is in the snapshot."""

    address: str
    pool_id: str
    vault: str
    """Balancer's, where the tokens lie."""
    venue: int
    """How a leg names the venue."""
    index: int
    """Place in the venue's list."""
    token0: int
    token1: int
    """Indices into the mandate's ordered assets, in the pool's order."""
    decimals: tuple[int, int]
    weights: tuple[int, int]
    """18 decimals; fixed when the pool was made."""
    version: int

    @property
    def calls(self) -> list[Call]:
        """What a snapshot asks; see `decode_pool`."""
        return [_pool_tokens(self.vault, self.pool_id), Call(self.address, abi.encode_call("getSwapFeePercentage()"))]


def find_calls(mandate: Mandate) -> list[Call]:
    """What is asked once about every listed pool; see `found_pools`."""
    calls = []
    for venue in _venues(mandate):
        for pool_id in venue.pools:
            pool = pool_id[:_ADDRESS_DIGITS]
            calls += [
                _pool_tokens(venue.vault, pool_id),
                Call(pool, abi.encode_call("getNormalizedWeights()")),
                Call(pool, abi.encode_call("version()")),
            ]
    return calls


def found_pools(mandate: Mandate, answers: Sequence[bytes | None]) -> tuple[BalancerKey, ...]:
    """Decode the answers to `find_calls`.

    Raises
    ------
    SnapshotError
        A listed pool is not there, or does not trade two assets of the mandate.
    """
    listed = [
        (venue, index, pool_id) for venue in _venues(mandate) for index, pool_id in enumerate(venue.pools)
    ]  # fmt: skip
    places = {address.lower(): index for index, address in enumerate(mandate.addresses)}
    keys = []
    for number, (venue, index, pool_id) in enumerate(listed):
        tokens_answer, weights_answer, version = answers[number * _CALLS_TO_FIND :][:_CALLS_TO_FIND]
        try:
            tokens = [
                "0x" + value.to_bytes(20, "big").hex()
                for (value,) in abi.array(expect(tokens_answer, _POOL_TOKENS), 0)
            ]  # fmt: skip
            weights = [value for (value,) in abi.array(expect(weights_answer, "getNormalizedWeights()"), 0)]
        except (abi.DecodeError, OverflowError) as error:
            raise SnapshotError(
                f"balancer pool {pool_id} is no weighted pool here ({error}); check the venue"
            ) from None
        if len(tokens) != 2 or len(weights) != 2 or not set(tokens) <= set(places):
            raise SnapshotError(f"balancer pool {pool_id} does not trade two assets of the mandate; take it out")
        token0, token1 = (places[token] for token in tokens)
        assets = mandate.ordered_assets
        keys.append(
            BalancerKey(
                address=to_checksum_address(pool_id[:_ADDRESS_DIGITS]),
                pool_id=pool_id,
                vault=venue.vault,
                venue=mandate.leg_number(venue),
                index=index,
                token0=token0,
                token1=token1,
                decimals=(assets[token0].decimals, assets[token1].decimals),
                weights=(weights[0], weights[1]),
                # The first version does not tell its own.
                version=1 if not version else 2,
            )
        )
    return tuple(keys)


def decode_pool(key: BalancerKey, answers: Sequence[bytes | None]) -> BalancerV2State | None:
    """Decode the answers to `BalancerKey.calls`; `None` for a pool that is empty or does not answer."""
    try:
        balances = [value for (value,) in abi.array(expect(answers[0], _POOL_TOKENS), 1)]
        fee = abi.word(expect(answers[1], "getSwapFeePercentage()"), 0)
    except abi.DecodeError:
        return None
    if len(balances) != 2 or not all(balances):
        return None
    return BalancerV2State(
        address=key.address,
        venue=key.venue,
        index=key.index,
        token0=key.token0,
        token1=key.token1,
        decimals=key.decimals,
        balances=(balances[0], balances[1]),
        weights=key.weights,
        swap_fee=fee,
        version=key.version,
    )


def _pool_tokens(vault: str, pool_id: str) -> Call:
    return Call(vault, abi.selector(_POOL_TOKENS) + bytes.fromhex(pool_id[2:]))


def _venues(mandate: Mandate) -> list[BalancerV2Venue]:
    return [venue for venue in mandate.listed_venues if isinstance(venue, BalancerV2Venue)]
