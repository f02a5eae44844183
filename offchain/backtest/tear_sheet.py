# SPDX-License-Identifier: Apache-2.0
"""Runs as one HTML page that needs nothing else, and as one JSON document."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

import numpy as np

from offchain.backtest import charts
from offchain.backtest.charts import COLOURS, Curve
from offchain.backtest.performance import Performance, judge
from offchain.backtest.records import BacktestRun, FloatArray, IntArray, Track
from offchain.backtest.results import Result
from offchain.web.page import page

ROLLING_DAYS = 90.0
COST_NAMES = ("pool fees", "price impact", "sandwiches", "gas", "interest owed", "liquidations")
_MOST_EVENTS = 200


def performances(results: Sequence[Result], trials: int = 0) -> list[Performance]:
    """Figures of every run; each Sharpe ratio is deflated by all attempts.

    Parameters
    ----------
    trials
        Attempts made elsewhere whose ratios are not among the results: they count as as many more.
    """
    ratios = [result.sharpe for result in results if result.run is not None]
    ratios += [math.nan] * trials
    return [judge(result.name, result.run, ratios) for result in results if result.run is not None]


def document(results: Sequence[Result], figures: Sequence[Performance], title: str) -> dict[str, Any]:
    """Everything a program may want to know, JSON-ready; series are one entry a step."""
    by_name = {one.name: one for one in figures}
    return {
        "title": title,
        "trials": figures[0].trials if figures else 0,
        "units": "rates per year of 365 days; money USD; weights fractions of value; times Unix seconds",
        "runs": [_run_document(result, by_name.get(result.name)) for result in results],
    }


def _run_document(result: Result, figures: Performance | None) -> dict[str, Any]:
    if result.run is None or figures is None:
        return {"name": result.name, "problem": result.problem}
    run = result.run
    track = run.track
    return {
        "name": result.name,
        "performance": figures.as_json(),
        "notes": list(run.notes),
        "decisions": run.decisions,
        "events": [{"time": e.timestamp, "kind": str(e.kind), "text": e.text} for e in run.events],
        "settlements": len(run.settlements),
        "symbols": list(run.mandate.symbols),
        "series": {
            "time": track.timestamps.tolist(),
            "equity": track.equity.tolist(),
            "value": track.value.tolist(),
            "weights": track.weights.tolist(),
            "breaker": track.breaker.tolist(),
            "leverage": _finite(track.leverage),
            "health_factor": _finite(track.health_factor),
        },
    }


def _finite(series: FloatArray) -> list[float | None]:
    """JSON knows no infinity: a vault without debt has no health factor."""
    return [value if math.isfinite(value) else None for value in series.tolist()]


def tear_sheet(
    results: Sequence[Result],
    figures: Sequence[Performance],
    title: str,
    *,
    benchmark: Curve | None = None,
    regimes: tuple[IntArray, FloatArray] | None = None,
) -> str:
    """The page.

    Parameters
    ----------
    benchmark
        Equity of what the runs are compared with.
    regimes
        Times, and probabilities of the wild regime as they could be known then.
    """
    runs = [result for result in results if result.run is not None]
    body = [_head(title, runs, figures)]
    body += [_problems([result for result in results if result.run is None])]
    if runs:
        body += [_comparison(runs, benchmark, regimes), _table(figures)]
        body += [_detail(result, index, regimes) for index, result in enumerate(runs)]
    body.append(_foot())
    return page(title, _STYLE + "\n".join(body), '{"shared":[]}')


_STYLE = (
    "<style>td.n{font-variant-numeric:tabular-nums}h2 .why{font-weight:400;font-size:15px}"
    "table.figures{font-size:13px}table.figures td,table.figures th{padding-left:7px;padding-right:7px}</style>"
)


def _head(title: str, runs: Sequence[Result], figures: Sequence[Performance]) -> str:
    if not figures:
        return f"<header><h1>{escape(title)}</h1></header>"
    best = max(figures, key=lambda one: one.sharpe.estimate if math.isfinite(one.sharpe.estimate) else -math.inf)
    span = f"{_date(min(one.start for one in figures))} to {_date(max(one.end for one in figures))}"
    count = len(figures)
    sentence = (
        f"Best of {count} by Sharpe ratio: {escape(best.name)} with {_number(best.sharpe.estimate)} "
        f"({_interval(best)}). Probability that it is better than the best of {best.trials} attempts without skill: "
        f"{_percent(best.deflated)}."
    )
    certain = math.isfinite(best.deflated) and best.deflated >= 0.95
    return (
        f'<header><h1>{escape(title)}</h1><p class="lead">{span}, every cost included</p>'
        f'<p class="verdict{"" if certain else " bad"}">{sentence}</p></header>'
    )


def _problems(failed: Sequence[Result]) -> str:
    if not failed:
        return ""
    rows = "".join(f"<li><b>{escape(one.name)}</b>: {escape(one.problem)}</li>" for one in failed)
    return f'<section><h2>Not run</h2><ul class="why">{rows}</ul></section>'


def _comparison(runs: Sequence[Result], benchmark: Curve | None, regimes: tuple[IntArray, FloatArray] | None) -> str:
    lines, names = [], []
    for index, result in enumerate(runs):
        assert result.run is not None
        colour = COLOURS[index % len(COLOURS)]
        lines.append(Curve(result.name, result.run.track.timestamps, result.run.track.equity, colour))
        names.append((escape(result.name), colour))
    if benchmark is not None:
        lines.append(Curve(benchmark.name, benchmark.times, benchmark.values, "#8794a1", dashed=True))
        names.append((escape(benchmark.name), "#8794a1"))
    frame = charts.frame_of([charts.thinned(one) for one in lines], 1072, 360, logarithmic=True)
    shades = charts.regime_shades(*regimes, frame) if regimes is not None else ""
    falls = [_drawdown(one) for one in lines]
    if regimes is not None:
        names.append(("wild regime more likely than not, judged in time", "#e9e2f3"))
    equity = charts.curves(lines, "Equity", _factor, height=360, logarithmic=True, shades=shades)
    drawdown = charts.curves(falls, "Drawdown", _percent, height=200, base=0.0)
    return (
        "<section><h2>Equity</h2>"
        '<p class="why">Worth of one dollar after every cost and the keeper\'s gas; equal factors take equal room.</p>'
        f"<figure>{equity}</figure><h3>Drawdown</h3><figure>{drawdown}</figure>{charts.key(names)}</section>"
    )


def _drawdown(one: Curve) -> Curve:
    falls = one.values / np.maximum.accumulate(one.values) - 1.0
    return Curve(one.name, one.times, falls, one.colour, one.dashed)


def _table(figures: Sequence[Performance]) -> str:
    head = (
        "strategy", "Sharpe", "95 % interval", "deflated", "return", "volatility", "max drawdown", "CVaR 95 %",
        "turnover", "cost, bps", "gross Sharpe", "settled", "trips",
    )  # fmt: skip
    rows = []
    for one in sorted(figures, key=by_sharpe):
        cells = (
            _number(one.sharpe.estimate), _interval(one), _percent(one.deflated), _percent(one.annual_return),
            _percent(one.annual_volatility), _percent(one.max_drawdown), _percent(one.expected_shortfall),
            _number(one.turnover), _number(one.cost_bps, 1), _number(one.gross_sharpe), str(one.settlements),
            str(one.trips),
        )  # fmt: skip
        data = "".join(f'<td class="n">{cell}</td>' for cell in cells)
        rows.append(f'<tr><td class="l">{escape(one.name)}</td>{data}</tr>')
    titles = "".join(f'<th class="{"l" if not i else ""}">{name}</th>' for i, name in enumerate(head))
    trials = figures[0].trials
    return (
        "<section><h2>Figures</h2>"
        '<p class="why">Net of all costs, per year of 365 days, no risk-free rate. Intervals resample blocks of the '
        f"returns. Deflated: probability that the true ratio beats what luck shows in the best of {trials} "
        f"attempt{'s' if trials != 1 else ''}.</p>"
        f'<div class="table"><table class="figures"><thead><tr>{titles}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        "</section>"
    )


def _detail(result: Result, index: int, regimes: tuple[IntArray, FloatArray] | None) -> str:
    run = result.run
    assert run is not None
    track, colour = run.track, COLOURS[index % len(COLOURS)]
    equity = Curve(result.name, track.timestamps, track.equity, colour)
    frame = charts.frame_of([charts.thinned(equity)], 1072, 240, logarithmic=True)
    shades = (charts.regime_shades(*regimes, frame) if regimes else "") + charts.breaker_shades(track, frame)
    costs = np.column_stack(
        [track.fees, track.impact + track.basis, track.sandwich, track.gas, track.borrow, track.penalty]
    )
    paid = np.flatnonzero(costs.any(axis=0))
    cost_names = [COST_NAMES[i] for i in paid]
    mean_value = float(track.value.mean()) or 1.0
    spent = np.maximum(np.cumsum(costs[:, paid], axis=0), 0.0) / mean_value * 1e4
    symbols = run.mandate.symbols
    volatility, sharpe = charts.rolling_volatility(track, ROLLING_DAYS), charts.rolling_sharpe(track, ROLLING_DAYS)
    turned = Curve("turnover", track.timestamps, np.cumsum(track.turnover), colour)
    colours = [COLOURS[i % len(COLOURS)] for i in range(len(symbols))]
    figures = (
        ("Equity, with the time that the breaker stood tripped",
         charts.curves([equity], "Equity", _factor, height=240, logarithmic=True, shades=shades)),
        ("Weights", charts.stacked(track.timestamps, track.weights, symbols, "Weights", _percent)
         + charts.key(list(zip(symbols, colours, strict=True)))),
        (f"Volatility over {ROLLING_DAYS:g} days", charts.filled(volatility, "Rolling volatility", _percent)),
        (f"Sharpe ratio over {ROLLING_DAYS:g} days", charts.filled(sharpe, "Rolling Sharpe ratio", _number)),
        ("Cost so far, basis points of mean value",
         charts.stacked(track.timestamps, spent, cost_names, "Cumulative cost", _number)
         + charts.key(list(zip(cost_names, COLOURS, strict=False)))),
        ("Turnover so far, times the value", charts.filled(turned, "Cumulative turnover", _number, height=160)),
    )  # fmt: skip
    charted = (*figures, *_loan_charts(track, colour))
    drawn = "".join(f"<h3>{name}</h3><figure>{figure}</figure>" for name, figure in charted)
    opened = " open" if index == 0 else ""
    return (
        f"<section><h2>{escape(result.name)}</h2><details{opened}><summary>Charts, decisions and events</summary>"
        f"{drawn}{_decisions(run)}{_events(run)}{_notes(run)}</details></section>"
    )


def _loan_charts(track: Track, colour: str) -> tuple[tuple[str, str], ...]:
    """Leverage and health factor, of a vault that ever owed something."""
    if not (track.leverage > 1.0).any():
        return ()
    finite = np.where(np.isfinite(track.leverage), track.leverage, np.nan)
    leverage = Curve("leverage", track.timestamps, np.nan_to_num(finite, nan=float(np.nanmax(finite))), colour)
    owing = np.isfinite(track.health_factor)
    # Beyond three nothing is near a liquidation.
    health = Curve("health factor", track.timestamps[owing], np.minimum(track.health_factor[owing], 3.0), COLOURS[1])
    return (
        ("Leverage: everything held over what is left after the debt",
         charts.filled(leverage, "Leverage", _number)),
        ("Health factor while something is owed, at most 3; below 1 the account is liquidated",
         charts.curves([health], "Health factor", _number, height=200, base=1.0)),
        ("Interest owed so far, USD",
         charts.filled(Curve("interest", track.timestamps, np.cumsum(track.borrow), colour), "Interest owed", _usd,
                       height=160)),
    )  # fmt: skip


def _usd(value: float) -> str:
    return f"{value:,.0f}"


def _decisions(run: BacktestRun) -> str:
    binding: dict[str, int] = {}
    for one in run.settlements:
        for limit in one.binding:
            binding[limit] = binding.get(limit, 0) + 1
    held = _rows(sorted(binding.items(), key=lambda item: -item[1])) or '<tr><td class="l">none</td></tr>'
    return (
        '<div class="two"><div><h3>Decisions</h3><div class="table"><table>'
        f"<tbody>{_rows(run.decisions.items())}</tbody></table></div></div>"
        "<div><h3>Limits that held a settlement back</h3>"
        f'<div class="table"><table><tbody>{held}</tbody></table></div></div></div>'
    )


def _rows(counts: Iterable[tuple[str, int]]) -> str:
    return "".join(f'<tr><td class="l">{escape(name)}</td><td>{count}</td></tr>' for name, count in counts)


def _events(run: BacktestRun) -> str:
    shown = run.events[:_MOST_EVENTS]
    rows = []
    for one in shown:
        cells = (_date(one.timestamp), str(one.kind), one.text)
        rows.append("<tr>" + "".join(f'<td class="l">{escape(cell)}</td>' for cell in cells) + "</tr>")
    more = f'<p class="why">and {len(run.events) - len(shown)} more</p>' if len(run.events) > len(shown) else ""
    return f'<h3>Events</h3><div class="table"><table><tbody>{"".join(rows)}</tbody></table></div>{more}'


def _notes(run: BacktestRun) -> str:
    return "".join(f'<p class="why">{escape(note)}</p>' for note in run.notes)


def _foot() -> str:
    return (
        "<footer><p>A simulation of a past that will not come back in this form. Depth of the pools is modelled, "
        "prices are those of exchanges, and whoever looked at many variations found a good one by luck: that is "
        "what the deflated ratio is for.</p></footer>"
    )


def by_sharpe(one: Performance) -> float:
    """Sorting key: the best first, those without a ratio last."""
    return -one.sharpe.estimate if math.isfinite(one.sharpe.estimate) else math.inf


def _interval(one: Performance) -> str:
    return f"{_number(one.sharpe.low)} to {_number(one.sharpe.high)}"


def _factor(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %" if math.isfinite(value) else "–"


def _number(value: float, decimals: int = 2) -> str:
    return f"{value:.{decimals}f}" if math.isfinite(value) else "–"


def _date(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d")
