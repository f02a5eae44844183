# SPDX-License-Identifier: Apache-2.0
"""enter, leave, is_open, terms: what a deposit and a priced redemption may do, and what they cost."""

from __future__ import annotations

import pytest

from tests.contracts.mandate.conftest import VAULT, Judge, deploy_judge, loose_limits
from tests.support.evm import Evm, reverts
from tests.support.world import ONE


@pytest.fixture
def judge(evm: Evm) -> Judge:
    """Reduces at 20 %, halts at 40 %; its peak is 1."""
    terms = {"drawdown_reduce_bps": 2000, "drawdown_halt_bps": 4000, "entry_fee_bps": 30, "exit_fee_bps": 70}
    judge = deploy_judge(evm, loose_limits(2, **terms))
    judge.mandate.enter(ONE, True, sender=VAULT)
    return judge


def test_terms(judge: Judge) -> None:
    assert judge.mandate.terms() == (0, 30, 70)
    judge.mandate.guardian_trip(2, sender="guardian")
    assert judge.mandate.terms() == (2, 30, 70)


def test_entering_tells_the_fee(judge: Judge) -> None:
    assert judge.mandate.enter(ONE, False, sender=VAULT) == 30


def test_entering_moves_the_peak_up_only(judge: Judge) -> None:
    judge.mandate.enter(ONE + 5, False, sender=VAULT)
    assert judge.mandate.peak() == ONE + 5
    judge.mandate.enter(ONE + 1, False, sender=VAULT)
    assert judge.mandate.peak() == ONE + 5


@pytest.mark.parametrize("state", [1, 2])
def test_nobody_enters_a_tripped_vault(judge: Judge, state: int) -> None:
    judge.mandate.guardian_trip(state, sender="guardian")
    assert not judge.mandate.is_open(ONE)
    for first in (False, True):
        with reverts("breaker: not active"):
            judge.mandate.enter(ONE, first, sender=VAULT)


def test_nobody_enters_at_a_standing_drawdown(judge: Judge) -> None:
    """It is measured before the deposit, whose fee could hide it."""
    low = ONE * 8 // 10
    assert judge.mandate.is_open(low + 1)
    assert not judge.mandate.is_open(low)
    judge.mandate.enter(low + 1, False, sender=VAULT)
    with reverts("breaker: not active"):
        judge.mandate.enter(low, False, sender=VAULT)


def test_the_first_to_enter_starts_the_peak(judge: Judge) -> None:
    judge.mandate.enter(ONE // 10, True, sender=VAULT)
    assert judge.mandate.peak() == ONE // 10


@pytest.mark.parametrize("state", [0, 1])
def test_leaving_goes_on_until_halted(judge: Judge, state: int) -> None:
    if state:
        judge.mandate.guardian_trip(state, sender="guardian")
    judge.mandate.leave(2 * ONE, sender=VAULT)
    assert judge.mandate.peak() == 2 * ONE
    judge.mandate.guardian_trip(2, sender="guardian")
    with reverts("breaker: halted"):
        judge.mandate.leave(2 * ONE, sender=VAULT)


def test_a_peak_that_does_not_fit_is_refused(judge: Judge) -> None:
    with reverts("breaker: value per share"):
        judge.mandate.enter(2**240, False, sender=VAULT)
    judge.mandate.enter(2**240 - 1, False, sender=VAULT)
    assert judge.mandate.peak() == 2**240 - 2**160


def test_judgement_refuses_by_signer_mandate_and_emptiness(judge: Judge) -> None:
    with reverts("orders: unauthorised signer"):
        judge((1, 1), (1, 1), signer="attacker")
    with reverts("orders: wrong mandate"):
        judge((1, 1), (1, 1), mandate_hash=b"\1" * 32)
    with reverts("mandate: empty vault"):
        judge((0, 0), (1, 1))


def test_judgement_latches_the_drawdown_it_finds(judge: Judge) -> None:
    judge((1, 1), (2, 0), per_share_before=ONE * 8 // 10, per_share_after=ONE * 8 // 10)
    assert (judge.mandate.breaker_state(), judge.mandate.breaker_reason()) == (1, 1)


def test_judgement_of_a_halting_drawdown_is_no(judge: Judge) -> None:
    with reverts("breaker: halted"):
        judge((1, 1), (2, 0), per_share_before=ONE * 6 // 10, per_share_after=ONE)


def test_judgement_moves_the_peak(judge: Judge) -> None:
    judge((1, 1), (1, 1), per_share_after=3 * ONE)
    assert judge.mandate.peak() == 3 * ONE
