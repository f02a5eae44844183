# SPDX-License-Identifier: Apache-2.0
"""Somebody who stakes on credit at the sandbox's Aave and never looks again."""

from __future__ import annotations

from offchain.sandbox import addresses
from offchain.sandbox.aave import BORROW, SET_E_MODE, SUPPLY, VARIABLE_RATE
from offchain.sandbox.prices import token_prices
from offchain.sandbox.standup import Sandbox
from offchain.sandbox.tokens import APPROVE
from offchain.settle.development import development_address

ETHER = 10**18


def leveraged_staker(sandbox: Sandbox, role: str, leverage: float, equity: int = 100 * ETHER) -> str:
    """Open staked ether against ether at a leverage and leave it alone; return the account.

    What it borrows stays in its wallet: it stands for what others were paid for the collateral.

    Parameters
    ----------
    leverage
        Collateral over equity.
    equity
        Wei.
    """
    chain, account = sandbox.chain, development_address(role)
    chain.impersonate(account)
    ratio = token_prices()["wstETH"] / token_prices()["WETH"]
    collateral, debt = int(equity * leverage / ratio), int(equity * (leverage - 1))
    sandbox.give("wstETH", account, collateral)
    chain.send(addresses.WSTETH, APPROVE, addresses.AAVE_POOL, collateral, sender=account)
    chain.send(addresses.AAVE_POOL, SUPPLY, addresses.WSTETH, collateral, account, 0, sender=account)
    chain.send(addresses.AAVE_POOL, SET_E_MODE, 1, sender=account)
    chain.send(addresses.AAVE_POOL, BORROW, addresses.WETH, debt, VARIABLE_RATE, 0, account, sender=account)
    return account
