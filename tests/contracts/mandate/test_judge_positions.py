# SPDX-License-Identifier: Apache-2.0
"""judge: leverage, health factor, venues, buffer, loss of a settlement, cool-down; and the reports it is told of.

Each bound: inside, or closer than before. The vault is an account, so that a test says itself what was reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

from offchain.settle.calls import unpacked
from tests.contracts.mandate.conftest import CHARGES, VAULT, Judge, deploy_judge, loose_limits
from tests.support import world
from tests.support.evm import Evm, attempt, reverts
from tests.support.world import ONE

NO_DEBT = 2**256 - 1


class Book(NamedTuple):
    """What a vault reports; USD in whole dollars here, scaled when it is judged."""

    held: Sequence[int]
    owed: Sequence[int] = ()
    venues: Sequence[int] = ()
    wallet: int = 0
    health: int = NO_DEBT

    def scaled(self) -> world.Book:
        held, owed, venues = ([value * ONE for value in side] for side in (self.held, self.owed, self.venues))
        return world.book(held, owed, venues, self.wallet * ONE, self.health)


def judged(judge: Judge, before: Book, after: Book, risen: int = 0) -> dict[str, int]:
    reported = world.report(before.scaled(), after.scaled(), risen)
    charges = judge.mandate.judge("optimizer", judge.mandate.mandate_hash(), *reported, sender=VAULT)
    return dict(zip(CHARGES, unpacked(charges, 64), strict=True))


def limited(evm: Evm, **changes: Any) -> Judge:
    """Two assets, weights up to the leverage, and the limits given."""
    most = max(10_000, changes.get("max_leverage_bps", 10_000))
    return deploy_judge(evm, loose_limits(**{"max_weights_bps": (most, most)} | changes))


def leveraged(gross: int, health: int = NO_DEBT) -> Book:
    """A hundred dollars of net value; the rest is borrowed base asset."""
    return Book((gross - gross // 2, gross // 2), (gross - 100, 0), health=health)


# ---------------------------------------------------------------- leverage


def test_leverage_up_to_the_limit(evm: Evm) -> None:
    judge = limited(evm, max_leverage_bps=20_000)
    judged(judge, leveraged(100), leveraged(200))
    with reverts("limits: leverage"):
        judged(judge, leveraged(100), leveraged(201))


@pytest.mark.parametrize(("before", "after", "passes"), [(250, 249, True), (250, 250, False), (250, 251, False)])
def test_leverage_above_the_limit_must_fall(evm: Evm, before: int, after: int, passes: bool) -> None:
    """What the market did to it is no reason to stop the way back."""
    judge = limited(evm, max_leverage_bps=20_000)
    if passes:
        judged(judge, leveraged(before), leveraged(after))
    else:
        with reverts():
            judged(judge, leveraged(before), leveraged(after))


def test_weights_are_fractions_of_net_value(evm: Evm) -> None:
    judge = limited(evm, max_leverage_bps=30_000, max_weights_bps=(10_000, 15_000))
    judged(judge, Book((50, 50)), Book((0, 150), (50, 0)))
    with reverts("limits: weight"):
        judged(judge, Book((50, 50)), Book((0, 151), (51, 0)))


def test_borrowing_is_no_turnover_and_buying_with_it_is(evm: Evm) -> None:
    """Turnover is of exposure: what is held less what is owed."""
    judge = limited(evm, max_leverage_bps=30_000)
    assert judged(judge, Book((50, 50)), Book((150, 50), (100, 0)))["turnover"] == 0
    assert judged(judge, Book((150, 50), (100, 0)), Book((50, 150), (100, 0)))["turnover"] == ONE


def test_loss_is_a_fall_of_net_value(evm: Evm) -> None:
    judge = limited(evm, max_leverage_bps=30_000)
    assert judged(judge, Book((150, 50), (100, 0)), Book((149, 50), (100, 0)))["loss"] == ONE // 100


def test_an_insolvent_book_is_refused(evm: Evm) -> None:
    judge = limited(evm, max_leverage_bps=65_535)
    with reverts("mandate: insolvent"):
        judged(judge, Book((100, 0)), Book((100, 100), (200, 0)))
    with reverts("mandate: empty vault"):
        judged(judge, Book((100, 0), (100, 0)), Book((100, 0), (50, 0)))


# ---------------------------------------------------------------- health factor


@pytest.mark.parametrize(
    ("before", "after", "passes"),
    [
        (NO_DEBT, 15_000, True),
        (NO_DEBT, 14_999, False),
        (14_000, 14_001, True),
        (14_000, 14_000, False),
        (14_000, 13_999, False),
        (14_000, 15_000, True),
    ],
)
def test_the_health_factor_stays_above_its_floor_or_rises(evm: Evm, before: int, after: int, passes: bool) -> None:
    judge = limited(evm, max_leverage_bps=30_000, min_health_bps=15_000)
    books = [leveraged(150, health if health == NO_DEBT else health * 10**14) for health in (before, after)]
    if passes:
        judged(judge, *books)
    else:
        with reverts():
            judged(judge, *books)


# ---------------------------------------------------------------- venues


def test_a_venue_holds_no_more_than_its_cap(evm: Evm) -> None:
    judge = limited(evm, max_venues_bps=(5000, 2000))
    judged(judge, Book((50, 50), venues=(0, 0)), Book((50, 50), venues=(50, 20)))
    with reverts("limits: venue"):
        judged(judge, Book((50, 50), venues=(0, 0)), Book((50, 50), venues=(50, 21)))


def test_a_venue_above_its_cap_must_come_closer(evm: Evm) -> None:
    judge = limited(evm, max_venues_bps=(5000,))
    judged(judge, Book((50, 50), venues=(70,)), Book((50, 50), venues=(69,)))
    with reverts("limits: weight"):
        judged(judge, Book((50, 50), venues=(70,)), Book((50, 50), venues=(70,)))
    with reverts("limits: venue"):
        judged(judge, Book((50, 50), venues=(70,)), Book((50, 50), venues=(71,)))


def test_a_cap_of_zero_closes_a_venue_and_a_missing_one_is_none(evm: Evm) -> None:
    judge = limited(evm, max_venues_bps=(0,))
    judged(judge, Book((50, 50), venues=(0, 0)), Book((50, 50), venues=(0, 100)))
    with reverts("limits: venue"):
        judged(judge, Book((50, 50), venues=(0, 0)), Book((50, 50), venues=(1, 0)))


# ---------------------------------------------------------------- buffer


def test_the_buffer_is_base_asset_in_the_wallet(evm: Evm) -> None:
    judge = limited(evm, min_buffer_bps=1000)
    judged(judge, Book((50, 50), wallet=50), Book((50, 50), wallet=10))
    with reverts("limits: buffer"):
        judged(judge, Book((50, 50), wallet=50), Book((50, 50), wallet=9))


def test_redemptions_may_use_the_buffer_and_a_settlement_refills_it(evm: Evm) -> None:
    """Not held against who leaves; the next settlement has to come closer."""
    judge = limited(evm, min_buffer_bps=1000)
    judge.mandate.leave(ONE, sender=VAULT)
    judged(judge, Book((50, 50), wallet=2), Book((50, 50), wallet=3))
    with reverts("limits: weight"):
        judged(judge, Book((50, 50), wallet=2), Book((50, 50), wallet=2))


# ---------------------------------------------------------------- several at once


def test_one_bound_closer_does_not_pay_for_another_further(evm: Evm) -> None:
    judge = limited(evm, max_venues_bps=(5000,), min_buffer_bps=1000)
    with reverts("limits: buffer"):
        judged(judge, Book((50, 50), venues=(70,), wallet=5), Book((50, 50), venues=(60,), wallet=4))
    judged(judge, Book((50, 50), venues=(70,), wallet=5), Book((50, 50), venues=(60,), wallet=5))


def test_while_reducing_leverage_only_falls(evm: Evm) -> None:
    judge = limited(evm, max_leverage_bps=30_000, min_buffer_bps=1000)
    judge.mandate.guardian_trip(1, sender="guardian")
    # Repaying with what is in the wallet is the way out, whatever becomes of the buffer.
    judged(judge, Book((50, 150), (100, 0), wallet=50), Book((0, 150), (50, 0), wallet=0))
    with reverts("limits: leverage increased"):
        judged(judge, Book((50, 100), (50, 0), wallet=50), Book((60, 100), (60, 0), wallet=60))


# ---------------------------------------------------------------- loss of a settlement, cool-down


def test_one_settlement_loses_no_more_than_its_limit(evm: Evm) -> None:
    """Besides the budget: what is left of that is not to be lost at once."""
    judge = limited(evm, loss_per_settlement_bps=100)
    judged(judge, Book((50, 50)), Book((49, 50)))
    with reverts("limits: loss of a settlement"):
        judged(judge, Book((500, 500)), Book((489, 500)))


def test_settlements_keep_their_distance(evm: Evm) -> None:
    judge = limited(evm, cool_down_s=600)
    judged(judge, Book((50, 50)), Book((50, 50)))
    evm.timestamp += 599
    with reverts("limits: cooling down"):
        judged(judge, Book((50, 50)), Book((50, 50)))
    evm.timestamp += 1
    judged(judge, Book((50, 50)), Book((50, 50)))
    assert judge.mandate.settled_at() == evm.timestamp


def test_a_change_of_limits_is_no_settlement(evm: Evm) -> None:
    judge = limited(evm, cool_down_s=600)
    evm.timestamp += 10**6
    judge.mandate.set_limits(loose_limits(cool_down_s=601), sender="curator")
    assert judge.mandate.settled_at() == 0
    judged(judge, Book((50, 50)), Book((50, 50)))


@pytest.mark.parametrize(("gift", "reason"), [(1, None), (10**13, None), (10**13 + 1, "limits: weight")])
def test_a_closed_venue_may_hold_what_anyone_can_give(evm: Evm, gift: int, reason: str | None) -> None:
    judge = limited(evm, max_venues_bps=(0,))
    books = [world.book((50 * ONE, 50 * ONE), venues=(gift,), wallet=50 * ONE - gift)] * 2
    _, found = attempt(
        lambda: judge.mandate.judge("optimizer", judge.mandate.mandate_hash(), *world.report(*books), sender=VAULT)
    )
    assert found == reason


# ---------------------------------------------------------------- deleverage_terms


def test_anyone_may_deleverage_below_the_trigger_up_to_the_target(evm: Evm) -> None:
    terms = {"deleverage_trigger_bps": 12_000, "deleverage_target_bps": 15_000, "deleverage_discount_bps": 150}
    judge = limited(evm, min_health_bps=12_000, **terms)
    bps = 10**14
    assert judge.mandate.deleverage_terms(11_999 * bps) == (True, 15_000 * bps, 0)
    assert judge.mandate.deleverage_terms(12_000 * bps)[0] is False
    judge.mandate.guardian_trip(2, sender="guardian")
    assert judge.mandate.deleverage_terms(14_999 * bps)[0] is True
    assert judge.mandate.deleverage_terms(15_000 * bps)[0] is False
    assert judge.mandate.deleverage_terms(NO_DEBT)[0] is False


def test_without_a_trigger_nobody_deleverages(judge: Judge) -> None:
    judge.mandate.guardian_trip(2, sender="guardian")
    assert judge.mandate.deleverage_terms(0)[0] is False
