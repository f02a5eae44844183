# SPDX-License-Identifier: Apache-2.0
"""A vault among depositors, keeper, sandwich bot, a thief with the key, arbitrageur and lagging oracle, in any order.

Hypothesis chooses what happens; after each step the promises are checked against exact arithmetic that knows
the market's true prices. The bytecode is the real one: tokens, Uniswap, Chainlink. Steps are drawn the same
way on every run; PLIMSOLL_INVARIANT_STEPS sets how many; `make soak` draws others, as many as it is told.
A failure ends with the shortest sequence of rules that reproduces it.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from functools import cache

from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from offchain.route.leg import Venue
from offchain.sandbox.arbitrage import Swap, pool_for
from tests.invariants.outcomes import outcome
from tests.invariants.steps import ALL_STEPS
from tests.support.evm import Contract, attempt
from tests.support.lagging_oracle import COINS, TOLERATED, LaggingOracle, Look
from tests.support.reference import Windows, drawdown_state, inside_or_closer
from tests.support.settled import settled_event
from tests.support.thief import Thief
from tests.support.world import DAY, ONE, Leg, Limits, World, usdc

STEPS = ALL_STEPS
STEPS_EACH = 80

DEPOSITORS = ("alice", "bob", "carol")
VIRTUAL_SHARES = 10**12
PEAK_BITS = 72
"""Significant bits of a peak that are kept at least, beyond hundreds of millions of dollars a share."""
ACTIVE, REDUCE_ONLY, HALTED = 0, 1, 2

ROUTES = (
    ("USDC", "WETH", 500),
    ("USDC", "WBTC", 3000),
    ("USDC", "LINK", 3000),
    ("WETH", "WBTC", 500),
    ("WETH", "wstETH", 100),
    ("WETH", "LINK", 0),
)
"""Public pools that the keeper trades in; fee 0 is the v2 pair."""
BUDGETS = ("loss_capacity_bps", "loss_refill_bps_per_day", "turnover_capacity_bps", "turnover_refill_bps_per_day")
BOT_PURSE = {"USDC": 10**9, "WETH": 10**6, "WBTC": 10**5, "LINK": 10**7, "wstETH": 10**6}
"""Whole tokens of the sandwich bot."""
HEISTS = (("WETH", "WBTC"), ("WETH", "USDC"))
"""Pairs in which the thief has a pool of his own."""

REFUSALS = {
    "limits: weight", "limits: risk increased", "loss_budget: exhausted", "turnover: exhausted", "breaker: halted",
    "orders: amount out below minimum", "oracle: stale", "mandate: empty vault", "UniswapV2: INSUFFICIENT_OUTPUT_AMOUNT",
}  # fmt: skip
"""What a settlement may be refused for when its order is well-formed and signed."""

who = st.sampled_from(DEPOSITORS)
percent = st.integers(1, 100)


@cache
def stage() -> tuple[World, tuple[Thief, ...], Contract]:
    """The vault's world, the thieves, the sandwich bot."""
    world = World.deploy()
    return world, tuple(Thief(world, *pair) for pair in HEISTS), world.deploy_maker("attacker", BOT_PURSE)


@cache
def spenders() -> list[tuple[Contract, str]]:
    """Each asset with each pool that could have been allowed to take it."""
    world, thieves, _ = stage()
    pools = [*world.pools(), *(thief.pool for thief in thieves)]
    return [(world.token(symbol), pool.address) for pool in pools for symbol in pool.symbols]


class VaultMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world, self.thieves, self.bot = stage()
        self.vault, self.mandate, self.evm = self.world.vault, self.world.mandate, self.world.evm
        self.mark = self.evm.snapshot()
        self.market = LaggingOracle(self.world)
        self.shares = dict.fromkeys(DEPOSITORS, 0)
        self.claims: Counter[tuple[str, int]] = Counter()
        self.state = ACTIVE
        self.peak = 0
        self.nonce = 0
        self.steps = 0
        self.original = self.world.limits()
        self.losses, self.turnovers = Windows(), Windows()
        self._record_rates(self.original)

    def teardown(self) -> None:
        """Everybody can leave, and everybody's claim is paid."""
        try:
            for role in DEPOSITORS:
                if self.shares[role]:
                    self.world.leave_in_kind(role)
            for (role, asset), claim in self.claims.items():
                assert self.vault.claims(role, asset) == claim
                if claim:
                    assert self.vault.claim(asset, role, sender=role) == claim
            assert self.vault.totalSupply() == 0
        finally:
            self.evm.revert(self.mark)

    # ------------------------------------------------------------------ the beginning

    @initialize(dollars=st.integers(10, 3_000_000), invested=st.sampled_from([True, True, True, False]))
    def first_deposit(self, dollars: int, invested: bool) -> None:
        self._deposit("alice", usdc(dollars))
        if invested:
            before = self._look()
            self.world.invest()
            self._check_settled(before)
            self.market.wait(4 * DAY)

    # ------------------------------------------------------------------ depositors

    @rule(role=who, assets=st.integers(2, 10) | st.integers(10, usdc(2_000_000)))
    def deposit(self, role: str, assets: int) -> None:
        if not self._open():
            assert self.vault.maxDeposit(role) == self.vault.maxMint(role) == 0
            self.world.give(0, role, assets)
            self.world.approve(role)
            _, reason = attempt(lambda: self.vault.deposit(assets, role, sender=role))
            assert reason in ("breaker: not active", "oracle: stale", "vault: zero shares")
            outcome("deposit", reason)
        elif self.vault.previewDeposit(assets) > 0:
            self._deposit(role, assets)

    @precondition(lambda self: any(self.shares.values()))
    @rule(data=st.data(), part=percent, skip=st.just(0) | st.integers(0, 31))
    def leave_in_kind(self, data: st.DataObject, part: int, skip: int) -> None:
        role = data.draw(self._holders())
        shares = self.shares[role] if part == 100 else max(1, self.shares[role] * part // 100)
        holdings, supply = self.vault.holdings(), self.vault.totalSupply()
        per_share = self._per_share()
        amounts = self.world.leave_in_kind(role, shares, skip)
        note(f"{role} leaves with {shares} of {supply} shares: {amounts}")
        for amount, held in zip(amounts, holdings, strict=True):
            assert amount * supply <= held * shares
        self.shares[role] -= shares
        self.claims.update({(role, i): amount for i, amount in enumerate(amounts) if skip >> i & 1})
        self._never_less(per_share)
        outcome(f"leave in kind while {self.state}")

    @precondition(lambda self: any(self.shares.values()))
    @rule(data=st.data(), part=percent, exactly_assets=st.booleans())
    def redeem(self, data: st.DataObject, part: int, exactly_assets: bool) -> None:
        role = data.draw(self._holders())
        most = self.vault.maxWithdraw(role) if exactly_assets else self.vault.maxRedeem(role)
        if most * part // 100 == 0 or (not exactly_assets and self.vault.previewRedeem(most * part // 100) == 0):
            return
        before, per_share, supply = self._look(), self._per_share(), self.vault.totalSupply()
        call = self.vault.withdraw if exactly_assets else self.vault.redeem
        answer = call(most * part // 100, role, role, sender=role)
        assets, shares = (most * part // 100, answer) if exactly_assets else (answer, most * part // 100)
        note(f"{role} redeems {shares} of {supply} shares for {assets}")
        # His part at market prices, and no more beyond it than the oracle's error.
        part_of_vault = Fraction(shares, supply + VIRTUAL_SHARES) * (before.worth + before.market[0])
        assert assets * before.market[0] <= part_of_vault * (1 + before.spread) + 2 * before.market[0]
        self.shares[role] -= shares
        self._never_less(per_share)
        self._see_peak(self.vault.value_per_share())
        outcome("withdraw" if exactly_assets else "redeem")

    @rule(
        kind=st.sampled_from(["claim", "transfer", "donate"]),
        role=who,
        other=who,
        asset=st.integers(0, 4),
        part=percent,
    )
    def small_things(self, kind: str, role: str, other: str, asset: int, part: int) -> None:
        claim, amount = self.claims[role, asset], self.shares[role] * part // 100
        if kind == "claim" and claim:
            holdings = self.vault.holdings()
            assert self.vault.claim(asset, role, sender=role) == self.claims.pop((role, asset))
            assert self.vault.holdings() == holdings
        elif kind == "transfer" and amount:
            self.vault.transfer(other, amount, sender=role)
            self.shares[role] -= amount
            self.shares[other] += amount
        elif kind == "donate":
            self.world.give(asset, self.vault, max(1, self.vault.holdings()[asset] * part // 1000))
        else:
            return
        outcome(kind)

    # ------------------------------------------------------------------ market and oracle

    @rule(name=st.sampled_from(sorted(TOLERATED)), bps=st.integers(-1500, 1500) | st.integers(-100, 100))
    def market_moves(self, name: str, bps: int) -> None:
        self.market.move(name, bps // 10 if name in ("USDC/USD", "stETH/ETH") else bps)

    @rule(bps=st.integers(-4500, -500) | st.integers(0, 2000))
    def all_coins_move(self, bps: int) -> None:
        for name in COINS:
            self.market.move(name, bps)
        self.market.arbitrage()

    @rule()
    def arbitrage(self) -> None:
        self.market.arbitrage()

    @rule(seconds=st.integers(1, 60) | st.integers(60, 3 * DAY))
    def wait(self, seconds: int) -> None:
        self.market.wait(seconds)

    @rule(reporting=st.booleans())
    def feeds_stop_or_resume(self, reporting: bool) -> None:
        self.market.reporting = reporting
        if reporting:
            self.market.report_all()

    # ------------------------------------------------------------------ settlements

    @precondition(lambda self: self.vault.mark_is_live() and self.vault.value() > 1000 * ONE)
    @rule()
    def keeper_rebalances(self) -> None:
        """To the benchmark, all in dollars while only reducing."""
        before = self._look()
        all_dollars = {symbol: float(symbol == "USDC") for symbol in self.world.file.symbols}
        _, reason = attempt(lambda: self.world.invest(all_dollars if self.state == REDUCE_ONLY else None))
        self._after_settlement(before, reason, "keeper rebalances")

    @precondition(lambda self: self.vault.totalSupply() > 0)
    @rule(route=st.sampled_from(ROUTES), back=st.booleans(), permille=st.integers(1, 200))
    def keeper_settles(self, route: tuple[str, str, int], back: bool, permille: int) -> None:
        before = self._look()
        leg, story = self._planned(before, route, back, permille)
        _, reason = attempt(lambda: self.world.settle([leg]))
        self._after_settlement(before, reason, "keeper settles", story)

    @precondition(lambda self: self.vault.totalSupply() > 0)
    @rule(
        route=st.sampled_from(ROUTES),
        back=st.booleans(),
        permille=st.integers(1, 200),
        dollars=st.integers(1, 3_000_000),
    )
    def keeper_is_sandwiched(self, route: tuple[str, str, int], back: bool, permille: int, dollars: int) -> None:
        """A bot buys before the settlement and sells after it, in the same pool."""
        before = self._look()
        leg, story = self._planned(before, route, back, permille)
        symbols = self.world.file.symbols
        kind = Venue(leg.venue)
        pool, zero_for_one = pool_for(symbols[leg.token_in], symbols[leg.token_out], kind, leg.fee)
        spent = dollars * ONE * ONE // before.oracle[leg.token_in]
        self.bot.front_run(Swap(pool, zero_for_one, spent).values(), sender="attacker")
        settled, reason = attempt(lambda: self.world.settle([leg]))
        # The look of the vault first: events are those of the last transaction.
        self._after_settlement(before, reason, "keeper is sandwiched", story)
        if settled is not None and settled["amounts_in"][0]:
            paid, got = settled["amounts_in"][0], settled["amounts_out"][0]
            assert got * leg.amount_in >= leg.min_amount_out * paid
        received = self.bot.back_run(sender="attacker")
        if settled is None:
            # Against nobody it pays the pool's fees.
            assert received <= spent

    @precondition(lambda self: self.vault.totalSupply() > 0 and self.vault.mark_is_live())
    @rule(
        pair=st.integers(0, 1),
        back=st.booleans(),
        permille=st.integers(1, 30) | st.integers(1, 450),
        loss=st.integers(-20, 40) | st.integers(-50, 150),
    )
    def thief_settles(self, pair: int, back: bool, permille: int, loss: int) -> None:
        thief, (buy, sell) = self.thieves[pair], HEISTS[pair]
        if not back:
            buy, sell = sell, buy
        before = self._look()
        if before.value * permille // 1000 < ONE or before.holdings[self.world.index(sell)] == 0:
            return
        settled = thief.settle(sell, buy, permille / 1000, loss / 10_000)
        story = f"{permille / 10} % {sell} for {buy}"
        self._after_settlement(before, None if settled else thief.refusal, "thief settles", story)

    # ------------------------------------------------------------------ breaker and limits

    @rule()
    def trip(self) -> None:
        live, peak, limits = self.vault.mark_is_live(), self.mandate.peak(), self.world.limits()
        per_share = self.vault.value_per_share() if live else 0
        state, reason = attempt(lambda: self.mandate.trip(sender="attacker"))
        if not live:
            assert reason == "oracle: stale"
            return
        expected = drawdown_state(per_share, peak, limits)
        outcome("trip", reason)
        if expected > self.state:
            assert state == expected
            self.state = expected
            outcome(f"trip to {state}")
        else:
            assert reason == "breaker: no condition"

    @rule(data=st.data(), state=st.integers(1, 2), part=st.integers(40, 100))
    def somebody_in_office_acts(self, data: st.DataObject, state: int, part: int) -> None:
        may = ["tighten", "cancel"]
        may += ["stop"] * (state > self.state)
        may += ["resume"] * 3 * (self.state != ACTIVE)
        may += ["loosen"] * (self.world.limits() != self.original)
        kind = data.draw(st.sampled_from(may))
        if kind == "stop":
            self.mandate.guardian_trip(state, sender=data.draw(st.sampled_from(["guardian", "curator"])))
            self.state = state
        elif kind == "cancel":
            self.vault.cancel(self.nonce, sender=data.draw(st.sampled_from(["optimizer", "curator", "guardian"])))
            self.nonce += 1
        elif kind == "resume":
            self._resume()
        elif kind == "tighten":
            field = data.draw(st.sampled_from(BUDGETS))
            limits = self.world.limits()
            limits = limits._replace(**{field: getattr(limits, field) * part // 100})
            self.mandate.set_limits(limits, sender="curator")
            self._record_rates(limits)
        else:
            self.world.loosen(self.original)
            self._record_rates(self.original)
            if self.market.reporting:
                self.market.report_all()
        if kind != "resume":
            outcome(kind)

    # ------------------------------------------------------------------ what always holds

    @invariant()
    def the_promises_hold(self) -> None:
        self.shares_are_nobodys_but_the_holders()
        self.anyone_can_leave_in_kind()
        self.claims_are_covered()
        self.the_latch_holds()
        self.the_peak_only_rises()
        self.every_order_counts_once()

    def shares_are_nobodys_but_the_holders(self) -> None:
        assert self.vault.totalSupply() == sum(self.shares.values())
        for role, shares in self.shares.items():
            assert self.vault.balanceOf(role) == shares

    def anyone_can_leave_in_kind(self) -> None:
        """One of them each time, in turns."""
        self.steps += 1
        role = DEPOSITORS[self.steps % len(DEPOSITORS)]
        shares, supply, holdings = self.shares[role], self.vault.totalSupply(), self.vault.holdings()
        if shares:
            with self.evm.rolled_back():
                amounts = self.world.leave_in_kind(role)
            net = shares if shares == supply else shares - -(-shares * self.original.exit_fee_bps // 10_000)
            assert list(amounts) == [held * net // (supply + VIRTUAL_SHARES) for held in holdings]

    def claims_are_covered(self) -> None:
        for i, (token, held) in enumerate(zip(self.world.tokens, self.vault.holdings(), strict=True)):
            assert token.balanceOf(self.vault) == held + sum(self.claims[role, i] for role in DEPOSITORS)

    def the_latch_holds(self) -> None:
        assert self.mandate.breaker_state() == self.state

    def the_peak_only_rises(self) -> None:
        assert self.mandate.peak() >= self.peak
        self.peak = self.mandate.peak()

    def no_allowance_is_left(self) -> None:
        for token, spender in spenders():
            assert token.allowance(self.vault, spender) == 0

    def every_order_counts_once(self) -> None:
        assert self.vault.order_nonce() == self.nonce

    # ------------------------------------------------------------------ internals

    def _planned(self, before: Look, route: tuple[str, str, int], back: bool, permille: int) -> tuple[Leg, str]:
        """A keeper's leg that gives up at most 1.5 % at oracle prices, and its story."""
        sell, buy = (route[1], route[0]) if back else route[:2]
        i, j = self.world.index(sell), self.world.index(buy)
        amount = min(before.value * permille // 1000 * ONE // before.oracle[i], before.holdings[i])
        minimum = amount * before.oracle[i] // before.oracle[j] * 985 // 1000
        return self.world.leg(sell, buy, amount, route[2], minimum), f"{amount} {sell} for {buy}"

    def _resume(self) -> None:
        seen = self.state, self.mandate.breaker_reason()
        outcome(f"resume from {self.state}")
        resume = self.world.schedule(self.mandate.resume, *seen, self.mandate.tripped_at())
        self.market.report_all()
        resume()
        self.state, self.peak = ACTIVE, self.mandate.peak()
        per_share = self.vault.value_per_share()
        assert per_share - (per_share >> PEAK_BITS) <= self.peak <= per_share

    def _deposit(self, role: str, assets: int) -> None:
        before, first = self._look(), self.vault.totalSupply() == 0
        supply, total = self.vault.totalSupply(), self.vault.totalAssets()
        per_share = self._per_share()
        shares = self.world.deposit(role, assets)
        note(f"{role} deposits {assets} for {shares} shares")
        # Never more than was paid for, rounding and fee to the vault; and at market prices worth no
        # more than was paid beyond the oracle's error.
        assert shares * (total + 1) <= (assets - -(-assets * 50 // 10_000)) * (supply + VIRTUAL_SHARES)
        part = Fraction(shares, supply + shares + VIRTUAL_SHARES)
        paid = assets * before.market[0]
        assert part * (before.worth + paid) <= paid * (1 + before.spread) + before.market[0]
        self.shares[role] += shares
        outcome("deposit")
        if first:
            self.peak = 0
        self._never_less(per_share)
        # What the depositor entered at; his fee is no gain.
        self._see_peak(before.per_share)

    def _after_settlement(self, before: Look, reason: str | None, action: str, story: str = "") -> None:
        note(f"{action} {story}: {reason or 'settled'}")
        outcome(action, reason)
        if reason is None:
            self._check_settled(before)
        else:
            assert reason in REFUSALS

    def _check_settled(self, before: Look) -> None:
        settled, after = settled_event(self.vault), self._look()
        limits = self.world.limits()
        self.nonce += 1
        found = drawdown_state(before.per_share, self.peak, limits)
        assert found != HALTED
        assert self.state != HALTED
        self.state = max(self.state, found)
        bounds = list(zip(limits.min_weights_bps, limits.max_weights_bps, strict=True))
        assert inside_or_closer(before.held, after.held, bounds, self.state == REDUCE_ONLY)
        if self.state == REDUCE_ONLY:
            assert all(now <= was for now, was in zip(after.holdings[1:], before.holdings[1:], strict=True))
        loss, turnover = settled["loss"], settled["turnover"]
        assert loss == max(0, -(-(before.value - after.value) * ONE // before.value))
        self.losses.charge(self.evm.timestamp, loss, limits.loss_capacity_bps)
        self.turnovers.charge(self.evm.timestamp, turnover, limits.turnover_capacity_bps)
        self.no_allowance_is_left()
        self.losses.check_last()
        self.turnovers.check_last()
        # In truth no more than that and what was turned over times the oracle's error.
        assert before.worth - after.worth <= before.real_loss_bound(loss, turnover) + before.worth / 10**12
        self._see_peak(self.vault.value_per_share())

    def _see_peak(self, per_share: int) -> None:
        """A transaction that prices the vault moves the peak up to what it saw."""
        assert self.mandate.peak() >= per_share - (per_share >> PEAK_BITS)

    def _open(self) -> bool:
        if self.state != ACTIVE or not self.vault.mark_is_live():
            return False
        if self.vault.totalSupply() == 0:
            return True
        return drawdown_state(self.vault.value_per_share(), self.mandate.peak(), self.original) == ACTIVE

    def _holders(self) -> st.SearchStrategy[str]:
        return st.sampled_from([role for role in DEPOSITORS if self.shares[role]])

    def _per_share(self) -> int | None:
        return self.vault.value_per_share() if self.vault.mark_is_live() else None

    def _never_less(self, before: int | None) -> None:
        """Entries and exits never lower value per share at standing prices."""
        if before is not None:
            assert self.vault.value_per_share() >= before

    def _look(self) -> Look:
        return Look(self.world, self.market)

    def _record_rates(self, limits: Limits) -> None:
        self.losses.set_rate(self.evm.timestamp, limits.loss_refill_bps_per_day)
        self.turnovers.set_rate(self.evm.timestamp, limits.turnover_refill_bps_per_day)


TestVaultMachine = VaultMachine.TestCase
TestVaultMachine.settings = settings(
    max_examples=max(1, STEPS // STEPS_EACH),
    stateful_step_count=STEPS_EACH,
    derandomize=True,
    deadline=None,
    report_multiple_bugs=False,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
