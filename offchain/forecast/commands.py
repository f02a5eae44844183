# SPDX-License-Identifier: Apache-2.0
"""`plimsoll forecast`: only typer and the standard library at the top, see `offchain.cli`."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offchain.waiting import waiting

if TYPE_CHECKING:
    from offchain.forecast.report import VolatilityReport

SHOWN_PROBLEMS = 20
SHOWN_ROWS = 10

app = typer.Typer(
    help="Volatility, correlation and regimes from files of returns or prices.",
    short_help="Volatility, correlation and regimes from files.",
    epilog="Example: plimsoll forecast vol --model garch --returns returns.csv --json",
    no_args_is_help=True,
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else.")]
PlotOption = Annotated[Path | None, typer.Option("--plot", help="Folder to write a self-contained HTML page into.")]
PricesOption = Annotated[
    list[Path],
    typer.Option("--prices", help="CSV with time, symbol and close or price, or one column an asset; repeatable."),
]
AssetOption = Annotated[list[str] | None, typer.Option("--asset", help="Symbol to use; repeatable. Default: all.")]


class ErrorsName(StrEnum):
    """Distribution of the shocks."""

    normal = "normal"
    t = "t"
    skewt = "skewt"


class StartName(StrEnum):
    """Variance before the first row."""

    sample = "sample"
    backcast = "backcast"


class CovarianceName(StrEnum):
    """Covariance model."""

    ewma = "ewma"
    ledoit_wolf = "ledoit_wolf"
    oas = "oas"
    denoised = "denoised"
    factor = "factor"
    dcc = "dcc"


@app.command(
    short_help="Fit a volatility model and forecast with it.",
    epilog="Example: plimsoll forecast vol --model gjr --errors t --returns returns.csv --horizon 7",
)
def vol(
    model: Annotated[
        str,
        typer.Option(
            "--model",
            help="garch, gjr, egarch (also garch-t, garch-skewt, ...), ewma, har, close_to_close, parkinson, "
            "garman_klass, rogers_satchell, yang_zhang, realised, combination, recommended, implied.",
        ),
    ],
    returns: Annotated[
        Path | None,
        typer.Option(
            "--returns",
            help="CSV of returns, one column or with times; or of prices and bars, whose logarithmic returns are used.",
        ),
    ] = None,
    column: Annotated[
        str | None, typer.Option("--column", help="Which column or symbol, where there are several.")
    ] = None,
    horizon: Annotated[int, typer.Option("--horizon", min=1, max=3650, help="Rows to forecast.")] = 10,
    errors: Annotated[ErrorsName | None, typer.Option("--errors", help="Distribution of garch, gjr, egarch.")] = None,
    start: Annotated[
        StartName,
        typer.Option("--start", help="Variance before the first row: the sample's, or arch's backcast."),
    ] = StartName.sample,
    zero_mean: Annotated[bool, typer.Option("--zero-mean", help="Do not estimate a mean.")] = False,
    window: Annotated[int, typer.Option("--window", min=2, help="Rows of the moving estimators.")] = 30,
    measure: Annotated[
        str | None,
        typer.Option(
            "--measure",
            help="What har, combination, recommended take a row's variance from: parkinson, garman_klass, "
            "rogers_satchell, realised (days from finer rows), squares.",
        ),
    ] = None,
    rows_per_year: Annotated[
        float | None, typer.Option("--rows-per-year", min=1e-3, help="Default: by the file's times, else 365.")
    ] = None,
    quotes: Annotated[
        Path | None, typer.Option("--quotes", help="CSV with expiry_years and iv, for the model implied.")
    ] = None,
    premium: Annotated[
        float, typer.Option("--premium", min=1e-3, help="Ratio of implied to following variance, divided out.")
    ] = 1.0,
    plot: PlotOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit a volatility model: parameters with standard errors, log-likelihood, and the forecast."""
    from offchain.forecast.errors import ForecastError
    from offchain.forecast.report import study_implied, study_volatility
    from offchain.forecast.returns_file import read_returns
    from offchain.forecast.volatility.garch_family import Errors, Start
    from offchain.risk.encode import to_json

    page = None
    if model == "implied":
        from offchain.forecast.volatility.quotes_file import read_quotes

        if quotes is None:
            raise ForecastError("the model implied reads --quotes FILE, with the columns expiry_years and iv")
        report = study_implied(read_quotes(quotes, premium), horizon, rows_per_year or 365.0)
    else:
        if returns is None:
            raise ForecastError(f"the model {model} needs --returns FILE")
        with waiting(f"fitting {model}"):
            study = study_volatility(
                read_returns(returns, column),
                model,
                horizon=horizon,
                errors=Errors(errors.value) if errors else None,
                start=Start(start.value),
                with_mean=not zero_mean,
                window=window,
                measure=measure,
                rows_per_year=rows_per_year,
                walk=plot is not None,
            )
        report = study.report
        if plot is not None:
            from offchain.forecast.figures import write_volatility

            with waiting("drawing"):
                page = write_volatility(study, plot)
    if as_json:
        typer.echo(to_json(report))
        return
    _print_volatility(report)
    if page is not None:
        typer.echo(f"Figures: {page}")


@app.command(
    short_help="Covariance, diversification and effective bets.",
    epilog="Example: plimsoll forecast cov --prices prices.csv --model denoised --fewest-bets 2 --json",
)
def cov(
    prices: PricesOption,
    model: Annotated[CovarianceName, typer.Option("--model", help="Estimator.")] = CovarianceName.ledoit_wolf,
    window_days: Annotated[float, typer.Option("--window-days", min=1, help="History that counts.")] = 365.0,
    half_life_days: Annotated[float, typer.Option("--half-life-days", min=0.1, help="Of ewma.")] = 60.0,
    asset: AssetOption = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="CSV with symbol and weight, JSON or YAML; equal weights without.")
    ] = None,
    fewest_bets: Annotated[
        float | None, typer.Option("--fewest-bets", min=1, help="Give weight caps at which this many bets are left.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Covariance per year, diversification, effective bets, and correlations in crashes against calm."""
    from pydantic import TypeAdapter

    from offchain.forecast.market_report import covariance_report, market_of
    from offchain.mandate import Covariance
    from offchain.risk.encode import to_json
    from offchain.risk.portfolio import read_weights
    from offchain.risk.prices import load_prices

    settings: dict[str, object] = {"kind": model.value, "window_days": float(window_days)}
    if model is CovarianceName.ewma:
        settings["half_life_days"] = min(float(half_life_days), float(window_days))
    chosen: Covariance = TypeAdapter(Covariance).validate_python(settings)
    shares = read_weights(weights) if weights else None
    with waiting(f"estimating {model.value}"):
        report = covariance_report(market_of(load_prices(prices), asset), chosen, shares, fewest_bets)
    if as_json:
        typer.echo(to_json(report))
        return
    typer.echo(f"{report.model} covariance of {len(report.symbols)} assets over {report.rows} rows")
    for index, symbol in enumerate(report.symbols):
        cells = " ".join(f"{value:6.2f}" for value in report.correlation[index])
        cap = f"  cap {report.caps[symbol]:.1%}" if report.caps else ""
        typer.echo(f"{symbol:<10}{report.volatility[index]:8.1%}  {cells}{cap}")
    typer.echo(f"Diversification ratio {report.diversification_ratio:.3f}, effective bets {report.effective_bets:.2f}")
    if report.mean_crash_correlation is not None:
        typer.echo(
            f"Mean correlation: calm {report.mean_calm_correlation:.2f}, crash {report.mean_crash_correlation:.2f} "
            f"({report.mean_expected_correlation:.2f} if nothing but chance chose the rows)"
        )
    _print_problems(report.problems)


@app.command(
    short_help="Hidden regimes of the assets together.",
    epilog="Example: plimsoll forecast regimes --prices prices.csv --states 2 --plot out",
)
def regimes(
    prices: PricesOption,
    states: Annotated[int, typer.Option("--states", min=2, max=5, help="Hidden states.")] = 2,
    errors: Annotated[str, typer.Option("--errors", help="normal or t.")] = "t",
    asset: AssetOption = None,
    plot: PlotOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hidden regimes of the assets together, where the last row stands, and when the variance changed."""
    from offchain.forecast.market_report import market_of, study_regimes
    from offchain.risk.encode import to_json
    from offchain.risk.prices import load_prices

    with waiting("fitting regimes"):
        study = study_regimes(market_of(load_prices(prices), asset), states, errors)
    page = None
    if plot is not None:
        from offchain.forecast.figures import write_regimes

        with waiting("drawing"):
            page = write_regimes(study, plot)
    report = study.report
    if as_json:
        typer.echo(to_json(report))
        return
    typer.echo(f"{states} regimes of {len(report.symbols)} assets over {report.rows} rows, errors {report.errors}")
    typer.echo(f"{'state':<7}{'now':>8}{'next':>8}{'mean':>9}{'vol':>8}{'share':>8}{'rows':>8}")
    for index, one in enumerate(report.states):
        typer.echo(
            f"{index:<7}{report.now[index]:>8.1%}{report.next[index]:>8.1%}{one['mean']:>9.0%}{one['volatility']:>8.0%}"
            f"{one['share']:>8.0%}{one['duration']:>8.1f}"
        )
    if report.correlations is not None:
        typer.echo("Mean correlation by state: " + ", ".join(f"{value:.2f}" for value in report.correlations))
    typer.echo(f"Variance changed within seven rows: probability {report.change_probability:.0%}")
    _print_problems(report.problems)
    if page is not None:
        typer.echo(f"Figures: {page}")


def _print_volatility(report: VolatilityReport) -> None:
    typer.echo(f"{report.model} of {report.series}, {report.observations} observations")
    typer.echo(report.equation)
    for name, value in report.parameters.items():
        deviation, robust = report.standard_errors.get(name), report.robust_standard_errors.get(name)
        told = f"  (standard error {deviation:.6g}, robust {robust:.6g})" if deviation and robust else ""
        typer.echo(f"  {name:<12}{value: .8g}{told}")
    if report.log_likelihood is not None:
        typer.echo(f"Log-likelihood {report.log_likelihood:.6f}")
    path = report.forecast
    for step, value in list(enumerate(path.volatility, 1))[:SHOWN_ROWS]:
        typer.echo(f"  in {step:>3}: volatility {value:.6g}")
    if path.horizon > SHOWN_ROWS:
        typer.echo(f"  ... to {path.horizon}")
    typer.echo(
        f"Over {path.horizon} rows {path.horizon_volatility:.6g}, "
        f"per year ({path.rows_per_year:g} rows) {path.annual_volatility:.6g}"
    )
    _print_problems(report.problems)


def _print_problems(problems: Sequence[str]) -> None:
    for one in problems[:SHOWN_PROBLEMS]:
        typer.echo(f"note: {one}", err=True)
    if len(problems) > SHOWN_PROBLEMS:
        typer.echo(f"note: {len(problems) - SHOWN_PROBLEMS} more", err=True)
