# SPDX-License-Identifier: Apache-2.0
"""set_limits, approve_limits, limits, mandate_hash, hash_limits: tighten at once, loosen when the owner approved."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offchain.mandate import TABLE_LIMITS
from offchain.settle.development import development_address
from tests.contracts.mandate.conftest import deploy_judge, deploy_mandate, loose_limits
from tests.support.evm import Contract, Evm, attempt, reverts
from tests.support.world import DAY, Limits, World, product_abi, scheduled

BUDGETS = ("loss_capacity_bps", "loss_refill_bps_per_day", "turnover_capacity_bps", "turnover_refill_bps_per_day")
BOTH_WAYS = ("drawdown_reduce_bps", "drawdown_halt_bps", "entry_fee_bps", "exit_fee_bps")
TABLE = TABLE_LIMITS


def moved(limits: Limits, field: str, by: int) -> Limits:
    """One limit moved by so many basis points; of the weights, that of the second asset."""
    value = getattr(limits, field)
    if isinstance(value, tuple):
        return limits._replace(**{field: (value[0], value[1] + by, *value[2:])})
    return limits._replace(**{field: value + by})


FULL = {"loss_per_settlement_bps": 50, "max_leverage_bps": 20_000, "min_health_bps": 15_000, "min_buffer_bps": 100,
        "cool_down_s": 60, "peak_window_hours": 24, "max_venues_bps": (5000, 6000), "deleverage_trigger_bps": 12_000,
        "deleverage_target_bps": 15_000, "deleverage_discount_bps": 100, "volatility_trip_bps": 9000,
        "volatility_window_hours": 24, "oracle_dead_minutes": 60, "sources_apart_minutes": 30, "depeg_bps": 200,
        "depeg_minutes": 30, "heartbeat_minutes": 600, "frozen_trips": 1}  # fmt: skip
"""Every optional rule switched on."""
TIGHTER = [(field, -1) for field in (*BUDGETS, "max_weights_bps")] + [("min_weights_bps", 1)]
LOOSER = [(field, -by) for field, by in TIGHTER] + [(field, by) for field in BOTH_WAYS for by in (1, -1)]


@pytest.mark.parametrize(("field", "by"), TIGHTER)
def test_tightening_acts_at_once(world: World, field: str, by: int) -> None:
    new = moved(world.limits(), field, by)
    world.mandate.set_limits(new, sender="curator")
    assert world.limits() == new
    assert world.mandate.event("LimitsSet") == {
        "mandate_hash": world.mandate.mandate_hash(),
        "limits": new,
        "caller": development_address("curator"),
    }


NOT_APPROVED = "limits: looser and not approved"


@pytest.mark.parametrize(("field", "by"), LOOSER)
def test_loosening_is_not_the_curators(world: World, field: str, by: int) -> None:
    """Thresholds and fees count as loosening both ways: lower ones let somebody stop the vault, higher ones let it sink."""
    with reverts(NOT_APPROVED):
        world.mandate.set_limits(moved(world.limits(), field, by), sender="curator")


@pytest.mark.parametrize(("field", "by"), LOOSER)
def test_loosening_waits_for_the_delay(world: World, field: str, by: int) -> None:
    new = moved(world.limits(), field, by)
    approve = world.schedule(world.mandate.approve_limits, world.mandate.hash_limits(new), wait=False)
    world.evm.mine(2 * DAY - 1)
    with reverts("timelock_controller: operation is not ready"):
        approve()
    world.evm.mine(1)
    approve()
    assert world.mandate.event("LimitsApproved") == {"limits_hash": world.mandate.hash_limits(new)}
    world.mandate.set_limits(new, sender="attacker")
    assert world.limits() == new


def test_one_looser_limit_makes_the_whole_change_loosening(world: World) -> None:
    new = moved(moved(world.limits(), "loss_capacity_bps", -50), "loss_refill_bps_per_day", 1)
    with reverts(NOT_APPROVED):
        world.mandate.set_limits(new, sender="curator")


@pytest.mark.parametrize("role", ["owner", "guardian", "optimizer", "keeper", "attacker"])
def test_nobody_else(world: World, role: str) -> None:
    with reverts("roles: not owner or curator"):
        world.mandate.set_limits(moved(world.limits(), "loss_capacity_bps", -1), sender=role)


@pytest.mark.parametrize("role", ["owner", "curator", "guardian", "attacker"])
def test_only_the_owner_that_waited_approves(world: World, role: str) -> None:
    with reverts("ownable: caller is not the owner"):
        world.mandate.approve_limits(b"\1" * 32, sender=role)


def test_an_approval_serves_its_very_limits(world: World) -> None:
    world.owner_does(world.mandate.approve_limits, world.mandate.hash_limits(moved(world.limits(), "exit_fee_bps", 1)))
    with reverts(NOT_APPROVED):
        world.mandate.set_limits(moved(world.limits(), "exit_fee_bps", 2), sender="curator")


def test_an_approval_serves_once(world: World) -> None:
    old, new = world.limits(), moved(world.limits(), "loss_capacity_bps", 1)
    world.loosen(new)
    world.mandate.set_limits(old, sender="curator")
    with reverts(NOT_APPROVED):
        world.mandate.set_limits(new, sender="curator")


def test_what_is_tightened_meanwhile_is_not_loosened_by_an_older_approval(world: World) -> None:
    """A curator who tightens in need is not undone by whoever finds an approval that nobody used."""
    approved = moved(world.limits(), "loss_capacity_bps", 1)
    world.owner_does(world.mandate.approve_limits, world.mandate.hash_limits(approved))
    world.mandate.set_limits(moved(world.limits(), "loss_capacity_bps", -50), sender="curator")
    with reverts("roles: not owner or curator"):
        world.mandate.set_limits(approved, sender="attacker")
    assert world.mandate.approved_limits() == bytes(32)


def test_an_approval_can_be_withdrawn(world: World) -> None:
    new = moved(world.limits(), "loss_capacity_bps", 1)
    world.owner_does(world.mandate.approve_limits, world.mandate.hash_limits(new))
    world.owner_does(world.mandate.approve_limits, bytes(32))
    with reverts(NOT_APPROVED):
        world.mandate.set_limits(new, sender="curator")


HONEST = FULL | {
    "max_venues_bps": (),
    "min_health_bps": 60_000,
    "heartbeat_minutes": 181,
    "volatility_window_hours": 274,
}
EVIL = HONEST | {"deleverage_trigger_bps": 60_000, "deleverage_target_bps": 65_000, "deleverage_discount_bps": 2000,
                 "heartbeat_minutes": 49, "volatility_window_hours": 295}  # fmt: skip
"""Found by trying 179,000 of each kind: their tables agree in the 32 bits that orders carry of them."""


def test_an_approval_is_of_the_whole_table_and_not_of_what_orders_carry_of_it(evm: Evm) -> None:
    """Whoever sees what the owner approves has the delay to look for another table with the same few bits."""
    judge = deploy_judge(evm, loose_limits())
    mandate, timelock = judge.mandate, Contract(evm, judge.mandate.owner(), product_abi("Timelock"))
    honest, evil = loose_limits(**HONEST), loose_limits(**EVIL)
    scheduled(timelock, mandate.approve_limits, mandate.hash_limits(honest))()
    with reverts("roles: not owner or curator"):
        mandate.set_limits(evil, sender="attacker")
    mandate.set_limits(honest, sender="attacker")
    carried = mandate.mandate_hash()
    scheduled(timelock, mandate.approve_limits, mandate.hash_limits(evil))()
    mandate.set_limits(evil, sender="curator")
    assert mandate.mandate_hash() == carried


OPTIONAL_TIGHTER: list[tuple[str, Any]] = [
    ("loss_per_settlement_bps", 49), ("max_leverage_bps", 19_999), ("min_health_bps", 15_001),
    ("min_buffer_bps", 101), ("cool_down_s", 61), ("max_venues_bps", (5000, 5999)),
    ("max_venues_bps", (0, 6000)), ("max_venues_bps", (5000, 6000, 7000)),
]  # fmt: skip
OPTIONAL_LOOSER: list[tuple[str, Any]] = [
    ("loss_per_settlement_bps", 51), ("loss_per_settlement_bps", 0), ("max_leverage_bps", 20_001),
    ("max_leverage_bps", 0), ("min_health_bps", 14_999), ("min_buffer_bps", 0), ("cool_down_s", 59),
    ("max_venues_bps", (5001, 6000)), ("max_venues_bps", (5000,)), ("max_venues_bps", ()),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), OPTIONAL_TIGHTER)
def test_optional_limits_tighten_at_once(evm: Evm, field: str, value: Any) -> None:
    judge = deploy_judge(evm, loose_limits(**FULL))
    judge.mandate.set_limits(loose_limits(**(FULL | {field: value})), sender="curator")
    assert Limits(*judge.mandate.limits()) == loose_limits(**(FULL | {field: value}))


@pytest.mark.parametrize(("field", "value"), OPTIONAL_LOOSER)
def test_optional_limits_loosen_with_approval_only(evm: Evm, field: str, value: Any) -> None:
    judge = deploy_judge(evm, loose_limits(**FULL))
    with reverts(NOT_APPROVED):
        judge.mandate.set_limits(loose_limits(**(FULL | {field: value})), sender="curator")


@pytest.mark.parametrize("field", [name for name in TABLE if name != "frozen_trips"])
@pytest.mark.parametrize("by", [1, -1])
def test_a_change_of_the_table_is_loosening_both_ways(evm: Evm, field: str, by: int) -> None:
    judge = deploy_judge(evm, loose_limits(**FULL))
    with reverts(NOT_APPROVED):
        judge.mandate.set_limits(loose_limits(**(FULL | {field: FULL[field] + by})), sender="curator")


def test_every_optional_limit_survives_its_packing_and_counts_in_the_hash(evm: Evm) -> None:
    mandate = deploy_mandate(evm, loose_limits(**FULL))
    assert Limits(*mandate.limits()) == loose_limits(**FULL)
    hashes = {mandate.hash_limits(loose_limits(**FULL))}
    for field, value in FULL.items():
        changed = (*value, 1) if isinstance(value, tuple) else 0 if field == "frozen_trips" else value + 1
        hashes.add(mandate.hash_limits(loose_limits(**(FULL | {field: changed}))))
    assert len(hashes) == len(FULL) + 1


def test_two_tightenings_never_make_a_loosening(world: World) -> None:
    """What the curator may do at once he may never undo at once."""
    old = world.limits()
    for field, by in TIGHTER:
        with world.evm.rolled_back():
            world.mandate.set_limits(moved(old, field, by), sender="curator")
            with reverts(NOT_APPROVED):
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
        assert mandate.hash_limits(mandate.limits()) == mandate.hash_limits(limits)


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
    ({"loss_per_settlement_bps": 65_536}, "limits: past 16 bits"),
    ({"heartbeat_minutes": 65_536}, "limits: past 16 bits"),
    ({"max_leverage_bps": 9999}, "limits: leverage below one"),
    ({"max_leverage_bps": 20_000, "max_weights_bps": (10_000, 20_001)}, "limits: weight above one"),
    ({"min_buffer_bps": 5000, "max_weights_bps": (4999, 10_000)}, "limits: buffer above the base asset's weight"),
    ({"max_venues_bps": (65_535,)}, "limits: venue"),
    ({"deleverage_trigger_bps": 10_000, "deleverage_target_bps": 20_000}, "limits: deleverage"),
    ({"deleverage_trigger_bps": 12_000, "deleverage_target_bps": 12_000}, "limits: deleverage"),
    (
        {"deleverage_trigger_bps": 12_000, "deleverage_target_bps": 13_000, "min_health_bps": 11_999},
        "limits: deleverage",
    ),
    (
        {"deleverage_trigger_bps": 12_000, "deleverage_target_bps": 13_000, "deleverage_discount_bps": 2001},
        "limits: deleverage",
    ),
    ({"volatility_trip_bps": 1}, "limits: volatility"),
    ({"depeg_bps": 1}, "limits: depeg"),
    ({"frozen_trips": 2}, "limits: frozen"),
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
