# SPDX-License-Identifier: Apache-2.0
"""judge, weights: inside the bounds or closer than before, compared exactly."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.contracts.mandate.conftest import deploy_judge, loose_limits
from tests.support.evm import Evm, attempt, reverts
from tests.support.reference import inside_or_closer, weight_violations
from tests.support.world import ONE


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """Bounds that can hold, and two portfolios that are often exactly on them."""
    count = draw(st.integers(1, 6))
    lows = draw(st.lists(st.integers(0, 10_000 // count), min_size=count, max_size=count))
    highs = [draw(st.integers(max(low, -(-10_000 // count)), 10_000)) for low in lows]
    unit = draw(st.sampled_from([1, 10**4, 10**18, 10**30]))
    edges = [edge for pair in zip(lows, highs, strict=True) for edge in pair]
    value = st.sampled_from(edges) | st.integers(0, 10_000)
    jitter = st.sampled_from([0, 0, 0, 1, -1])

    def portfolio() -> list[int]:
        parts = [draw(value) for _ in range(count - 1)]
        # The last makes the sum 10,000 when it can, so that the others' weights are whole basis points.
        parts.append(max(10_000 - sum(parts), draw(st.integers(0, 10_000))))
        return [max(0, part * unit + draw(jitter)) for part in parts]

    before = portfolio()
    after = portfolio() if draw(st.booleans()) else [max(0, v + draw(jitter)) for v in before]
    return before, after, list(zip(lows, highs, strict=True))


@given(case=cases(), reduce_only=st.booleans())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_agrees_with_exact_arithmetic(
    evm: Evm, case: tuple[list[int], list[int], list[tuple[int, int]]], reduce_only: bool
) -> None:
    before, after, bounds = case
    if sum(before) == 0 or sum(after) == 0 or max(sum(after) - sum(before), 0) > 5 * sum(before):
        return
    lows, highs = zip(*bounds, strict=True)
    limits = loose_limits(len(bounds), min_weights_bps=lows, max_weights_bps=highs)
    with evm.rolled_back():
        judge = deploy_judge(evm, limits)
        if reduce_only:
            judge.mandate.guardian_trip(1, sender="guardian")
        expected = inside_or_closer(before, after, bounds, reduce_only)
        _, reason = attempt(lambda: judge(before, after))
        outside = any(weight_violations(after, bounds, reduce_only, sum(after)))
        event(reason or ("closer" if outside else "inside"))
        # The turnover bucket has a ceiling of its own.
        assert reason in ("turnover: exhausted", None if expected else "limits: weight")


BOUNDS = {"min_weights_bps": (1000, 2000), "max_weights_bps": (8000, 9000)}
"""Of a base asset and one other."""


@pytest.fixture
def bounded(evm: Evm):  # type: ignore[no-untyped-def]
    return deploy_judge(evm, loose_limits(2, **BOUNDS))


@pytest.mark.parametrize("after", [(1000, 9000), (8000, 2000), (5000, 5000)])
def test_on_the_bounds_is_inside(bounded, after) -> None:  # type: ignore[no-untyped-def]
    bounded((5000, 5000), after)


@pytest.mark.parametrize("after", [(10**18 - 1, 9 * 10**18), (8 * 10**18 + 1, 2 * 10**18)])
def test_a_wei_outside_is_outside(bounded, after) -> None:  # type: ignore[no-untyped-def]
    with reverts("limits: weight"):
        bounded((5 * 10**18, 5 * 10**18), after)


@pytest.mark.parametrize(("gift", "passes"), [(1, True), (10**11, True), (10**11 + 1, False)])
def test_what_is_closed_may_hold_what_anyone_can_give(evm: Evm, gift: int, passes: bool) -> None:
    """A thousandth of a basis point of the net value, before or after; more has to come closer to nothing."""
    judge = deploy_judge(evm, loose_limits(3, max_weights_bps=(10_000, 10_000, 0)))
    half = 5 * 10**17
    before, after = (half, ONE - half - gift, gift), (half - 1, ONE - half - gift + 1, gift)
    _, reason = attempt(lambda: judge(before, after))
    assert reason == (None if passes else "limits: weight")
    if not passes:
        judge(before, (half, ONE - half - gift + 1, gift - 1))


def test_closer_is_enough(bounded) -> None:  # type: ignore[no-untyped-def]
    bounded((9500, 500), (9400, 600))


def test_as_far_is_not(bounded) -> None:  # type: ignore[no-untyped-def]
    with reverts("limits: weight"):
        bounded((9500, 500), (9500, 500))


def test_farther_is_not(bounded) -> None:  # type: ignore[no-untyped-def]
    with reverts("limits: weight"):
        bounded((9500, 500), (9501, 499))


def test_past_the_other_bound_is_not(bounded) -> None:  # type: ignore[no-untyped-def]
    """From too much to too little is a new violation, however small."""
    with reverts("limits: weight"):
        bounded((9500, 500), (999, 9001))


def test_one_violation_smaller_does_not_buy_another_larger(evm: Evm) -> None:
    judge = deploy_judge(evm, loose_limits(3, max_weights_bps=(10_000, 3000, 3000)))
    with reverts("limits: weight"):
        judge((2000, 4000, 4000), (2000, 3500, 4500))


def test_bounds_are_not_renormalised_after_clamping(evm: Evm) -> None:
    """With one weight stuck outside, the others' bounds stand where the mandate put them."""
    judge = deploy_judge(evm, loose_limits(3, max_weights_bps=(10_000, 3000, 2000)))
    with reverts("limits: weight"):
        judge((3500, 4500, 2000), (3600, 4000, 2400))


def test_only_reducing_lifts_the_others_lower_and_the_bases_upper_bound(bounded) -> None:  # type: ignore[no-untyped-def]
    bounded.mandate.guardian_trip(1, sender="guardian")
    bounded((5000, 5000), (10_000, 0))


def test_only_reducing_keeps_the_others_upper_bound(bounded) -> None:  # type: ignore[no-untyped-def]
    bounded.mandate.guardian_trip(1, sender="guardian")
    with reverts("limits: weight"):
        bounded((5000, 5000), (900, 9100))


@pytest.mark.parametrize("risen", [0b10, 0b110, 1 << 15])
def test_only_reducing_refuses_what_rose(evm: Evm, risen: int) -> None:
    judge = deploy_judge(evm, loose_limits(3))
    judge.mandate.guardian_trip(1, sender="guardian")
    with reverts("limits: risk increased"):
        judge((1, 1, 1), (1, 1, 1), risen=risen)


def test_only_reducing_lets_the_base_asset_rise(evm: Evm) -> None:
    judge = deploy_judge(evm, loose_limits(3))
    judge.mandate.guardian_trip(1, sender="guardian")
    judge((1, 1, 1), (2, 1, 0), risen=0b1)


def test_values_of_a_hundred_trillion_dollars_do_not_overflow(evm: Evm) -> None:
    judge = deploy_judge(evm, loose_limits(16))
    judge((10**14 * ONE,) * 16, (10**14 * ONE,) * 16)
