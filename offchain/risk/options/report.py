# SPDX-License-Identifier: Apache-2.0
"""What `plimsoll options` says about a chain, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from offchain.risk.options.black import black_76, exchange_greeks
from offchain.risk.options.chain import ChainProblem, OptionChain
from offchain.risk.options.errors import OptionError
from offchain.risk.options.implied import Reason
from offchain.risk.options.quotes import ChainSurface, Quotes, chain_surface, chain_volatility, share_within
from offchain.risk.options.svi import RawSvi, lowest_calendar
from offchain.risk.options.svi_surface import fit_svi_surface

Units = Literal["exchange", "plain"]
UNIT_TEXTS: dict[Units, str] = {
    "exchange": "vega per volatility point, theta per day, rho per percentage point with the spot's convention; USD",
    "plain": "vega per 1.00 of volatility, theta per year, rho per 1.00 with the forward held; units of the forward",
}
GREEKS = ("delta", "gamma", "vega", "theta", "rho")


@dataclass(frozen=True, slots=True)
class GreekRow:
    """One option's price and Greeks.

    Attributes
    ----------
    row, contract
        Where it stands in the file, and its name.
    is_call, strike, expiry_years, forward, volatility
        Its terms.
    price, delta, gamma, vega, theta, rho
        By the model.
    """

    row: int
    contract: str
    is_call: bool
    strike: float
    expiry_years: float
    forward: float
    volatility: float
    price: float
    delta: float
    gamma: float
    vega: float
    theta: float
    rho: float


@dataclass(frozen=True)
class GreeksReport:
    """Greeks of a chain.

    Attributes
    ----------
    file, units
        Where from, and what the numbers mean.
    rows
        Options with a volatility.
    largest_difference
        From the exchange's own Greeks, where the file has them and units are the exchange's. Theta of options with a
        week or more to go: the exchange caps what it shows in the last days.
    problems
        Rows left out or mended.
    """

    file: str
    units: str
    rows: tuple[GreekRow, ...]
    largest_difference: Mapping[str, float]
    problems: tuple[ChainProblem, ...]


def greeks_report(chain: OptionChain, units: Units | None = None) -> GreeksReport:
    """Price a chain at its volatilities.

    Parameters
    ----------
    units
        ``"exchange"`` or ``"plain"``; the exchange's by default for coin-settled chains.

    The file's own volatility counts, else the one that its price implies. Rows without either are among the problems.
    """
    chosen: Units = units or ("exchange" if chain.coin_settled else "plain")
    if chosen not in UNIT_TEXTS:
        raise OptionError(f"units {chosen!r}: there are {', '.join(UNIT_TEXTS)}")
    quotes = chain_volatility(chain)
    sigma = np.where(np.isnan(chain.volatility), quotes.mark.volatility, chain.volatility)
    sigma = np.where(np.isnan(sigma), quotes.volatility, sigma)
    kept = np.isfinite(sigma)
    part, sigma = chain.where(kept), sigma[kept]
    terms = (part.forward, part.strike, part.expiry_years, sigma)
    if chosen == "exchange":
        found = exchange_greeks(*terms, is_call=part.is_call)
    else:
        found = black_76(*terms, is_call=part.is_call, rate=part.rate)
    rows = tuple(
        GreekRow(
            row=int(part.rows[at]),
            contract=part.contracts[at],
            is_call=bool(part.is_call[at]),
            strike=float(part.strike[at]),
            expiry_years=float(part.expiry_years[at]),
            forward=float(part.forward[at]),
            volatility=float(sigma[at]),
            price=float(found.price[at]),
            **{name: float(getattr(found, name)[at]) for name in GREEKS},
        )
        for at in range(len(part))
    )
    differences = {}
    if chosen == "exchange":
        for name, theirs in part.published.items():
            difference = np.abs(getattr(found, name) - theirs)
            if name == "theta":
                difference = np.where(part.expiry_years > 7.0 / 365.0, difference, np.nan)
            if np.isfinite(difference).any():
                differences[name] = float(np.nanmax(difference))
    return GreeksReport(chain.file, UNIT_TEXTS[chosen], rows, differences, (*chain.problems, *quotes.problems))


@dataclass(frozen=True, slots=True)
class VolatilityRow:
    """One option's implied volatilities.

    Attributes
    ----------
    row, contract, strike, expiry_years
        Which.
    iv, bid_iv, ask_iv
        Of the price and the quotes, per year; NaN where there is none.
    given_iv
        As the file has it.
    reason
        Why the price has none; ``ok`` if it has.
    """

    row: int
    contract: str
    strike: float
    expiry_years: float
    iv: float
    bid_iv: float
    ask_iv: float
    given_iv: float
    reason: str


@dataclass(frozen=True)
class VolatilityReport:
    """Implied volatilities of a chain.

    Attributes
    ----------
    file
        Where from.
    rows
        Every usable row of the file.
    solved
        How many prices have an implied volatility.
    reasons
        How many of each reason.
    problems
        Rows left out or mended.
    """

    file: str
    rows: tuple[VolatilityRow, ...]
    solved: int
    reasons: Mapping[str, int]
    problems: tuple[ChainProblem, ...]


def volatility_report(chain: OptionChain) -> VolatilityReport:
    """Invert the prices and quotes of a chain."""
    quotes = chain_volatility(chain)
    reasons = [
        "no_price" if np.isnan(chain.price[at]) else Reason(int(code)).name.lower()
        for at, code in enumerate(quotes.mark.reason)
    ]
    rows = tuple(
        VolatilityRow(
            row=int(chain.rows[at]),
            contract=chain.contracts[at],
            strike=float(chain.strike[at]),
            expiry_years=float(chain.expiry_years[at]),
            iv=float(quotes.mark.volatility[at]),
            bid_iv=float(quotes.bid[at]),
            ask_iv=float(quotes.ask[at]),
            given_iv=float(chain.volatility[at]),
            reason=reason,
        )
        for at, reason in enumerate(reasons)
    )
    counts = {name: reasons.count(name) for name in dict.fromkeys(reasons)}
    return VolatilityReport(chain.file, rows, counts.get("ok", 0), counts, (*chain.problems, *quotes.problems))


@dataclass(frozen=True, slots=True)
class SliceRow:
    """One expiry of a surface.

    Attributes
    ----------
    name, expiry_years, options
        The expiry and how many options out of the money it was fitted to.
    at_the_money
        Volatility there, per year.
    theta, rho, psi
        SSVI parameters.
    error
        Weighted root mean square error of the surface, in volatility per year.
    raw
        The same slice in raw SVI parameters.
    lowest_butterfly
        Lowest g; not negative.
    svi, svi_error, svi_lowest_butterfly
        The slice of the SVI surface, five parameters an expiry, likewise free of both arbitrages.
    """

    name: str
    expiry_years: float
    options: int
    at_the_money: float
    theta: float
    rho: float
    psi: float
    error: float
    raw: RawSvi
    lowest_butterfly: float
    svi: RawSvi
    svi_error: float
    svi_lowest_butterfly: float


@dataclass(frozen=True)
class SurfaceReport:
    """The surface of one underlying.

    Attributes
    ----------
    file, underlying
        Where from.
    slices
        By expiry.
    lowest_butterfly
        Over all slices.
    lowest_calendar, svi_lowest_calendar
        Smallest difference of total variance between neighbours over all log-moneynesses, of either surface.
    within_quotes, svi_within_quotes
        Fraction of quoted options whose volatility lies between bid and ask, by either surface; NaN without quotes.
    problems
        Rows and expiries left out or mended.
    """

    file: str
    underlying: str
    slices: tuple[SliceRow, ...]
    lowest_butterfly: float
    lowest_calendar: float
    svi_lowest_calendar: float
    within_quotes: float
    svi_within_quotes: float
    problems: tuple[ChainProblem, ...]


@dataclass(frozen=True)
class SurfaceStudy:
    """A report with what figures need."""

    report: SurfaceReport
    chain: OptionChain
    quotes: Quotes
    fitted: ChainSurface


def study_surface(chain: OptionChain, underlying: str) -> SurfaceStudy:
    """Fit the surface of one underlying and say how good it is."""
    part = chain.of(underlying)
    quotes = chain_volatility(part)
    fitted = chain_surface(part, quotes)
    surface = fitted.fit.surface
    free = fit_svi_surface(fitted.smiles, surface)
    rows = []
    for name, smile, one, error, alone in zip(
        fitted.names, fitted.smiles, surface.slices, fitted.fit.errors, free.fits, strict=True
    ):
        raw = one.raw()
        rows.append(
            SliceRow(
                name=name,
                expiry_years=smile.expiry_years,
                options=smile.volatility.size,
                at_the_money=float(raw.volatility(0.0, smile.expiry_years)),
                theta=one.theta,
                rho=one.rho,
                psi=one.psi,
                error=error,
                raw=raw,
                lowest_butterfly=raw.lowest_butterfly()[0],
                svi=alone.slice,
                svi_error=alone.error,
                svi_lowest_butterfly=alone.lowest_butterfly,
            )
        )
    report = SurfaceReport(
        file=part.file,
        underlying=underlying,
        slices=tuple(rows),
        lowest_butterfly=min(row.lowest_butterfly for row in rows),
        lowest_calendar=_lowest_calendar([one.raw() for one in surface.slices]),
        svi_lowest_calendar=_lowest_calendar(free.surface.slices),
        within_quotes=fitted.within_quotes,
        svi_within_quotes=share_within(
            quotes,
            fitted.members,
            [
                one.volatility(smile.log_moneyness, smile.expiry_years)
                for one, smile in zip(free.surface.slices, fitted.smiles, strict=True)
            ],
        ),
        problems=(*part.problems, *quotes.problems, *fitted.problems),
    )
    return SurfaceStudy(report, part, quotes, fitted)


def _lowest_calendar(slices: Sequence[RawSvi]) -> float:
    return min((lowest_calendar(earlier, later) for earlier, later in pairwise(slices)), default=float("nan"))
