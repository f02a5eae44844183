# SPDX-License-Identifier: Apache-2.0
"""A vault that borrows among all who may touch it, on real Aave, Uniswap and Chainlink bytecode, in any order.

Depositors, a keeper, a thief with the optimizer's key, an oracle that lags and jumps, strangers who deleverage,
foreclose, liquidate and donate, Aave's administrators, trips, time. Promises are checked after each step against exact
arithmetic that knows the market's true prices. A fourth of PLIMSOLL_INVARIANT_STEPS goes here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from functools import cache

from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from offchain.route.leg import LendingAction
from offchain.sandbox.aave import RESERVES as AAVE_RESERVES
from tests.invariants.outcomes import outcome
from tests.invariants.steps import ALL_STEPS
from tests.support.aave_account import Account
from tests.support.evm import attempt
from tests.support.lagging_oracle import COINS, TOLERATED, LaggingOracle, Look
from tests.support.lending import BORROWED, SKIP_AAVE, SUPPLIED, TARGET, TRIGGER, Lending, lending_world
from tests.support.reference import Windows, drawdown_state, lending_violations, none_or_closer, weight_violations
from tests.support.thief import FEE, Thief
from tests.support.world import BPS, DAY, ONE, Leg, usdc

STEPS = ALL_STEPS // 4
STEPS_EACH = 50

DEPOSITORS = ("alice", "bob", "carol")
VIRTUAL_SHARES = 10**12
NO_DEBT = 2**256 - 1
ACTIVE, REDUCE_ONLY, HALTED = 0, 1, 2
RESERVES = ("USDC", "WETH", "WBTC")
ROUNDING = 16
"""Base units of each asset that the lending protocol's own rounding may move."""

LIQUIDATORS_PART = Fraction(max(one.liquidation_bonus for one in AAVE_RESERVES if one.symbol in SUPPLIED), 10_000)
"""What a liquidator may take over what he repays."""

REFUSALS = {
    "limits: weight", "limits: leverage", "limits: leverage increased", "limits: venue", "limits: buffer",
    "limits: health factor", "limits: risk increased", "loss_budget: exhausted", "turnover: exhausted",
    "breaker: halted", "mandate: empty vault", "mandate: insolvent", "oracle: stale", "orders: amount out below minimum",
    "aave: may not be supplied", "aave: may not be borrowed",
}  # fmt: skip
"""What a settlement may be refused for when its order is well-formed and signed; Aave's own reasons are numbers."""
ROUTES = (("USDC", "WETH", 500), ("USDC", "WBTC", 3000), ("WETH", "WBTC", 500))
LENDING = (LendingAction.SUPPLY, LendingAction.WITHDRAW, LendingAction.BORROW, LendingAction.REPAY)

who = st.sampled_from(DEPOSITORS)
percent = st.integers(1, 100)
reserve = st.sampled_from(RESERVES)


@cache
def stage() -> tuple[Lending, Thief]:
    lender = lending_world(
        max_weight_bps=20_000,
        max_leverage_bps=22_000,
        max_venues_bps=(21_000,),
        min_buffer_bps=200,
        loss_capacity_bps=300,
        loss_refill_bps_per_day=50,
        drawdown_reduce_bps=3000,
        drawdown_halt_bps=6000,
        frozen_trips=1,
    )
    for role in (*DEPOSITORS, "attacker"):
        lender.bring(role, "USDC", usdc(20_000_000))
        lender.bring(role, "WETH", 20_000 * ONE)
    return lender, Thief(lender.world, "WETH", "USDC")


class LendingMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.lender, self.thief = stage()
        self.world, self.vault = self.lender.world, self.lender.world.vault
        self.mandate, self.evm = self.world.mandate, self.world.evm
        self.mark = self.evm.snapshot()
        self.market = LaggingOracle(self.world)
        self.limits = self.world.limits()
        self.shares = {role: self.vault.balanceOf(role) for role in DEPOSITORS}
        self.state, self.nonce, self.steps = ACTIVE, self.vault.order_nonce(), 0
        self.account = Account(self.lender)
        self.claims: Counter[tuple[str, int]] = Counter()
        """To tokens in the wallet."""
        self.losses, self.turnovers = Windows(), Windows()
        self.losses.set_rate(self.evm.timestamp, self.limits.loss_refill_bps_per_day)
        self.turnovers.set_rate(self.evm.timestamp, self.limits.turnover_refill_bps_per_day)

    def teardown(self) -> None:
        """Markets mend; everybody leaves, and every claim to a position is paid against its debt."""
        try:
            for symbol in RESERVES:
                self.account.pause(symbol, False)
            for name, price in (("ETH/USD", 19_000), ("BTC/USD", 450_000), ("USDC/USD", 1)):
                self.world.set_feed(name, price)
            for role in DEPOSITORS:
                if shares := self.vault.balanceOf(role):
                    self.world.leave_in_kind(role, shares, 0 if self.account.stands() else SKIP_AAVE)
            for role in DEPOSITORS:
                if self.lender.has_claim(role):
                    stands = self.account.stands()
                    _, reason = attempt(lambda: self.vault.claim_position(0, role, sender=role))  # noqa: B023
                    assert reason is None or not stands
            assert self.vault.totalSupply() == 0
        finally:
            self.evm.revert(self.mark)

    @initialize(borrowed=st.integers(1, 250_000) | st.integers(300_000, 365_000))
    def beginning(self, borrowed: int) -> None:
        legs = [self.lender.leg(LendingAction.SUPPLY, symbol, 2**127) for symbol in SUPPLIED]
        self._settle([*legs, self.lender.leg(LendingAction.BORROW, "USDC", usdc(borrowed))], "opens")

    # ------------------------------------------------------------------ depositors

    @rule(role=who, dollars=st.integers(1, 500_000))
    def deposit(self, role: str, dollars: int) -> None:
        if self.vault.maxDeposit(role) == 0:
            _, reason = attempt(lambda: self.vault.deposit(usdc(dollars), role, sender=role))
            assert reason in ("breaker: not active", "oracle: stale")
            outcome("deposit", reason)
            return
        before, supply = self._look(), self.vault.totalSupply() + VIRTUAL_SHARES
        shares = self.vault.deposit(usdc(dollars), role, sender=role)
        part, paid = Fraction(shares, supply + shares), usdc(dollars) * before.market[0]
        assert part * (before.worth + paid) <= paid + part * before.hidden + before.market[0]
        self.shares[role] += shares
        self._nothing_lost(before)
        outcome("deposit")

    @precondition(lambda self: any(self.shares.values()))
    @rule(data=st.data(), part=percent, skip=st.sampled_from([0, 0, SKIP_AAVE, SKIP_AAVE | 0b110]))
    def leave_in_kind(self, data: st.DataObject, part: int, skip: int) -> None:
        role = data.draw(st.sampled_from([role for role in DEPOSITORS if self.shares[role]]))
        shares = max(1, self.shares[role] * part // 100)
        before, supply, stands = self._look(), self.vault.totalSupply(), self.account.stands()
        amounts, reason = attempt(lambda: self.world.leave_in_kind(role, shares, skip))
        outcome(f"leave in kind {'without' if skip & SKIP_AAVE else 'with'} the loan while {self.state}", reason)
        if amounts is None:
            # Only the lending protocol may refuse, and never who skips it.
            assert not skip & SKIP_AAVE
            assert not stands
            return
        note(f"{role} leaves with {shares} of {supply} shares: {amounts}")
        self.shares[role] -= shares
        self.claims.update({(role, i): amount for i, amount in enumerate(amounts) if skip >> i & 1})
        if skip & SKIP_AAVE and self.lender.has_claim(role):
            self.account.claimants.add(role)
        for amount, held in zip(amounts, before.holdings, strict=True):
            assert amount * supply <= held * shares
        self._nothing_lost(before, Fraction(shares, supply))

    @precondition(lambda self: any(self.shares.values()))
    @rule(data=st.data(), part=percent)
    def redeem(self, data: st.DataObject, part: int) -> None:
        role = data.draw(st.sampled_from([role for role in DEPOSITORS if self.shares[role]]))
        shares = self.vault.maxRedeem(role) * part // 100
        if shares == 0 or self.vault.previewRedeem(shares) == 0:
            return
        before, supply = self._look(), self.vault.totalSupply() + VIRTUAL_SHARES
        assets = self.vault.redeem(shares, role, role, sender=role)
        unit = before.market[0]
        assert assets * unit <= Fraction(shares, supply) * (before.worth + before.hidden + unit) + 2 * unit
        self.shares[role] -= shares
        assert self._look().value >= before.value - assets * before.oracle[0] // ONE - 2 * ONE
        outcome("redeem")

    @rule(role=who)
    def claim_position(self, role: str) -> None:
        if role not in self.account.claimants:
            return
        before, stands = self._look(), self.account.stands()
        _, reason = attempt(lambda: self.vault.claim_position(0, role, sender=role))
        outcome("claim a position", reason)
        if reason is None:
            # What a liquidation took stays a claim, free of debt.
            assert self.account.liquidated or not self.lender.has_claim(role)
            assert not any(self.lender.claimed(role)[1])
            if not self.lender.has_claim(role):
                self.account.claimants.remove(role)
            self._nothing_lost(before)
        else:
            assert not stands or reason == "foreclose: deleverage first"

    @precondition(lambda self: self.vault.health() >= TARGET * BPS)
    @rule(debt=st.sampled_from(BORROWED), collateral=st.sampled_from(SUPPLIED))
    def nobody_helps_himself_while_it_is_healthy(self, debt: str, collateral: str) -> None:
        i, j = self.world.index(debt), self.world.index(collateral)
        _, reason = attempt(lambda: self.vault.deleverage(0, i, j, 10**6, sender="attacker"))
        assert reason == "deleverage: not allowed"
        outcome("deleverage", reason)
        if self.lender.position()[1][i]:
            _, reason = attempt(lambda: self.lender.liquidate(collateral, debt, 10**6))
            assert reason is not None
            outcome("liquidate", reason)

    @rule(kind=st.sampled_from(["claim", "transfer", "donate", "supply", "repay"]), role=who, other=who, part=percent)
    def small_things(self, kind: str, role: str, other: str, part: int) -> None:
        """A token claim, a transfer of shares, and gifts: to the wallet, to the account, to its debt."""
        pool, amount = self.lender.pool, self.shares[role] * part // 100
        if kind == "claim" and self.claims[role, 1 + part % 2]:
            claim = self.claims.pop((role, 1 + part % 2))
            assert self.vault.claim(1 + part % 2, role, sender=role) == claim
            outcome("claim tokens")
        elif kind == "transfer" and amount:
            self.vault.transfer(other, amount, sender=role)
            self.shares[role] -= amount
            self.shares[other] += amount
            outcome("transfer")
        elif kind == "donate":
            self.world.give(RESERVES[part % 3], self.vault, part)
            outcome("donate")
        elif kind in ("supply", "repay"):
            symbol = BORROWED[part % 2]
            token = self.world.token(symbol)
            token.approve(pool, 2**255, sender="attacker")
            gift = (
                part * ONE * ONE // self.world.oracle.try_prices()[1][self.world.index(symbol)]
                if self._live()
                else part
            )
            if kind == "supply":
                _, reason = attempt(lambda: pool.supply(token.address, gift, self.vault, 0, sender="attacker"))
            else:
                _, reason = attempt(lambda: pool.repay(token.address, gift, 2, self.vault, sender="attacker"))
            outcome(f"stranger: {kind}", reason)

    # ------------------------------------------------------------------ market, oracle, lending protocol

    @rule(name=st.sampled_from(sorted(TOLERATED)), bps=st.integers(-1500, 1500) | st.integers(-100, 100))
    def market_moves(self, name: str, bps: int) -> None:
        self.market.move(name, bps // 10 if name in ("USDC/USD", "stETH/ETH") else bps)

    @rule(bps=st.sampled_from([-500, -1000, -2000, -3000, -4500]) | st.integers(-1500, 2000))
    def all_coins_move(self, bps: int) -> None:
        for name in COINS:
            self.market.move(name, bps)
        self.market.arbitrage()

    @rule(seconds=st.integers(1, 60) | st.integers(60, 3 * DAY) | st.integers(DAY, 20 * DAY))
    def wait(self, seconds: int) -> None:
        self.market.wait(seconds)

    @rule(reporting=st.sampled_from([True, True, False]))
    def feeds_stop_or_resume(self, reporting: bool) -> None:
        self.market.reporting = reporting
        if reporting:
            self.market.report_all()

    @rule(symbol=reserve, pause=st.sampled_from([False, False, True]), on=st.booleans())
    def administrators_of_the_pool_act(self, symbol: str, pause: bool, on: bool) -> None:
        (self.account.pause if pause else self.account.freeze)(symbol, on)
        outcome(f"administrators {'' if on else 'un'}{'pause' if pause else 'freeze'}")

    # ------------------------------------------------------------------ settlements

    @rule(
        action=st.sampled_from(LENDING),
        asset=reserve,
        dollars=st.integers(1, 400_000) | st.integers(1, 20_000),
        thief=st.booleans(),
    )
    def an_order_lends(self, action: LendingAction, asset: str, dollars: int, thief: bool) -> None:
        leg = self.lender.leg(action, asset, self._amount(asset, dollars))
        self._settle([leg], f"{'thief' if thief else 'keeper'}: {action.name.lower()}")

    @rule(dollars=st.integers(1, 300_000), asset=st.sampled_from(SUPPLIED), up=st.booleans())
    def keeper_levers(self, dollars: int, asset: str, up: bool) -> None:
        """Borrows dollars to supply more, or the other way back."""
        amount, owed = self._amount(asset, dollars), usdc(dollars)
        fee = 500 if asset == "WETH" else 3000
        lend = self.lender.leg
        if up:
            swap = self.world.leg("USDC", asset, owed, fee, amount * 98 // 100)
            legs = [lend(LendingAction.BORROW, "USDC", owed), swap, lend(LendingAction.SUPPLY, asset, 2**127)]
        else:
            swap = self.world.leg(asset, "USDC", amount, fee, owed * 98 // 100)
            legs = [lend(LendingAction.WITHDRAW, asset, amount), swap, lend(LendingAction.REPAY, "USDC", owed)]
        self._settle(legs, f"keeper levers {'up' if up else 'down'}")

    @rule(route=st.sampled_from(ROUTES), back=st.booleans(), dollars=st.integers(1, 100_000))
    def keeper_swaps(self, route: tuple[str, str, int], back: bool, dollars: int) -> None:
        sell, buy = (route[1], route[0]) if back else route[:2]
        minimum = self._amount(buy, dollars) * 98 // 100
        self._settle([self.world.leg(sell, buy, self._amount(sell, dollars), route[2], minimum)], "keeper swaps")

    @precondition(lambda self: self._live())
    @rule(
        borrow=st.booleans(), back=st.booleans(), dollars=st.integers(1, 300_000), keeps_bps=st.integers(5_000, 10_100)
    )
    def thief_sells_to_himself(self, borrow: bool, back: bool, dollars: int, keeps_bps: int) -> None:
        """What the wallet has, or what he first lets the vault borrow."""
        sell, buy = ("WETH", "USDC") if back else ("USDC", "WETH")
        self.thief.set_price(sell, buy, keeps_bps / 10_000)
        amount = self._amount(sell, dollars)
        legs = [self.lender.leg(LendingAction.BORROW, sell, amount)] if borrow else []
        self._settle(
            [*legs, self.world.leg(sell, buy, amount, FEE)], f"thief sells{' what he borrows' if borrow else ''}"
        )

    @precondition(lambda self: self.vault.health() < TARGET * BPS)
    @rule(debt=st.sampled_from(BORROWED), collateral=st.sampled_from(SUPPLIED), dollars=st.integers(1, 1_000_000))
    def stranger_deleverages(self, debt: str, collateral: str, dollars: int) -> None:
        health, before = self.vault.health(), self._look()
        allowed, target, discount = self.mandate.deleverage_terms(health)
        assert allowed == (health < TRIGGER * BPS or (health < TARGET * BPS and self.state == HALTED))
        i, j = self.world.index(debt), self.world.index(collateral)
        done, reason = attempt(lambda: self.vault.deleverage(0, i, j, self._amount(debt, dollars), sender="attacker"))
        outcome("deleverage", reason)
        if done is None:
            assert allowed or reason == "deleverage: not allowed"
            return
        assert allowed
        assert health < self.vault.health()
        # Not past the target, but for the last base units: all is repaid where there is no collateral left.
        sides = self.lender.position(), self.account.rest()
        healths = [self.lender.health_of(held, [owe + ROUNDING for owe in owed]) for held, owed in sides]
        assert min(healths) * 1000 * ONE <= target * 1001
        taken, paid = done[0] * before.oracle[i], done[1] * before.oracle[j]
        assert paid * 10_000 <= taken * (10_000 + discount)
        # Nobody is paid more than that, at prices of the oracle.
        assert before.value - self._look().value <= max(0, paid - taken) // ONE + self._dust(before) // ONE

    @rule(role=who)
    def stranger_forecloses(self, role: str) -> None:
        if role in self.account.claimants:
            outcome("foreclose", self.account.foreclose(role))

    @precondition(lambda self: self.vault.health() < ONE)
    @rule(collateral=st.sampled_from(SUPPLIED), debt=st.sampled_from(BORROWED), part=percent)
    def stranger_liquidates(self, collateral: str, debt: str, part: int) -> None:
        owed = self.lender.position()[1][self.world.index(debt)]
        if owed * part // 100 == 0:
            return
        before, claimed = self._look(), bool(self.account.claimants)
        _, reason = attempt(lambda: self.lender.liquidate(collateral, debt, owed * part // 100))
        outcome("liquidate", reason)
        after = self._look()
        assert after.holdings == before.holdings
        if reason is None:
            self.account.liquidated |= claimed
            if not claimed and self._live():
                repaid = sum(before.debts) - sum(after.debts)
                assert repaid > 0
                seized = before.gross_held - after.gross_held
                assert seized <= repaid * LIQUIDATORS_PART + self._dust(before) // ONE

    @precondition(lambda self: self.market.reporting and self.vault.health() < 2 * ONE)
    @rule(bps=st.integers(-4500, -500), collateral=st.sampled_from(SUPPLIED), part=percent)
    def crash_finds_liquidators(self, bps: int, collateral: str, part: int) -> None:
        """They act in the block of the feeds' rounds."""
        self.all_coins_move(bps)
        if self.vault.health() < ONE:
            self.stranger_liquidates(collateral, "USDC", part)

    @rule()
    def stranger_pokes(self) -> None:
        """Puts a low health factor on record: from then on the discount of deleveraging grows."""
        _, reason = attempt(lambda: self.world.alarms.poke(self.mandate, sender="attacker"))
        outcome("poke", reason)
        assert self.mandate.deleverage_terms(self.vault.health())[2] <= self.limits.deleverage_discount_bps

    @rule()
    def trip(self) -> None:
        live, health = self._live(), self.vault.health()
        expected = REDUCE_ONLY if health < TRIGGER * BPS or self.account.impaired() else ACTIVE
        if live:
            expected = max(expected, drawdown_state(self.vault.value_per_share(), self.mandate.peak(), self.limits))
        state, reason = attempt(lambda: self.mandate.trip(sender="attacker"))
        outcome("trip", reason)
        if not live and expected == ACTIVE:
            assert reason == "oracle: stale"
        elif expected > self.state:
            assert state == expected
            self.state = expected
            outcome(f"trip to {state}")
        else:
            assert reason == "breaker: no condition"

    @rule(stop=st.booleans(), state=st.integers(1, 2))
    def somebody_in_office_acts(self, stop: bool, state: int) -> None:
        if stop and state > self.state:
            self.mandate.guardian_trip(state, sender="guardian")
            self.state = state
            outcome("guardian stops")
        elif not stop and self.state != ACTIVE:
            seen = self.state, self.mandate.breaker_reason(), self.mandate.tripped_at()
            resume = self.world.schedule(self.mandate.resume, *seen)
            self.market.report_all()
            resume()
            self.state = ACTIVE
            outcome("resume")

    # ------------------------------------------------------------------ what always holds

    @invariant()
    def the_promises_hold(self) -> None:
        assert self.vault.totalSupply() == sum(self.shares.values())
        assert all(self.vault.balanceOf(role) == shares for role, shares in self.shares.items())
        assert self.mandate.breaker_state() == self.state
        assert self.vault.order_nonce() == self.nonce
        holdings = self.vault.holdings()
        for i, token in enumerate(self.world.tokens):
            assert token.allowance(self.vault, self.lender.pool) == 0
            assert token.balanceOf(self.vault) == holdings[i] + sum(self.claims[role, i] for role in DEPOSITORS)
        self.anyone_can_leave()
        assert self.account.covers_claims()

    def anyone_can_leave(self) -> None:
        """One of them each time: without the lending protocol always, with it while it stands."""
        self.steps += 1
        role = DEPOSITORS[self.steps % 3]
        if not self.shares[role]:
            return
        for skip in (SKIP_AAVE, 0) if self.account.stands() else (SKIP_AAVE,):
            with self.evm.rolled_back():
                self.world.leave_in_kind(role, skip=skip)

    # ------------------------------------------------------------------ internals

    def _settle(self, legs: Sequence[Leg], story: str) -> None:
        before, health, peak = self._look(), self.vault.health(), self.mandate.peak()
        settled, reason = attempt(lambda: self.world.settle(legs))
        note(f"{story}: {reason or 'settled'}")
        outcome(story, reason)
        if settled is None:
            assert reason is not None
            assert reason in REFUSALS or reason.isdigit()
            return
        self.nonce += 1
        self.state = max(self.state, drawdown_state(before.per_share, peak, self.limits))
        assert self.state != HALTED
        after = self._look()
        reduce_only = self.state == REDUCE_ONLY
        assert none_or_closer(self._violations(before, health), self._violations(after, self.vault.health()))
        if reduce_only:
            assert after.gross_held * before.value <= before.gross_held * after.value
            for was, now in zip(before.exposed[1:], after.exposed[1:], strict=True):
                assert now <= was + ROUNDING
        loss, turnover = settled["loss"], settled["turnover"]
        assert loss == max(0, -(-(before.value - after.value) * ONE // before.value))
        self.losses.charge(self.evm.timestamp, loss, self.limits.loss_capacity_bps)
        self.turnovers.charge(self.evm.timestamp, turnover, self.limits.turnover_capacity_bps)
        self.losses.check_last()
        self.turnovers.check_last()
        assert before.worth - after.worth <= before.real_loss_bound(loss, turnover) + self._dust(before)

    def _violations(self, look: Look, health: int) -> list[Fraction]:
        reduce_only, limits = self.state == REDUCE_ONLY, self.limits
        bounds = list(zip(limits.min_weights_bps, limits.max_weights_bps, strict=True))
        parts = (Fraction(part, look.value) for part in (look.gross_held, sum(look.lent), look.wallet[0]))
        return [
            *weight_violations(look.held, bounds, reduce_only, look.value),
            *lending_violations(*parts, health if any(look.owed) else NO_DEBT, limits, reduce_only),
        ]

    def _nothing_lost(self, before: Look, part: Fraction = Fraction(0)) -> None:
        """Those who stay keep their part of the true value, and their part of the account its health."""
        after = self._look()
        if before.worth < 0:
            # The fee is a part of everything: of more debt than there is to pay it with, when it is worth less
            # than nothing. What can be taken out of the wallet grows for who stays all the same.
            part *= 1 - Fraction(self.limits.exit_fee_bps, 10_000)
        assert before.worth - after.worth <= part * before.worth + self._dust(before)
        if any(before.owed) and any(after.owed):
            healths = [self.lender.health_of(look.supplied, look.owed) for look in (before, after)]
            assert healths[1] >= healths[0]

    def _look(self) -> Look:
        return Look(self.world, self.market, *self.account.rest())

    def _amount(self, symbol: str, dollars: int) -> int:
        """Base units, at what the feeds said last."""
        i = self.world.index(symbol)
        answer = self.market.answers[("USDC/USD", "ETH/USD", "BTC/USD")[i]]
        return int(dollars / answer * 10 ** (6, 18, 8)[i])

    def _dust(self, look: Look) -> int:
        return ROUNDING * sum(map(int, look.market))

    def _live(self) -> bool:
        return bool(self.vault.mark_is_live())


TestLendingMachine = LendingMachine.TestCase
TestLendingMachine.settings = settings(
    max_examples=max(1, STEPS // STEPS_EACH),
    stateful_step_count=STEPS_EACH,
    derandomize=True,
    deadline=None,
    report_multiple_bugs=False,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
