# SPDX-License-Identifier: Apache-2.0
"""set_limits, limits, mandate_hash, hash_limits: tighten at once, loosen after the delay."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offchain.settle.development import development_address
from tests.contracts.mandate.conftest import deploy_judge, deploy_mandate, loose_limits
from tests.support.evm import Evm, attempt, reverts
from tests.support.world import DAY, Limits, World

BUDGETS = ("loss_capacity_bps", "loss_refill_bps_per_day", "turnover_capacity_bps", "turnover_refill_bps_per_day")
BOTH_WAYS = ("drawdown_reduce_bps", "drawdown_halt_bps", "entry_fee_bps", "exit_fee_bps")


def moved(limits: Limits, field: str, by: int) -> Limits:
    """One limit moved by so many basis points; of the weights, that of the second asset."""
    value = getattr(limits, field)
    if isinstance(value, tuple):
        return limits._replace(**{field: (value[0], value[1] + by, *value[2:])})
    return limits._replace(**{field: value + by})


TIGHTER = [(field, -1) for field in (*BUDGETS, "max_weights_bps")] + [("min_weights_bps", 1)]
LOOSER = [(field, -by) for field, by in TIGHTER] + [(field, by) for field in BOTH_WAYS for by in (1, -1)]


@pytest.mark.parametrize("role", ["curator", "owner"])
@pytest.mark.parametrize(("field", "by"), TIGHTER)
def test_tightening_acts_at_once(world: World, role: str, field: str, by: int) -> None:
    new = moved(world.limits(), field, by)
    world.mandate.set_limits(new, sender=role)
    assert world.limits() == new
    assert world.mandate.event("LimitsSet") == {
        "mandate_hash": world.mandate.mandate_hash(),
        "limits": new,
        "caller": development_address(role),
    }


@pytest.mark.parametrize(("field", "by"), LOOSER)
def test_loosening_is_not_the_curators(world: World, field: str, by: int) -> None:
    """Thresholds and fees count as loosening both ways: lower ones let somebody stop the vault, higher ones let it sink."""
    with reverts("ownable: caller is not the owner"):
        world.mandate.set_limits(moved(world.limits(), field, by), sender="curator")


@pytest.mark.parametrize(("field", "by"), LOOSER)
def test_loosening_waits_for_the_delay(world: World, field: str, by: int) -> None:
    new = moved(world.limits(), field, by)
    with reverts("roles: not scheduled"):
        world.mandate.set_limits(new, sender="owner")
    world.schedule("set_limits", ("bytes32",), (world.mandate.hash_limits(new),), wait=False)
    world.evm.mine(2 * DAY - 1)
    with reverts("roles: not ready"):
        world.mandate.set_limits(new, sender="owner")
    world.evm.mine(1)
    world.mandate.set_limits(new, sender="owner")
    assert world.limits() == new


def test_one_looser_limit_makes_the_whole_change_loosening(world: World) -> None:
    new = moved(moved(world.limits(), "loss_capacity_bps", -50), "loss_refill_bps_per_day", 1)
    with reverts("ownable: caller is not the owner"):
        world.mandate.set_limits(new, sender="curator")


@pytest.mark.parametrize("role", ["guardian", "optimizer", "keeper", "attacker"])
def test_nobody_else(world: World, role: str) -> None:
    with reverts("roles: not owner or curator"):
        world.mandate.set_limits(moved(world.limits(), "loss_capacity_bps", -1), sender=role)


def test_a_schedule_serves_its_very_limits(world: World) -> None:
    world.schedule("set_limits", ("bytes32",), (world.mandate.hash_limits(moved(world.limits(), "exit_fee_bps", 1)),))
    with reverts("roles: not scheduled"):
        world.mandate.set_limits(moved(world.limits(), "exit_fee_bps", 2), sender="owner")


def test_a_schedule_serves_once(world: World) -> None:
    old, new = world.limits(), moved(world.limits(), "loss_capacity_bps", 1)
    world.schedule("set_limits", ("bytes32",), (world.mandate.hash_limits(new),))
    world.mandate.set_limits(new, sender="owner")
    world.mandate.set_limits(old, sender="curator")
    with reverts("roles: not scheduled"):
        world.mandate.set_limits(new, sender="owner")


def test_tightening_uses_up_no_schedule(world: World) -> None:
    new = moved(world.limits(), "loss_capacity_bps", -1)
    world.schedule("set_limits", ("bytes32",), (world.mandate.hash_limits(new),))
    world.mandate.set_limits(new, sender="owner")
    assert world.mandate.ready_at(world.schedule_id("set_limits", ("bytes32",), (world.mandate.hash_limits(new),))) > 0


def test_two_tightenings_never_make_a_loosening(world: World) -> None:
    """What the curator may do at once he may never undo at once."""
    old = world.limits()
    for field, by in TIGHTER:
        with world.evm.rolled_back():
            world.mandate.set_limits(moved(old, field, by), sender="curator")
            with reverts("ownable: caller is not the owner"):
                world.mandate.set_limits(old, sender="curator")


@given(data=st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_the_curator_may_set_admits_no_more_than_before(evm: Evm, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 4))
    with evm.rolled_back():
        old, new = data.draw(valid_limits(count)), data.draw(valid_limits(count))
        if data.draw(st.booleans()):
            # Nearly the same, so that tightening is not rare.
            field = data.draw(st.sampled_from((*BUDGETS, *BOTH_WAYS)))
            new = old._replace(**{field: getattr(new, field)})
        judge = deploy_judge(evm, old)
        _, reason = attempt(lambda: judge.mandate.set_limits(new, sender="curator"))
        tighter = (
            all(getattr(new, field) <= getattr(old, field) for field in BUDGETS)
            and all(getattr(new, field) == getattr(old, field) for field in BOTH_WAYS)
            and all(a >= b for a, b in zip(new.min_weights_bps, old.min_weights_bps, strict=True))
            and all(a <= b for a, b in zip(new.max_weights_bps, old.max_weights_bps, strict=True))
        )
        assert (reason is None) == tighter


@st.composite
def valid_limits(draw: st.DrawFn, count: int) -> Limits:
    lows = draw(st.lists(st.integers(0, 10_000 // count), min_size=count, max_size=count))
    highs = [draw(st.integers(max(low, -(-10_000 // count)), 10_000)) for low in lows]
    reduce = draw(st.integers(1, 10_000))
    return Limits(
        tuple(lows),
        tuple(highs),
        draw(st.integers(0, 10_000)),
        draw(st.integers(0, 10_000)),
        draw(st.integers(0, 65_535)),
        draw(st.integers(0, 65_535)),
        reduce,
        draw(st.integers(reduce, 10_000)),
        draw(st.integers(0, 500)),
        draw(st.integers(0, 500)),
    )


@given(data=st.data(), count=st.integers(1, 16))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_set_is_what_is_read(evm: Evm, data: st.DataObject, count: int) -> None:
    """Sixteen assets' limits survive their packing into three words."""
    limits = data.draw(valid_limits(count))
    with evm.rolled_back():
        mandate = deploy_mandate(evm, limits)
        assert Limits(*mandate.limits()) == limits
        assert mandate.mandate_hash() == mandate.hash_limits(limits)


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_limit_counts_in_the_hash(evm: Evm, data: st.DataObject) -> None:
    one, other = data.draw(valid_limits(3)), data.draw(valid_limits(3))
    with evm.rolled_back():
        mandate = deploy_mandate(evm, one)
        assert (mandate.hash_limits(one) == mandate.hash_limits(other)) == (one == other)


def test_the_same_limits_of_another_mandate_hash_otherwise(evm: Evm) -> None:
    first, second = (deploy_mandate(evm, loose_limits()) for _ in range(2))
    assert first.mandate_hash() != second.mandate_hash()


IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    ({"min_weights_bps": (0,)}, "limits: length"),
    ({"max_weights_bps": (10_000,) * 3}, "limits: length"),
    ({"min_weights_bps": (0, 5000), "max_weights_bps": (10_000, 4999)}, "limits: minimum above maximum"),
    ({"max_weights_bps": (10_001, 10_000)}, "limits: weight above one"),
    ({"min_weights_bps": (5000, 5001)}, "limits: weights cannot sum to one"),
    ({"max_weights_bps": (5000, 4999)}, "limits: weights cannot sum to one"),
    ({"loss_capacity_bps": 10_001}, "limits: loss capacity"),
    ({"loss_refill_bps_per_day": 10_001}, "limits: loss refill"),
    ({"turnover_capacity_bps": 65_536}, "limits: turnover capacity"),
    ({"turnover_refill_bps_per_day": 65_536}, "limits: turnover refill"),
    ({"drawdown_reduce_bps": 0}, "limits: drawdown"),
    ({"drawdown_reduce_bps": 5001, "drawdown_halt_bps": 5000}, "limits: drawdown"),
    ({"drawdown_halt_bps": 10_001}, "limits: drawdown"),
    ({"entry_fee_bps": 501}, "limits: fee"),
    ({"exit_fee_bps": 501}, "limits: fee"),
    ({"loss_capacity_bps": 2**256 - 1}, "limits: loss capacity"),
]


@pytest.mark.parametrize(("changes", "reason"), IMPOSSIBLE, ids=[reason for _, reason in IMPOSSIBLE])
def test_limits_that_contradict_themselves(evm: Evm, changes: dict[str, Any], reason: str) -> None:
    judge = deploy_judge(evm, loose_limits())
    bad = loose_limits()._replace(**changes)
    with reverts(reason):
        judge.mandate.set_limits(bad, sender="curator")
    with reverts(reason):
        judge.mandate.hash_limits(bad)
    with reverts(reason):
        deploy_mandate(evm, bad)
