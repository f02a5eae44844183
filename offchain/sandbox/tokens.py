# SPDX-License-Identifier: Apache-2.0
"""Tokens at their mainnet addresses, and handing them out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from offchain.sandbox import addresses
from offchain.sandbox.artifacts import Artifact, npm_artifact, npm_constant
from offchain.sandbox.chain import Chain, Transaction
from offchain.sandbox.compiler import sandbox_artifact
from offchain.sandbox.contract import function
from offchain.sandbox.prices import STAKED_RATIO
from offchain.settle.development import ROLES, development_address

ETHER = 10**18

BALANCE_OF = function("balanceOf(address)", "uint256")
TRANSFER = function("transfer(address,uint256)", "bool")
APPROVE = function("approve(address,uint256)", "bool")
MINT = function("mint(address,uint256)")
DEPOSIT = function("deposit()")
ST_ETH_PER_TOKEN = function("stEthPerToken()", "uint256")
SET_RATIO = function("set_ratio(uint256)")

STAND_INS: Mapping[str, tuple[str, str]] = {
    "USDC": ("StandInToken", "USD Coin"),
    "DAI": ("StandInToken", "Dai Stablecoin"),
    "WBTC": ("StandInToken", "Wrapped BTC"),
    "USDT": ("SilentToken", "Tether USD"),
    "wstETH": ("StakedToken", "Wrapped liquid staked Ether 2.0"),
}
"""Contract and name by symbol; WETH and LINK are the published contracts."""

PURSE: Mapping[str, Mapping[str, float]] = {
    **{role: {"USDC": 5_000_000} for role in ("alice", "bob", "carol")},
    "attacker": {"USDC": 50_000_000, "WETH": 10_000, "WBTC": 500, "LINK": 1_000_000, "wstETH": 10_000},
}
"""Whole tokens that development accounts start with; the market mints what it needs."""


def deploy_tokens(chain: Chain) -> None:
    """Put every token and Multicall3 at its mainnet address; the chain's sender is the minter."""
    chain.deploy_at(addresses.WETH, npm_artifact("canonical-weth/build/contracts/WETH9.json"))
    # LinkToken's constructor gives the whole supply, 10**9 LINK, to the deployer: the market.
    chain.deploy_at(addresses.LINK, npm_artifact("@chainlink/contracts/truffle/v0.4/LinkToken.js"))
    for symbol, (contract, name) in STAND_INS.items():
        extra = (round(STAKED_RATIO * ETHER),) if contract == "StakedToken" else ()
        chain.deploy_at(
            addresses.TOKENS[symbol],
            sandbox_artifact(contract),
            name,
            symbol,
            addresses.DECIMALS[symbol],
            chain.sender,
            *extra,
        )
    multicall = npm_constant("viem/constants/contracts.ts", "multicall3Bytecode")
    chain.deploy_at(addresses.MULTICALL3, Artifact("Multicall3", (), multicall.hex()))


def fund_accounts(chain: Chain) -> None:
    """Give the development accounts ether and tokens; the market gets enough to be one."""
    for role in ROLES:
        chain.set_balance(development_address(role), 10_000 * ETHER)
    chain.set_balance(chain.sender, 10**9 * ETHER)
    for role, purse in PURSE.items():
        for symbol, amount in purse.items():
            whole = 10 ** addresses.DECIMALS[symbol]
            chain.send_all(gift(chain, symbol, development_address(role), int(amount * whole)))


def gift(chain: Chain, symbol: str, receiver: str, amount: int) -> Iterator[Transaction]:
    """Transactions of the market that give somebody tokens (base units), new ones where it can mint."""
    token = addresses.TOKENS[symbol]
    if symbol in STAND_INS:
        yield chain.transaction(token, MINT, receiver, amount)
        return
    if symbol == "WETH":
        yield chain.transaction(token, DEPOSIT, value=amount)
    if receiver.lower() != chain.sender.lower():
        yield chain.transaction(token, TRANSFER, receiver, amount)
