# SPDX-License-Identifier: Apache-2.0
"""The integer checks against the contract they mirror, on random mandates, states and settlements."""

from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from offchain.allocate.limits import refusals
from offchain.market.snapshot import AssetState, BreakerState, VaultLimits
from offchain.settle.development import development_address
from tests.support.evm import Contract, Evm, attempt
from tests.support.world import book, deploy_product, deploy_timelock

ONE = 10**18
VAULT = "keeper"
"""The account that plays the vault."""


def _random_limits(random: Random, count: int) -> VaultLimits:
    low = [random.choice((0, random.randint(0, 9_000 // count))) for _ in range(count)]
    high = [random.choice((10_000, random.randint(max(bound, 10_000 // count + 1), 10_000))) for bound in low]
    return VaultLimits(
        tuple(low),
        tuple(high),
        random.choice((10, 300, 10_000)),
        0,
        random.choice((50, 3000, 65_535)),
        0,
        2000,
        4000,
        0,
        0,
    )


def _deploy(evm: Evm, limits: VaultLimits) -> Contract:
    roles = [deploy_timelock(evm, 86_400).address, *map(development_address, ("curator", "guardian"))]
    alarms = deploy_product(evm, "Alarms").address
    arguments = [limits.as_struct(), *roles, [development_address("optimizer")], 86_400, alarms]
    mandate = deploy_product(evm, "Mandate", arguments)
    mandate.bind(len(limits.min_weights_bps), sender=VAULT)
    return mandate


def _settlement(random: Random, limits: VaultLimits) -> tuple[list[int], list[int]]:
    """Values before and after, often at or one unit beside a bound."""
    total = random.choice((10_000, 10**6, 10**24))
    count = len(limits.min_weights_bps)
    bounds = [*limits.min_weights_bps, *limits.max_weights_bps]

    def draw() -> list[int]:
        drawn = [random.randrange(total) for _ in range(count)]
        scaled = [value * total // (sum(drawn) or 1) for value in drawn]
        if random.random() < 0.5:
            place = random.randrange(count)
            scaled[place] = max(0, total * random.choice(bounds) // 10_000 + random.choice((-1, 0, 1)))
        return scaled

    before = draw()
    if random.random() < 0.6:
        sold, bought = random.sample(range(count), 2)
        moved = before[sold] * random.choice((1, 10, 100, 1000)) // 1000
        after = list(before)
        after[sold] -= moved
        after[bought] += moved * random.choice((1000, 999, 970)) // 1000
        return before, after
    return before, draw()


@pytest.mark.parametrize("seed", range(6))
def test_the_contract_refuses_what_the_checks_refuse_for_the_same_reason(vaults: Any, seed: int) -> None:
    random = Random(seed)
    evm = Evm()
    evm.timestamp = 1_700_000_000
    seen: Counter[str | None] = Counter()
    for _ in range(6):
        limits = _random_limits(random, random.choice((2, 3, 5, 16)))
        mandate = _deploy(evm, limits)
        state = BreakerState(random.choice((0, 0, 1, 2)))
        if state:
            mandate.guardian_trip(int(state), sender="guardian")
        for _ in range(60):
            before, after = _settlement(random, limits)
            if not sum(before) or not sum(after):
                continue
            assets = tuple(AssetState(str(i), "", 18, value, ONE, 0) for i, value in enumerate(before))
            snapshot = vaults.snapshot(
                limits=limits, breaker=state, loss_level=mandate.loss_level(), turnover_level=mandate.turnover_level()
            )
            expected = refusals(replace(snapshot, assets=assets), after, limits)
            risen = sum(1 << i for i, (old, new) in enumerate(zip(before, after, strict=True)) if new > old)
            arguments = ("optimizer", mandate.mandate_hash(), book(before), book(after), risen, ONE, ONE)
            _, reason = attempt(lambda mandate=mandate, given=arguments: mandate.judge(*given, sender=VAULT))
            assert reason == (expected[0].rule if expected else None)
            seen[reason] += 1
    assert seen.total() > 250
    assert seen[None] > 0


def test_every_rule_has_been_met(vaults: Any) -> None:
    """The random settlements above reach each reason at least once."""
    random = Random(0)
    reasons = set()
    for _ in range(1500):
        limits = _random_limits(random, 3)
        before, after = _settlement(random, limits)
        if sum(before) and sum(after):
            assets = tuple(AssetState(str(i), "", 18, value, ONE, 0) for i, value in enumerate(before))
            snapshot = vaults.snapshot(limits=limits, breaker=BreakerState(random.choice((0, 1, 2))))
            reasons |= {refusal.rule for refusal in refusals(replace(snapshot, assets=assets), after, limits)}
    assert reasons == {
        "breaker: halted",
        "limits: risk increased",
        "limits: weight",
        "loss_budget: exhausted",
        "turnover: exhausted",
    }
