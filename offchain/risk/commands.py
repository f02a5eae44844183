# SPDX-License-Identifier: Apache-2.0
"""`plimsoll risk` and `plimsoll options`: only typer and the standard library at the top, see `offchain.cli`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offchain.waiting import waiting

if TYPE_CHECKING:
    from offchain.risk.options.chain import OptionChain
    from offchain.risk.report import RiskReport

SHOWN_PROBLEMS = 20
SHOWN_ROWS = 40

options_app = typer.Typer(
    help="Greeks, implied volatilities and surfaces of option chains.",
    epilog="Example: plimsoll options iv --chain chain.csv --json",
    no_args_is_help=True,
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else.")]
ChainOption = Annotated[
    Path,
    typer.Option(
        "--chain",
        help="CSV, gzipped or not, with type, strike, expiry_years, forward, price or iv, if wanted rate, bid, ask, "
        "underlying; or an export of Deribit's.",
    ),
]
UnderlyingOption = Annotated[str | None, typer.Option("--underlying", help="Only options on this one.")]
PlotOption = Annotated[Path | None, typer.Option("--plot", help="Folder to write a self-contained HTML page into.")]


class MissingRule(StrEnum):
    """What to do in periods in which an asset with a weight has no return."""

    drop = "drop"
    spread = "spread"


class UnitsName(StrEnum):
    """What the Greeks are counted in."""

    exchange = "exchange"
    plain = "plain"


def risk(
    prices: Annotated[
        list[Path],
        typer.Option("--prices", help="CSV with time, symbol and close or price, or one column an asset; repeatable."),
    ],
    weights: Annotated[
        Path | None,
        typer.Option("--weights", help="CSV with symbol and weight, JSON or YAML; equal weights without. Rest: cash."),
    ] = None,
    benchmark: Annotated[str | None, typer.Option("--benchmark", help="Symbol to compare with.")] = None,
    level: Annotated[
        list[float] | None, typer.Option("--level", help="Of tails; repeatable. Default 0.95, 0.99.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", help="Tail model: historical, normal, student, pareto, also with filtered- before; repeatable."
        ),
    ] = None,
    window: Annotated[int, typer.Option("--window", help="Periods a tail forecast is fitted to.")] = 500,
    missing: Annotated[
        MissingRule, typer.Option("--missing", help="Drop periods in which an asset is missing, or spread its weight.")
    ] = MissingRule.drop,
    samples: Annotated[int, typer.Option("--samples", min=1, help="Block-bootstrap resamples.")] = 500,
    trials: Annotated[
        int, typer.Option("--trials", min=1, help="Portfolios this one was picked from, for the deflated Sharpe ratio.")
    ] = 1,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same report.")] = 0,
    start: Annotated[datetime | None, typer.Option("--start", help="First time, UTC.")] = None,
    end: Annotated[datetime | None, typer.Option("--end", help="Last time, UTC.")] = None,
    plot: PlotOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a portfolio: ratios with intervals, drawdowns, tails with their tests, recorded crashes."""
    from offchain.risk.encode import to_json
    from offchain.risk.portfolio import read_weights
    from offchain.risk.prices import load_prices
    from offchain.risk.report import LEVELS, MODELS, study_risk

    with waiting("measuring"):
        study = study_risk(
            load_prices(prices).between(_seconds(start), _seconds(end)),
            read_weights(weights) if weights else None,
            benchmark=benchmark,
            missing=missing.value,
            levels=tuple(level) if level else LEVELS,
            models=tuple(model) if model else MODELS,
            window=window,
            samples=samples,
            trials=trials,
            seed=seed,
        )
    page = None
    if plot is not None:
        from offchain.risk.figures import write_risk

        with waiting("drawing"):
            page = write_risk(study, plot)
    if as_json:
        typer.echo(to_json(study.report))
        return
    _print_risk(study.report)
    if page is not None:
        typer.echo(f"Figures: {page}")


@options_app.command(epilog="Example: plimsoll options greeks --chain chain.csv --units plain")
def greeks(
    chain: ChainOption,
    underlying: UnderlyingOption = None,
    units: Annotated[
        UnitsName | None,
        typer.Option("--units", help="exchange: vega a point, theta a day; plain: per 1.00 and per year."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Price every option and differentiate it."""
    from offchain.risk.encode import to_json
    from offchain.risk.options.report import greeks_report

    report = greeks_report(_read(chain, underlying), units.value if units else None)
    if as_json:
        typer.echo(to_json(report))
        return
    names = ("volatility", "price", "delta", "gamma", "vega", "theta", "rho")
    _print_rows(
        ("row", "contract", *names),
        [
            (str(row.row), row.contract, *(f"{getattr(row, name):.6g}" for name in names))
            for row in report.rows[:SHOWN_ROWS]
        ],
        len(report.rows),
    )
    typer.echo(f"Units: {report.units}")
    if report.largest_difference:
        told = ", ".join(f"{name} {value:.2g}" for name, value in report.largest_difference.items())
        typer.echo(f"Largest difference from the exchange's: {told}")
    _print_problems([str(one) for one in report.problems])


@options_app.command(
    short_help="Invert prices and quotes for volatilities.",
    epilog="Example: plimsoll options iv --chain chain.csv --json",
)
def iv(chain: ChainOption, underlying: UnderlyingOption = None, as_json: JsonOption = False) -> None:
    """Invert prices and quotes for volatilities; a row without one says why."""
    from offchain.risk.encode import to_json
    from offchain.risk.options.report import volatility_report

    report = volatility_report(_read(chain, underlying))
    if as_json:
        typer.echo(to_json(report))
        return
    _print_rows(
        ("row", "contract", "iv", "bid", "ask", "given", "reason"),
        [
            (
                str(row.row),
                row.contract,
                *(_per_cent(value) for value in (row.iv, row.bid_iv, row.ask_iv, row.given_iv)),
                row.reason,
            )
            for row in report.rows[:SHOWN_ROWS]
        ],
        len(report.rows),
    )
    typer.echo(", ".join(f"{count} {reason}" for reason, count in report.reasons.items()))
    _print_problems([str(one) for one in report.problems])


@options_app.command(
    short_help="Fit surfaces free of static arbitrage.",
    epilog="Example: plimsoll options surface --chain chain.csv --underlying BTC --plot out/surface",
)
def surface(
    chain: ChainOption, underlying: UnderlyingOption = None, plot: PlotOption = None, as_json: JsonOption = False
) -> None:
    """Fit a surface without butterfly or calendar arbitrage to each underlying."""
    from offchain.risk.encode import jsonable, to_json
    from offchain.risk.options.report import study_surface

    with waiting("fitting surfaces"):
        read = _read(chain, underlying)
        studies = [study_surface(read, name) for name in dict.fromkeys(read.underlyings)]
    page = None
    if plot is not None:
        from offchain.risk.figures import write_surfaces

        with waiting("drawing"):
            page = write_surfaces(studies, plot)
    if as_json:
        typer.echo(to_json({"surfaces": [jsonable(one.report) for one in studies]}))
        return
    for one in studies:
        report = one.report
        typer.echo(report.underlying or "Options")
        _print_rows(
            ("expiry", "days", "options", "atm", "theta", "rho", "psi", "error", "svi error"),
            [
                (
                    row.name, f"{row.expiry_years * 365:.2f}", str(row.options), _per_cent(row.at_the_money),
                    f"{row.theta:.5g}", f"{row.rho:+.3f}", f"{row.psi:.4g}", _per_cent(row.error),
                    _per_cent(row.svi_error),
                )
                for row in report.slices
            ],
            len(report.slices),
        )  # fmt: skip
        typer.echo(
            f"SSVI: lowest g {report.lowest_butterfly:.3g}, lowest calendar difference {report.lowest_calendar:.3g}, "
            f"{_per_cent(report.within_quotes)} of quoted options between bid and ask"
        )
        lowest = min(row.svi_lowest_butterfly for row in report.slices)
        typer.echo(
            f"SVI:  lowest g {lowest:.3g}, lowest calendar difference {report.svi_lowest_calendar:.3g}, "
            f"{_per_cent(report.svi_within_quotes)} of quoted options between bid and ask (none negative: no arbitrage)"
        )
        _print_problems([str(problem) for problem in report.problems])
    if page is not None:
        typer.echo(f"Figures: {page}")


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.replace(tzinfo=UTC).timestamp()


def _read(file: Path, underlying: str | None) -> OptionChain:
    from offchain.risk.options.chain_file import read_chain

    chain = read_chain(file)
    return chain.of(underlying) if underlying is not None else chain


def _print_risk(report: RiskReport) -> None:
    typer.echo(
        f"{report.periods} periods of {report.step_seconds} s, {report.start} to {report.end}; "
        f"{report.dropped} dropped, {report.spread} with a weight shared"
    )
    typer.echo("Weights: " + ", ".join(f"{name} {weight:.2%}" for name, weight in report.weights.items()))
    some = next(iter(report.measures.values()))
    _print_rows(
        ("measure", "value", "low", "high", "unit"),
        [
            (name, f"{one.estimate:.4f}", f"{one.low:.4f}", f"{one.high:.4f}", report.units[name])
            for name, one in report.measures.items()
        ],
        len(report.measures),
    )
    typer.echo(f"Intervals: {some.level:.0%}, stationary bootstrap with blocks of {some.block:.1f} periods")
    if report.deflated_sharpe is not None:
        typer.echo(f"Probability that the Sharpe ratio is more than luck: {report.deflated_sharpe.probability:.1%}")
    _print_rows(
        ("asset", "weight", "periods", "return", "volatility", "drawdown"),
        [
            (
                row.symbol, _per_cent(row.weight), str(row.periods),
                *(_per_cent(row.measures[name]) for name in ("annual_return", "annual_volatility", "max_drawdown")),
            )
            for row in report.assets
        ],
        len(report.assets),
    )  # fmt: skip
    _print_rows(
        ("tail of next period", "level", "VaR", "ES", "beyond", "Kupiec p", "Christoffersen p", "ES test p"),
        [
            (
                row.model, f"{row.level:g}", _per_cent(row.value_at_risk), _per_cent(row.expected_shortfall),
                f"{row.coverage.exceedances} of {row.coverage.expected:.1f}" if row.coverage else "-",
                f"{row.coverage.unconditional.p_value:.3f}" if row.coverage else "-",
                f"{row.coverage.conditional.p_value:.3f}" if row.coverage else "-",
                f"{row.shortfall.z2.p_value:.3f}" if row.shortfall else "-",
            )
            for row in report.tails
        ],
        len(report.tails),
    )  # fmt: skip
    for note in dict.fromkeys(f"{row.model}: {row.note}" for row in report.tails if row.note):
        typer.echo(f"No {note}")
    _print_rows(
        ("stress", "lowest close", "whole event", "worst day", "date", "stand-ins"),
        [
            (
                one.name, _per_cent(one.worst), _per_cent(one.total), _per_cent(one.worst_day), one.worst_date,
                ", ".join(f"{name}: {source}" for name, source in one.stand_ins.items()) or "-",
            )
            for one in report.stress
        ],
        len(report.stress),
    )  # fmt: skip
    mine = [str(one) for one in report.problems if not one.symbol or one.symbol in report.weights]
    _print_problems(mine)
    if len(mine) < len(report.problems):
        typer.echo(f"{len(report.problems) - len(mine)} more concern assets without a weight; --json has them")


def _print_problems(problems: Sequence[str]) -> None:
    if not problems:
        return
    typer.echo(f"{len(problems)} problem{'s' if len(problems) > 1 else ''} in the input:")
    for one in problems[:SHOWN_PROBLEMS]:
        typer.echo(f"  {one}")
    if len(problems) > SHOWN_PROBLEMS:
        typer.echo(f"  and {len(problems) - SHOWN_PROBLEMS} more; --json has them all")


def _print_rows(header: Sequence[str], rows: Sequence[Sequence[str]], total: int) -> None:
    widths = [max(len(str(cell)) for cell in column) for column in zip(header, *rows, strict=True)]
    for cells in (header, *rows):
        line = "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))
        typer.echo(line.rstrip())
    if total > len(rows):
        typer.echo(f"and {total - len(rows)} more; --json has them all")


def _per_cent(value: float) -> str:
    return "-" if value != value else f"{value:.2%}"
