# SPDX-License-Identifier: Apache-2.0
"""Efficiency mode, interest and liquidations of the sandbox's Aave."""

from __future__ import annotations

import pytest

from offchain.sandbox import addresses
from offchain.sandbox.aave import BORROW, SET_E_MODE, SUPPLY, VARIABLE_RATE
from offchain.sandbox.borrower import leveraged_staker
from offchain.sandbox.contract import function
from offchain.sandbox.liquidator import ACCOUNT_DATA, Liquidator
from offchain.sandbox.standup import Sandbox
from offchain.sandbox.tokens import APPROVE
from offchain.settle.development import development_address

ETHER = 10**18
INCOME = function("getReserveNormalizedIncome(address)", "uint256")


def test_correlated_assets_lend_more_in_efficiency_mode(sandbox: Sandbox) -> None:
    chain, attacker = sandbox.chain, development_address("attacker")
    chain.impersonate(attacker)
    chain.send(addresses.WSTETH, APPROVE, addresses.AAVE_POOL, 100 * ETHER, sender=attacker)
    chain.send(addresses.AAVE_POOL, SUPPLY, addresses.WSTETH, 100 * ETHER, attacker, 0, sender=attacker)
    assert chain.call(addresses.AAVE_POOL, ACCOUNT_DATA, attacker)[3:5] == (8100, 7850)
    chain.send(addresses.AAVE_POOL, SET_E_MODE, 1, sender=attacker)
    assert chain.call(addresses.AAVE_POOL, ACCOUNT_DATA, attacker)[3:5] == (9500, 9300)


@pytest.mark.parametrize("token", [addresses.WETH, addresses.USDC])
def test_others_borrow_so_that_suppliers_earn(sandbox: Sandbox, token: str) -> None:
    before = sandbox.chain.call(addresses.AAVE_POOL, INCOME, token)
    sandbox.chain.mine(sandbox.chain.timestamp() + 30 * 86_400)
    growth = sandbox.chain.call(addresses.AAVE_POOL, INCOME, token) / before - 1
    # Between a tenth of a percent and five a year.
    assert 0.0001 < growth < 0.0045


def test_only_who_falls_below_one_is_liquidated(sandbox: Sandbox) -> None:
    careful, naive = leveraged_staker(sandbox, "bob", 3.0), leveraged_staker(sandbox, "carol", 8.0)
    liquidator = Liquidator(sandbox.chain, [careful, naive])
    assert liquidator.strike() == []
    # 8 / 7 x 95 % x 0.90 / 0.9995 is below one, 3 / 2 x 95 % x 0.90 / 0.9995 is not.
    sandbox.push("stETH/ETH", 0.90)
    (done,) = liquidator.strike()
    assert done.account == naive
    assert (done.collateral, done.debt) == ("wstETH", "WETH")
    assert done.debt_covered > 0
    # The liquidator is paid the category's 1 % in collateral, at the oracle's price of 1.17 x 0.90 ether.
    assert done.collateral_taken * 1.17 * 0.90 / done.debt_covered == pytest.approx(1.01, rel=1e-6)
    assert liquidator.liquidations == [done]


def test_debt_cannot_exceed_the_category_s_loan_to_value(sandbox: Sandbox) -> None:
    bob = leveraged_staker(sandbox, "bob", 8.0)
    more = sandbox.chain.call(addresses.AAVE_POOL, ACCOUNT_DATA, bob)[2] * 10**10 // 3000 + ETHER
    call = {"from": bob, "to": addresses.AAVE_POOL, "data": BORROW.encode(addresses.WETH, more, VARIABLE_RATE, 0, bob)}
    with pytest.raises(Exception, match="36"):  # COLLATERAL_CANNOT_COVER_NEW_BORROW
        sandbox.rpc.call("eth_call", call, "latest")
