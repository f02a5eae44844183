# SPDX-License-Identifier: Apache-2.0
"""Mandate files: what loads, and the one line that says why something does not."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from pydantic import ValidationError

from offchain.mandate import Mandate, MandateError, load_mandate, parse_mandate

PROJECT = Path(__file__).parents[2]
BLUE_CHIP = PROJECT / "mandates" / "blue-chip.yaml"
TEXT = BLUE_CHIP.read_text()
USDC = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"


def changed(old: str, new: str) -> str:
    """The blue-chip mandate with the first occurrence of `old` replaced."""
    assert old in TEXT
    return TEXT.replace(old, new, 1)


def refused(text: str) -> MandateError:
    with pytest.raises(MandateError) as caught:
        parse_mandate(text, "a.yaml")
    assert str(caught.value).startswith("a.yaml: ")
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.fixture(scope="module")
def mandate() -> Mandate:
    return load_mandate(BLUE_CHIP)


@pytest.mark.parametrize("path", sorted((PROJECT / "mandates").glob("*.yaml")), ids=lambda path: path.name)
def test_every_example_loads(path: Path) -> None:
    assert load_mandate(path).benchmark_weights


def test_base_asset_comes_first_wherever_the_file_lists_it() -> None:
    head, first, *others = TEXT.partition("venues:")[0].split("  - symbol: ")
    reordered = "  - symbol: ".join([head, *others, first]) + "venues:" + TEXT.partition("venues:")[2]
    assert parse_mandate(reordered).symbols == ("USDC", "WETH", "WBTC", "LINK", "wstETH")


def test_vault_limits_follow_the_order_of_the_chain(mandate: Mandate) -> None:
    limits = mandate.vault_limits
    assert limits.min_weights_bps == (500, 1500, 1500, 200, 500)
    assert limits.as_struct()[2:10] == (100, 25, 10000, 2500, 2000, 4000, 50, 50)


def test_staked_asset_becomes_a_ratio_feed(mandate: Mandate) -> None:
    feed = mandate.oracle_feeds[4]
    assert (feed.kind, feed.heartbeat, feed.base_heartbeat) == (1, 90000, 18000)
    assert feed.ratio_source == mandate.addresses[4]


def test_price_bounds_are_exact_decimals() -> None:
    exact = parse_mandate(changed("min_price_usd: 0.80", "min_price_usd: 0.000000000000000003"))
    assert exact.oracle_feeds[0].min_price == 3


def test_a_loaded_mandate_is_immutable(mandate: Mandate) -> None:
    with pytest.raises(ValidationError):
        mandate.limits.loss_capacity_bps = 10_000  # type: ignore[misc]


def test_an_unquoted_address_stays_text() -> None:
    assert parse_mandate(changed(f'"{USDC}"', USDC)).base.address == USDC


def test_words_of_yaml_1_1_are_not_booleans() -> None:
    assert parse_mandate(changed("symbol: pBLUE", "symbol: on")).symbol == "on"


@pytest.mark.parametrize(
    ("old", "new", "field", "says"),
    [
        ("symbol: pBLUE", "symbl: pBLUE", "symbl", "did you mean 'symbol'?"),
        ("loss_capacity_bps: 100", "loss_capcity_bps: 100", "limits.loss_capcity_bps", "'loss_capacity_bps'?"),
        ("    decimals: 6\n", "    decimals: 6\n    colour: red\n", "assets[0].colour", "known here: symbol, address"),
        ("min_weight_bps: 500", "min_weight_bps: 5001", "assets[0].min_weight_bps", "5001: must be at most max_weight"),
        ("min_weight_bps: 500", "min_weight_bps: 20000", "assets[0].min_weight_bps", "less than or equal to 10000"),
        (
            "min_weight_bps: 500",
            "min_weight_bps: '500'",
            "assets[0].min_weight_bps",
            "is '500': must be a valid integer",
        ),
        ("min_weight_bps: 500", "min_weight_bps: 500.5", "assets[0].min_weight_bps", "must be a valid integer"),
        ("min_weight_bps: 500", "min_weight_bps: true", "assets[0].min_weight_bps", "must be a valid integer"),
        ("benchmark_weight_bps: 2000", "benchmark_weight_bps: 20", "assets[0].benchmark_weight_bps", "500 and 5000"),
        (
            "benchmark_weight_bps: 2000",
            "benchmark_weight_bps: 2001",
            "assets[].benchmark_weight_bps",
            "is 10001: the sum",
        ),
        ("base_asset: USDC", "base_asset: DAI", "base_asset", "one of the assets: USDC, WETH, WBTC, LINK, wstETH"),
        ("symbol: WETH", "symbol: usdc", "assets[1].symbol", "list each asset once"),
        ("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2", USDC, "assets[1].address", "list each asset once"),
        (USDC, USDC.lower(), "assets[0].address", f"must be checksummed (EIP-55): {USDC}"),
        (USDC, "0xA0b8", "assets[0].address", "0x and 40 hexadecimal digits"),
        (USDC, "0x" + "0" * 40, "assets[0].address", "must not be the zero address"),
        ("chain_id: 1", "chain_id: 0", "chain_id", "must be greater than 0"),
        ("kind: chainlink", "kind: pyth", "assets[0].oracle.kind", "'chainlink' or 'staked_ratio'"),
        ("kind: chainlink", "kind: staked_ratio", "assets[0].oracle.ratio_source", "required, but missing"),
        ("heartbeat_s: 90000", "heartbeat_s: 0", "assets[0].oracle.heartbeat_s", "must be greater than 0"),
        ("min_price_usd: 0.80", "min_price_usd: 2", "assets[0].oracle.min_price_usd", "less than max_price_usd (1.2)"),
        ("min_price_usd: 0.80", "min_price_usd: x", "assets[0].oracle.min_price_usd", "must be a positive number"),
        ("[100, 500, 3000, 10000]", "[100, 300]", "venues[1].fee_tiers[1]", "is 300: must be one of 100, 500, 3000"),
        ("[100, 500, 3000, 10000]", "[100, 100]", "venues[1].fee_tiers[1]", "list each tier once"),
        ("[100, 500, 3000, 10000]", "[]", "venues[1].fee_tiers", "at least 1"),
        ("[100, 500, 3000, 10000]", "500", "venues[1].fee_tiers", "must be a list"),
        ("uniswap_v2\n", "uniswap_v3\n    fee_tiers: [100]\n", "venues[1].kind", "list each kind once"),
        ("kind: ewma", "kind: garch", "objective.covariance.kind", "'ewma' or 'ledoit_wolf'"),
        ("half_life_days: 20", "half_life_days: 61", "objective.covariance.half_life_days", "at most window_days (60)"),
        ("risk_aversion: 6", "risk_aversion: .inf", "objective.risk_aversion", "must be a valid number"),
        (
            "drawdown_halt_bps: 4000",
            "drawdown_halt_bps: 1999",
            "limits.drawdown_halt_bps",
            "drawdown_reduce_bps (2000)",
        ),
        ("exit_bps: 50", "exit_bps: 49", "fees.exit_bps", "must be at least 50, so that both cover oracle_error_bps"),
        (
            "oracle_error_bps: 100",
            "oracle_error_bps: 94",
            "fees.oracle_error_bps",
            "must be at least 95, which the feeds'",
        ),
        ("deviation_bps: 50", "deviation_bps: 90", "fees.oracle_error_bps", "must be at least 109"),
        ("grid_minutes: 240", "grid_minutes: 250", "execution.grid_minutes", "must divide 1440"),
        ("max_legs: 8", "max_legs: 17", "execution.max_legs", "less than or equal to 16"),
        ("  entry_bps: 50\n", "", "fees.entry_bps", "required, but missing"),
        ("fees:", "fees: 3\nfoo:", "foo", "unknown key"),
        ("name: Plimsoll Blue Chip", "name: Plimsoll Blue Chip\nname: x", "line 6, column 1", "'name' is given twice"),
        ("chain_id: 1", "chain_id: [1", "line 8, column 11", "expected ',' or ']'"),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, field: str, says: str) -> None:
    error = refused(changed(old, new))
    assert error.field == field
    assert says in str(error)


def test_minimum_weights_above_the_whole_are_refused() -> None:
    text = TEXT.replace("min_weight_bps: 1500", "min_weight_bps: 4500")
    text = text.replace("benchmark_weight_bps: 3000", "benchmark_weight_bps: 4500")
    text = text.replace("benchmark_weight_bps: 2700", "benchmark_weight_bps: 4500")
    error = refused(text)
    assert (error.field, error.value) == ("assets[].min_weight_bps", "10200")


def test_maximum_weights_below_the_whole_are_refused() -> None:
    text = TEXT.replace("max_weight_bps: 4500", "max_weight_bps: 3000")
    text = text.replace("max_weight_bps: 5000", "max_weight_bps: 2000")
    text = text.replace("max_weight_bps: 3000\n    benchmark_weight_bps: 1500", "max_weight_bps: 400", 1)
    text = text.replace("max_weight_bps: 1500", "max_weight_bps: 900").replace("max_weight_bps: 400", "MARK")
    error = refused(text.replace("MARK", "max_weight_bps: 1000\n    benchmark_weight_bps: 1000"))
    assert error.field == "assets[].max_weight_bps"


def test_several_mistakes_are_counted() -> None:
    error = refused(TEXT.replace("decimals: 18", "decimals: 19"))
    assert "(and 2 more errors)" in str(error)


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "the file is empty"), ("- a", "the file is a list"), ("a: b: c", "line 1"), ("a: \x00", "not valid YAML")],
)
def test_what_is_no_mandate_at_all_is_refused(text: str, says: str) -> None:
    assert says in str(refused(text))


def test_a_file_cannot_run_code() -> None:
    error = refused(changed("1.20", "!!python/object/apply:os.system ['true']"))
    assert "could not determine a constructor" in str(error)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MandateError, match=r"nowhere\.yaml: .*No such file"):
        load_mandate(tmp_path / "nowhere.yaml")


def test_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"name: \xff")
    with pytest.raises(MandateError, match="byte 6: a mandate is UTF-8 text"):
        load_mandate(path)


def test_implied_oracle_error_is_the_maximum_over_the_allowed_weights(mandate: Mandate) -> None:
    base = mandate.base.oracle.error
    gain = [float((1 + asset.oracle.error) / (1 - base) - 1) for asset in mandate.ordered_assets]
    bounds = [(asset.min_weight_bps, asset.max_weight_bps) for asset in mandate.ordered_assets]
    worst = 0.0
    # The maximum of a linear function sits at a vertex: all weights but one at a bound.
    for free in range(len(bounds)):
        others = [index for index in range(len(bounds)) if index != free]
        for corner in product((0, 1), repeat=len(others)):
            weights = [0] * len(bounds)
            for index, side in zip(others, corner, strict=True):
                weights[index] = bounds[index][side]
            weights[free] = 10_000 - sum(weights)
            if bounds[free][0] <= weights[free] <= bounds[free][1]:
                worst = max(worst, sum(w * g for w, g in zip(weights[1:], gain[1:], strict=True)))
    assert worst <= mandate.implied_oracle_error_bps < worst + 1


def test_deposit_against_the_worst_lag_and_exit_in_kind_does_not_pay(mandate: Mandate) -> None:
    kept = (1 - mandate.fees.entry_bps / 1e4) * (1 - mandate.fees.exit_bps / 1e4)
    assert kept * (1 + mandate.implied_oracle_error_bps / 1e4) <= 1


SECOND = """
      second_source:
        pool: "0x88e6A0c2dDD26FEEb64F039a2c41296FcB3f5640"
        quote: USDC
        window_s: 1800
        min_liquidity: 1000000
        min_cardinality: 100
        max_deviation_bps: 300
"""


def with_second_source(old: str = "", new: str = "") -> str:
    return changed(
        '419"\n      heartbeat_s: 18000 # five hours\n', '419"\n      heartbeat_s: 18000' + SECOND.replace(old, new)
    )


def test_a_second_source_reaches_the_chain_in_its_units_and_order() -> None:
    mandate = parse_mandate(with_second_source())
    unpaired, ether, *_ = mandate.second_prices
    assert ether.as_struct() == ("0x88e6A0c2dDD26FEEb64F039a2c41296FcB3f5640", 0, 1800, 1_000_000, 100, 300)
    assert int(unpaired.pool, 16) == 0
    assert len(mandate.second_prices) == len(mandate.assets)


@pytest.mark.parametrize("quote", ["WETH", "DOGE"])
def test_a_second_source_is_traded_against_another_asset(quote: str) -> None:
    assert refused(with_second_source("quote: USDC", f"quote: {quote}")).field == "assets[1].oracle.second_source.quote"


def test_without_second_sources_the_chain_gets_none(mandate: Mandate) -> None:
    assert mandate.second_prices == ()
    assert int(mandate.sequencer.feed, 16) == 0
    assert not mandate.oracle.replaceable


def test_the_sequencer_of_a_rollup() -> None:
    text = changed("venues:\n", f'oracle:\n  sequencer_feed: "{USDC}"\n  sequencer_grace_s: 600\nvenues:\n')
    assert (parse_mandate(text).sequencer.feed, parse_mandate(text).sequencer.grace) == (USDC, 600)


def test_a_changed_copy_forgets_what_the_original_worked_out(mandate: Mandate) -> None:
    assert mandate.symbols[-1] == mandate.assets[-1].symbol
    assert len(mandate.vault_limits.max_weights_bps) == len(mandate.assets)
    fewer = mandate.model_copy(update={"assets": mandate.assets[:-1]})
    assert fewer.symbols == mandate.symbols[:-1]
    assert fewer.vault_limits.max_weights_bps == mandate.vault_limits.max_weights_bps[:-1]
    assert mandate.model_copy() == mandate
