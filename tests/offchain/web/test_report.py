# SPDX-License-Identifier: Apache-2.0
"""The report is one page that needs nothing else; the summary says the same to programs."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from offchain.market.snapshot import BreakerState
from offchain.web import charts
from offchain.web.record import (
    AssetLimits,
    BreakerRecord,
    FlowRecord,
    LegRecord,
    RunLimits,
    RunRecord,
    SettlementRecord,
    TickRecord,
    totals,
)
from offchain.web.report import loan_paragraph, render_report, write_report
from offchain.web.summary import write_summary
from offchain.web.svg import nice_ticks
from tests.support.records import loan_record

WAD = 10**18
DAY = 86_400
START = 1_767_225_600
VOID = {"meta", "br"}


def settlement(
    number: int, *, attacker: float | None = None, after: tuple[float, float] = (0.4, 0.6)
) -> SettlementRecord:
    """Sold ether for dollars at a cost of ten dollars in two pools."""
    legs = tuple(
        LegRecord(venue, f"0x{pool:040x}", fee, "WETH", "USDC", WAD, 3_000 * 10**6, 2_990 * 10**6, 2_999 * 10**6)
        for venue, pool, fee in (("uniswap_v3", 1, 500), ("uniswap_v2", 2, 0))
    )
    return SettlementRecord(
        tx=f"0x{number:064x}", block=100 + number, timestamp=START + number * DAY, nonce=number, reason="improves",
        value_before=1_000 * WAD, value_after=990 * WAD, loss=WAD // 100, turnover=WAD // 10, loss_level=WAD // 200,
        gas_used=300_000, effective_gas_price=2 * 10**9, gas_cost_usd=1.8, planned_cost_usd=9.0,
        weights_before=(0.3, 0.7), planned_weights=(0.4, 0.6), weights=after, bounds=((0.1, 0.5), (0.5, 0.65)), legs=legs,
        attacker_profit_usd=attacker,
    )  # fmt: skip


@pytest.fixture
def record() -> RunRecord:
    ticks = tuple(
        TickRecord(
            timestamp=START + day * DAY, block=100 + day, value=(1_000 - 60 * day) * WAD,
            value_per_share=WAD - day * WAD // 20, peak=WAD, weights=(0.4, 0.6), loss_level=0,
            breaker=BreakerState.REDUCE_ONLY if day >= 5 else BreakerState.ACTIVE, decision="no trade pays", base_fee=10**9,
        )
        for day in range(8)
    )  # fmt: skip
    return RunRecord(
        title="Two <assets> & a crash", subtitle="a test", vault="0x" + "12" * 20, chain="1-sandbox-abcd",
        mandate="mandates/two.yaml", seed=3,
        assets=(AssetLimits("USDC", 6, 0.1, 0.5), AssetLimits("WETH", 18, 0.5, 0.65)),
        limits=RunLimits(100, 25, 2_000, 4_000), ticks=ticks,
        settlements=(settlement(1), settlement(2, attacker=4.5), settlement(4, after=(0.32, 0.68))),
        breaker_events=(
            BreakerRecord(START + 5 * DAY, 105, "0x" + "aa" * 32, BreakerState.REDUCE_ONLY, "drawdown", 75 * WAD // 100, WAD),
        ),
        deposits=(FlowRecord(START - 60, 99, "0x" + "bb" * 32, "alice", "deposit", WAD, {"USDC": 10**9}, 1_000 * WAD, 250_000),),
        redemptions=(
            FlowRecord(START + 8 * DAY, 120, "0x" + "cc" * 32, "alice", "redeem in kind", WAD, {"USDC": 1, "WETH": WAD}, 500 * WAD, 1),
        ),
        final_value=10**6, final_supply=0, notes=("Heartbeats are scaled.",),
    )  # fmt: skip


class WellFormed(HTMLParser):
    """Collects identifiers and links, and refuses tags that do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids.add(values.get("id") or "")
        self.links.add(values.get("href") or "")
        self.outside += [
            str(values[name]) for name in ("src", "href") if not str(values.get(name, "#")).startswith("#")
        ]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(html: str) -> WellFormed:
    parser = WellFormed()
    parser.feed(html)
    assert parser.open == []
    return parser


def test_page_is_well_formed_and_needs_nothing_from_elsewhere(record: RunRecord) -> None:
    html = render_report(record)
    page = parsed(html)
    assert page.outside == []
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", html)
    assert len(html) < 6_000_000


def test_every_settlement_has_a_row_that_leads_to_its_legs(record: RunRecord) -> None:
    html = render_report(record)
    page = parsed(html)
    for number in (1, 2, 3):
        assert f"#settlement-{number}" in page.links
        assert f"settlement-{number}" in page.ids
    assert "0x" + "0" * 39 + "2" in html
    assert "-3.33 bps" in html


def test_names_are_escaped(record: RunRecord) -> None:
    html = render_report(record)
    assert "Two &lt;assets&gt; &amp; a crash" in html
    assert "<assets>" not in html


def test_data_cannot_end_the_script_element(record: RunRecord) -> None:
    ticks = (replace(record.ticks[0], decision="</script><b>"), *record.ticks[1:])
    assert "</script><b>" not in render_report(replace(record, ticks=ticks))


def test_charts_are_valid_xml_without_broken_numbers(record: RunRecord) -> None:
    images = [
        draw(record, width, 300)
        for draw in (charts.value_per_share, charts.loss_budget, charts.costs, charts.planned_against_realised)
        for width in (400, 1_072)
    ] + [charts.weight(record, asset, 330, 180) for asset in (0, 1)]
    for image in images:
        ElementTree.fromstring(image)
        assert "nan" not in image
        assert "inf" not in image


def test_run_without_settlement_or_trip_still_has_a_report(record: RunRecord, tmp_path: Path) -> None:
    quiet = replace(record, settlements=(), breaker_events=(), redemptions=(), deposits=(), ticks=record.ticks[:1])
    write_report(quiet, tmp_path / "deep" / "report.html")
    html = (tmp_path / "deep" / "report.html").read_text()
    parsed(html)
    assert "The breaker never tripped." in html


def test_report_of_nothing_is_refused(record: RunRecord) -> None:
    with pytest.raises(ValueError, match="at least one tick"):
        render_report(replace(record, ticks=()))


def test_settlement_outside_is_accepted_only_when_nothing_got_worse() -> None:
    assert settlement(1).inside
    assert settlement(1, after=(0.32, 0.68)).closer
    assert not settlement(1, after=(0.3, 0.7)).closer
    assert not settlement(1, after=(0.28, 0.72)).closer
    # One violation smaller, a new one elsewhere.
    assert not replace(settlement(1), weights=(0.05, 0.66)).closer


def test_page_says_so_when_a_settlement_broke_the_mandate(record: RunRecord) -> None:
    broken = replace(record, settlements=(*record.settlements, settlement(6, after=(0.2, 0.8))))
    assert "1 of 4 settlements ended outside" in render_report(broken)


def test_totals_add_up(record: RunRecord) -> None:
    sums = totals(record)
    assert (sums.settlements, sums.over_two_venues, sums.outside_and_not_closer) == (3, 3, 0)
    assert sums.traded_usd == pytest.approx(300.0)
    assert sums.realised_cost_usd == pytest.approx(30.0)
    assert sums.planned_cost_usd == pytest.approx(27.0)
    assert (sums.sandwiched, sums.attacker_profit_usd) == (1, 4.5)
    assert sums.worst_drawdown_bps == pytest.approx(3_500.0)
    assert sums.highest_loss_level_bps == pytest.approx(50.0)


def test_summary_has_the_published_shape(record: RunRecord, tmp_path: Path) -> None:
    write_summary(record, tmp_path / "summary.json")
    data = json.loads((tmp_path / "summary.json").read_text())
    assert {"settlements", "breaker", "redemptions", "totals"} <= data.keys()
    assert data["breaker"] | {"events": 0} == {"state": "REDUCE_ONLY", "reason": "drawdown", "block": 105, "events": 0}
    first = data["settlements"][0]
    assert {
        "tx",
        "block",
        "value_before",
        "value_after",
        "loss_bps",
        "gas_used",
        "weights",
        "bounds",
        "legs",
    } <= first.keys()
    assert int(first["value_before"]) == 1_000 * WAD
    assert first["loss_bps"] == 100.0
    assert first["weights"] == {"USDC": 0.4, "WETH": 0.6}
    assert first["bounds"]["WETH"] == [0.5, 0.65]
    assert [leg["venue"] for leg in first["legs"]] == ["uniswap_v3", "uniswap_v2"]
    assert int(first["legs"][0]["amount_in"]) == WAD
    assert data["redemptions"][0]["amounts"] == {"USDC": "1", "WETH": str(WAD)}


def test_second_act_is_told_drawn_and_listed(record: RunRecord) -> None:
    html = render_report(replace(record, loan=loan_record()))
    parsed(html)
    assert "Staked &lt;Ether&gt;" in html
    assert "1.080 → 1.180" in html
    assert "1.240 → nothing owed" in html
    assert "Second act" not in render_report(record)


def test_second_act_in_one_paragraph() -> None:
    told = loan_paragraph(loan_record())
    assert "never falls below 1.24, and nothing is owed any more" in told
    assert "calls deleverage() once below 1.10, and it never falls below 1.08" in told
    assert "liquidated by Aave once. Of $300.00 there are left $100.00, $100.00 and $100.00." in told


@pytest.mark.parametrize("width", [400, 1_072])
def test_health_factors_are_drawn_inside_the_frame(width: int) -> None:
    image = charts.health_factors(loan_record(), width, 300)
    root = ElementTree.fromstring(image)
    assert "inf" not in image
    lines = [one.get("d", "") for one in root.iter() if one.get("class") in ("series", "fate-rescued", "fate-control")]
    assert len(lines) == 3
    heights = [float(y) for one in lines for y in re.findall(r",([\d.]+)", one)]
    assert 0 <= min(heights) <= max(heights) <= 300
    # What owes nothing ends at the top, what is liquidated below the line of one.
    assert min(heights) == float(lines[0].rsplit(",", 1)[1])


def test_summary_tells_the_second_act(record: RunRecord, tmp_path: Path) -> None:
    write_summary(replace(record, loan=loan_record()), tmp_path / "summary.json")
    loan = json.loads((tmp_path / "summary.json").read_text())["loan"]
    assert loan["control"]["liquidated"] is True
    assert loan["rescued"]["lowest_health"] == pytest.approx(1.08)
    assert loan["rescued"]["repairs"][0]["debt_repaid"] == str(142 * WAD)
    assert loan["kept"]["repairs"][0]["health_after"] is None


@pytest.mark.parametrize(
    ("low", "high", "count", "expected"),
    [
        (0.0, 1.0, 5, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.87, 1.13, 5, [0.9, 1.0, 1.1]),
        (-3.0, 47.0, 5, [0.0, 10.0, 20.0, 30.0, 40.0]),
        (5.0, 5.0, 4, [5.0]),
    ],
)
def test_axis_values_are_round(low: float, high: float, count: int, expected: list[float]) -> None:
    assert nice_ticks(low, high, count) == expected
