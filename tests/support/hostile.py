# SPDX-License-Identifier: Apache-2.0
"""Vaults over tokens, feeds and wallets that misbehave, with real Uniswap pools between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from eth_abi.abi import decode

from offchain.mandate.universe import Asset, ChainlinkOracle
from offchain.mandate.venues import BalancerV2Venue
from offchain.sandbox import addresses
from offchain.sandbox.contract import constructor_arguments
from offchain.settle.development import development_address
from tests.support.contracts import compiled_actor
from tests.support.evm import ABI, Contract, Evm
from tests.support.protocols import TRADER, Balancer, Chain
from tests.support.world import World, blue_chip, with_terms

FOREVER = 2**40
FEED_DECIMALS = 8
TICK_RANGE = 60_000
"""Positions reach this far to both sides: a factor of 400."""

POSITIONS_ABI: list[dict[str, Any]] = [
    {"type": "function", "name": "createAndInitializePoolIfNecessary", "stateMutability": "payable",
     "inputs": [{"name": n, "type": t} for n, t in (("a", "address"), ("b", "address"), ("f", "uint24"), ("p", "uint160"))],
     "outputs": [{"name": "", "type": "address"}]},
    {"type": "function", "name": "mint", "stateMutability": "payable", "outputs": [{"name": "", "type": "uint256[4]"}],
     "inputs": [{"name": "params", "type": "tuple", "components": [
         {"name": str(i), "type": kind} for i, kind in enumerate(
             ["address"] * 2 + ["uint24"] + ["int24"] * 2 + ["uint256"] * 4 + ["address", "uint256"])]}]},
]  # fmt: skip
ROUTER_ABI: list[dict[str, Any]] = [
    {"type": "function", "name": "addLiquidity", "stateMutability": "nonpayable",
     "inputs": [{"name": str(i), "type": kind} for i, kind in enumerate(
         ["address"] * 2 + ["uint256"] * 4 + ["address", "uint256"])],
     "outputs": [{"name": "", "type": "uint256[3]"}]},
]  # fmt: skip


def actor(evm: Evm, name: str, *arguments: Any, sender: str = "attacker") -> Contract:
    """Deploy one of ``tests/support/vyper``."""
    artifact = compiled_actor(name)
    code = bytes.fromhex(artifact.bytecode.removeprefix("0x")) + constructor_arguments(artifact.abi, arguments)
    return Contract(evm, evm.deploy(code, sender), _actor_abi(name))


@cache
def _actor_abi(name: str) -> ABI:
    # What is returned raw, the compiler calls bytes; whether anything is returned is up to the knobs.
    return [
        {**entry, "outputs": []}
        if entry.get("outputs", [{}])[:1] == [{"name": "", "type": "bytes"}] and name != "Puppet"
        else entry
        for entry in compiled_actor(name).abi
    ]


@dataclass(frozen=True, slots=True, repr=False)
class Hostile:
    """A vault whose tokens and feeds obey the test."""

    world: World
    feeds: tuple[Contract, ...]
    usd: tuple[float, ...]
    """Price of a whole token that the feeds start with."""

    def __repr__(self) -> str:
        return f"Hostile(prices {self.usd})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))

    def set_usd(self, asset: int, price: float) -> None:
        """A feed answers something else from now on."""
        self.feeds[asset].set(round(price * 10**FEED_DECIMALS), self.world.evm.timestamp, sender="market")

    def misbehave(self, asset: int, **knobs: Any) -> None:
        """Turn a token's knobs; those not named go back to honest."""
        flags = {"frozen": False, "refuses": False, "silent": False, "blind": False}
        honest: dict[str, Any] = {"fee_bps": 0, **flags, "lie": 0, "hook": "0x" + "00" * 20}
        if unknown := set(knobs) - set(honest):
            raise TypeError(f"no such knobs: {unknown}")
        self.world.tokens[asset].misbehave(*(honest | knobs).values(), sender="attacker")


def hostile_world(
    decimals: Sequence[int] = (6, 18, 8),
    usd: Sequence[float] = (1.0, 100.0, 5000.0),
    evm: Evm | None = None,
    balancer: bool = False,
    **terms: int,
) -> Hostile:
    """Deploy a vault over hostile tokens, the first being its base asset.

    Each other token has a v3 pool (0.3 %) and a v2 pair with the base asset and with its
    neighbour, a million dollars on each side at these prices. With `balancer` the first two share
    a pool there as well, which the vault lists as its venue. Weights are unbounded; `terms`
    changes limits and fees.
    """
    evm = evm or Evm.sandbox()
    tokens = [actor(evm, "HostileToken", f"Hostile {i}", f"HOST{i}", places) for i, places in enumerate(decimals)]
    feeds = [actor(evm, "HostileFeed", FEED_DECIMALS, round(price * 10**FEED_DECIMALS)) for price in usd]
    assets = tuple(
        Asset(
            symbol=f"HOST{i}",
            address=token.address,
            decimals=places,
            min_weight_bps=0,
            max_weight_bps=10_000,
            benchmark_weight_bps=10_000 if i == 0 else 0,
            oracle=ChainlinkOracle(
                kind="chainlink",
                feed=feed.address,
                heartbeat_s=30 * 86_400,
                deviation_bps=50,
                min_price_usd=Decimal("0.000001"),
                max_price_usd=Decimal("1000000"),
            ),
        )
        for i, (token, feed, places) in enumerate(zip(tokens, feeds, decimals, strict=True))
    )
    file = with_terms(blue_chip().model_copy(update={"assets": assets, "base_asset": "HOST0"}), **terms)
    if balancer:
        sides = [(tokens[i], int(1e6 / usd[i] * 10 ** decimals[i])) for i in (0, 1)]
        file = file.model_copy(update={"venues": (*file.venues, _balancer_pool(evm, sides))})
    world = World.deploy(file, evm=evm)
    world.tokens = tuple(tokens)
    for i in range(1, len(tokens)):
        for j in {0, i - 1}:
            _fill_pools(evm, [(tokens[k], 1e6 / usd[k] * 10 ** decimals[k]) for k in (i, j)])
    return Hostile(world, tuple(feeds), tuple(usd))


def _balancer_pool(evm: Evm, sides: list[tuple[Contract, int]]) -> BalancerV2Venue:
    """A pool of two tokens in equal parts at a vault of Balancer's own."""
    there = Balancer(chain=Chain(evm.engine()))
    sides.sort(key=lambda side: int(side[0].address, 16))
    there.tokens = tuple(token.address for token, _ in sides)
    _, pool = there.create(1, (0, 1), (5 * 10**17, 5 * 10**17), 10**15)
    for token, amount in sides:
        token.mint(TRADER, amount, sender="market")
        token.approve(there.vault, 2**255, sender=TRADER)
    there.fill(pool, [amount for _, amount in sides])
    return BalancerV2Venue(kind="balancer_v2", vault=there.vault, pools=("0x" + pool.hex(),))


def _fill_pools(evm: Evm, sides: list[tuple[Contract, float]]) -> None:
    sides.sort(key=lambda side: int(side[0].address, 16))
    (token0, _), (token1, _) = sides
    pair = [token0.address, token1.address]
    amounts = [int(amount) for _, amount in sides]
    positions = Contract(evm, addresses.UNISWAP_V3_POSITIONS, POSITIONS_ABI)
    router = Contract(evm, addresses.UNISWAP_V2_ROUTER, ROUTER_ABI)
    for (token, _), amount in zip(sides, amounts, strict=True):
        token.mint("market", 2 * amount, sender="market")
        for spender in (positions, router):
            token.approve(spender, 2**255, sender="market")
    price = sides[1][1] / sides[0][1]
    create = positions.createAndInitializePoolIfNecessary
    create(*pair, 3000, int(math.sqrt(price) * 2**96), sender="market")
    middle = math.floor(math.log(price, 1.0001) / 60) * 60
    place = (
        *pair,
        3000,
        middle - TICK_RANGE,
        middle + TICK_RANGE,
        *amounts,
        0,
        0,
        development_address("market"),
        FOREVER,
    )
    positions.mint(place, sender="market")
    router.addLiquidity(*pair, *amounts, 0, 0, "market", FOREVER, sender="market")


def puppet(evm: Evm, target: Contract, name: str, *arguments: Any, times: int = 1) -> Contract:
    """An attacker's contract that makes this call when it is called back."""
    doll = actor(evm, "Puppet")
    doll.arm(target, getattr(target, name).encode(*arguments), times, sender="attacker")
    return doll


def failure(doll: Contract) -> str:
    """Why a puppet's call failed: its reason, empty where there was none.

    Raises
    ------
    AssertionError
        It was never called, or the call went through.
    """
    assert doll.armed() == 0, "the puppet was never called back"
    assert not doll.succeeded(), "the puppet's call went through"
    answer = bytes(doll.answer())
    return str(decode(["string"], answer[4:])[0]) if answer else ""
