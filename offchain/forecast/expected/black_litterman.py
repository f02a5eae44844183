# SPDX-License-Identifier: Apache-2.0
"""Black and Litterman's mixture of what the benchmark implies and what one believes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from offchain.forecast.errors import ForecastError
from offchain.risk.arrays import FloatArray


@dataclass(frozen=True, slots=True)
class Opinion:
    """A view on a basket.

    Attributes
    ----------
    weights
        By symbol: one asset at 1, or longs and shorts.
    annual_return
        Of the basket, per year.
    confidence
        In (0, 1]: `idzorek_uncertainty` says what it means.
    """

    weights: Mapping[str, float]
    annual_return: float
    confidence: float


@dataclass(frozen=True, eq=False)
class Posterior:
    """Expected returns after the views, and how sure.

    Attributes
    ----------
    returns
        Shape (n,), per year.
    uncertainty
        Shape (n, n): covariance of those expected returns about the true ones.
    """

    returns: FloatArray
    uncertainty: FloatArray


def black_litterman(
    prior: FloatArray,
    covariance: FloatArray,
    picks: FloatArray,
    views: FloatArray,
    uncertainty: FloatArray,
    tau: float = 0.05,
) -> Posterior:
    r"""Combine a prior with views.

    .. math::
        \mu = \pi + \tau \Sigma P^\top (P \tau \Sigma P^\top + \Omega)^{-1} (q - P \pi), \quad
        M = \tau \Sigma - \tau \Sigma P^\top (P \tau \Sigma P^\top + \Omega)^{-1} P \tau \Sigma

    He and Litterman, "The intuition behind Black-Litterman model portfolios" (1999).

    Parameters
    ----------
    prior
        Shape (n,): expected returns without views, per year.
    covariance
        Shape (n, n), per year.
    picks
        Shape (k, n): the views' baskets.
    views
        Shape (k,): their expected returns, per year.
    uncertainty
        Shape (k, k): covariance of the views' errors; zeros impose a view.

    Raises
    ------
    ForecastError
        When shapes do not fit, or views that are certain repeat or contradict each other.
    """
    n, k = prior.size, views.size
    if covariance.shape != (n, n) or picks.shape != (k, n) or uncertainty.shape != (k, k):
        raise ForecastError(
            f"views: {k} of them for {n} assets, but picks are {picks.shape} and uncertainty {uncertainty.shape}"
        )
    scaled = tau * covariance
    spread = scaled @ picks.T
    middle = picks @ spread + uncertainty
    if np.linalg.matrix_rank(middle, hermitian=True) < k:
        raise ForecastError("views repeat or contradict each other with full confidence; drop one or trust it less")
    gain = np.linalg.solve(middle, spread.T).T
    returns: FloatArray = prior + gain @ (views - picks @ prior)
    doubt: FloatArray = scaled - gain @ spread.T
    return Posterior(returns, (doubt + doubt.T) / 2.0)


def idzorek_uncertainty(
    picks: FloatArray, covariance: FloatArray, confidences: FloatArray, tau: float = 0.05
) -> FloatArray:
    r"""Variance of each view's error from a confidence between 0 and 1: shape (k, k), diagonal.

    .. math:: \Omega_{kk} = \frac{1 - c_k}{c_k}\, \tau\, p_k \Sigma p_k^\top

    so that alone it moves the basket's expected return by the fraction c of the way to the view: the closed form
    (Walters, 2007) of Idzorek, "A step-by-step guide to the Black-Litterman model" (2005).
    """
    spread = tau * np.einsum("ki,ij,kj->k", picks, covariance, picks)
    return np.diag((1.0 - confidences) / confidences * spread)


def with_opinions(
    prior: FloatArray, covariance: FloatArray, symbols: Sequence[str], opinions: Sequence[Opinion], tau: float = 0.05
) -> Posterior:
    """`black_litterman` with views by symbol and confidence.

    Raises
    ------
    ForecastError
        When a view names no known asset, or its numbers make no sense.
    """
    picks = np.zeros((len(opinions), len(symbols)))
    for row, opinion in enumerate(opinions):
        if not 0.0 < opinion.confidence <= 1.0:
            raise ForecastError(f"view {row + 1}: confidence {opinion.confidence} is not in (0, 1]")
        for symbol, weight in opinion.weights.items():
            if symbol not in symbols:
                raise ForecastError(f"view {row + 1}: no asset {symbol}; there are {', '.join(symbols)}")
            picks[row, symbols.index(symbol)] = weight
        if not picks[row].any():
            raise ForecastError(f"view {row + 1}: all weights are zero")
    views = np.array([opinion.annual_return for opinion in opinions])
    confidences = np.array([opinion.confidence for opinion in opinions])
    doubt = idzorek_uncertainty(picks, covariance, confidences, tau)
    return black_litterman(prior, covariance, picks, views, doubt, tau)


def load_views(path: Path | str) -> tuple[Opinion, ...]:
    """Read views from a YAML file of their own.

    ::

        views:
          - weights: {WETH: 1}
            annual_return: 0.15
            confidence: 0.6
          - weights: {WETH: 1, WBTC: -1}
            annual_return: 0.03
            confidence: 0.3

    The same list stands in a mandate under ``objective.returns.views``.

    Raises
    ------
    ForecastError
        Naming the view and the key at fault.
    """
    import yaml
    from pydantic import ValidationError

    from offchain.mandate import View

    try:
        document = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ForecastError(f"{path}: cannot be read as YAML ({error})") from error
    entries = document.get("views") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not entries:
        raise ForecastError(f"{path}: views: a list of views is needed")
    opinions = []
    for index, entry in enumerate(entries):
        try:
            view = View.model_validate(entry)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            allowed = first.get("ctx", {}).get("allowed", first["msg"])
            raise ForecastError(f"{path}: views[{index}]{'.' + place if place else ''}: {allowed}") from None
        opinions.append(Opinion(view.weights, view.annual_return, view.confidence))
    return tuple(opinions)
