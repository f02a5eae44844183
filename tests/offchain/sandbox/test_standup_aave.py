# SPDX-License-Identifier: Apache-2.0
"""Aave in the sandbox: mainnet's addresses, the same prices as the feeds, and it lends."""

from __future__ import annotations

import pytest

from offchain.sandbox import addresses
from offchain.sandbox.aave import GET_POOL, GET_POOL_CONFIGURATOR
from offchain.sandbox.contract import function
from offchain.sandbox.prices import token_prices
from offchain.sandbox.standup import Sandbox
from offchain.sandbox.tokens import APPROVE, BALANCE_OF
from offchain.settle.development import development_address

ASSET_PRICE = function("getAssetPrice(address)", "uint256")
RECEIPTS = function("getReserveTokensAddresses(address)", "address,address,address")
SUPPLY = function("supply(address,uint256,address,uint16)")
BORROW = function("borrow(address,uint256,uint256,uint16,address)")
ACCOUNT = function("getUserAccountData(address)", "uint256,uint256,uint256,uint256,uint256,uint256")

RECEIPT_TOKENS = {
    "WETH": "0x4d5F47FA6A74757f35C14fD3a6Ef8E3C9BC514E8",
    "USDC": "0x98C23E9d8f34FEFb1B7BD6a91B7FF122F4e16F5c",
}


def test_the_pool_is_where_mainnet_has_it(sandbox: Sandbox) -> None:
    assert sandbox.chain.call(addresses.AAVE_PROVIDER, GET_POOL) == addresses.AAVE_POOL
    assert sandbox.chain.call(addresses.AAVE_PROVIDER, GET_POOL_CONFIGURATOR) == addresses.AAVE_CONFIGURATOR


@pytest.mark.parametrize("symbol", RECEIPT_TOKENS)
def test_receipt_tokens_are_where_mainnet_has_them(sandbox: Sandbox, symbol: str) -> None:
    receipt = sandbox.chain.call(addresses.AAVE_DATA_PROVIDER, RECEIPTS, addresses.TOKENS[symbol])[0]
    assert receipt == RECEIPT_TOKENS[symbol]


@pytest.mark.parametrize("symbol", ["WETH", "wstETH", "WBTC", "USDC", "DAI", "LINK"])
def test_its_oracle_agrees_with_the_feeds(sandbox: Sandbox, symbol: str) -> None:
    price = sandbox.chain.call(addresses.AAVE_ORACLE, ASSET_PRICE, addresses.TOKENS[symbol])
    assert price / 1e8 == pytest.approx(token_prices()[symbol], rel=1e-8)


def test_it_lends_against_collateral_at_the_feeds_price(sandbox: Sandbox) -> None:
    chain, attacker = sandbox.chain, development_address("attacker")
    chain.impersonate(attacker)
    before = chain.call(addresses.USDC, BALANCE_OF, attacker)
    chain.send(addresses.WETH, APPROVE, addresses.AAVE_POOL, 10**20, sender=attacker)
    chain.send(addresses.AAVE_POOL, SUPPLY, addresses.WETH, 10**20, attacker, 0, sender=attacker)
    chain.send(addresses.AAVE_POOL, BORROW, addresses.USDC, 200_000 * 10**6, 2, 0, attacker, sender=attacker)
    assert chain.call(addresses.USDC, BALANCE_OF, attacker) - before == 200_000 * 10**6
    # 100 WETH at 3,000 and a liquidation threshold of 82.5 % against 200,000.
    assert chain.call(addresses.AAVE_POOL, ACCOUNT, attacker)[5] / 1e18 == pytest.approx(1.2375, rel=1e-6)
    sandbox.push("ETH/USD", 2400)
    assert chain.call(addresses.AAVE_POOL, ACCOUNT, attacker)[5] / 1e18 == pytest.approx(0.99, rel=1e-6)
