# SPDX-License-Identifier: Apache-2.0
"""A run's record as one HTML page that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from offchain.web import charts
from offchain.web.charts import day_of, usd
from offchain.web.page import page
from offchain.web.record import (
    BASIS_POINT,
    WAD,
    FlowRecord,
    LoanFate,
    LoanRecord,
    RunRecord,
    SettlementRecord,
    Totals,
    totals,
)

WIDE, NARROW = 1072, 400
Draw = Callable[[RunRecord, float, float], str]


def write_report(record: RunRecord, path: Path) -> None:
    """Write the page to a file, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_report(record), encoding="utf-8")


def render_report(record: RunRecord) -> str:
    """Return the page.

    Raises
    ------
    ValueError
        When the record has no tick: there is nothing to draw.
    """
    if not record.ticks:
        raise ValueError("a report needs at least one tick")
    sums = totals(record)
    body = "\n".join(
        [
            _head(record, sums),
            _value_section(record),
            _weights_section(record),
            _loss_section(record),
            _cost_section(record, sums) if record.settlements else "",
            _settlement_table(record),
            _events_section(record),
            _loan_section(record.loan) if record.loan is not None else "",
            _details(record),
            _foot(record),
        ]
    )
    return page(record.title, body, json.dumps(_rows(record), separators=(",", ":")))


def _head(record: RunRecord, sums: Totals) -> str:
    first, last = record.ticks[0], record.ticks[-1]
    span = f"{_date(first.timestamp)} to {_date(last.timestamp)}"
    good = sums.outside_and_not_closer == 0
    verdict = (
        f"All {sums.settlements} settlements ended inside the mandate or closer to it than they began."
        if good
        else f"{sums.outside_and_not_closer} of {sums.settlements} settlements ended outside, no closer to the mandate."
    )
    return (
        f"<header><h1>{escape(record.title)}</h1>"
        f'<p class="lead">{escape(record.subtitle)} · {span} · seed {record.seed} · vault '
        f"<code>{escape(record.vault)}</code> on <code>{escape(record.chain)}</code></p>"
        f'<p class="verdict{"" if good else " bad"}">{verdict} {_breaker_sentence(record)}</p></header>'
        f'<dl class="tiles">{"".join(_tile(*one) for one in _figures(record, sums))}</dl>'
    )


def _figures(record: RunRecord, sums: Totals) -> Iterable[tuple[str, str, str]]:
    """Yield name, figure and remark of each tile."""
    alive = [tick for tick in record.ticks if tick.value > 0 and tick.value_per_share > 0] or list(record.ticks)
    change = alive[-1].value_per_share / alive[0].value_per_share - 1 if alive[0].value_per_share else 0.0
    traded = sums.traded_usd or 1.0
    yield (
        "Value per share",
        f"${alive[-1].value_per_share / WAD:,.4f}",
        f"{100 * change:+.1f} % over {sums.days:.0f} days",
    )
    yield (
        "Worst drawdown",
        f"{sums.worst_drawdown_bps / 100:.1f} %",
        f"trips at {record.limits.drawdown_reduce_bps / 100:g} %",
    )
    yield "Settlements", str(sums.settlements), f"{sums.over_two_venues} over two or more pools"
    yield "Value traded", usd(sums.traded_usd), f"{len(record.ticks)} ticks, {_quiet(record)} without a trade"
    cost = sums.realised_cost_usd
    yield (
        "Execution cost",
        usd(cost),
        f"{cost / traded * 1e4:.1f} bps; planned {sums.planned_cost_usd / traded * 1e4:.1f}",
    )
    yield "Gas", usd(sums.gas_cost_usd), f"{sums.gas_cost_usd / traded * 1e4:.1f} bps; {sums.gas_used / 1e6:.1f}M units"
    yield (
        "Loss budget, highest",
        f"{sums.highest_loss_level_bps:.1f} bps",
        f"capacity {record.limits.loss_capacity_bps} bps",
    )
    yield "Sandwiches", str(sums.sandwiched), f"attacker made {usd(sums.attacker_profit_usd)}"
    left = f"{usd(sums.redeemed_usd)} of {usd(sums.deposited_usd)} put in"
    yield "Left in the vault", f"${sums.final_value_usd:,.6f}", f"paid out {left}"


def _tile(name: str, figure: str, remark: str) -> str:
    return f'<div class="tile"><dt>{escape(name)}</dt><dd>{escape(figure)}<small>{escape(remark)}</small></dd></div>'


def _value_section(record: RunRecord) -> str:
    halt = f"{record.limits.drawdown_halt_bps / 100:g} %"
    keys = [
        ("line", "series", "value per share"),
        ("line", "peak", "peak"),
        ("line", "trip-reduce", f"reduce only, {record.limits.drawdown_reduce_bps / 100:g} % below the peak"),
        *([("line", "trip-halt", f"halted, {halt} below")] if charts.nears_halt(record) else []),
        ("area", "reduced", "reduce only"),
        ("dot", "mark-breaker", "breaker trips"),
        ("up", "mark-deposit", "deposit"),
        ("down", "mark-redeem", "redemption"),
        ("tick", "rug", "settlement"),
    ]
    return (
        "<section><h2>Value per share, its peak, and where the breaker trips</h2>"
        '<p class="why">US dollars at oracle prices, by simulated day. Anyone may trip the breaker once the line is '
        "crossed; from then on the vault only sells into its base asset.</p>"
        f"{_figure(record, charts.value_per_share, 340, 300, 'value')}{_key(keys)}</section>"
    )


def _weights_section(record: RunRecord) -> str:
    panels = []
    for index, asset in enumerate(record.assets):
        band = f"{100 * asset.min_weight:g} to {100 * asset.max_weight:g} %"
        svg = charts.weight(record, index, 330, 180)
        panels.append(
            f"<figure><figcaption><h3>{escape(asset.symbol)}</h3>"
            f'<span class="why">{band}</span></figcaption>'
            f'<div class="plot" data-rows="weight-{index}">{svg}</div></figure>'
        )
    keys = [
        ("area", "band", "weights allowed"),
        ("line", "series", "weight"),
        ("dot", "mark-settled", "after a settlement, inside"),
        ("dot", "mark-outside", "after a settlement, outside but closer"),
        ("area", "reduced", "reduce only: lower bounds suspended, and the base asset's upper one"),
    ]
    return (
        "<section><h2>Weights in their bands</h2>"
        '<p class="why">Share of the vault\'s value by simulated day. Between settlements the market moves them; a '
        "settlement must leave each inside its band or closer to it.</p>"
        f'<div class="panels">{"".join(panels)}</div>{_key(keys)}</section>'
    )


def _loss_section(record: RunRecord) -> str:
    limits = record.limits
    return (
        "<section><h2>Loss budget</h2>"
        '<p class="why">Execution loss against oracle prices, basis points of value, in a bucket of '
        f"{limits.loss_capacity_bps} that empties by {limits.loss_refill_bps_per_day} a day. A settlement that would "
        "overflow it reverts, whoever signed it.</p>"
        f"{_figure(record, charts.loss_budget, 230, 240, 'loss')}</section>"
    )


def _cost_section(record: RunRecord, sums: Totals) -> str:
    attacked = [("diamond", "mark-attack", "sandwiched")] if sums.sandwiched else []
    bars = [
        ("area", "bar-market", "pool fees and price impact, against the oracle"),
        ("area", "bar-gas", "gas"),
        *attacked,
    ]
    dots = [("dot", "dot", "settlement"), ("line", "diagonal", "as planned")]
    dots += [("dot", "dot-attacked", "sandwiched")] if sums.sandwiched else []
    return (
        '<section><h2>What trading cost</h2><p class="why">Basis points of the value each settlement traded. '
        "Below zero the market paid better than the oracle's price.</p>"
        f'<div class="two"><div>{_figure(record, charts.costs, 320, 300, wide=640)}{_key(bars)}</div>'
        f"<div><h3>Planned against realised</h3>{_figure(record, charts.planned_against_realised, 320, 320, wide=400)}"
        f"{_key(dots)}</div></div></section>"
    )


def _settlement_table(record: RunRecord) -> str:
    head = (
        ("l", "#"), ("", "day"), ("", "block"), ("l", "why"), ("", "traded"), ("", "pools"), ("", "planned"),
        ("", "realised"), ("", "charged, bps"), ("", "gas"), ("l", "weights"),
    )  # fmt: skip
    rows = []
    for number, one in enumerate(record.settlements, start=1):
        attack = (
            f' <span class="tag bad">sandwiched {usd(one.attacker_profit_usd)}</span>'
            if one.attacker_profit_usd is not None
            else ""
        )
        state = ("ok", "inside") if one.inside else ("warn", "closer") if one.closer else ("bad", "outside")
        cells = [
            f'<td class="l"><a href="#settlement-{number}">{number}</a></td>',
            _cell(f"{day_of(record, one.timestamp):.1f}"), _cell(f"{one.block:,}"),
            f'<td class="l">{escape(one.reason)}{attack}</td>',
            _cell(f"{100 * one.turnover / WAD:.1f} %"), _cell(str(one.venues)), _cell(usd(one.planned_cost_usd)),
            _cell(usd(one.cost_usd)), _cell(f"{one.loss_bps:.2f}"), _cell(usd(one.gas_cost_usd)),
            f'<td class="l"><span class="tag {state[0]}">{state[1]}</span></td>',
        ]  # fmt: skip
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f"<section><h2>Settlements</h2>{_table(head, rows)}</section>"


def _events_section(record: RunRecord) -> str:
    head = (("", "day"), ("", "block"), ("l", "what"), ("", "value"), ("", "gas"), ("l", "transaction"))
    rows: list[tuple[int, str]] = []
    for event in record.breaker_events:
        what = f"breaker: {event.state.name.replace('_', ' ').lower()} ({event.reason})"
        fall = f"{100 * (1 - event.value_per_share / event.peak):.2f} % below the peak" if event.peak else ""
        cells = _cell(f"{day_of(record, event.timestamp):.1f}") + _cell(f"{event.block:,}")
        cells += f'<td class="l"><span class="tag warn">{escape(what)}</span></td>{_cell(fall)}<td></td>{_tx(event.tx)}'
        rows.append((event.timestamp, f"<tr>{cells}</tr>"))
    for flow in (*record.deposits, *record.redemptions):
        cells = _cell(f"{day_of(record, flow.timestamp):.1f}") + _cell(f"{flow.block:,}")
        cells += f'<td class="l">{escape(_flow_sentence(record, flow))}</td>{_cell(usd(flow.value / WAD))}'
        rows.append((flow.timestamp, f"<tr>{cells}{_cell(f'{flow.gas_used:,}')}{_tx(flow.tx)}</tr>"))
    rows.sort(key=lambda pair: pair[0])
    return "<section><h2>Deposits, redemptions, breaker</h2>" + _table(head, [row for _, row in rows]) + "</section>"


def loan_paragraph(loan: LoanRecord) -> str:
    """What the second act showed, in one paragraph."""
    first, last = loan.kept.points[0], loan.kept.points[-1]
    owed = f"it ends at {last.health:.2f}" if last.health is not None else "nothing is owed any more"
    ends = [usd(fate.points[-1].value / WAD) for fate in loan.fates]
    return (
        f"Second act, {loan.mandate}: {loan.collateral} on credit at Aave, {first.leverage:.1f} times what is left "
        f"after the debt, and stETH loses {100 * loan.depth:.0f} % against ether within a day. With its keeper the "
        f"health factor never falls below {loan.kept.lowest_health:.2f}, and {owed}. With the keeper dead a stranger "
        f"calls deleverage() {_times(loan.rescued)} below {loan.trigger:.2f}, and it never falls below "
        f"{loan.rescued.lowest_health:.2f}. An account at the same leverage that nobody looks after is liquidated by "
        f"Aave {_times(loan.control)}. Of {usd(first.value / WAD)} there are left {ends[0]}, {ends[1]} and {ends[2]}."
    )


def _times(fate: LoanFate) -> str:
    return {1: "once", 2: "twice"}.get(len(fate.repairs), f"{len(fate.repairs)} times")


def _loan_section(loan: LoanRecord) -> str:
    keys = [
        *(
            ("line", css, fate.name)
            for fate, css in zip(loan.fates, ("series", "fate-rescued", "fate-control"), strict=True)
        ),
        ("line", "trip-reduce", f"{loan.trigger:g}: anybody may deleverage the vault"),
        ("line", "trip-halt", "1: Aave liquidates"),
        ("dot", "mark-settled", "keeper repays"),
        ("down", "mark-redeem", "stranger deleverages"),
        ("diamond", "mark-attack", "liquidation"),
    ]
    head = (("", "hour"), ("l", "account"), ("l", "who"), ("", f"{loan.debt} repaid"), ("", f"{loan.collateral} given"),
            ("", "health factor"))  # fmt: skip
    rows = []
    for fate in loan.fates:
        for one in fate.repairs:
            cells = [
                _cell(f"{(one.timestamp - loan.crash[0]) / charts.HOUR:.0f}"),
                f'<td class="l">{escape(fate.name)}</td><td class="l">{escape(one.by)}</td>',
                _cell(_amount(one.debt_repaid, 18)),
                _cell(_amount(one.collateral_given, 18)),
                _cell(f"{charts.health(one.health_before)} → {charts.health(one.health_after)}"),
            ]
            rows.append(f"<tr>{''.join(cells)}</tr>")
    images = "".join(
        f'<div class="{name}">{charts.health_factors(loan, width, tall)}</div>'
        for name, width, tall in (("wide", WIDE, 320), ("narrow", NARROW, 280))
    )
    return (
        "<section><h2>Second act: staking on credit through a crash of stETH</h2>"
        f'<p class="why">{escape(loan_paragraph(loan))}</p>'
        f'<figure><div class="plot">{images}</div></figure>{_key(keys)}'
        '<p class="why">Health factor by hours since the fall began. The two vaults are one vault on two forks of '
        f"the same chain; above {charts.HEALTHY:g} the lines stay at the edge.</p>{_table(head, rows)}</section>"
    )


def _details(record: RunRecord) -> str:
    blocks = [_detail(record, number, one) for number, one in enumerate(record.settlements, start=1)]
    return f"<section><h2>Settlement by settlement</h2>{''.join(blocks)}</section>" if blocks else ""


def _detail(record: RunRecord, number: int, one: SettlementRecord) -> str:
    decimals = {asset.symbol: asset.decimals for asset in record.assets}
    legs = []
    for leg in one.legs:
        short = leg.amount_out - leg.planned_amount_out
        change = f"{short / leg.planned_amount_out * 1e4:+.2f} bps" if leg.planned_amount_out else ""
        fee = f" {leg.fee_ppm / 10_000:g} %" if leg.fee_ppm else ""
        cells = [
            f'<td class="l">{escape(leg.venue.replace("_", " "))}{fee}<br><code>{escape(leg.pool)}</code></td>',
            f'<td class="l">{escape(leg.token_in)} → {escape(leg.token_out)}</td>',
            _cell(_amount(leg.amount_in, decimals[leg.token_in])),
            *(
                _cell(_amount(amount, decimals[leg.token_out]))
                for amount in (leg.planned_amount_out, leg.min_amount_out, leg.amount_out)
            ),
            _cell(change),
        ]
        legs.append(f"<tr>{''.join(cells)}</tr>")
    weights = []
    for asset, before, planned, after, (low, high) in zip(
        record.assets, one.weights_before, one.planned_weights, one.weights, one.bounds, strict=True
    ):
        cells_of = (f"{100 * value:.2f} %" for value in (low, high, before, planned, after))
        weights.append(f'<tr><td class="l">{escape(asset.symbol)}</td>{"".join(map(_cell, cells_of))}</tr>')
    leg_head = (
        ("l", "pool"), ("l", "swap"), ("", "in"), ("", "planned out"), ("", "least accepted"), ("", "out"),
        ("", "against plan"),
    )  # fmt: skip
    weight_head = (("l", "asset"), ("", "at least"), ("", "at most"), ("", "before"), ("", "planned"), ("", "after"))
    return (
        f'<details id="settlement-{number}"><summary>Settlement {number}: day {day_of(record, one.timestamp):.1f}, '
        f"{escape(one.reason)}, {len(one.legs)} swap{'s' if len(one.legs) != 1 else ''}</summary>"
        f"<p>Transaction <code>{escape(one.tx)}</code>, block {one.block:,}, nonce {one.nonce}. Value "
        f"{usd(one.value_before / WAD)} before, {usd(one.value_after / WAD)} after; gas {one.gas_used:,} at "
        f"{one.effective_gas_price / 1e9:.2f} gwei.</p>{_table(leg_head, legs)}{_table(weight_head, weights)}</details>"
    )


def _foot(record: RunRecord) -> str:
    notes = "".join(f"<li>{escape(note)}</li>" for note in record.notes)
    return (
        f"<footer><p>Mandate <code>{escape(record.mandate)}</code>. Costs compare the vault's value before and after a "
        "settlement at one and the same oracle prices; the oracle may lag the market, in either direction.</p>"
        f"<ul>{notes}</ul></footer>"
    )


def _figure(record: RunRecord, draw: Draw, height: int, narrow: int, rows: str = "", wide: int = WIDE) -> str:
    """Draw twice: once for a desk, once for a phone."""
    data = f' data-rows="{rows}"' if rows else ""
    images = "".join(
        f'<div class="{name}">{draw(record, width, tall)}</div>'
        for name, width, tall in (("wide", wide, height), ("narrow", NARROW, narrow))
    )
    return f'<figure><div class="plot"{data}>{images}</div></figure>'


def _key(entries: Sequence[tuple[str, str, str]]) -> str:
    shapes = {
        "line": '<path d="M0,6H22" fill="none" class="{}"/>',
        "area": '<rect width="22" height="12" rx="2" class="{}"/>',
        "dot": '<circle cx="11" cy="6" r="4.5" class="{}"/>',
        "up": '<path d="M6,10h10l-5,-9z" class="{}"/>',
        "down": '<path d="M6,2h10l-5,9z" class="{}"/>',
        "tick": '<path d="M11,1V11" class="{}"/>',
        "diamond": '<path d="M11,1l5,5l-5,5l-5,-5z" class="{}"/>',
    }
    items = (
        f'<li><svg viewBox="0 0 22 12" aria-hidden="true">{shapes[shape].format(name)}</svg>{escape(label)}</li>'
        for shape, name, label in entries
    )
    return f'<ul class="key">{"".join(items)}</ul>'


def _table(head: Sequence[tuple[str, str]], rows: Sequence[str]) -> str:
    cells = "".join(f'<th scope="col" class="{kind}">{escape(name)}</th>' for kind, name in head)
    body = "".join(rows) or f'<tr><td class="l" colspan="{len(head)}">none</td></tr>'
    return f'<div class="table"><table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table></div>'


def _rows(record: RunRecord) -> dict[str, object]:
    """What the pointer reads at each tick, by chart; ``shared`` holds the day and its heading."""
    ticks = list(charts.tick_rows(record))
    rows: dict[str, object] = {
        "shared": [(day, f"Day {day:.1f} · {_date(tick.timestamp)}") for day, tick in ticks],
        "value": [
            [
                f"value per share ${tick.value_per_share / WAD:,.4f}",
                f"{100 * (1 - tick.value_per_share / tick.peak) if tick.peak else 0:.1f} % below the peak",
                f"vault {usd(tick.value / WAD)}",
                tick.decision,
            ]
            for _, tick in ticks
        ],
        "loss": [[f"{tick.loss_level / BASIS_POINT:.2f} bps used"] for _, tick in ticks],
    }
    for index, asset in enumerate(record.assets):
        rows[f"weight-{index}"] = [[f"{asset.symbol} {100 * tick.weights[index]:.2f} %"] for _, tick in ticks]
    return rows


def _breaker_sentence(record: RunRecord) -> str:
    if not record.breaker_events:
        return "The breaker never tripped."
    first = record.breaker_events[0]
    state = first.state.name.replace("_", " ").lower()
    return f"The breaker went to {state} on day {day_of(record, first.timestamp):.1f} ({escape(first.reason)})."


def _quiet(record: RunRecord) -> int:
    """Ticks without a settlement since the tick before."""
    times = sorted(one.timestamp for one in record.settlements)
    edges = [tick.timestamp for tick in record.ticks]
    return sum(
        not any(after < time <= until for time in times)
        for after, until in zip([edges[0] - 86_400, *edges], edges, strict=False)
    )


def _flow_sentence(record: RunRecord, flow: FlowRecord) -> str:
    decimals = {asset.symbol: asset.decimals for asset in record.assets}
    amounts = ", ".join(
        f"{_amount(amount, decimals[symbol])} {symbol}" for symbol, amount in flow.amounts.items() if amount
    )
    return f"{flow.account}: {flow.kind}, {amounts}"


def _amount(amount: int, decimals: int) -> str:
    """Whole tokens with about six significant digits."""
    value = amount / 10**decimals
    digits = 2 if value >= 1_000 else 4 if value >= 1 else 8
    return f"{value:,.{digits}f}"


def _cell(content: str) -> str:
    return f"<td>{escape(content)}</td>"


def _tx(tx: str) -> str:
    return f'<td class="l"><code title="{escape(tx)}">{escape(tx[:10])}…{escape(tx[-6:])}</code></td>'


def _date(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp, UTC).strftime("%-d %b %Y")
