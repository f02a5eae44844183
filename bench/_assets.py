# SPDX-License-Identifier: Apache-2.0
"""Sixteen assets with real Chainlink proxies and Uniswap pools, on a sandbox node.

The sandbox's own tokens come first; the others are stand-ins like them, with feeds of the same
published code. Prices are those of no particular day: gas does not depend on them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from offchain.sandbox import addresses
from offchain.sandbox.artifacts import npm_artifact
from offchain.sandbox.chainlink import TRUFFLE, Feed, submission
from offchain.sandbox.compiler import sandbox_artifact
from offchain.sandbox.contract import Contract
from offchain.sandbox.prices import PRICES
from offchain.sandbox.standup import Sandbox
from offchain.sandbox.tokens import APPROVE, MINT
from offchain.sandbox.uniswap import FOREVER, SPACING
from offchain.settle.development import development_address

NOBODY = "0x" + "00" * 20
FEED_DECIMALS = 8

OWN = {
    "USDC": "USDC/USD",
    "WETH": "ETH/USD",
    "WBTC": "BTC/USD",
    "LINK": "LINK/USD",
    "USDT": "USDT/USD",
    "DAI": "DAI/USD",
}
"""Tokens of the sandbox with a dollar feed, and that feed."""
FURTHER = {
    "UNI": 8.0,
    "AAVE": 160.0,
    "CRV": 0.5,
    "LDO": 1.0,
    "MKR": 1500.0,
    "SNX": 2.0,
    "COMP": 50.0,
    "BAL": 3.0,
    "GRT": 0.1,
    "YFI": 6000.0,
}
"""Stand-ins of 18 decimals, and their price in dollars."""

TIERS = (3000, 500)
WIDTH = 1.2
"""Positions reach from the price divided by it to the price times it."""
DEPTH = 20e6
"""Dollars on each side of a pool."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One asset of the universe measured."""

    symbol: str
    address: str
    decimals: int
    price: float
    """Dollars of a whole token."""
    feed: Feed

    def units(self, dollars: float) -> int:
        """Base units that this many dollars buy."""
        return int(dollars / self.price * 10**self.decimals)


def list_assets(sandbox: Sandbox) -> list[Listed]:
    """The sandbox's tokens with a dollar feed, and the further ones, which are deployed here."""
    assets = [
        Listed(symbol, addresses.TOKENS[symbol], addresses.DECIMALS[symbol], PRICES[feed], sandbox.feeds[feed])
        for symbol, feed in OWN.items()
    ]
    assets += [_deploy(sandbox, symbol, price) for symbol, price in FURTHER.items()]
    for asset in assets:
        report(sandbox, asset, asset.price)
    return assets


def report(sandbox: Sandbox, asset: Listed, price: float) -> None:
    """Write a round of an asset's feed now."""
    sandbox.chain.send_all([submission(sandbox.chain, asset.feed, asset.feed.answer(price))])


def give(sandbox: Sandbox, asset: Listed, receiver: str, amount: int) -> None:
    """Hand out base units of an asset."""
    if asset.symbol in OWN:
        sandbox.give(asset.symbol, receiver, amount)
    else:
        sandbox.chain.send(asset.address, MINT, receiver, amount)


def open_pools(sandbox: Sandbox, first: Listed, second: Listed) -> None:
    """A v2 pair and a v3 pool of each tier at the assets' prices."""
    chain = sandbox.chain
    token0, token1 = sorted((first, second), key=lambda asset: int(asset.address, 16))
    for asset in (token0, token1):
        give(sandbox, asset, chain.sender, asset.units(4 * DEPTH))
    chain.send(
        v2_router(), "addLiquidity", token0.address, token1.address,
        token0.units(DEPTH), token1.units(DEPTH), 0, 0, chain.sender, FOREVER,
    )  # fmt: skip
    for tier in TIERS:
        _fill(sandbox, token0, token1, tier)


def use_pools(sandbox: Sandbox, first: Listed, second: Listed, dollars: float = 3000) -> None:
    """Swap once in both directions in every pool of two assets, so that its storage is filled."""
    chain = sandbox.chain
    for sold, bought in ((first, second), (second, first)):
        amount = sold.units(dollars)
        chain.send(*swap_v2(sold.address, bought.address, amount, 0, chain.sender))
        for tier in TIERS:
            chain.send(*swap_v3(sold.address, bought.address, tier, amount, 0, chain.sender))


def pool_address(first: Listed, second: Listed, tier: int) -> str:
    """Where the v3 factory puts a pool."""
    tokens = sorted((first.address, second.address), key=lambda address: int(address, 16))
    salt = keccak(encode(["address", "address", "uint24"], [*tokens, tier]))
    factory, code_hash = addresses.UNISWAP_V3_FACTORY, addresses.UNISWAP_V3_POOL_CODE_HASH
    seed = b"\xff" + bytes.fromhex(factory[2:]) + salt + bytes.fromhex(code_hash[2:])
    return str(to_checksum_address(keccak(seed)[-20:]))


def swap_v2(
    sold: str, bought: str, amount: int, minimum: int, receiver: str
) -> tuple[Contract, str, *tuple[object, ...]]:
    """Arguments of `Chain.send` for a swap through Uniswap v2's router."""
    return v2_router(), "swapExactTokensForTokens", amount, minimum, [sold, bought], receiver, FOREVER


def swap_v3(
    sold: str, bought: str, tier: int, amount: int, minimum: int, receiver: str
) -> tuple[Contract, str, *tuple[object, ...]]:
    """Arguments of `Chain.send` for ``SwapRouter.exactInputSingle``."""
    return v3_router(), "exactInputSingle", (sold, bought, tier, receiver, FOREVER, amount, minimum, 0)


def v2_router() -> Contract:
    """Uniswap v2's router at its mainnet address."""
    artifact = npm_artifact("@uniswap/v2-periphery/build/UniswapV2Router02.json")
    return Contract(addresses.UNISWAP_V2_ROUTER, artifact.abi)


def v3_router() -> Contract:
    """Uniswap v3's first router at its mainnet address."""
    artifact = npm_artifact("@uniswap/v3-periphery/artifacts/contracts/SwapRouter.sol/SwapRouter.json")
    return Contract(addresses.UNISWAP_V3_ROUTER, artifact.abi)


def _fill(sandbox: Sandbox, token0: Listed, token1: Listed, tier: int) -> None:
    path = "@uniswap/v3-periphery/artifacts/contracts/NonfungiblePositionManager.sol/NonfungiblePositionManager.json"
    positions = Contract(addresses.UNISWAP_V3_POSITIONS, npm_artifact(path).abi)
    chain, spacing = sandbox.chain, SPACING[tier]
    price = token0.price / token1.price * 10.0 ** (token1.decimals - token0.decimals)
    root = int(math.sqrt(price) * 2**96)
    chain.send(positions, "createAndInitializePoolIfNecessary", token0.address, token1.address, tier, root)
    lower, upper = (math.floor(math.log(edge, 1.0001) / spacing) * spacing for edge in (price / WIDTH, price * WIDTH))
    amounts = token0.units(DEPTH), token1.units(DEPTH)
    place = (token0.address, token1.address, tier, lower, upper, *amounts, 0, 0, chain.sender, FOREVER)
    chain.send(positions, "mint", place)


def _deploy(sandbox: Sandbox, symbol: str, price: float) -> Listed:
    chain = sandbox.chain
    token = chain.deploy(sandbox_artifact("StandInToken"), symbol, symbol, 18, chain.sender)
    aggregator, proxy = (npm_artifact(f"{TRUFFLE}/{name}.js") for name in ("FluxAggregator", "EACAggregatorProxy"))
    oracles = [development_address(f"oracle{i}") for i in range(3)]
    name = f"{symbol} / USD"
    flux = chain.deploy(aggregator, addresses.LINK, 0, 0, NOBODY, 1, 10**30, FEED_DECIMALS, name)
    chain.send(flux, "changeOracles", [], oracles, oracles, 1, 1, 0)
    feed = Feed(name, chain.deploy(proxy, flux.address, NOBODY).address, flux.address, FEED_DECIMALS)
    chain.send_all([submission(chain, feed, feed.answer(price))])
    # The sandbox's market has approved its own tokens already.
    for spender in (addresses.UNISWAP_V2_ROUTER, addresses.UNISWAP_V3_POSITIONS, addresses.UNISWAP_V3_ROUTER):
        chain.send(token.address, APPROVE, spender, 2**256 - 1)
    return Listed(symbol, token.address, 18, price, feed)
