# SPDX-License-Identifier: Apache-2.0
"""Balancer v2 at its mainnet address, with a weighted pool of the market's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from offchain.route.curves import WeightedCurve
from offchain.sandbox import addresses
from offchain.sandbox.artifacts import npm_artifact, npm_parts
from offchain.sandbox.chain import Chain, Transaction
from offchain.sandbox.contract import function
from offchain.sandbox.prices import token_prices
from offchain.sandbox.tokens import APPROVE, BALANCE_OF, gift

TASKS: Final = "@balancer-labs/v2-deployments/dist/tasks"
NOBODY: Final = "0x" + "00" * 20
ONE: Final = 10**18
FOREVER: Final = 2**40
PAUSE_WINDOW, BUFFER = 7_776_000, 2_592_000
"""Seconds, as mainnet's vault was given."""

POOL_ID = function("getPoolId()", "bytes32")
POOL_TOKENS = function("getPoolTokens(bytes32)", "address[],uint256[],uint256")
JOIN = function("joinPool(bytes32,address,address,(address[],uint256[],bytes,bool))")
SWAP = function(
    "swap((bytes32,uint8,address,address,uint256,bytes),(address,bool,address,bool),uint256,uint256)", "uint256"
)


@dataclass(frozen=True, slots=True)
class WeightedPool:
    """A pool of two tokens of equal weight.

    Attributes
    ----------
    address, pool_id
        Where the factory put it, and how Balancer's vault knows it.
    symbols
        In the pool's order.
    """

    address: str
    pool_id: str
    symbols: tuple[str, str]


SYMBOLS: Final = ("USDC", "WETH")
"""Of the pool, in the order of their addresses."""
EACH_SIDE_USD: Final = 20_000_000
SWAP_FEE: Final = 3 * 10**15
MOST_AT_ONCE: Final = 29
"""Per cent of a balance; the pool refuses more than 30."""
MOST_FEE: Final = 10**17
"""Ceilings of the protocol's own fees, which stay zero."""
VERSION: Final = '{"name":"WeightedPool","version":3,"deployment":"20230206-weighted-pool-v3"}'


def deploy_balancer(chain: Chain) -> None:
    """Deploy vault and factory, then create and fill the pool; the chain's sender is the admin."""
    authorizer = chain.deploy(npm_artifact(f"{TASKS}/20210418-authorizer/artifact/Authorizer.json"), chain.sender)
    vault = chain.deploy_at(
        addresses.BALANCER_VAULT,
        npm_artifact(f"{TASKS}/20210418-vault/artifact/Vault.json"),
        *(authorizer.address, addresses.WETH, PAUSE_WINDOW, BUFFER),
    )
    fees = chain.deploy(
        npm_parts(f"{TASKS}/20220725-protocol-fee-percentages-provider", "ProtocolFeePercentagesProvider"),
        *(vault.address, MOST_FEE, MOST_FEE),
    )
    factory = chain.deploy_at(
        addresses.BALANCER_WEIGHTED_FACTORY,
        npm_artifact(f"{TASKS}/20230206-weighted-pool-v3/artifact/WeightedPoolFactory.json"),
        *(vault.address, fees.address, VERSION, VERSION),
    )
    tokens = [addresses.TOKENS[symbol] for symbol in SYMBOLS]
    names = ("50 USDC 50 WETH", "B-50USDC-50WETH")
    chain.send(factory, "create", *names, tokens, [ONE // 2] * 2, [NOBODY] * 2, SWAP_FEE, chain.sender)
    pool = weighted_pool(chain)
    prices = token_prices()
    amounts = [int(EACH_SIDE_USD / prices[symbol] * 10 ** addresses.DECIMALS[symbol]) for symbol in SYMBOLS]
    for symbol, amount in zip(SYMBOLS, amounts, strict=True):
        chain.send_all(gift(chain, symbol, chain.sender, amount))
        chain.send(addresses.TOKENS[symbol], APPROVE, vault.address, 2**256 - 1)
    request = (tokens, amounts, encode(["uint256", "uint256[]"], [0, amounts]), False)
    chain.send(vault.address, JOIN, bytes.fromhex(pool.pool_id[2:]), chain.sender, chain.sender, request)


def weighted_pool(chain: Chain) -> WeightedPool:
    """The pool, which is what the factory made after the two contracts that carry the pools' code."""
    # RLP of the creator and its third nonce.
    raw = keccak(b"\xd6\x94" + bytes.fromhex(addresses.BALANCER_WEIGHTED_FACTORY[2:]) + b"\x03")[-20:]
    address = str(to_checksum_address(raw))
    return WeightedPool(address, "0x" + chain.call(address, POOL_ID).hex(), SYMBOLS)


def arbitrage(chain: Chain, pool: WeightedPool, prices: Mapping[str, float]) -> list[Transaction]:
    """The market's swap that leaves nothing to gain at true prices, or the largest that the pool takes at once.

    Nothing inside the fee's band.
    """
    tokens, balances, _ = chain.call(addresses.BALANCER_VAULT, POOL_TOKENS, bytes.fromhex(pool.pool_id[2:]))
    units = [prices[symbol] / 10.0 ** addresses.DECIMALS[symbol] for symbol in pool.symbols]
    curve = WeightedCurve(np.array(balances, dtype=np.float64), np.array([0.5, 0.5]), 1 - SWAP_FEE / ONE)
    change = curve.respond(units).amounts
    sold = next((place for place, amount in enumerate(change) if amount < 0), None)
    if sold is None:
        return []
    amount = min(int(-change[sold]), balances[sold] * MOST_AT_ONCE // 100)
    missing = amount - int(chain.call(tokens[sold], BALANCE_OF, chain.sender))
    given = list(gift(chain, pool.symbols[sold], chain.sender, missing)) if missing > 0 else []
    single = (bytes.fromhex(pool.pool_id[2:]), 0, tokens[sold], tokens[1 - sold], amount, b"")
    funds = (chain.sender, False, chain.sender, False)
    return [*given, chain.transaction(addresses.BALANCER_VAULT, SWAP, single, funds, 0, FOREVER)] if amount else []
