# SPDX-License-Identifier: Apache-2.0
"""Vaults with several fees, and the ERC-4626 arithmetic written down a second time."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import strategies as st

from tests.support.world import ONE, World, blue_chip, usdc, with_terms

VIRTUAL_SHARES = 10**12
VIRTUAL_ASSETS = 1


@dataclass(frozen=True, slots=True)
class Reference:
    """What entries and exits of a vault must come to, in exact fractions, each rounded to the vault's favour."""

    supply: int
    worth: Fraction
    """In base asset units, exact; those who enter pay for the last one, those who leave get none of it."""
    entry_fee: Fraction
    exit_fee: Fraction

    @classmethod
    def of(cls, world: World) -> Reference:
        limits = world.limits()
        return cls(
            world.vault.totalSupply(),
            Fraction(world.vault.value() * ONE, world.prices()[0]),
            Fraction(limits.entry_fee_bps, 10_000),
            Fraction(limits.exit_fee_bps, 10_000),
        )

    @property
    def paid_per_share(self) -> Fraction:
        """Base units that a share costs, without fees."""
        return Fraction(ceil(self.worth) + VIRTUAL_ASSETS, self.supply + VIRTUAL_SHARES)

    @property
    def got_per_share(self) -> Fraction:
        """Base units that a share brings, without fees."""
        return Fraction(floor(self.worth) + VIRTUAL_ASSETS, self.supply + VIRTUAL_SHARES)

    def deposit(self, assets: int) -> int:
        return floor(floor(assets * (1 - self.entry_fee)) / self.paid_per_share)

    def mint(self, shares: int) -> int:
        return ceil(ceil(shares * self.paid_per_share) / (1 - self.entry_fee))

    def withdraw(self, assets: int) -> int:
        return ceil(ceil(assets / (1 - self.exit_fee)) / self.got_per_share)

    def redeem(self, shares: int) -> int:
        return floor(floor(shares * self.got_per_share) * (1 - self.exit_fee))


FEES = [(50, 50), (0, 0), (500, 500), (7, 333)]


@pytest.fixture(scope="session", params=FEES, ids=[f"{a}-{b}bps" for a, b in FEES])
def with_fees(request: pytest.FixtureRequest) -> World:
    """An invested vault with these entry and exit fees; roll back what you do to it."""
    entry, leave = request.param
    world = World.deploy(with_terms(blue_chip(), entry_bps=entry, exit_bps=leave))
    world.deposit("alice", usdc(1_000_000))
    world.invest()
    return world


@dataclass(frozen=True, slots=True)
class Situation:
    """Something that happened to a vault before it is looked at."""

    ether: int
    donated: int
    bob: int
    left: int

    def apply(self, world: World) -> None:
        world.set_feed("ETH/USD", self.ether)
        world.give("WETH", world.vault, self.donated)
        world.give("USDC", world.vault, self.donated // 10**9)
        if world.vault.previewDeposit(self.bob) > 0:
            world.deposit("bob", self.bob)
        if self.left:
            world.leave_in_kind("alice", world.vault.balanceOf("alice") * self.left // 1000)


situations = st.builds(
    Situation,
    ether=st.integers(2500, 9000),
    donated=st.integers(0, 10**20),
    bob=st.integers(0, 5) | st.integers(0, usdc(3_000_000)),
    left=st.integers(0, 999),
)
