# SPDX-License-Identifier: Apache-2.0
"""The box itself: tokens, accounts, recognition, loading, forking, time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from offchain.sandbox import addresses
from offchain.sandbox.chain import Reverted
from offchain.sandbox.chainlink import LATEST_ROUND_DATA
from offchain.sandbox.contract import function
from offchain.sandbox.prices import HEAD_TIMESTAMP, STAKED_RATIO
from offchain.sandbox.standup import Sandbox, launch
from offchain.sandbox.state import build_state
from offchain.sandbox.tokens import APPROVE, BALANCE_OF, MINT, PURSE, SET_RATIO, ST_ETH_PER_TOKEN
from offchain.settle.development import ROLES, development_address, sandbox_deployer

DEPLOYER_CODE = (
    "0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe0"
    "3601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
)


@pytest.mark.parametrize("symbol", addresses.TOKENS)
def test_tokens_answer_their_symbol_and_decimals(sandbox: Sandbox, symbol: str) -> None:
    token = addresses.TOKENS[symbol]
    assert sandbox.chain.call(token, function("symbol()", "string")) == symbol
    assert sandbox.chain.call(token, function("decimals()", "uint8")) == addresses.DECIMALS[symbol]


def test_only_the_market_mints(sandbox: Sandbox) -> None:
    attacker = development_address("attacker")
    sandbox.chain.impersonate(attacker)
    with pytest.raises(Reverted, match="stand_in: caller is not the minter"):
        sandbox.chain.send(addresses.USDC, MINT, attacker, 1, sender=attacker)


def test_usdt_returns_nothing_and_wants_allowances_cleared(sandbox: Sandbox) -> None:
    alice = development_address("alice")
    sandbox.chain.impersonate(alice)
    call = {"from": alice, "to": addresses.USDT, "data": APPROVE.encode(alice, 5)}
    assert sandbox.rpc.call("eth_call", call, "latest") == "0x"
    sandbox.chain.send(addresses.USDT, APPROVE, alice, 5, sender=alice)
    with pytest.raises(Reverted, match="stand_in: allowance is not zero"):
        sandbox.chain.send(addresses.USDT, APPROVE, alice, 6, sender=alice)


def test_market_sets_the_staking_ratio(sandbox: Sandbox) -> None:
    assert sandbox.chain.call(addresses.WSTETH, ST_ETH_PER_TOKEN) == round(STAKED_RATIO * 10**18)
    sandbox.chain.send(addresses.WSTETH, SET_RATIO, 12 * 10**17)
    assert sandbox.chain.call(addresses.WSTETH, ST_ETH_PER_TOKEN) == 12 * 10**17


@pytest.mark.parametrize("symbol", addresses.TOKENS)
def test_give_hands_out_every_token(sandbox: Sandbox, symbol: str) -> None:
    bob = development_address("bob")
    before = sandbox.chain.call(addresses.TOKENS[symbol], BALANCE_OF, bob)
    sandbox.give(symbol, bob, 123_456)
    assert sandbox.chain.call(addresses.TOKENS[symbol], BALANCE_OF, bob) - before == 123_456


def test_development_accounts_are_funded(sandbox: Sandbox) -> None:
    for role in ROLES:
        assert int(sandbox.rpc.call("eth_getBalance", development_address(role), "latest"), 16) >= 9_999 * 10**18
    for role, purse in PURSE.items():
        for symbol, amount in purse.items():
            held = sandbox.chain.call(addresses.TOKENS[symbol], BALANCE_OF, development_address(role))
            assert held == amount * 10 ** addresses.DECIMALS[symbol]


def test_both_create2_deployers_have_the_same_code(sandbox: Sandbox) -> None:
    assert sandbox.chain.code(addresses.CREATE2_DEPLOYER) == DEPLOYER_CODE
    assert sandbox.chain.code(sandbox_deployer()) == DEPLOYER_CODE


def test_multicall_answers_several_calls_at_once(sandbox: Sandbox) -> None:
    aggregate = function("aggregate3((address,bool,bytes)[])", "(bool,bytes)[]")
    call = bytes.fromhex(BALANCE_OF.encode(development_address("alice"))[2:])
    answers = sandbox.chain.call(addresses.MULTICALL3, aggregate, [(addresses.USDC, False, call)] * 3)
    assert [int.from_bytes(data, "big") for _, data in answers] == [5_000_000 * 10**6] * 3


def test_saved_state_loads_in_under_a_second(sandbox_node: Sandbox) -> None:
    started = time.perf_counter()
    with launch() as second:
        assert second.chain.timestamp() == HEAD_TIMESTAMP
        assert time.perf_counter() - started < 1


def test_time_goes_on_from_the_head_so_that_feeds_are_fresh(sandbox_node: Sandbox) -> None:
    with launch() as second:
        second.chain.mine()
        now = second.chain.timestamp()
        updated_at = second.chain.call(addresses.FEEDS["ETH/USD"], LATEST_ROUND_DATA)[3]
        assert 0 < now - updated_at < 60


def test_a_fork_starts_in_under_a_second_and_leaves_its_upstream_alone(sandbox: Sandbox) -> None:
    started = time.perf_counter()
    with sandbox.fork() as fork:
        assert time.perf_counter() - started < 1
        fork.push("ETH/USD", 1000)
        feed = addresses.FEEDS["ETH/USD"]
        assert fork.chain.call(feed, LATEST_ROUND_DATA)[1] == 1000 * 10**8
        assert sandbox.chain.call(feed, LATEST_ROUND_DATA)[1] == 3000 * 10**8


def test_genesis_hash_survives_loading_and_forking(sandbox: Sandbox) -> None:
    with launch() as again, again.fork() as fork:
        assert again.genesis_hash == fork.genesis_hash == sandbox.genesis_hash


@pytest.mark.parametrize("hardfork", ["cancun", "osaka"])
def test_it_runs_under_the_rules_asked_for(sandbox_node: Sandbox, hardfork: str) -> None:
    with launch(hardfork=hardfork) as second:
        assert second.rpc.call("anvil_nodeInfo")["hardFork"].lower() == hardfork
        second.push("ETH/USD", 2999)


def test_a_test_leaves_no_trace_on_the_shared_sandbox(sandbox_node: Sandbox) -> None:
    before = sandbox_node.rpc.call("eth_blockNumber"), sandbox_node.chain.timestamp()
    mark = sandbox_node.rpc.call("evm_snapshot")
    sandbox_node.push("ETH/USD", 1)
    sandbox_node.rpc.call("evm_revert", mark)
    assert (sandbox_node.rpc.call("eth_blockNumber"), sandbox_node.chain.timestamp()) == before


@pytest.mark.slow
def test_two_builds_give_the_same_state(tmp_path: Path) -> None:
    for name in ("first", "second"):
        build_state(tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
