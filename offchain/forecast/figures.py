# SPDX-License-Identifier: Apache-2.0
"""Figures of forecasts as self-contained HTML pages: they open without a network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from offchain.forecast.errors import ForecastError
from offchain.forecast.market_report import RegimeStudy
from offchain.forecast.report import VolatilityStudy
from offchain.risk.tails import FilteredTail, StudentTail, exceedances, walk_forward

BLUE, RED, GREY, GREEN = "#1f5fa8", "#c0392b", "#8a8f98", "#2e8b57"
TAIL_WINDOW = 175
LEVELS = (0.95, 0.99)


def write_volatility(study: VolatilityStudy, folder: Path) -> Path:
    """Write ``volatility.html``: forecasts made in time against what was realised, and losses beyond value at risk.

    Raises
    ------
    ForecastError
        When the sample is too short for forecasts made in time, or the folder cannot be written.
    """
    if study.walked is None:
        raise ForecastError(
            f"{len(study.sample)} returns are too few to draw forecasts made in time; leave out --plot, or give more"
        )
    name = study.report.model
    figures = [(f"{name}: volatility forecast in time, and realised", _volatility(study))]
    known = int(np.isfinite(study.walked).sum())
    if known > TAIL_WINDOW + 50:
        figures.append((f"{name}: value at risk in time, and losses beyond it", _beyond(study)))
    return _write(folder / "volatility.html", f"Volatility of {study.source.name}", figures)


def write_regimes(study: RegimeStudy, folder: Path) -> Path:
    """Write ``regimes.html``: filtered probabilities, recent changes, and correlations by regime."""
    figures = [("Filtered probability of each regime", _probabilities(study))]
    if study.correlations is not None:
        figures.append(("Correlation by regime, calm first", _correlations(study)))
    return _write(folder / "regimes.html", "Regimes", figures)


def _times(study: VolatilityStudy) -> Any:
    count = len(study.sample)
    stamps = study.source.timestamps
    return np.arange(count) if stamps is None else stamps[-count:].astype("datetime64[s]")


def _volatility(study: VolatilityStudy) -> Any:
    import plotly.graph_objects as go

    assert study.walked is not None
    times, realised = _times(study), np.sqrt(study.sample.variances)
    figure = go.Figure()
    said = "|return|" if study.sample.measured is None else "range of the bar"
    figure.add_scatter(x=times, y=realised, mode="markers", marker={"size": 3, "color": GREY}, name=said)
    week = np.full(realised.size, np.nan)
    squares = study.sample.returns**2 if study.sample.measured is None else study.sample.measured
    week[6:] = np.sqrt(np.lib.stride_tricks.sliding_window_view(squares, 7).mean(axis=1))
    figure.add_scatter(x=times, y=week, line={"color": GREEN, "width": 1}, name="realised, mean of 7 rows")
    figure.add_scatter(x=times, y=np.sqrt(study.walked), line={"color": BLUE, "width": 2}, name="forecast")
    figure.update_yaxes(title="per row, in the returns' unit")
    return figure


def _beyond(study: VolatilityStudy) -> Any:
    import plotly.graph_objects as go

    assert study.walked is not None
    known = np.isfinite(study.walked)
    times, returns, deviation = _times(study)[known], study.sample.returns[known], np.sqrt(study.walked[known])
    figure = go.Figure()
    figure.add_scatter(x=times, y=returns, mode="markers", marker={"size": 3, "color": GREY}, name="returns")
    for level, colour in zip(LEVELS, (GREEN, BLUE), strict=True):
        walked = walk_forward(
            returns, FilteredTail(StudentTail()), level, window=TAIL_WINDOW, refit=5, volatility=deviation
        )
        tests = walked.coverage()
        label = f"{level:.0%}: {tests.exceedances} beyond, {tests.expected:.1f} expected"
        after = times[walked.start :]
        hit = exceedances(walked.returns, walked.value_at_risk)
        figure.add_scatter(x=after, y=-walked.value_at_risk, line_color=colour, name=label)
        figure.add_scatter(
            x=after[hit], y=walked.returns[hit], mode="markers", marker={"size": 7, "color": RED, "symbol": "x"},
            name=f"beyond {level:.0%}",
        )  # fmt: skip
    figure.update_yaxes(title="return per row")
    return figure


def _probabilities(study: RegimeStudy) -> Any:
    from plotly.subplots import make_subplots

    times = study.market.timestamps.astype("datetime64[s]")
    figure = make_subplots(rows=2, shared_xaxes=True, row_heights=[0.6, 0.4], vertical_spacing=0.05)
    states = study.filtered.shape[1]
    for state in range(states):
        volatility = study.report.states[state]["volatility"]
        figure.add_scatter(
            x=times, y=study.filtered[:, state], stackgroup="one", name=f"{volatility:.0%} a year",
            line={"width": 0}, row=1, col=1,
        )  # fmt: skip
    figure.add_scatter(
        x=times, y=study.market.returns.mean(axis=1), line={"color": GREY, "width": 1}, name="mean return", row=2, col=1
    )
    figure.add_scatter(
        x=times, y=study.recent, line={"color": RED, "width": 1}, name="P(variance changed lately)", row=1, col=1
    )
    for change in study.report.changes:
        figure.add_vline(x=np.datetime64(change, "s").astype(object), line={"color": RED, "dash": "dot", "width": 1})
    figure.update_yaxes(tickformat=".0%")
    return figure


def _correlations(study: RegimeStudy) -> Any:
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    assert study.correlations is not None
    count, symbols = len(study.correlations), list(study.market.symbols)
    titles = [f"{one['volatility']:.0%} a year, {one['share']:.0%} of the time" for one in study.report.states]
    figure = make_subplots(rows=1, cols=count, subplot_titles=titles)
    for state, matrix in enumerate(study.correlations):
        texts = [[f"{value:.2f}" for value in row] for row in matrix] if len(symbols) <= 10 else None
        heat = go.Heatmap(
            z=matrix, x=symbols, y=symbols, zmin=-1, zmax=1, colorscale="RdBu_r", showscale=state == count - 1,
            text=texts, texttemplate="%{text}" if texts else None,
        )  # fmt: skip
        figure.add_trace(heat, row=1, col=state + 1)
    figure.update_layout(height=520)
    return figure


def _write(file: Path, title: str, figures: Sequence[tuple[str, Any]]) -> Path:
    parts = []
    for number, (heading, figure) in enumerate(figures):
        figure.update_layout(template="plotly_white", margin={"l": 60, "r": 20, "t": 40, "b": 40})
        drawn = figure.to_html(full_html=False, include_plotlyjs=number == 0, config={"displaylogo": False})
        parts.append(f"<section><h2>{escape(heading)}</h2>{drawn}</section>")
    style = "body{font-family:system-ui,sans-serif;max-width:1100px;margin:2rem auto;padding:0 1rem;color:#222}"
    name = escape(title)
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{name}</title><style>{style}</style></head>'
        f"<body><h1>{name}</h1>{''.join(parts)}</body></html>"
    )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ForecastError(f"{file}: cannot be written ({error})") from error
    return file
