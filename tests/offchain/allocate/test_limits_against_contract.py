# SPDX-License-Identifier: Apache-2.0
"""The twin of the mandate's judge against the contract, on random mandates, states and settlements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, event, given, note, settings
from hypothesis import strategies as st

from offchain.allocate.judge import Book, Verdict, judge
from offchain.market.snapshot import NO_DEBT, BreakerState, VaultLimits, VaultState
from offchain.settle.calls import unpacked
from offchain.settle.development import development_address
from tests.support import world
from tests.support.evm import Contract, Evm, attempt
from tests.support.world import deploy_product, deploy_timelock

ONE = 10**18
BPS = 10**14
VAULT = "keeper"
"""The account that plays the vault."""
SETTLEMENTS = 8
"""Of each mandate, one after another."""
RULES = {
    "breaker: halted",
    "limits: buffer",
    "limits: cooling down",
    "limits: health factor",
    "limits: leverage",
    "limits: leverage increased",
    "limits: loss of a settlement",
    "limits: risk increased",
    "limits: venue",
    "limits: weight",
    "loss_budget: exhausted",
    "mandate: empty vault",
    "mandate: insolvent",
    "turnover: exhausted",
}


def random_limits(random: Random) -> VaultLimits:
    """Half of the rules are off, as in most mandates."""
    count = random.choice((2, 3, 5, 16))
    leverage = random.choice((0, 0, 15_000, 30_000))
    most = max(10_000, leverage)
    low = [random.choice((0, random.randint(0, 9_000 // count))) for _ in range(count)]
    high = [random.choice((most, random.randint(max(bound, 10_000 // count + 1), most))) for bound in low]
    return VaultLimits(
        tuple(low),
        tuple(high),
        random.choice((10, 300, 10_000)),
        random.choice((0, 100)),
        random.choice((50, 3000, 65_535)),
        random.choice((0, 1000)),
        2000,
        4000,
        0,
        0,
        loss_per_settlement_bps=random.choice((0, 5, 200)),
        max_leverage_bps=leverage,
        min_health_bps=random.choice((0, 11_500)) if leverage else 0,
        min_buffer_bps=random.choice((0, min(500, high[0]))),
        cool_down_s=random.choice((0, 600)),
        max_venues_bps=random.choice(((), (0,), (5000,), (8000, 3000))),
    )


def random_books(random: Random, limits: VaultLimits) -> tuple[Book, Book]:
    """Before and after a settlement, often at or one unit beside a bound, often little apart."""
    total = random.choice((10_000, 10**6, 10**24))
    venues = random.choice((0, 0, 1, 2)) if limits.max_leverage_bps else 0
    before = _draw(random, limits, total, venues)
    if random.random() < 0.3:
        return before, _draw(random, limits, total, venues)
    return before, _moved(random, before, limits)


def _draw(random: Random, limits: VaultLimits, total: int, venues: int) -> Book:
    count = len(limits.min_weights_bps)
    drawn = [random.randrange(total) for _ in range(count)]
    held = [value * total // (sum(drawn) or 1) for value in drawn]
    if random.random() < 0.5:
        bound = random.choice([*limits.min_weights_bps, *limits.max_weights_bps])
        held[random.randrange(count)] = max(0, total * bound // 10_000 + random.choice((-1, 0, 1)))
    owed = [0] * count
    if venues and random.random() < 0.7:
        owed[random.randrange(count)] = int(sum(held) * random.choice((0.1, 0.5, 0.7, 0.95, 1.2)))
    wallet = random.choice((held[0], held[0] // 3, 0)) if venues else held[0]
    there = tuple(int(sum(held) * random.random() / (place + 1)) for place in range(venues))
    return Book(tuple(held), tuple(owed), there, wallet, _health(random, limits) if any(owed) else NO_DEBT)


def _health(random: Random, limits: VaultLimits) -> int:
    least = (limits.min_health_bps or 11_000) * BPS
    return random.choice((least, least - 1, least + 1, least * 9 // 10, 2 * ONE))


def _moved(random: Random, before: Book, limits: VaultLimits) -> Book:
    """A swap, an advance or repayment of debt, and a little of everything else."""
    held, owed = list(before.held), list(before.owed)
    sold, bought = random.sample(range(len(held)), 2)
    moved = held[sold] * random.choice((0, 1, 10, 100, 1000)) // 1000
    held[sold] -= moved
    held[bought] += moved * random.choice((1000, 999, 970)) // 1000
    owing = next((index for index, amount in enumerate(owed) if amount), None)
    health = before.health
    if owing is not None:
        change = owed[owing] * random.choice((-1000, -10, -1, 0, 1, 10, 100)) // 1000
        owed[owing] += change
        held[owing] = max(0, held[owing] + change)
        health = random.choice((before.health, before.health + 1, before.health - 1, _health(random, limits)))
    steps = (0, 0, 1, -1, -before.wallet // 10)
    wallet = min(held[0], max(0, before.wallet + random.choice(steps))) if before.venues else held[0]
    venues = tuple(max(0, there + random.choice((0, 0, 1, -1, there // 10))) for there in before.venues)
    return Book(tuple(held), tuple(owed), venues, wallet, health if any(owed) else NO_DEBT)


def reported(one: Book) -> world.Book:
    """A book as a vault counts it."""
    return world.book(one.held, one.owed, one.venues, one.wallet, one.health)


def risen(before: Book, after: Book) -> int:
    """As the vault finds it at prices of one: 16 base units are a lending protocol's rounding."""
    most = 16 if before.venues else 0
    pairs = enumerate(zip(before.held, after.held, strict=True))
    return sum(1 << index for index, (old, new) in pairs if new - old > most)


def deploy(evm: Evm, limits: VaultLimits) -> Contract:
    roles = [deploy_timelock(evm, 86_400).address, *map(development_address, ("curator", "guardian"))]
    alarms = deploy_product(evm, "Alarms").address
    arguments = [limits.as_struct(), *roles, [development_address("optimizer")], 86_400, alarms]
    mandate = deploy_product(evm, "Mandate", arguments)
    mandate.bind(len(limits.min_weights_bps), sender=VAULT)
    return mandate


def state_of(mandate: Contract, limits: VaultLimits, per_share: int) -> VaultState:
    return VaultState(
        address="",
        oracle="",
        mandate="",
        nonce=0,
        breaker=BreakerState(mandate.breaker_state()),
        breaker_reason=mandate.breaker_reason(),
        total_supply=ONE,
        value_per_share=per_share,
        peak=mandate.peak(),
        loss_level=mandate.loss_level(),
        turnover_level=mandate.turnover_level(),
        mandate_hash="",
        limits=limits,
        settled_at=mandate.settled_at(),
    )


def compare_verdicts(evm: Evm, random: Random, tell: Callable[[str], None] = lambda text: None) -> Counter[str | None]:
    """A mandate and some settlements: contract and twin refuse the same for the same reason, and charge the same."""
    limits = random_limits(random)
    tell(str(limits))
    mandate = deploy(evm, limits)
    mandate.leave(ONE, sender=VAULT)
    state = random.choice((0, 0, 0, 1, 2))
    if state:
        mandate.guardian_trip(state, sender="guardian")
    seen: Counter[str | None] = Counter()
    for _ in range(SETTLEMENTS):
        before, after = random_books(random, limits)
        per_share = random.choice((ONE, ONE, ONE, ONE * 81 // 100, ONE * 80 // 100, ONE * 60 // 100))
        vault = state_of(mandate, limits, per_share)
        expected = judge(vault, evm.timestamp, before, after, [ONE] * len(before.held), limits)
        tell(f"{vault.breaker.name} {per_share} {before} -> {after}: {expected}")
        arguments = world.report(reported(before), reported(after), risen(before, after), per_share, per_share)
        outcome, reason = attempt(
            lambda given=arguments: mandate.judge("optimizer", mandate.mandate_hash(), *given, sender=VAULT)
        )
        assert reason == first(expected)
        if reason is None:
            assert tuple(unpacked(outcome, 64))[:2] == (expected.loss, expected.turnover)
        seen[reason] += 1
        evm.timestamp += random.choice((12, 599, 600, 86_400))
    return seen


def first(verdict: Verdict) -> str | None:
    return verdict.refusals[0].rule if verdict.refusals else None


@pytest.fixture(scope="module")
def evm() -> Evm:
    found = Evm()
    found.timestamp = 1_700_000_000
    return found


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(random=st.randoms(use_true_random=False))
def test_the_contract_refuses_what_the_twin_refuses_for_the_same_reason(evm: Evm, random: Random) -> None:
    with evm.rolled_back():
        for reason in compare_verdicts(evm, random, note):
            event(str(reason))


@pytest.mark.slow
def test_every_rule_has_been_met_on_the_contract(evm: Evm) -> None:
    seen: Counter[str | None] = Counter()
    for seed in range(800):
        with evm.rolled_back():
            seen += compare_verdicts(evm, Random(seed))
    assert set(seen) == {None, *RULES}
    assert seen[None] > 300


def test_every_rule_is_within_reach_of_the_random_settlements() -> None:
    reasons = set()
    for seed in range(1_500):
        random = Random(seed)
        limits = random_limits(random)
        before, after = random_books(random, limits)
        state = BreakerState(random.choice((0, 1, 2)))
        vault = VaultState("", "", "", 0, state, 0, ONE, ONE, ONE, 0, 0, "", limits, random.choice((0, 100)))
        reasons.add(first(judge(vault, 100, before, after, [ONE] * len(before.held), limits)))
    assert reasons == {None, *RULES}


def test_a_drawdown_is_judged_by_the_vaults_own_thresholds() -> None:
    limits = VaultLimits((0, 0), (10_000, 10_000), 100, 0, 100, 0, 2000, 4000, 0, 0)
    vault = VaultState("", "", "", 0, BreakerState.ACTIVE, 0, ONE, ONE * 7 // 10, ONE, 0, 0, "", limits)
    books = (Book((50, 50), (0, 0), (), 50, NO_DEBT),) * 2
    for given_limits in (limits, replace(limits, drawdown_halt_bps=100)):
        assert judge(vault, 0, *books, [ONE, ONE], given_limits).refusals == ()
