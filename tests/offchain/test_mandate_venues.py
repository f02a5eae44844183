# SPDX-License-Identifier: Apache-2.0
"""Venues of a mandate that are contracts of their own: what may stand there, and what is said of the rest."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import pytest

from offchain.mandate import AaveV3Venue, MandateError, load_mandate, parse_mandate

PROJECT = Path(__file__).parents[2]
# Without the limits whose own rules would speak first.
TEXT = re.sub(r"  deleverage_\w+: \d+\n", "", (PROJECT / "mandates" / "leveraged-staking.yaml").read_text())
BLUE_CHIP = (PROJECT / "mandates" / "blue-chip.yaml").read_text()
POOL_ID = "0x" + "Ab" * 32


def test_a_lending_account_names_what_it_may_borrow() -> None:
    mandate = load_mandate(PROJECT / "mandates" / "leveraged-staking.yaml")
    assert isinstance(mandate.lending, AaveV3Venue)
    assert mandate.borrowable == ("WETH",)
    assert mandate.listed_venues == (mandate.lending,)


def test_venues_are_numbered_in_the_order_of_the_file() -> None:
    balancer = f'venues:\n  - kind: balancer_v2\n    vault: "{"0x" + "11" * 20}"\n    pools: ["{POOL_ID}"]\n'
    mandate = parse_mandate(TEXT.replace("venues:\n", balancer, 1))
    assert [venue.kind for venue in mandate.listed_venues] == ["balancer_v2", "aave_v3"]
    assert mandate.listed_venues[0].pools == (POOL_ID.lower(),)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("old", "new", "field", "says"),
    [
        ("supply: [wstETH]", "supply: []", "venues[1].supply", "at least 1"),
        ("supply: [wstETH]", "supply: [rETH]", "venues[1].supply[0]", "WETH, wstETH"),
        ("borrow: [WETH]", "borrow: [WETH, WETH]", "venues[1].borrow[1]", "already listed"),
        ("e_mode: 1", "e_mode: 256", "venues[1].e_mode", "less than or equal to 255"),
        ("e_mode: 1", "emode: 1", "venues[1].emode", "did you mean 'e_mode'"),
        ("liquidation_probability: 0.01", "liquidation_probability: 1", "venues[1].liquidation_probability", "less"),
        ("0x87870Bca3F3fD6335C3F4ce8392D69350B4fA4E2", "0x8787", "venues[1].pool", "40 hexadecimal digits"),
        ("max_leverage_bps: 45000", "max_leverage_bps: 0", "limits.max_leverage_bps", "lets the vault borrow"),
        ("min_health_bps: 11500", "min_health_bps: 10000", "limits.min_health_bps", "above 10000"),
        (
            "min_health_bps: 11500",
            "min_health_bps: 11500\n  deleverage_trigger_bps: 11501\n  deleverage_target_bps: 12000",
            "limits.deleverage_trigger_bps",
            "at most min_health_bps (11500)",
        ),
        ("borrow: [WETH]", "borrow: []", "assets[1].max_weight_bps", "no venue of the mandate lends"),
        ("oracle_error_bps: 230", "oracle_error_bps: 220", "fees.oracle_error_bps", "at least 225"),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, field: str, says: str) -> None:
    assert old in TEXT
    with pytest.raises(MandateError) as caught:
        parse_mandate(TEXT.replace(old, new, 1), "a.yaml")
    assert (caught.value.field, says in caught.value.allowed) == (field, True), str(caught.value)


@pytest.mark.parametrize("pool", ["0x1234", POOL_ID + "00", "1" * 66])
def test_a_pool_id_has_64_digits(pool: str) -> None:
    balancer = f'venues:\n  - kind: balancer_v2\n    vault: "{"0x" + "11" * 20}"\n    pools: ["{pool}"]\n'
    with pytest.raises(MandateError, match=r"venues\[0\].pools\[0\]"):
        parse_mandate(BLUE_CHIP.replace("venues:\n", balancer, 1))


def test_oracle_error_of_a_shared_feed_cancels() -> None:
    """At 4.5 times, half a percent of stETH/ETH; ether's own feed prices both sides of the account."""
    mandate = load_mandate(PROJECT / "mandates" / "leveraged-staking.yaml")
    assert mandate.implied_oracle_error_bps == Fraction(45_000 * 50, 10_000)
