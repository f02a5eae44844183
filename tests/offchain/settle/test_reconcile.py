# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest

from offchain.allocate.plan import Plan, PlanReason
from offchain.route.leg import PlannedLeg, Venue
from offchain.settle.order import Settlement
from offchain.settle.reconcile import compare

USD = 10**18
POOL = "0x00000000000000000000000000000000000000AA"
PLAN = Plan(
    block_hash="0x" + "0b" * 32,
    reason=PlanReason.IMPROVES,
    legs=(PlannedLeg(Venue.UNISWAP_V3, POOL, 0, 1, 500, 1000, 500),),
    weights_before=(1.0, 0.0),
    weights_after=(0.9, 0.1),
    target_weights=(0.9, 0.1),
    utility_before=0.0,
    utility_after=0.1,
    slippage_cost_usd=1.0,
    gas_cost_usd=1.0,
    value_after=9_990 * USD,
    binding_limits=(),
    model_hash="0x" + "44" * 32,
)
SETTLEMENT = Settlement(
    transaction="0x" + "01" * 32,
    block_number=1,
    block_hash="0x" + "02" * 32,
    digest="0x" + "03" * 32,
    nonce=0,
    value_before=10_000 * USD,
    value_after=9_985 * USD,
    loss=15 * 10**14,
    turnover=10**17,
    loss_level=15 * 10**14,
    turnover_level=10**17,
    value_per_share=USD,
    amounts_in=(1000,),
    amounts_out=(499,),
    gas_used=500_000,
    effective_gas_price=2 * 10**9,
)


def test_outcome_puts_plan_and_settlement_side_by_side():
    outcome = compare(PLAN, 10_000 * USD, SETTLEMENT)

    assert outcome.planned_loss_bps == pytest.approx(10)
    assert outcome.realised_loss_bps == pytest.approx(15)
    assert outcome.charged_loss_bps == pytest.approx(15)
    assert outcome.gas_cost == 10**15


def test_slippage_is_the_shortfall_against_the_planned_rate():
    (leg,) = compare(PLAN, 10_000 * USD, SETTLEMENT).legs

    assert leg.slippage_bps == pytest.approx(20)


def test_clamped_leg_is_judged_by_its_rate():
    clamped = replace(SETTLEMENT, amounts_in=(500,), amounts_out=(250,))

    assert compare(PLAN, 10_000 * USD, clamped).legs[0].slippage_bps == 0


def test_leg_that_was_skipped_has_no_slippage():
    skipped = replace(SETTLEMENT, amounts_in=(0,), amounts_out=(0,))

    assert compare(PLAN, 10_000 * USD, skipped).legs[0].slippage_bps == 0
