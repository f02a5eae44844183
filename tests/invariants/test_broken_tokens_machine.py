# SPDX-License-Identifier: Apache-2.0
"""A vault whose tokens break and mend in any order: nobody is trapped, and claims are what was owed.

A third of PLIMSOLL_INVARIANT_STEPS goes here; see the machine beside it.
"""

from __future__ import annotations

from functools import cache

from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.invariants.outcomes import outcome
from tests.invariants.steps import ALL_STEPS
from tests.support.evm import attempt, reverts
from tests.support.hostile import Hostile, hostile_world
from tests.support.world import usdc

STEPS = ALL_STEPS // 3
STEPS_EACH = 40

DEPOSITORS = ("alice", "bob", "carol")
VIRTUAL_SHARES = 10**12
WAYS = ("frozen", "refuses", "blind")
COUNT = 3

who = st.sampled_from(DEPOSITORS)
assets = st.integers(0, COUNT - 1)


@cache
def stage() -> Hostile:
    return hostile_world()


class BrokenTokensMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.hostile = stage()
        self.world = self.hostile.world
        self.vault, self.tokens = self.world.vault, self.world.tokens
        self.mark = self.world.evm.snapshot()
        self.broken: dict[int, str] = {}
        self.claims = {(role, i): 0 for role in DEPOSITORS for i in range(COUNT)}
        self.slashed: set[int] = set()

    def teardown(self) -> None:
        """When everything is mended, everybody leaves and every claim to an honest token is paid."""
        try:
            for asset in tuple(self.broken):
                self.mend(asset)
            for role in DEPOSITORS:
                if shares := self.vault.balanceOf(role):
                    self.world.leave_in_kind(role, shares)
            for (role, asset), amount in self.claims.items():
                if amount and asset not in self.slashed:
                    assert self.vault.claim(asset, role, sender=role) == amount
        finally:
            self.world.evm.revert(self.mark)

    @initialize(part=st.integers(1, 50))
    def invest(self, part: int) -> None:
        self.world.deposit("alice", usdc(100_000))
        for asset, usd, places in ((1, 100, 18), (2, 5000, 8)):
            self.world.give(asset, self.vault, part * 1000 * 10**places // usd)

    @precondition(lambda self: len(self.broken) < COUNT)
    @rule(data=st.data(), how=st.sampled_from(WAYS))
    def a_token_breaks(self, data: st.DataObject, how: str) -> None:
        asset = data.draw(st.sampled_from([i for i in range(COUNT) if i not in self.broken]))
        self.broken[asset] = how
        outcome(f"a token is {how}" if how != "refuses" else "a token refuses")
        self.hostile.misbehave(asset, **{how: True})

    @precondition(lambda self: bool(self.broken))
    @rule(data=st.data())
    def a_token_mends(self, data: st.DataObject) -> None:
        self.mend(data.draw(st.sampled_from(sorted(self.broken))))

    @precondition(lambda self: len(self.broken) < COUNT)
    @rule(data=st.data(), percent=st.integers(1, 99))
    def a_token_is_slashed(self, data: st.DataObject, percent: int) -> None:
        asset = data.draw(st.sampled_from([i for i in range(COUNT) if i not in self.broken]))
        self.slashed.add(asset)
        self.tokens[asset].burn(self.vault, self.tokens[asset].balanceOf(self.vault) * percent // 100, sender="market")

    @rule(role=who, dollars=st.integers(1, 100_000))
    def deposit(self, role: str, dollars: int) -> None:
        if "blind" in self.broken.values() or 0 in self.broken:
            _, reason = attempt(lambda: self.vault.deposit(usdc(dollars), role, sender=role))
            assert reason in (
                "hostile: blind",
                "hostile: frozen",
                "custody: transfer failed",
                "breaker: not active",
                "",
            )
            outcome("deposit", reason)
        elif self._is_short():
            # What was paid in would be the claimants'.
            _, reason = attempt(lambda: self.world.deposit(role, usdc(dollars)))
            assert reason in ("custody: fee on transfer", "breaker: not active")
            outcome("deposit", reason)
        elif self.vault.maxDeposit(role) and self.vault.previewDeposit(usdc(dollars)):
            self.world.deposit(role, usdc(dollars))
            outcome("deposit")

    @rule(role=who, percent=st.integers(1, 100), extra=st.integers(0, 2**COUNT - 1))
    def leave(self, role: str, percent: int, extra: int) -> None:
        """Skipping what is broken, and perhaps more."""
        shares = self.vault.balanceOf(role) * percent // 100
        if shares == 0:
            return
        skip = sum(1 << asset for asset in self.broken) | extra
        had = [self._balance(asset, role) for asset in range(COUNT)]
        amounts = self.world.leave_in_kind(role, shares, skip)
        note(f"{role} leaves with {shares}, skipping {skip:b}: {amounts}")
        for asset, amount in enumerate(amounts):
            if self.broken.get(asset) == "blind":
                assert amount == 0
            elif skip >> asset & 1:
                self.claims[role, asset] += amount
            else:
                assert self._balance(asset, role) - had[asset] == amount
        outcome(f"leave while {len(self.broken)} are broken")

    @precondition(lambda self: bool(self.broken))
    @rule(data=st.data(), role=who)
    def leaving_with_a_broken_token_is_refused(self, data: st.DataObject, role: str) -> None:
        asset = data.draw(st.sampled_from(sorted(self.broken)))
        shares = self.vault.balanceOf(role)
        if shares > 10**20 and self._balance(asset, self.vault) > 10**6 and asset not in self.slashed:
            others = sum(1 << other for other in self.broken if other != asset)
            with reverts():
                self.world.leave_in_kind(role, shares, others)
            outcome("leave with a broken token", self.broken[asset])

    @rule(role=who, asset=assets)
    def claim(self, role: str, asset: int) -> None:
        amount = self.claims[role, asset]
        if amount == 0:
            with reverts("custody: no claim"):
                self.vault.claim(asset, role, sender=role)
        elif asset in self.broken and self.broken[asset] != "blind":
            with reverts():
                self.vault.claim(asset, role, sender=role)
        elif asset not in self.slashed:
            assert self.vault.claim(asset, role, sender=role) == amount
            self.claims[role, asset] = 0
            outcome("claim")

    @invariant()
    def claims_are_what_was_skipped(self) -> None:
        for (role, asset), amount in self.claims.items():
            assert self.vault.claims(role, asset) == amount

    @invariant()
    def holdings_leave_claims_out(self) -> None:
        if "blind" in self.broken.values():
            return
        for asset, held in enumerate(self.vault.holdings()):
            owed = sum(amount for (_, i), amount in self.claims.items() if i == asset)
            balance = self.tokens[asset].balanceOf(self.vault)
            assert held == max(0, balance - owed)
            assert owed <= balance or asset in self.slashed

    @invariant()
    def anyone_can_leave(self) -> None:
        skip = sum(1 << asset for asset in self.broken)
        for role in DEPOSITORS:
            if self.vault.balanceOf(role):
                with self.world.evm.rolled_back():
                    self.world.leave_in_kind(role, skip=skip)

    def mend(self, asset: int) -> None:
        del self.broken[asset]
        self.hostile.misbehave(asset)

    def _is_short(self) -> bool:
        """Whether less of the base asset is there than belongs to claims."""
        return sum(self.claims[role, 0] for role in DEPOSITORS) > self.tokens[0].balanceOf(self.vault)

    def _balance(self, asset: int, holder: object) -> int:
        """What a token would say if it could."""
        if self.broken.get(asset) != "blind":
            return int(self.tokens[asset].balanceOf(holder))
        with self.world.evm.rolled_back():
            self.hostile.misbehave(asset)
            return int(self.tokens[asset].balanceOf(holder))


TestBrokenTokensMachine = BrokenTokensMachine.TestCase
TestBrokenTokensMachine.settings = settings(
    max_examples=max(1, STEPS // STEPS_EACH),
    stateful_step_count=STEPS_EACH,
    derandomize=True,
    deadline=None,
    report_multiple_bugs=False,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
