# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import Any

import pytest

from offchain.allocate.judge import Book, Portfolio, Refusal, judge, refusals
from offchain.allocate.limits import FULL_BPS, loss, outside, settlement_state, tighter, turnover, values, weight_bounds
from offchain.market.snapshot import NO_DEBT, BreakerState, VaultLimits, VaultState


def _limits(low: tuple[int, ...], high: tuple[int, ...], **more: int) -> VaultLimits:
    fields = dict.fromkeys(VaultLimits.__dataclass_fields__, 100) | more
    return VaultLimits(**(fields | {"min_weights_bps": low, "max_weights_bps": high, "max_venues_bps": ()}))


THREE = _limits((1000, 2000, 0), (5000, 6000, 3000))


def _violation(value: int, total: int, low: int, high: int) -> Fraction:
    """How far outside its bounds a weight stands; below counts negative."""
    weight = Fraction(value, total)
    return min(weight - Fraction(low, 10_000), Fraction(0)) + max(weight - Fraction(high, 10_000), Fraction(0))


def _allowed(before: list[int], after: list[int], limits: VaultLimits) -> bool:
    """The rule as a sentence: inside, or each violation no larger, one smaller, none new."""
    pairs = zip(before, after, limits.min_weights_bps, limits.max_weights_bps, strict=True)
    changes = [(_violation(b, sum(before), lo, hi), _violation(a, sum(after), lo, hi)) for b, a, lo, hi in pairs]
    if all(new == 0 for _, new in changes):
        return True
    no_larger = all(new == 0 or (old * new > 0 and abs(new) <= abs(old)) for old, new in changes)
    return no_larger and any(abs(new) < abs(old) for old, new in changes)


def weight_refusal(
    before: list[int], after: list[int], limits: VaultLimits, reduce_only: bool = False
) -> Refusal | None:
    """What refuses a settlement under limits that only bound weights."""
    free = VaultLimits(
        limits.min_weights_bps, limits.max_weights_bps, 10_000, 0, 10**9, 0, FULL_BPS, FULL_BPS, 0, 0
    )  # fmt: skip
    state = BreakerState.REDUCE_ONLY if reduce_only else BreakerState.ACTIVE
    vault = VaultState("", "", "", 0, state, 0, 1, 1, 1, 0, 0, "", free)
    books = (Book(tuple(held), (0,) * len(held), (), held[0], NO_DEBT) for held in (before, after))
    found = judge(vault, 0, *books, [10**18] * len(before), free).refusals
    return found[0] if found else None


def test_the_weight_rule_is_what_the_sentence_says() -> None:
    random = Random(1)
    verdicts = {True: 0, False: 0}
    for _ in range(8_000):
        before = [random.randint(0, 40) for _ in range(3)]
        after = [max(0, b + random.choice((0, 0, -3, -1, 1, 3, 10))) for b in before]
        if not sum(before) or not sum(after):
            continue
        allowed = _allowed(before, after, THREE)
        assert (weight_refusal(before, after, THREE) is None) == allowed
        verdicts[allowed] += 1
    assert min(verdicts.values()) > 500


def test_standing_still_outside_is_refused() -> None:
    assert weight_refusal([80, 10, 10], [80, 10, 10], THREE) == Refusal("limits: weight", 0)


def test_a_step_closer_is_allowed() -> None:
    assert weight_refusal([80, 10, 10], [79, 11, 10], THREE) is None


def test_crossing_to_the_other_side_of_the_band_is_a_new_violation() -> None:
    assert weight_refusal([80, 20, 0], [5, 60, 35], THREE) == Refusal("limits: weight", 0)


def test_reducing_suspends_what_forbids_the_way_out() -> None:
    assert weight_bounds(THREE, True) == ((1000, 0, 0), (10_000, 6000, 3000))
    assert weight_refusal([40, 40, 20], [100, 0, 0], THREE, reduce_only=True) is None
    assert weight_refusal([40, 40, 20], [100, 0, 0], THREE) == Refusal("limits: weight", 0)


def test_outside_names_the_assets() -> None:
    assert outside([80, 10, 10], THREE) == (0, 1)
    assert outside([80, 10, 10], THREE, reduce_only=True) == ()


def test_values_round_down() -> None:
    assert values([3], [10**18 // 2]) == (1,)


def test_loss_rounds_up_and_gains_refill_nothing() -> None:
    assert loss(3, 2) == -(-(10**18) // 3)
    assert loss(3, 4) == 0


def test_turnover_is_the_larger_of_bought_and_sold() -> None:
    assert turnover([10, 10], [4, 15]) == 3 * 10**17
    assert turnover([10, 10], [10, 10]) == 0


@pytest.mark.parametrize(
    ("per_share", "state"),
    [
        (81, BreakerState.ACTIVE),
        (80, BreakerState.REDUCE_ONLY),
        (61, BreakerState.REDUCE_ONLY),
        (60, BreakerState.HALTED),
    ],
)
def test_a_settlement_is_judged_after_the_drawdown_latched(vaults: Any, per_share: int, state: BreakerState) -> None:
    assert settlement_state(vaults.snapshot(value_per_share=per_share * 10**16).vault) is state


def test_a_latched_state_stays(vaults: Any) -> None:
    assert settlement_state(vaults.snapshot(breaker=BreakerState.HALTED).vault) is BreakerState.HALTED


def _rules(vaults: Any, after: tuple[float, ...], **vault: Any) -> list[str]:
    before, goal = vaults.snapshot(**vault), vaults.snapshot(after, value=vaults_value(after))
    return [refusal.rule for refusal in refusals(before, Portfolio.of(goal), before.vault.limits)]


def vaults_value(weights: tuple[float, ...]) -> float:
    """A million for weights that add up to 1."""
    return 1e6 * sum(weights)


def test_nothing_is_refused_inside(vaults: Any) -> None:
    assert _rules(vaults, (0.25, 0.25, 0.27, 0.08, 0.15)) == []


def test_every_broken_rule_is_named(vaults: Any) -> None:
    assert _rules(vaults, (0.55, 0.15, 0.15, 0.02, 0.10)) == ["limits: weight", "loss_budget: exhausted"]
    assert _rules(vaults, (0.3, 0.3, 0.27, 0.03, 0.1), turnover_level=95 * 10**16) == ["turnover: exhausted"]
    reduce_only = BreakerState.REDUCE_ONLY
    assert _rules(vaults, (0.19, 0.31, 0.27, 0.08, 0.15), breaker=reduce_only) == ["limits: risk increased"]
    assert _rules(vaults, (0.2, 0.3, 0.27, 0.08, 0.15), breaker=BreakerState.HALTED) == ["breaker: halted"]


def test_budgets_bind_at_their_last_unit(vaults: Any) -> None:
    snapshot = vaults.snapshot()
    held = [asset.balance for asset in snapshot.assets]
    after = [held[0] - 10**9, *held[1:]]  # a thousand dollars thrown away: 10 bps
    prices = [asset.price for asset in snapshot.assets]
    lost = loss(sum(values(held, prices)), sum(values(after, prices)))
    room = 10**16 - lost
    for level, refused in ((room, False), (room + 1, True)):
        vault = replace(snapshot.vault, loss_level=level)
        found = refusals(replace(snapshot, vault=vault), Portfolio(tuple(after)), vault.limits)
        assert (Refusal("loss_budget: exhausted") in found) is refused


def test_tighter_takes_the_tighter_of_each() -> None:
    other = _limits((500, 3000, 0), (6000, 5000, 2000), loss_capacity_bps=50, turnover_capacity_bps=400)
    other = replace(other, loss_per_settlement_bps=0, max_venues_bps=(10, 20), min_buffer_bps=200)
    both = tighter(replace(THREE, max_venues_bps=(30,)), other)
    assert (both.loss_per_settlement_bps, both.max_venues_bps, both.min_buffer_bps) == (100, (10, 20), 200)
    assert both.min_weights_bps == (1000, 3000, 0)
    assert both.max_weights_bps == (5000, 5000, 2000)
    assert (both.loss_capacity_bps, both.turnover_capacity_bps) == (50, 100)
