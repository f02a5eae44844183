# SPDX-License-Identifier: Apache-2.0
"""Depositors, a keeper that borrows and pays back, interest and exits with debt, in any order, on real Aave bytecode."""

from __future__ import annotations

import os
from functools import cache

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from offchain.route.leg import LendingAction
from tests.support.evm import attempt
from tests.support.lending import SKIP_AAVE, Lending, lending_world
from tests.support.world import ONE, usdc

STEPS = int(os.environ.get("PLIMSOLL_INVARIANT_STEPS", "2000")) // 4
STEPS_EACH = 12

DEPOSITORS = ("alice", "bob", "carol")


@cache
def stage() -> Lending:
    lender = lending_world()
    for role in DEPOSITORS:
        lender.bring(role, "USDC", usdc(10_000_000))
        lender.bring(role, "WETH", 10_000 * ONE)
    return lender


class LendingMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.lender = stage()
        self.world, self.vault = self.lender.world, self.lender.world.vault
        self.mark = self.world.evm.snapshot()

    def teardown(self) -> None:
        """Everybody leaves, and every claim to a position is paid against its debt."""
        try:
            for role in DEPOSITORS:
                if self.vault.balanceOf(role):
                    self._leave(role, self.vault.balanceOf(role), 0)
                if self._claims(role):
                    self.vault.claim_position(0, role, sender=role)
            assert self.vault.totalSupply() == 0
        finally:
            self.world.evm.revert(self.mark)

    @initialize(borrowed=st.integers(1, 250_000))
    def beginning(self, borrowed: int) -> None:
        self.lender.open(usdc(borrowed))

    @rule(role=st.sampled_from(DEPOSITORS), dollars=st.integers(1, 500_000))
    def deposit(self, role: str, dollars: int) -> None:
        before = self.vault.value_per_share()
        self.world.deposit(role, usdc(dollars))
        self.world.approve(role)
        assert self.vault.value_per_share() >= before

    @rule(role=st.sampled_from(DEPOSITORS), percent=st.integers(1, 100), skip=st.booleans())
    def leave(self, role: str, percent: int, skip: bool) -> None:
        shares = self.vault.balanceOf(role) * percent // 100
        if shares and self.vault.totalSupply() - shares > ONE:
            self._leave(role, shares, SKIP_AAVE if skip else 0)

    @rule(role=st.sampled_from(DEPOSITORS))
    def claim(self, role: str) -> None:
        if self._claims(role):
            before = self.vault.value_per_share()
            self.vault.claim_position(0, role, sender=role)
            # Aave's rounding, in base units of the assets.
            assert self.vault.value_per_share() >= before * (1 - 1e-9)
            assert not self._claims(role)

    @rule(
        action=st.sampled_from(
            [LendingAction.SUPPLY, LendingAction.WITHDRAW, LendingAction.BORROW, LendingAction.REPAY]
        ),
        asset=st.sampled_from(["WETH", "WBTC", "USDC"]),
        dollars=st.integers(1, 200_000),
    )
    def keeper_lends(self, action: LendingAction, asset: str, dollars: int) -> None:
        amount = dollars * ONE * ONE // self.world.prices()[self.world.index(asset)]
        claims = {role: self._claims(role) for role in DEPOSITORS}
        attempt(lambda: self.world.settle([self.lender.leg(action, asset, amount)]))
        assert claims == {role: self._claims(role) for role in DEPOSITORS}

    @rule(hours=st.integers(1, 24 * 20))
    def wait(self, hours: int) -> None:
        self.world.evm.mine(hours * 3600)
        self.world.refresh_feeds()

    @invariant()
    def no_allowance_is_left(self) -> None:
        assert all(token.allowance(self.vault, self.lender.pool) == 0 for token in self.world.tokens)

    @invariant()
    def claims_are_covered(self) -> None:
        held, _ = self.lender.position()
        for i, amount in enumerate(held):
            claimed = sum(self.vault.position_claims(role, i) for role in DEPOSITORS)
            assert claimed <= amount + 1

    def _leave(self, role: str, shares: int, skip: int) -> None:
        owes = any(self.lender.position()[1])
        claimed = any(self._claims(one) for one in DEPOSITORS)
        before = self.lender.health() if owes else None
        self.world.leave_in_kind(role, shares, skip)
        # Of the account as a whole: with claims in it, those who stay are only a part of it.
        if before is not None and not claimed and any(self.lender.position()[1]):
            assert self.lender.health() >= before

    def _claims(self, role: str) -> list[int]:
        return [key for key in range(32) if self.vault.position_claims(role, key)]


TestLendingMachine = LendingMachine.TestCase
TestLendingMachine.settings = settings(
    max_examples=max(1, STEPS // STEPS_EACH),
    stateful_step_count=STEPS_EACH,
    derandomize=True,
    deadline=None,
    phases=(Phase.generate,),
)
