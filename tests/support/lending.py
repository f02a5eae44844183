# SPDX-License-Identifier: Apache-2.0
"""A vault with venues on the in-process sandbox: real Aave v3, and real Balancer v2 over the vault's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from offchain.mandate.venues import AaveV3Venue, BalancerV2Venue
from offchain.route.leg import LendingAction
from offchain.sandbox import addresses
from offchain.sandbox.aave import CORE, RESERVES
from offchain.sandbox.artifacts import npm_artifact
from tests.support.evm import Contract, Evm
from tests.support.protocols import TRADER, Balancer, Chain
from tests.support.world import ERC20_ABI, Leg, World, blue_chip, product_abi, usdc, with_terms, with_weights

AAVE, BALANCER = 2, 3
"""How legs name the venues."""
TRIGGER, TARGET, DISCOUNT = 12_500, 15_000, 200
"""Health factors times 10,000, and basis points."""
SKIP_AAVE = 1 << 16
HELD, OWED = 0, 1
"""Sides of a claim to a position."""
RAY = 10**27
SUPPLIED = ("WETH", "WBTC")
BORROWED = ("USDC", "WETH")


@dataclass(slots=True, repr=False)
class Lending:
    """A vault that lends and borrows."""

    world: World
    venue: Contract
    pool: Contract

    def __repr__(self) -> str:
        return f"Lending({self.world!r})"

    def leg(self, action: LendingAction, asset: str, amount: int, minimum: int = 0) -> Leg:
        i = self.world.index(asset)
        return Leg(AAVE, i, i, int(action), amount, minimum)

    def token(self, asset: str, debt: bool = False) -> Contract:
        """The receipt token of an asset, or that of its variable debt."""
        data = self.pool.getReserveData(self.world.token(asset).address)
        return Contract(self.world.evm, data[10 if debt else 8], ERC20_ABI)

    def position(self) -> tuple[list[int], list[int]]:
        """Base units held and owed."""
        held, owed = self.venue.position(self.world.vault)
        return list(held), list(owed)

    def claimed(self, *roles: str) -> tuple[list[int], list[int]]:
        """Base units that these roles' claims to the account have grown to, rounded up: held and owed."""
        sides = tuple([0] * len(self.world.tokens) for _ in (HELD, OWED))
        for i in map(self.world.index, {*SUPPLIED, *BORROWED} if roles else ()):
            for side, debt, index in zip(sides, (HELD, OWED), self.venue.indices(i), strict=True):
                units = sum(self.world.vault.position_claims(role, debt << 4 | i) for role in roles)
                side[i] = units * index // RAY + 1 if units else 0
        return sides[HELD], sides[OWED]

    def has_claim(self, role: str) -> bool:
        """Whether there is a claim of this role's to the account."""
        return any(map(any, self.claimed(role)))

    def health(self) -> Fraction:
        """The exact health factor of the account, at Aave's prices and thresholds.

        Aave's own figure truncates the mean threshold to basis points.
        """
        return self.health_of(*self.position())

    def health_of(self, held: Sequence[int], owed: Sequence[int]) -> Fraction:
        """The same of these base units, of which some are owed."""
        thresholds = {one.symbol: one.liquidation_threshold for one in RESERVES}
        weighed = debt = Fraction(0)
        for i, (symbol, have, owe) in enumerate(zip(self.world.file.symbols, held, owed, strict=True)):
            if have or owe:
                weighed += self.aave_usd(i, have) * thresholds[symbol] / 10_000
                debt += self.aave_usd(i, owe)
        return weighed / debt

    def aave_usd(self, i: int, amount: int) -> Fraction:
        """Dollars that base units of an asset are worth at Aave's prices."""
        oracle = Contract(self.world.evm, addresses.AAVE_ORACLE, PRICE_ABI)
        asset = self.world.file.ordered_assets[i]
        return Fraction(amount * oracle.getAssetPrice(asset.address), 10 ** (asset.decimals + 8))

    def open(self, borrow: int = usdc(100_000)) -> None:
        """Supply all WETH and WBTC and borrow dollars."""
        legs = [self.leg(LendingAction.SUPPLY, symbol, 2**127) for symbol in SUPPLIED]
        self.world.settle([*legs, self.leg(LendingAction.BORROW, "USDC", borrow)])

    def pause(self, asset: str, paused: bool = True) -> None:
        """Aave's emergency administrator pauses a reserve."""
        self._configurator.setReservePause(self.world.token(asset).address, paused, sender="market")

    def freeze(self, asset: str, frozen: bool = True) -> None:
        """Aave's risk administrator freezes a reserve."""
        self._configurator.setReserveFreeze(self.world.token(asset).address, frozen, sender="market")

    def liquidate(self, collateral: str, debt: str, amount: int, role: str = "attacker") -> None:
        """Somebody liquidates the vault's account at the pool, for collateral in its own token."""
        tokens = [self.world.token(symbol) for symbol in (collateral, debt)]
        self.world.give(debt, role, amount)
        tokens[1].approve(self.pool, amount, sender=role)
        self.pool.liquidationCall(*(token.address for token in tokens), self.world.vault, amount, False, sender=role)

    @property
    def _configurator(self) -> Contract:
        path = f"{CORE}/protocol/pool/PoolConfigurator.sol/PoolConfigurator.json"
        return Contract(self.world.evm, addresses.AAVE_CONFIGURATOR, npm_artifact(path).abi)

    def bring(self, role: str, asset: str, amount: int) -> None:
        """Give a role debt tokens and let the vault take them."""
        self.world.give(asset, role, amount)
        self.world.token(asset).approve(self.world.vault, 2**255, sender=role)


PRICE_ABI: list[dict[str, Any]] = [
    {"type": "function", "name": "getAssetPrice", "stateMutability": "view",
     "inputs": [{"name": "asset", "type": "address"}], "outputs": [{"name": "", "type": "uint256"}]},
]  # fmt: skip


def lending_world(
    balancer: Balancer | None = None,
    pools: tuple[bytes, ...] = (),
    evm: Evm | None = None,
    max_weight_bps: int = 10_000,
    **terms: Any,
) -> Lending:
    """Deploy a blue-chip vault that may supply WETH and WBTC and borrow USDC and WETH, and fund it.

    `terms` change the limits, which are loose.
    """
    listed: list[AaveV3Venue | BalancerV2Venue] = [
        AaveV3Venue(kind="aave_v3", pool=addresses.AAVE_POOL, supply=SUPPLIED, borrow=BORROWED)
    ]
    if balancer is not None:
        ids = tuple("0x" + pool.hex() for pool in pools)
        listed.append(BalancerV2Venue(kind="balancer_v2", vault=balancer.vault, pools=ids))
    file = with_weights(blue_chip(), **dict.fromkeys(blue_chip().symbols, (0, max_weight_bps)))
    loose = {
        "turnover_capacity_bps": 65_535,
        "loss_capacity_bps": 500,
        "drawdown_reduce_bps": 9_000,
        "drawdown_halt_bps": 9_500,
        "min_health_bps": TRIGGER,
        "deleverage_trigger_bps": TRIGGER,
        "deleverage_target_bps": TARGET,
        "deleverage_discount_bps": DISCOUNT,
    }
    file = with_terms(file, **loose | terms)
    world = World.deploy(file.model_copy(update={"venues": (*file.venues, *listed)}), evm=evm)
    world.deposit("alice", usdc(1_000_000))
    world.invest()
    world.evm.mine()
    artifact = npm_artifact(f"{CORE}/protocol/pool/Pool.sol/Pool.json")
    venue = Contract(world.evm, world.vault.venues()[0], product_abi("AaveV3"))
    return Lending(world, venue, Contract(world.evm, addresses.AAVE_POOL, artifact.abi))


def lending_and_balancer() -> tuple[Lending, Balancer]:
    """The same with a Balancer pool of USDC and WETH beside."""
    evm = Evm.sandbox()
    balancer = Balancer(chain=Chain(evm.engine()))
    pair = sorted((addresses.USDC, addresses.WETH), key=lambda address: int(address, 16))
    balancer.tokens = tuple(pair)
    _, pool = balancer.create(1, (0, 1), (5 * 10**17, 5 * 10**17), 10**15)
    lender = lending_world(balancer, (pool,), evm)
    amounts = {addresses.USDC: usdc(3_000_000), addresses.WETH: 1_000 * 10**18}
    for symbol in ("USDC", "WETH"):
        lender.world.give(symbol, TRADER, amounts[addresses.TOKENS[symbol]])
        lender.world.token(symbol).approve(balancer.vault, 2**255, sender=TRADER)
    balancer.fill(pool, [amounts[token] for token in pair])
    return lender, balancer
