# SPDX-License-Identifier: Apache-2.0
"""Where each bug class of vaults like this has its regression test."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

TESTED = {
    "first-depositor inflation and donation": "attacks/test_first_depositor_inflation.py::test_first_depositor_inflation_and_donation",
    "nested swap or callback double-counting a balance delta": "attacks/test_reentrancy.py::test_nested_callback_double_counting_a_balance_delta",
    "many small losses under a per-trade cap": "mandate/test_judge_budgets.py::test_many_small_losses_under_a_per_trade_cap",
    "budget that resets at a clock boundary": "mandate/test_judge_budgets.py::test_a_budget_that_resets_at_a_clock_boundary",
    "rate limit keyed by timestamp % period": "mandate/test_judge_budgets.py::test_a_rate_limit_keyed_by_timestamp_modulo_period",
    "bounds renormalised after clamping": "mandate/test_judge_weights.py::test_bounds_are_not_renormalised_after_clamping",
    "high-water mark on total assets instead of per share": "mandate/test_trip.py::test_a_high_water_mark_on_total_assets_instead_of_per_share",
    "relative caps bypassed by a flash deposit": "attacks/test_stolen_optimizer_key.py::test_relative_caps_bypassed_by_a_flash_deposit",
    "stale, zero or frozen oracle": "vault/test_value.py::test_a_stale_zero_or_frozen_oracle_stops_pricing_after_its_heartbeat",
    "ERC-4626 component priced by convertToAssets": "attacks/test_strange_tokens.py::test_an_asset_is_never_priced_by_a_tokens_own_word",
    "read-only reentrancy": "attacks/test_reentrancy.py::test_read_only_reentrancy_and_any_other",
    "a pause that traps redeemers": "vault/test_redeem_in_kind.py::test_a_pause_that_traps_redeemers",
    "a keeper that sandwiches itself up to the slippage bound": "attacks/test_stolen_optimizer_key.py::test_a_keeper_that_sandwiches_itself",
    "replay on another vault": "attacks/test_replay.py::test_replay_of_a_signed_order_on_another_vault",
    "replay on another chain": "attacks/test_replay.py::test_replay_of_a_signed_order_on_another_chain",
    "replay of a nonce": "attacks/test_replay.py::test_replay_of_a_settled_order",
    "fee accrual rounding": "vault/test_preview.py::test_each_rounding_is_the_vaults",
    "sequencer down": "price_oracle/test_sequencer.py::test_while_it_is_down_nothing_is",
    "proxy whose implementation changes under an allowlist": "attacks/test_changed_venue.py::test_a_proxy_whose_implementation_changes_under_an_allowlist",
    "health factor checked only on manager actions": "mandate/test_judge_positions.py::test_anyone_may_deleverage_below_the_trigger_up_to_the_target",
    "fee-on-transfer and no-return-value tokens": "attacks/test_strange_tokens.py::test_fee_on_transfer_and_no_return_value_tokens",
}


@pytest.mark.parametrize("bug_class", TESTED)
def test_every_bug_class_has_its_named_test(bug_class: str) -> None:
    path, name = TESTED[bug_class].split("::")
    functions = {node.name for node in ast.parse((TESTS / path).read_text()).body if isinstance(node, ast.FunctionDef)}
    assert name in functions
