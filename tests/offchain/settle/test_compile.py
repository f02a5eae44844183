# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest

from offchain.allocate.plan import Plan, PlanReason
from offchain.mandate import load_mandate
from offchain.market.snapshot import (
    AssetState,
    Block,
    BreakerState,
    Snapshot,
    VaultLimits,
    VaultState,
)
from offchain.route.leg import PlannedLeg, Venue
from offchain.settle.compile import OrderError, compile_order
from tests.support.contracts import PROJECT

MANDATE = load_mandate(PROJECT / "mandates" / "blue-chip.yaml")
BLOCK = Block(1000, "0x" + "0b" * 32, "0x" + "0a" * 32, 1_700_000_000, 10**9)
USD = 10**18
VAULT = VaultState(
    address="0x00000000000000000000000000000000000000AA",
    oracle="0x00000000000000000000000000000000000000bb",
    mandate="0x00000000000000000000000000000000000000cc",
    nonce=5,
    breaker=BreakerState.ACTIVE,
    breaker_reason=0,
    total_supply=10**24,
    value_per_share=1_017_000_000_000_000_003,
    peak=10**18,
    loss_level=0,
    turnover_level=0,
    mandate_hash="0x" + "33" * 32,
    limits=VaultLimits((), (), 0, 0, 0, 0, 0, 0, 0, 0),
)
SNAPSHOT = Snapshot(
    chain_id=1,
    block=BLOCK,
    vault=VAULT,
    assets=(AssetState("USDC", VAULT.address, 6, 10**12, 10**30, 0),),
    pools=(),
)
PLAN = Plan(
    block_hash=BLOCK.hash,
    reason=PlanReason.IMPROVES,
    legs=(PlannedLeg(Venue.UNISWAP_V3, VAULT.address, 0, 1, 500, 10**11, 33 * 10**18 + 1),),
    weights_before=(1.0,),
    weights_after=(0.9,),
    target_weights=(0.9,),
    utility_before=0.0,
    utility_after=0.1,
    slippage_cost_usd=100.0,
    gas_cost_usd=10.0,
    value_after=999_900 * USD,
    binding_limits=(),
    model_hash="0x" + "44" * 32,
)


def test_order_carries_what_binds_it():
    order = compile_order(PLAN, SNAPSHOT, MANDATE)

    assert (order.nonce, order.mandate_hash, order.model_hash) == (5, VAULT.mandate_hash, PLAN.model_hash)
    assert order.deadline == BLOCK.number + MANDATE.execution.deadline_blocks
    assert order.max_base_fee == 100 * 10**9


def test_leg_must_pay_the_plan_less_the_slippage_rounded_down():
    (leg,) = compile_order(PLAN, SNAPSHOT, MANDATE).legs

    assert (leg.venue, leg.token_in, leg.token_out, leg.fee) == (Venue.UNISWAP_V3, 0, 1, 500)
    assert leg.amount_in == 10**11
    assert leg.min_amount_out == (33 * 10**18 + 1) * 9_970 // 10_000


def test_share_must_be_worth_the_plan_less_the_slippage():
    order = compile_order(PLAN, SNAPSHOT, MANDATE)

    planned = VAULT.value_per_share * 999_900 // 1_000_000
    assert planned * 9_970 // 10_000 - 1 <= order.min_value_per_share <= planned * 9_970 // 10_000


def test_plan_that_does_not_trade_gives_no_order():
    with pytest.raises(OrderError, match="does not trade"):
        compile_order(replace(PLAN, legs=(), reason=PlanReason.NO_TRADE_PAYS), SNAPSHOT, MANDATE)


def test_plan_of_another_block_gives_no_order():
    with pytest.raises(OrderError, match="plan again"):
        compile_order(replace(PLAN, block_hash="0x" + "0c" * 32), SNAPSHOT, MANDATE)
