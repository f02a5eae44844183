# SPDX-License-Identifier: Apache-2.0
"""Figures as self-contained HTML pages: they open without a network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from offchain.risk.arrays import RiskError
from offchain.risk.measures import drawdowns, wealth
from offchain.risk.options.report import SurfaceStudy
from offchain.risk.report import RiskStudy
from offchain.risk.tails import exceedances

BLUE, RED, GREY, GREEN = "#1f5fa8", "#c0392b", "#8a8f98", "#2e8b57"
SHOWN_MODEL = "filtered-pareto"


def write_risk(study: RiskStudy, folder: Path) -> Path:
    """Write ``risk.html``: growth, drawdown, exceedances of value at risk, correlations and stress."""
    figures = [("Growth of a dollar and drawdown", _growth(study))]
    if study.walked:
        figures.append(("Value at risk forecast before each period, and the losses beyond it", _beyond(study)))
    figures += [("Correlation of returns", _correlation(study)), ("Recorded crashes", _stress(study))]
    return _write(folder / "risk.html", "Portfolio risk", figures)


def write_surfaces(studies: Sequence[SurfaceStudy], folder: Path) -> Path:
    """Write ``surface.html``: for each underlying every smile with its quotes, and the surface."""
    figures = []
    for study in studies:
        name = study.report.underlying or "Options"
        figures.append((f"{name}: smiles and quotes", _smiles(study)))
        figures.append((f"{name}: implied volatility", _surface(study)))
    return _write(folder / "surface.html", "Implied volatility", figures)


def _growth(study: RiskStudy) -> Any:
    from plotly.subplots import make_subplots

    portfolio = study.portfolio
    times = portfolio.timestamps.astype("datetime64[s]")
    figure = make_subplots(rows=2, shared_xaxes=True, row_heights=[0.65, 0.35], vertical_spacing=0.04)
    grown = wealth(portfolio.returns)[1:]
    figure.add_scatter(x=times, y=grown, line_color=BLUE, name="wealth", row=1, col=1)
    figure.add_scatter(
        x=times, y=-drawdowns(portfolio.returns), line_color=RED, fill="tozeroy", name="drawdown", row=2, col=1
    )
    figure.update_yaxes(type="log", title="dollars", row=1, col=1)
    figure.update_yaxes(tickformat=".0%", row=2, col=1)
    return figure


def _beyond(study: RiskStudy) -> Any:
    import plotly.graph_objects as go

    model = SHOWN_MODEL if any(name == SHOWN_MODEL for name, _ in study.walked) else next(iter(study.walked))[0]
    figure = go.Figure()
    colours = [GREY, GREEN, BLUE]
    for number, ((name, level), walked) in enumerate(study.walked.items()):
        if name != model:
            continue
        times = study.portfolio.timestamps[walked.start :].astype("datetime64[s]")
        hit = exceedances(walked.returns, walked.value_at_risk)
        tests = walked.coverage()
        label = f"{level:.0%} {model}: {tests.exceedances} beyond, {tests.expected:.1f} expected"
        if not figure.data:
            figure.add_scatter(
                x=times, y=walked.returns, mode="markers", marker={"size": 3, "color": GREY}, name="returns"
            )
        figure.add_scatter(x=times, y=-walked.value_at_risk, line_color=colours[number % 3], name=label)
        figure.add_scatter(
            x=times[hit], y=walked.returns[hit], mode="markers", marker={"size": 7, "color": RED, "symbol": "x"},
            name=f"beyond {level:.0%}",
        )  # fmt: skip
    figure.update_yaxes(tickformat=".0%", title="return per period")
    return figure


def _correlation(study: RiskStudy) -> Any:
    import plotly.graph_objects as go

    symbols = list(study.report.weights)
    matrix = study.report.correlation
    texts = [[f"{value:.2f}" for value in row] for row in matrix] if len(symbols) <= 12 else None
    return go.Figure(
        go.Heatmap(
            z=matrix, x=symbols, y=symbols, zmin=-1, zmax=1, colorscale="RdBu_r", text=texts,
            texttemplate="%{text}" if texts else None,
        )
    )  # fmt: skip


def _stress(study: RiskStudy) -> Any:
    import plotly.graph_objects as go

    names = [one.title for one in study.report.stress]
    figure = go.Figure()
    for label, values, colour in (
        ("lowest close", [one.worst for one in study.report.stress], RED),
        ("whole event", [one.total for one in study.report.stress], BLUE),
        ("every asset at its own trough", [one.at_troughs for one in study.report.stress], GREY),
    ):
        figure.add_bar(x=names, y=values, name=label, marker_color=colour)
    figure.update_yaxes(tickformat=".0%")
    return figure


def _smiles(study: SurfaceStudy) -> Any:
    from plotly.subplots import make_subplots

    fitted, quotes, chain = study.fitted, study.quotes, study.chain
    columns = min(3, len(fitted.smiles))
    lines = math.ceil(len(fitted.smiles) / columns)
    titles = [f"{row.name} ({row.expiry_years * 365:.1f} days)" for row in study.report.slices]
    figure = make_subplots(rows=lines, cols=columns, subplot_titles=titles, vertical_spacing=0.25 / max(lines, 2))
    k_all = chain.log_moneyness
    names = np.array(chain.expiries)
    for number, smile in enumerate(fitted.smiles):
        place = {"row": number // columns + 1, "col": number % columns + 1}
        first = number == 0
        mine = (names == fitted.names[number]) & (chain.is_call == (k_all >= 0.0))
        k, bid, ask = k_all[mine], quotes.bid[mine], quotes.ask[mine]
        both = np.isfinite(bid + ask)
        figure.add_scatter(
            x=k[both], y=0.5 * (bid + ask)[both], mode="markers", marker={"size": 3, "color": GREY},
            error_y={"type": "data", "array": 0.5 * (ask - bid)[both], "color": GREY, "thickness": 1, "width": 2},
            name="bid to ask", legendgroup="quotes", showlegend=first, **place,
        )  # fmt: skip
        figure.add_scatter(
            x=smile.log_moneyness, y=smile.volatility, mode="markers", marker={"size": 5, "color": BLUE},
            name="fitted to", legendgroup="fitted", showlegend=first, **place,
        )  # fmt: skip
        order = np.linspace(smile.log_moneyness.min(), smile.log_moneyness.max(), 101)
        figure.add_scatter(
            x=order, y=fitted.fit.surface.volatility(order, smile.expiry_years), line_color=RED, name="SSVI surface",
            legendgroup="ssvi", showlegend=first, **place,
        )  # fmt: skip
        figure.add_scatter(
            x=order, y=study.report.slices[number].svi.volatility(order, smile.expiry_years), line_color=GREEN,
            name="SVI surface", legendgroup="svi", showlegend=first, **place,
        )  # fmt: skip
    figure.update_yaxes(tickformat=".0%")
    figure.update_layout(height=260 * lines + 80)
    return figure


def _surface(study: SurfaceStudy) -> Any:
    import plotly.graph_objects as go

    surface, smiles = study.fitted.fit.surface, study.fitted.smiles
    edge = max(float(np.abs(smile.log_moneyness).max()) for smile in smiles)
    k = np.linspace(-edge, edge, 61)
    years = np.geomspace(surface.expiries[0], surface.expiries[-1], 41)
    z = np.array([surface.volatility(k, float(year)) for year in years])
    # Far out in short expiries nothing trades; three standard deviations and a half are shown.
    reach = np.array([[abs(x) / math.sqrt(surface.slice_at(float(year)).theta) for x in k] for year in years])
    z = np.where(reach <= 3.5, z, np.nan)
    figure = go.Figure(go.Surface(x=k, y=years * 365, z=z, colorscale="Viridis", showscale=False))
    figure.update_layout(
        scene={
            "xaxis_title": "ln(strike / forward)",
            "yaxis": {"title": "days", "type": "log"},
            "zaxis": {"title": "volatility", "tickformat": ".0%"},
        },
        height=620,
    )
    return figure


def _write(file: Path, title: str, figures: Sequence[tuple[str, Any]]) -> Path:
    parts = []
    for number, (heading, figure) in enumerate(figures):
        figure.update_layout(template="plotly_white", margin={"l": 60, "r": 20, "t": 40, "b": 40})
        drawn = figure.to_html(full_html=False, include_plotlyjs=number == 0, config={"displaylogo": False})
        parts.append(f"<section><h2>{heading}</h2>{drawn}</section>")
    style = "body{font-family:system-ui,sans-serif;max-width:1100px;margin:2rem auto;padding:0 1rem;color:#222}"
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{style}</style></head><body><h1>{title}</h1>{''.join(parts)}</body></html>"
    )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise RiskError(f"{file}: cannot be written ({error})") from error
    return file
