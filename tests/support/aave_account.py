# SPDX-License-Identifier: Apache-2.0
"""A vault's account at Aave as a state machine knows it: who has a part of it, and whether Aave would let them go."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from operator import mul

from tests.support.evm import address_of, attempt
from tests.support.lending import TRIGGER, Lending
from tests.support.world import ONE

HEALTHY = Fraction(1001, 1000)
"""From here on Aave, which truncates mean thresholds, is sure to call an account healthy."""

GIFT = 1000
"""Dollars."""


@dataclass(slots=True, repr=False)
class Account:
    """The account, its claimants, and the reserves that do not stand."""

    lender: Lending
    claimants: set[str] = field(default_factory=set)
    """Roles that left a part of it behind."""
    paused: set[str] = field(default_factory=set)
    frozen: set[str] = field(default_factory=set)
    liquidated: bool = False
    """While somebody had a claim: what is left may not cover it."""

    def pause(self, symbol: str, on: bool) -> None:
        """Aave's administrators pause a reserve, or no longer."""
        self.lender.pause(symbol, on)
        (self.paused.add if on else self.paused.discard)(symbol)

    def freeze(self, symbol: str, on: bool) -> None:
        """The same of freezing."""
        self.lender.freeze(symbol, on)
        (self.frozen.add if on else self.frozen.discard)(symbol)

    def stands(self) -> bool:
        """Whether Aave has no reason to refuse: each claim, and what is left, would be healthy alone."""
        if self.paused or self.liquidated or self.lender.world.vault.health() < ONE:
            return False
        claims = [self.lender.claimed(role) for role in self.claimants]
        healths = [self.lender.health_of(held, owed) for held, owed in (self.rest(), *claims) if any(owed)]
        return all(health >= HEALTHY for health in healths)

    def rest(self) -> tuple[list[int], list[int]]:
        """Base units of those who stay, claims taken off: held and owed."""
        held, owed = self.lender.position()
        for side, claims in zip((held, owed), self.lender.claimed(*self.claimants), strict=True):
            for i, claimed in enumerate(claims):
                side[i] -= min(side[i], claimed)
        return held, owed

    def covers_claims(self) -> bool:
        """Whether what is claimed of each reserve is there, unless somebody liquidated it."""
        held, (claimed, _) = self.lender.position()[0], self.lender.claimed(*self.claimants)
        return self.liquidated or all(part <= have + 1 for part, have in zip(claimed, held, strict=True))

    def impaired(self) -> bool:
        """Whether it owes in a reserve that does not stand, or holds more there than somebody gives away."""
        held, owed = self.lender.position()
        return any(
            owed[i] or self.lender.aave_usd(i, held[i]) >= GIFT
            for i in map(self.lender.world.index, self.paused | self.frozen)
        )

    def foreclose(self, role: str) -> str | None:
        """A stranger forecloses a claim: it gives its debt and what pays for it, and nothing else moves.

        Returns the reason of a refusal.
        """
        vault, others = self.lender.world.vault, self.claimants - {role}
        sides, kept, position = self.lender.claimed(role), self.lender.claimed(*others), self.lender.position()
        # What a liquidation took of claims is not there to pay for anything.
        for i, (mine, theirs, there) in enumerate(zip(sides[0], kept[0], position[0], strict=True)):
            sides[0][i] = max(0, min(mine, there - theirs))
        live, prices = self.lender.world.oracle.try_prices()
        health = self.lender.health_of(*sides) * 10_000 if any(sides[1]) else None
        before = vault.value() if live else 0
        _, reason = attempt(lambda: vault.foreclose(0, address_of(role), sender="attacker"))
        if reason is not None:
            assert not live or health is None or health > TRIGGER - 1 or vault.totalSupply() == 0
            return reason
        assert health is not None
        assert health < TRIGGER + 1
        assert not any(self.lender.claimed(role)[1])
        assert (self.lender.claimed(*others), self.lender.position()) == (kept, position)
        worth, due = (sum(map(mul, side, prices)) // ONE for side in sides)
        # What was missing they bear, to the rounding of a base unit of each asset.
        assert before - vault.value() <= (due - worth + sum(prices) // ONE if due > worth else 0)
        if not self.lender.has_claim(role):
            self.claimants.remove(role)
        return None
