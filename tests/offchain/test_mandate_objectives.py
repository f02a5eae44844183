# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from offchain.mandate import MandateError, parse_mandate

TEXT = (Path(__file__).parents[2] / "mandates" / "blue-chip.yaml").read_text()
KIND = "kind: mean_variance"
OWN = {
    "minimum_variance": "",
    "tracking": "",
    "risk_parity": "",
    "volatility_target": "\n  target_volatility: 0.3",
    "maximum_sharpe": "",
    "cvar": "\n  level: 0.9",
}


@pytest.mark.parametrize("kind", OWN)
def test_every_kind_of_objective_loads(kind: str) -> None:
    objective = parse_mandate(TEXT.replace(KIND, f"kind: {kind}{OWN[kind]}")).objective
    assert objective.kind == kind
    assert objective.horizon_days == 30


def test_expected_returns_may_be_left_out_where_they_do_not_count() -> None:
    text = TEXT.replace(KIND, "kind: minimum_variance").replace("  returns:\n    kind: benchmark_implied\n", "")
    assert parse_mandate(text).objective.returns.kind == "benchmark_implied"
    with pytest.raises(MandateError, match=r"objective\.returns: required, but missing"):
        parse_mandate(TEXT.replace("  returns:\n    kind: benchmark_implied\n", ""))


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        (KIND, "kind: median_variance", "objective.kind is 'median_variance': must be 'mean_variance' or"),
        (KIND, "kind: volatility_target", "objective.target_volatility: required, but missing"),
        (KIND, "kind: cvar\n  level: 1.5", "objective.level is 1.5"),
        (KIND, "kind: cvar\n  levle: 0.9", "objective.levle: unknown key; did you mean 'level'?"),
        (KIND, KIND + "\n  periods: {count: 1, half_life_days: 5}", "objective.periods.count is 1"),
        ("limits:\n", "constraints: {max_turnover_bps: 0}\nlimits:\n", "constraints.max_turnover_bps is 0"),
        (
            "limits:\n",
            "constraints: {groups: [{name: coins, assets: [WETH, XYZ]}]}\nlimits:\n",
            "constraints.groups[0].assets is 'XYZ': must be the symbol of one of the assets",
        ),
        (
            "limits:\n",
            "constraints: {groups: [{name: coins, assets: [WETH, WBTC], max_weight_bps: 2000}]}\nlimits:\n",
            "constraints.groups[0].max_weight_bps is 2000: must be at least 3000",
        ),
        (
            "limits:\n",
            "constraints: {groups: [{name: coins, assets: [WETH], min_weight_bps: 8000}]}\nlimits:\n",
            "constraints.groups[0].min_weight_bps is 8000: must be at most 4500",
        ),
        ("limits:\n", "constraints: {buffer_bps: 4600}\nlimits:\n", "constraints.buffer_bps is 4600: must be at most"),
        (
            "limits:\n",
            "constraints: {venue_caps_bps: {sushi: 100}}\nlimits:\n",
            "constraints.venue_caps_bps is 'sushi': must be one of venues: uniswap_v2, uniswap_v3",
        ),
    ],
)
def test_what_cannot_be_meant_is_named(old: str, new: str, named: str) -> None:
    assert old in TEXT
    with pytest.raises(MandateError) as raised:
        parse_mandate(TEXT.replace(old, new, 1))
    assert named in str(raised.value)
