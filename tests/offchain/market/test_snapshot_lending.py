# SPDX-License-Identifier: Apache-2.0
"""The lending account in a snapshot, against what the pool itself says of a real account."""

from __future__ import annotations

from pathlib import Path

import pytest

from offchain.mandate import Mandate, load_mandate
from offchain.market.lending import LendingKey, decode_lending, discover_lending, lending_calls
from offchain.market.multicall import aggregate_request, decode_aggregate
from offchain.market.rpc import NodeClient
from offchain.market.snapshot import LendingState
from offchain.sandbox import addresses
from offchain.sandbox.borrower import leveraged_staker
from offchain.sandbox.liquidator import ACCOUNT_DATA, USER_RESERVE
from offchain.sandbox.standup import Sandbox

PROJECT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def mandate() -> Mandate:
    return load_mandate(PROJECT / "mandates" / "leveraged-staking.yaml")


@pytest.fixture
def key(sandbox: Sandbox, mandate: Mandate) -> LendingKey:
    with NodeClient(sandbox.rpc_url) as client:
        found = discover_lending(client, mandate)
    assert found is not None
    return found


def read(sandbox: Sandbox, key: LendingKey, account: str) -> LendingState:
    calls = lending_calls(key, account)
    with NodeClient(sandbox.rpc_url) as client:
        method, params = aggregate_request(calls, "latest")
        return decode_lending(key, decode_aggregate(client.data(client.call(method, *params), method), len(calls)))


def test_reserves_are_found_from_the_pool_alone(key: LendingKey) -> None:
    assert (key.venue, key.oracle) == (2, addresses.AAVE_ORACLE)
    assert [(one.asset, one.may_supply, one.may_borrow) for one in key.reserves] == [(0, False, True), (1, True, False)]


def test_amounts_are_the_pool_s_own_after_a_year_of_interest(sandbox: Sandbox, key: LendingKey) -> None:
    account = leveraged_staker(sandbox, "bob", 3.0)
    sandbox.chain.mine(sandbox.chain.timestamp() + 365 * 86_400)
    state = read(sandbox, key, account)
    rows = {
        symbol: sandbox.chain.call(
            addresses.AAVE_DATA_PROVIDER, USER_RESERVE, addresses.TOKENS[symbol], account
        )
        for symbol in ("WETH", "wstETH")
    }  # fmt: skip
    ether, staked = state.reserves
    assert (staked.supplied, ether.owed) == (rows["wstETH"][0], rows["WETH"][2])
    assert ether.owed > 200 * 10**18
    assert (staked.is_collateral, ether.is_collateral) == (True, False)


def test_terms_are_those_of_the_category(sandbox: Sandbox, key: LendingKey) -> None:
    account = leveraged_staker(sandbox, "bob", 3.0)
    state = read(sandbox, key, account)
    data = sandbox.chain.call(addresses.AAVE_POOL, ACCOUNT_DATA, account)
    assert (state.e_mode, state.wanted_e_mode) == (1, 1)
    assert state.health_factor == data[5]
    staked = state.reserves[1]
    assert (staked.e_mode_liquidation_threshold, staked.e_mode_loan_to_value) == (data[3], data[4])
    assert (staked.liquidation_threshold, staked.loan_to_value) == (8100, 7850)


def test_a_mandate_without_lending_has_no_account(sandbox: Sandbox) -> None:
    with NodeClient(sandbox.rpc_url) as client:
        assert discover_lending(client, load_mandate(PROJECT / "mandates" / "blue-chip.yaml")) is None
