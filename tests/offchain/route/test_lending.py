# SPDX-License-Identifier: Apache-2.0
"""The lending account's twin against the sandbox's real Aave, to the wei."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from offchain.mandate import load_mandate
from offchain.market.lending import LendingKey, decode_lending, discover_lending, lending_calls
from offchain.market.multicall import aggregate_request, decode_aggregate
from offchain.market.rpc import NodeClient
from offchain.market.snapshot import NO_DEBT
from offchain.route.errors import InsufficientLiquidityError
from offchain.route.lending import LendingAccount
from offchain.sandbox import addresses
from offchain.sandbox.aave import BORROW, SET_E_MODE, SUPPLY, VARIABLE_RATE
from offchain.sandbox.borrower import leveraged_staker
from offchain.sandbox.chain import Transaction
from offchain.sandbox.contract import function
from offchain.sandbox.rpc import RpcError
from offchain.sandbox.standup import Sandbox
from offchain.sandbox.tokens import APPROVE
from offchain.settle.development import development_address

ONE = 10**18
ETHER, STAKED = 0, 1
TOKENS = {ETHER: addresses.WETH, STAKED: addresses.WSTETH}
WITHDRAW = function("withdraw(address,uint256,address)")
REPAY = function("repay(address,uint256,uint256,address)")


@dataclass
class Borrower:
    """An account of the sandbox that acts at the pool, and its twin read from the chain."""

    sandbox: Sandbox
    key: LendingKey
    account: str

    def twin(self, block: str = "latest") -> LendingAccount:
        calls = lending_calls(self.key, self.account)
        with NodeClient(self.sandbox.rpc_url) as client:
            method, params = aggregate_request(calls, block)
            answers = decode_aggregate(client.data(client.call(method, *params), method), len(calls))
        return LendingAccount.from_state(decode_lending(self.key, answers))

    def transaction(self, name: str, asset: int, amount: int) -> Transaction:
        token = TOKENS[asset]
        call, arguments = {
            "supply": (SUPPLY, (token, amount, self.account, 0)),
            "withdraw": (WITHDRAW, (token, amount, self.account)),
            "borrow": (BORROW, (token, amount, VARIABLE_RATE, 0, self.account)),
            "repay": (REPAY, (token, amount, VARIABLE_RATE, self.account)),
        }[name]
        return self.sandbox.chain.transaction(addresses.AAVE_POOL, call, *arguments, sender=self.account)

    def accepts(self, name: str, asset: int, amount: int) -> bool:
        """Whether the pool takes it now."""
        try:
            self.sandbox.rpc.call("eth_call", self.transaction(name, asset, amount).fields(), "latest")
        except RpcError:
            return False
        return True


@pytest.fixture
def borrower(sandbox: Sandbox) -> Borrower:
    mandate = load_mandate(Path(__file__).parents[3] / "mandates" / "leveraged-staking.yaml")
    with NodeClient(sandbox.rpc_url) as client:
        key = discover_lending(client, mandate)
    assert key is not None
    account = leveraged_staker(sandbox, "bob", 3.0)
    for symbol in ("WETH", "wstETH"):
        sandbox.give(symbol, account, 10_000 * ONE)
        sandbox.chain.send(addresses.TOKENS[symbol], APPROVE, addresses.AAVE_POOL, 2**256 - 1, sender=account)
    # Indices that are no round numbers any more.
    sandbox.chain.mine(sandbox.chain.timestamp() + 100 * 86_400)
    return Borrower(sandbox, key, account)


def test_health_factor_is_the_pool_s_own(borrower: Borrower) -> None:
    with NodeClient(borrower.sandbox.rpc_url) as client:
        calls = lending_calls(borrower.key, borrower.account)
        method, params = aggregate_request(calls, "latest")
        state = decode_lending(
            borrower.key, decode_aggregate(client.data(client.call(method, *params), method), len(calls))
        )
    assert LendingAccount.from_state(state).health_factor == state.health_factor


def test_random_actions_leave_what_the_pool_leaves(borrower: Borrower) -> None:
    """Each action in a block with the time of the twin's, so that both reckon with the same indices."""
    random, chain = Random(5), borrower.sandbox.chain
    acts: dict[str, Callable[[LendingAccount, int, int], LendingAccount]] = {
        "supply": LendingAccount.supply,
        "withdraw": LendingAccount.withdraw,
        "borrow": LendingAccount.borrow,
        "repay": LendingAccount.repay,
    }
    for _ in range(24):
        name = random.choice(list(acts))
        asset = STAKED if name in ("supply", "withdraw") else ETHER
        amount = random.randrange(1, 10 * ONE)
        later = chain.timestamp() + 12
        mark = borrower.sandbox.rpc.call("evm_snapshot")
        chain.mine(later)
        before = borrower.twin()
        borrower.sandbox.rpc.call("evm_revert", mark)
        expected = acts[name](before, asset, amount)
        chain.send_all([borrower.transaction(name, asset, amount)], timestamp=later)
        after = borrower.twin()
        for index in TOKENS:
            found, wanted = after.reserves[index], expected.reserves[index]
            assert (found.scaled_supplied, found.scaled_owed) == (wanted.scaled_supplied, wanted.scaled_owed)
            assert found.available == wanted.available
        assert after.health_factor == expected.health_factor


def test_most_that_can_be_withdrawn_leaves_the_health_factor_asked_for(borrower: Borrower) -> None:
    account = borrower.twin()
    wanted = 12 * ONE // 10
    amount = account.withdrawable(STAKED, wanted)
    assert 0 <= account.withdraw(STAKED, amount).health_factor - wanted < 10**11
    # One token is worth less than the oracle's eight decimals tell apart; a millionth of an ether is not.
    assert account.withdraw(STAKED, amount + 10**12).health_factor < wanted


def test_most_that_can_be_borrowed_is_what_the_pool_takes(borrower: Borrower) -> None:
    account = borrower.twin()
    amount = account.borrowable(ETHER, ONE)
    # The loan to value binds before a health factor of one does.
    assert account.borrow(ETHER, amount).health_factor > 102 * ONE // 100
    assert borrower.accepts("borrow", ETHER, amount - 10**12)
    assert not borrower.accepts("borrow", ETHER, amount + 10**15)


def test_debt_that_is_paid_is_gone(borrower: Borrower) -> None:
    account = borrower.twin()
    clear = account.repay(ETHER, account.owed(ETHER) + ONE)
    assert (clear.owed(ETHER), clear.health_factor) == (0, NO_DEBT)
    assert clear.withdrawable(STAKED, 2 * ONE) == clear.supplied(STAKED)


def test_more_than_lies_there_cannot_be_taken(borrower: Borrower) -> None:
    account = borrower.twin()
    with pytest.raises(InsufficientLiquidityError, match="can be withdrawn"):
        account.withdraw(STAKED, account.supplied(STAKED) + 1)
    with pytest.raises(InsufficientLiquidityError, match="can be borrowed"):
        account.borrow(ETHER, account.reserves[ETHER].available + 1)


def test_category_changes_the_terms(sandbox: Sandbox, borrower: Borrower) -> None:
    other = Borrower(sandbox, borrower.key, development_address("carol"))
    sandbox.chain.impersonate(other.account)
    sandbox.give("wstETH", other.account, 100 * ONE)
    sandbox.chain.send(addresses.WSTETH, APPROVE, addresses.AAVE_POOL, 2**256 - 1, sender=other.account)
    sandbox.chain.send_all([other.transaction("supply", STAKED, 100 * ONE)])
    before = other.twin().borrowable(ETHER, ONE)
    promised = other.twin().in_wanted_mode().borrowable(ETHER, ONE)
    sandbox.chain.send(addresses.AAVE_POOL, SET_E_MODE, 1, sender=other.account)
    assert other.twin().borrowable(ETHER, ONE) == pytest.approx(promised, rel=1e-12)
    assert promised == pytest.approx(before * 93 / 78.5, rel=1e-6)
