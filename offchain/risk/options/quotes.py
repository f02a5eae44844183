# SPDX-License-Identifier: Apache-2.0
"""From a chain to volatilities, and from volatilities to a surface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offchain.risk.arrays import BoolArray, FloatArray, IntArray
from offchain.risk.options.black import black_76
from offchain.risk.options.chain import ChainProblem, ChainProblemKind, OptionChain
from offchain.risk.options.errors import OptionError
from offchain.risk.options.implied import ImpliedVolatility, Reason, implied_volatility
from offchain.risk.options.ssvi_fit import Smile, SurfaceFit, fit_surface

FEWEST_QUOTES = 5
NARROWEST = 0.002
"""Spread in volatility under which quotes count no more than others."""
WIDEST = 0.5
"""Spread in volatility above which a quote says nothing."""
UNQUOTED = 0.05
"""Spread a volatility without bid and ask is taken to have."""


@dataclass(frozen=True, eq=False)
class Quotes:
    """Volatilities of a chain, each of shape (n,).

    Attributes
    ----------
    volatility
        Of the middle of bid and ask where both are there and invert, else of the price, else the file's own; NaN
        where there is none.
    bid, ask
        Of the quotes; NaN where there is none.
    mark
        Inversion of the price; its reasons say why a row has none.
    problems
        Rows without any volatility.
    """

    volatility: FloatArray
    bid: FloatArray
    ask: FloatArray
    mark: ImpliedVolatility
    problems: tuple[ChainProblem, ...]


def chain_volatility(chain: OptionChain) -> Quotes:
    """Invert the prices and quotes of a chain."""

    def invert(price: FloatArray) -> ImpliedVolatility:
        return implied_volatility(
            price, chain.forward, chain.strike, chain.expiry_years, is_call=chain.is_call, rate=chain.rate
        )

    mark, bid, ask = invert(chain.price), invert(chain.bid).volatility, invert(chain.ask).volatility
    middle = np.where(np.isnan(bid), np.nan, invert(0.5 * (chain.bid + chain.ask)).volatility)
    own = np.where(np.isnan(mark.volatility), chain.volatility, mark.volatility)
    best = np.where(np.isnan(middle), own, middle)
    problems = []
    for at in np.flatnonzero(np.isnan(best)):
        reason = Reason(int(mark.reason[at]))
        said = f"has price {chain.price[at]:.8g} on forward {chain.forward[at]:.8g}: {reason.text}"
        problems.append(ChainProblem(ChainProblemKind.NO_VOLATILITY, int(chain.rows[at]), chain.contracts[at], said))
    return Quotes(best, bid, ask, mark, tuple(problems))


@dataclass(frozen=True, eq=False)
class ChainSurface:
    """A surface and the quotes it was fitted to.

    Attributes
    ----------
    fit
        The surface and its errors.
    smiles
        What was fitted: options out of the money with a volatility, by expiry.
    names
        Of the expiries, in the surface's order.
    members
        Positions in the chain of each smile's options.
    within_quotes
        Fraction of the fitted options with both quotes whose model volatility lies between them; NaN without quotes.
    problems
        Expiries left out.
    """

    fit: SurfaceFit
    smiles: tuple[Smile, ...]
    names: tuple[str, ...]
    members: tuple[IntArray, ...]
    within_quotes: float
    problems: tuple[ChainProblem, ...]


def chain_surface(chain: OptionChain, quotes: Quotes | None = None) -> ChainSurface:
    """Fit a surface free of arbitrage to the options out of the money of one underlying.

    Weights are vega over the square of the spread in volatility, so that quotes nobody stands behind and options
    nobody can trade do not bend the surface.

    Raises
    ------
    OptionError
        When no expiry has five volatilities out of the money.
    """
    quotes = chain_volatility(chain) if quotes is None else quotes
    k = chain.log_moneyness
    spread = np.clip(np.where(np.isnan(quotes.bid + quotes.ask), UNQUOTED, quotes.ask - quotes.bid), NARROWEST, None)
    wanted = (chain.is_call == (k >= 0.0)) & np.isfinite(quotes.volatility) & (spread <= WIDEST)
    names = np.array(chain.expiries)
    found: list[tuple[Smile, IntArray, str]] = []
    problems = []
    for name in dict.fromkeys(chain.expiries):
        inside: BoolArray = names == name
        members = np.flatnonzero(inside & wanted)
        years = float(np.median(chain.expiry_years[inside]))
        if members.size < FEWEST_QUOTES:
            said = f"has {members.size} usable options out of the money, {FEWEST_QUOTES} needed"
            problems.append(ChainProblem(ChainProblemKind.TOO_FEW, None, f"expiry {name}", said))
            continue
        vega = black_76(
            chain.forward[members], chain.strike[members], chain.expiry_years[members], quotes.volatility[members]
        ).vega
        weights = vega / chain.forward[members] / spread[members] ** 2
        found.append((Smile(years, k[members], quotes.volatility[members], weights), members, name))
    if not found:
        raise OptionError(f"{chain.file}: no expiry has {FEWEST_QUOTES} volatilities out of the money")
    found.sort(key=lambda one: one[0].expiry_years)
    smiles = tuple(smile for smile, _, _ in found)
    fit = fit_surface(smiles)
    fitted = tuple(places for _, places, _ in found)
    modelled = [fit.surface.volatility(smile.log_moneyness, smile.expiry_years) for smile in smiles]
    share = share_within(quotes, fitted, modelled)
    return ChainSurface(fit, smiles, tuple(name for _, _, name in found), fitted, share, tuple(problems))


def share_within(quotes: Quotes, members: Sequence[IntArray], volatility: Sequence[FloatArray]) -> float:
    """Return the fraction of options with both quotes whose model volatility lies between them; NaN without quotes.

    Parameters
    ----------
    members, volatility
        By expiry: positions in the chain, and what the model says there.
    """
    hits = []
    for inside, model in zip(members, volatility, strict=True):
        both = np.isfinite(quotes.bid[inside] + quotes.ask[inside])
        hits.append(((model >= quotes.bid[inside]) & (model <= quotes.ask[inside]))[both])
    judged = np.concatenate(hits)
    return float(judged.mean()) if judged.size else float("nan")
