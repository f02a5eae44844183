# SPDX-License-Identifier: Apache-2.0
"""A sandbox and a mandate of eight assets and thirty pools, wider than the ones that stand by default."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

import yaml

from offchain.route.leg import Venue
from offchain.sandbox import addresses, tokens, uniswap
from offchain.sandbox.artifacts import npm_artifact
from offchain.sandbox.compiler import sandbox_artifact
from offchain.sandbox.contract import Contract
from offchain.sandbox.prices import PRICES, token_prices
from offchain.sandbox.standup import Sandbox
from offchain.sandbox.uniswap import CORRELATED, VOLATILE, Pool

TBTC = "0x18084fbA666a33d37592fA2633fD49a74DD93a88"
ROUTER = "@uniswap/v2-periphery/build/UniswapV2Router02.json"
POSITIONS = "@uniswap/v3-periphery/artifacts/contracts/NonfungiblePositionManager.sol/NonfungiblePositionManager.json"
BLUE_CHIP = Path("mandates/blue-chip.yaml")
BENCHMARK_BPS = {
    "USDC": 1500, "WETH": 2500, "WBTC": 2000, "LINK": 700, "wstETH": 1500, "USDT": 600, "DAI": 600, "tBTC": 600,
}  # fmt: skip
LOWEST_BPS = {"USDC": 500, "WETH": 1000, "WBTC": 1000, "LINK": 100, "wstETH": 300}

POOLS = (
    *(Pool(Venue.UNISWAP_V3, *rest) for rest in (
        ("tBTC", "WBTC", 100, 10e6, CORRELATED), ("tBTC", "WETH", 3000, 2e6, VOLATILE),
        ("tBTC", "USDC", 3000, 1e6, VOLATILE), ("WBTC", "USDT", 3000, 2e6, VOLATILE),
        ("WBTC", "USDT", 500, 1e6, VOLATILE), ("WETH", "USDC", 100, 1e6, VOLATILE),
        ("WETH", "USDC", 10000, 1e6, VOLATILE), ("DAI", "WETH", 500, 1e6, VOLATILE),
        ("LINK", "WETH", 10000, 0.3e6, VOLATILE), ("LINK", "USDT", 3000, 0.3e6, VOLATILE),
        ("wstETH", "USDC", 500, 1e6, VOLATILE), ("wstETH", "WETH", 500, 2e6, CORRELATED),
    )),
    Pool(Venue.UNISWAP_V2, "DAI", "USDC", 3000, 1e6),
)  # fmt: skip
"""Besides those of the sandbox."""


def widen(sandbox: Sandbox, folder: Path) -> Path:
    """Add a token and pools to a sandbox of one's own; returns the mandate's file.

    The sandbox's tables are widened for the whole process, so that its own code fills the pools.
    """
    addresses.TOKENS = MappingProxyType({**addresses.TOKENS, "tBTC": TBTC})  # type: ignore[misc]
    addresses.DECIMALS = MappingProxyType({**addresses.DECIMALS, "tBTC": 18})  # type: ignore[misc]
    tokens.STAND_INS = {**tokens.STAND_INS, "tBTC": ("StandInToken", "tBTC v2")}
    uniswap.token_prices = lambda *rest: {**token_prices(*rest), "tBTC": PRICES["BTC/USD"]}  # type: ignore[assignment]
    chain = sandbox.chain
    chain.deploy_at(TBTC, sandbox_artifact("StandInToken"), "tBTC v2", "tBTC", 18, chain.sender)
    router = Contract(addresses.UNISWAP_V2_ROUTER, npm_artifact(ROUTER).abi)
    positions = Contract(addresses.UNISWAP_V3_POSITIONS, npm_artifact(POSITIONS).abi)
    for spender in (router.address, positions.address):
        chain.send(TBTC, tokens.APPROVE, spender, 2**256 - 1)
    for pool in POOLS:
        if pool.venue is Venue.UNISWAP_V2:
            uniswap._fill_v2(chain, router, pool)
        else:
            uniswap._fill_v3(chain, positions, pool)
    return _mandate(folder)


def _mandate(folder: Path) -> Path:
    """The blue-chip mandate with three more assets, in a file of its own."""
    rules = yaml.safe_load(BLUE_CHIP.read_text())
    base = {one["symbol"]: one for one in rules["assets"]}
    for symbol, like, feed in (("USDT", "USDC", "USDT/USD"), ("DAI", "USDC", "DAI/USD"), ("tBTC", "WBTC", "BTC/USD")):
        oracle = {**base[like]["oracle"], "feed": addresses.FEEDS[feed]}
        places = {"symbol": symbol, "address": addresses.TOKENS[symbol], "decimals": addresses.DECIMALS[symbol]}
        rules["assets"].append({**base[like], **places, "oracle": oracle})
    for asset in rules["assets"]:
        asset["benchmark_weight_bps"] = BENCHMARK_BPS[asset["symbol"]]
        asset["min_weight_bps"] = LOWEST_BPS.get(asset["symbol"], 0)
        asset["max_weight_bps"] = 4500 if asset["symbol"] != "USDC" else 5000
    # What a day refills; the budget is not what is measured.
    rules["limits"]["turnover_refill_bps_per_day"] = 10_000
    rules["fees"] = {"entry_bps": 75, "exit_bps": 75, "oracle_error_bps": 150}
    file = folder / "eight-assets.yaml"
    file.write_text(yaml.safe_dump(rules))
    return file
