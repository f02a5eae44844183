# SPDX-License-Identifier: Apache-2.0
"""Snapshots as JSON: exact both ways, and refusing everything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offchain.market.codec import SnapshotFormatError, from_json, to_json
from offchain.market.snapshot import (
    AssetState,
    Block,
    BreakerState,
    LendingState,
    ReserveState,
    Snapshot,
    UniswapV2State,
    UniswapV3State,
    VaultLimits,
    VaultState,
)

uint256 = st.integers(0, 2**256 - 1)
bps = st.integers(0, 10_000)
hashes = st.binary(min_size=32, max_size=32).map(lambda raw: "0x" + raw.hex())
addresses = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
weights = st.lists(bps, max_size=4).map(tuple)
limits = st.builds(VaultLimits, weights, weights, bps, bps, bps, bps, bps, bps, bps, bps)
ticks = st.lists(st.tuples(st.integers(-887272, 887272), st.integers(-(2**127), 2**127)), max_size=4).map(tuple)
v2 = st.builds(UniswapV2State, addresses, bps, bps, uint256, uint256)
v3 = st.builds(
    UniswapV3State, addresses, bps, bps, bps, bps, uint256, st.integers(-887272, 887272), uint256, ticks, bps, bps
)
reserves = st.builds(
    ReserveState, bps, bps, *[uint256] * 6, *[bps] * 4, *[uint256] * 2, *[st.booleans()] * 4
)  # fmt: skip
lending = st.builds(
    LendingState, bps, addresses, bps, bps, uint256, st.lists(reserves, max_size=2).map(tuple)
)  # fmt: skip
assets = st.builds(AssetState, st.text(max_size=8), addresses, bps, *[uint256] * 5)
snapshots = st.builds(
    Snapshot,
    uint256,
    st.builds(Block, uint256, hashes, hashes, uint256, uint256),
    st.builds(
        VaultState,
        addresses, addresses, addresses, uint256, st.sampled_from(BreakerState), uint256, uint256, uint256, uint256,
        uint256, uint256, hashes, limits,
    ),
    st.lists(assets, max_size=3).map(tuple),
    st.lists(v2 | v3, max_size=3).map(tuple),
    st.none() | lending,
)  # fmt: skip


@pytest.fixture
def recorded() -> dict[str, Any]:
    """JSON of a small snapshot."""
    snapshot = Snapshot(
        chain_id=1,
        block=Block(7, "0x01", "0x02", 1000, 10**9),
        vault=VaultState(
            "0xa", "0xb", "0xc", 3, BreakerState.REDUCE_ONLY, 1, 10**21, 10**18, 2 * 10**18, 5, 6, "0x03",
            VaultLimits((0, 1), (2, 3), 4, 5, 6, 7, 8, 9, 10, 11),
        ),
        assets=(AssetState("USDC", "0xd", 6, 10**15, 10**30, 990),),
        pools=(UniswapV2State("0xe", 0, 1, 2**112 - 1, 1),),
    )  # fmt: skip
    data: dict[str, Any] = json.loads(to_json(snapshot))
    return data


@given(snapshots)
def test_a_snapshot_survives_exactly(snapshot: Snapshot) -> None:
    assert from_json(to_json(snapshot)) == snapshot


@given(snapshots)
def test_equal_snapshots_are_equal_text(snapshot: Snapshot) -> None:
    assert to_json(from_json(to_json(snapshot))) == to_json(snapshot)


def test_integers_are_decimal_strings(recorded: dict[str, Any]) -> None:
    assert recorded["pools"][0]["reserve0"] == "5192296858534827628530496329220095"


def test_the_breaker_is_a_state_again(recorded: dict[str, Any]) -> None:
    assert from_json(json.dumps(recorded)).vault.breaker is BreakerState.REDUCE_ONLY


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda data: data.update(format=1), "not format 3"),
        (lambda data: data.pop("block"), "snapshot must have exactly the fields"),
        (lambda data: data["block"].pop("hash"), "snapshot.block must have exactly"),
        (lambda data: data["block"].update(extra="1"), "snapshot.block must have exactly"),
        (lambda data: data["block"].update(number=7), "snapshot.block.number is '7', not what it should be"),
        (lambda data: data["block"].update(number="7.5"), "snapshot.block.number is '7.5'"),
        (lambda data: data["vault"].update(breaker="9"), "snapshot.vault.breaker is '9'"),
        (lambda data: data["pools"][0].update(kind="curve"), r"snapshot.pools\[0\] is of no known kind"),
        (lambda data: data.update(assets={}), "snapshot.assets must be a list"),
    ],
)
def test_what_is_no_snapshot_is_refused(recorded: dict[str, Any], spoil: Any, says: str) -> None:
    spoil(recorded)
    with pytest.raises(SnapshotFormatError, match=says):
        from_json(json.dumps(recorded))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}"])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(SnapshotFormatError):
        from_json(text)
