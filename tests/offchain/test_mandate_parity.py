# SPDX-License-Identifier: Apache-2.0
"""A mandate file against the vault it is meant for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from offchain.mandate import (
    ChainMandate,
    Mandate,
    MandateParityError,
    SecondPrice,
    compare_with_chain,
    load_mandate,
)

BLUE_CHIP = Path(__file__).parents[2] / "mandates" / "blue-chip.yaml"
ZERO = "0x" + "00" * 20
OTHER = "0x" + "Ab" * 20


@pytest.fixture(scope="module")
def mandate() -> Mandate:
    return load_mandate(BLUE_CHIP)


@pytest.fixture
def chain(mandate: Mandate) -> ChainMandate:
    return ChainMandate(
        mandate.chain_id, mandate.addresses, mandate.vault_limits, mandate.oracle_feeds, mandate.name, mandate.symbol
    )


def refused(mandate: Mandate, chain: ChainMandate) -> str:
    with pytest.raises(MandateParityError) as caught:
        compare_with_chain(mandate, chain)
    assert "\n" not in str(caught.value)
    return caught.value.field


def test_a_vault_deployed_from_the_file_agrees(mandate: Mandate, chain: ChainMandate) -> None:
    assert compare_with_chain(mandate, chain) == mandate.vault_limits


@pytest.mark.parametrize(
    "field",
    [
        "loss_capacity_bps",
        "loss_refill_bps_per_day",
        "turnover_capacity_bps",
        "turnover_refill_bps_per_day",
        "drawdown_reduce_bps",
        "drawdown_halt_bps",
    ],
)
def test_a_higher_limit_on_the_chain_is_looser(mandate: Mandate, chain: ChainMandate, field: str) -> None:
    limits = replace(chain.limits, **{field: getattr(chain.limits, field) + 1})
    assert refused(mandate, replace(chain, limits=limits)) == f"limits.{field}"


@pytest.mark.parametrize(
    "field",
    [
        "loss_capacity_bps",
        "loss_refill_bps_per_day",
        "turnover_capacity_bps",
        "turnover_refill_bps_per_day",
        "drawdown_reduce_bps",
        "drawdown_halt_bps",
    ],
)
def test_a_lower_limit_on_the_chain_is_obeyed(mandate: Mandate, chain: ChainMandate, field: str) -> None:
    limits = replace(chain.limits, **{field: getattr(chain.limits, field) - 1})
    assert compare_with_chain(mandate, replace(chain, limits=limits)) == limits


@pytest.mark.parametrize("field", ["entry_fee_bps", "exit_fee_bps"])
def test_a_lower_fee_on_the_chain_is_looser(mandate: Mandate, chain: ChainMandate, field: str) -> None:
    limits = replace(chain.limits, **{field: getattr(chain.limits, field) - 1})
    assert refused(mandate, replace(chain, limits=limits)) == f"limits.{field}"


def test_a_lower_minimum_weight_on_the_chain_is_looser(mandate: Mandate, chain: ChainMandate) -> None:
    limits = replace(chain.limits, min_weights_bps=(500, 1499, 1500, 200, 500))
    assert refused(mandate, replace(chain, limits=limits)) == "limits.min_weights_bps[WETH]"


def test_a_higher_maximum_weight_on_the_chain_is_looser(mandate: Mandate, chain: ChainMandate) -> None:
    limits = replace(chain.limits, max_weights_bps=(5000, 4500, 4500, 1500, 3001))
    assert refused(mandate, replace(chain, limits=limits)) == "limits.max_weights_bps[wstETH]"


def test_tighter_weights_on_the_chain_are_obeyed(mandate: Mandate, chain: ChainMandate) -> None:
    limits = replace(
        chain.limits, min_weights_bps=(500, 1600, 1500, 200, 500), max_weights_bps=(5000, 4400, 4500, 1500, 3000)
    )
    assert compare_with_chain(mandate, replace(chain, limits=limits)) == limits


def test_another_chain_is_another_mandate(mandate: Mandate, chain: ChainMandate) -> None:
    assert refused(mandate, replace(chain, chain_id=10)) == "chain_id"


def test_another_token_is_named_by_its_symbol(mandate: Mandate, chain: ChainMandate) -> None:
    tokens = (*chain.tokens[:2], OTHER, *chain.tokens[3:])
    assert refused(mandate, replace(chain, tokens=tokens)) == "assets[WBTC].address"


def test_the_order_of_tokens_is_identity(mandate: Mandate, chain: ChainMandate) -> None:
    tokens = (chain.tokens[1], chain.tokens[0], *chain.tokens[2:])
    assert refused(mandate, replace(chain, tokens=tokens)) == "assets[USDC].address"


def test_a_missing_asset_is_refused(mandate: Mandate, chain: ChainMandate) -> None:
    assert refused(mandate, replace(chain, tokens=chain.tokens[:-1])) == "assets"


def test_another_feed_is_named(mandate: Mandate, chain: ChainMandate) -> None:
    assert chain.oracle_feeds is not None
    feeds = (chain.oracle_feeds[0], replace(chain.oracle_feeds[1], heartbeat=3600), *chain.oracle_feeds[2:])
    assert refused(mandate, replace(chain, oracle_feeds=feeds)) == "assets[WETH].oracle.heartbeat"


def test_feeds_that_cannot_be_read_are_not_compared(mandate: Mandate, chain: ChainMandate) -> None:
    assert compare_with_chain(mandate, replace(chain, oracle_feeds=None)) == mandate.vault_limits


def test_another_share_token_is_another_vault(mandate: Mandate, chain: ChainMandate) -> None:
    assert refused(mandate, replace(chain, symbol="OTHER")) == "symbol"


def test_a_second_source_that_the_file_does_not_have_is_another_oracle(mandate: Mandate, chain: ChainMandate) -> None:
    none = SecondPrice(ZERO, 0, 0, 0, 0, 0)
    agreed = replace(chain, second_prices=(none,) * len(mandate.assets))
    assert compare_with_chain(mandate, agreed) == mandate.vault_limits
    other = (none, SecondPrice(OTHER, 0, 1800, 1, 2, 300), *(none,) * (len(mandate.assets) - 2))
    assert refused(mandate, replace(chain, second_prices=other)) == "assets[WETH].oracle.second_source"


@pytest.mark.parametrize(
    ("field", "mine", "theirs"),
    [
        ("loss_per_settlement_bps", 50, 0), ("max_leverage_bps", 20_000, 20_001), ("max_venues_bps", (100,), ()),
        ("min_buffer_bps", 10, 9), ("cool_down_s", 60, 0), ("heartbeat_minutes", 60, 61), ("heartbeat_minutes", 60, 59),
    ],
)  # fmt: skip
def test_optional_limits_are_compared(mandate: Mandate, field: str, mine: object, theirs: object) -> None:
    file = mandate.model_copy(update={"limits": mandate.limits.model_copy(update={field: mine})})
    chain = ChainMandate(file.chain_id, file.addresses, replace(file.vault_limits, **{field: theirs}))
    assert refused(file, chain).startswith(f"limits.{field}")
    agreed = ChainMandate(file.chain_id, file.addresses, file.vault_limits)
    assert compare_with_chain(file, agreed) == file.vault_limits
