# SPDX-License-Identifier: Apache-2.0
"""How likely a liquidation is, and how much leverage keeps it unlikely enough."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from offchain.risk.arrays import FloatArray, as_level
from offchain.risk.leverage.account import LendingAccount
from offchain.risk.leverage.reserve import LeverageError


@dataclass(frozen=True, eq=False)
class LiquidationRisk:
    """Outcome over a horizon.

    Attributes
    ----------
    probability, error
        Of a liquidation before the horizon's end, and the standard error of the simulation.
    by_period
        Shape (horizon,), probability that it has happened by the end of each period.
    lowest_health
        Shape (m,), lowest health factor of each path.
    """

    probability: float
    error: float
    by_period: FloatArray
    lowest_health: FloatArray


def liquidation_risk(
    account: LendingAccount,
    prices: Mapping[str, float],
    symbols: Sequence[str],
    paths: FloatArray,
    *,
    periods_per_year: float,
    borrow_rates: Mapping[str, float] | None = None,
    supply_rates: Mapping[str, float] | None = None,
    between: bool = True,
    seed: int = 0,
) -> LiquidationRisk:
    """Count the paths on which the health factor falls below one.

    Parameters
    ----------
    prices
        Now, USD.
    symbols
        Assets of the paths; assets of the account that are not among them stand still.
    paths
        Shape (m, horizon, n), simple returns, as `path_scenarios` gives them.
    periods_per_year
        365 for daily paths.
    borrow_rates, supply_rates
        Per year by symbol, accrued every period.
    between
        Also count falls between the ends of periods, by the lowest point of a Brownian bridge with the path's own
        variance. Without it a daily path misses what recovers within the day.
    seed
        Of the bridges.
    """
    health = _health(account, prices, symbols, paths, periods_per_year, borrow_rates or {}, supply_rates or {})
    lowest = _lowest(np.log(np.maximum(health, 1e-300)), between, seed)
    running = np.minimum.accumulate(lowest, axis=1)
    hit = running < 0.0
    share = float(hit[:, -1].mean())
    error = math.sqrt(share * (1.0 - share) / len(hit))
    return LiquidationRisk(share, error, hit.mean(axis=0), np.exp(np.minimum(running[:, -1], math.log(health[0, 0]))))


@dataclass(frozen=True, slots=True)
class SafeLeverage:
    """The most leverage within a probability of liquidation.

    Attributes
    ----------
    leverage
        Collateral over equity.
    health_factor
        That it starts with.
    limited_by
        ``"probability"``, or ``"loan to value"`` where more is not lent in the first place.
    """

    leverage: float
    health_factor: float
    limited_by: str


def safe_leverage(
    collateral: Mapping[str, float],
    debt: Mapping[str, float],
    account: LendingAccount,
    symbols: Sequence[str],
    paths: FloatArray,
    probability: float,
    *,
    periods_per_year: float,
    borrow_rates: Mapping[str, float] | None = None,
    supply_rates: Mapping[str, float] | None = None,
    between: bool = True,
    seed: int = 0,
) -> SafeLeverage:
    r"""Return the largest leverage whose probability of liquidation over the horizon is at most as given.

    At leverage L the health factor is :math:`\frac{L}{L - 1} R_t`, where R is that of equal amounts of collateral and
    debt; a path is liquidated when its lowest R falls below :math:`1 - 1/L`. So the answer is the quantile of the
    lowest R, with no search.

    Parameters
    ----------
    collateral, debt
        Shares of each side's value by symbol, summing to one.
    account
        Where the terms of the collateral are taken from; its amounts do not matter.
    symbols, paths, periods_per_year, borrow_rates, supply_rates, between, seed
        See `liquidation_risk`.
    probability
        Of being liquidated before the horizon's end, inside (0, 1).

    Raises
    ------
    LeverageError
        When shares do not sum to one.
    """
    for name, shares in (("collateral", collateral), ("debt", debt)):
        if abs(sum(shares.values()) - 1.0) > 1e-9 or min(shares.values(), default=0.0) < 0.0:
            raise LeverageError(
                f"shares of the {name} must not be negative and sum to one, not {sum(shares.values()):g}"
            )
    allowed = as_level(probability, "probability")
    unit = LendingAccount(collateral, debt, account.reserves)
    ones = dict.fromkeys(unit.symbols, 1.0)
    ratio = _health(unit, ones, symbols, paths, periods_per_year, borrow_rates or {}, supply_rates or {})
    lowest = np.sort(np.exp(_lowest(np.log(np.maximum(ratio, 1e-300)), between, seed).min(axis=1)))
    # At most this many paths may fall below 1 - 1 / L.
    floor = min(float(lowest[int(allowed * lowest.size)]), float(ratio[0, 0]), 1.0 - 1e-9)
    by_risk = 1.0 / (1.0 - floor)
    lent = sum(share * account.reserves[name].loan_to_value for name, share in collateral.items())
    by_rule = math.inf if lent >= 1.0 else 1.0 / (1.0 - lent)
    chosen = min(by_risk, by_rule)
    factor = chosen / (chosen - 1.0) * float(ratio[0, 0]) if chosen > 1.0 else math.inf
    return SafeLeverage(chosen, factor, "probability" if by_risk <= by_rule else "loan to value")


def _health(
    account: LendingAccount,
    prices: Mapping[str, float],
    symbols: Sequence[str],
    paths: FloatArray,
    periods_per_year: float,
    borrow_rates: Mapping[str, float],
    supply_rates: Mapping[str, float],
) -> FloatArray:
    """Health factors of shape (m, horizon + 1), the present one first."""
    if paths.ndim != 3 or paths.shape[2] != len(symbols):
        raise LeverageError(f"paths of shape {paths.shape} for {len(symbols)} symbols")
    if not any(account.debt.values()):
        raise LeverageError("an account without debt cannot be liquidated")
    count, horizon, _ = paths.shape
    grown = np.concatenate([np.ones((count, 1, len(symbols))), np.cumprod(1.0 + paths, axis=1)], axis=1)
    years = np.arange(horizon + 1) / periods_per_year

    def at(symbol: str, rates: Mapping[str, float]) -> FloatArray:
        if symbol not in prices:
            raise LeverageError(f"there is no price of {symbol}")
        move = grown[:, :, symbols.index(symbol)] if symbol in symbols else np.ones((count, horizon + 1))
        moved: FloatArray = prices[symbol] * move * np.exp(rates.get(symbol, 0.0) * years)
        return moved

    counted = np.zeros((count, horizon + 1))
    owed = np.zeros((count, horizon + 1))
    for symbol, amount in account.collateral.items():
        counted += amount * account.reserves[symbol].liquidation_threshold * at(symbol, supply_rates)
    for symbol, amount in account.debt.items():
        owed += amount * at(symbol, borrow_rates)
    with np.errstate(divide="ignore"):
        factor: FloatArray = np.where(owed > 0.0, counted / owed, np.inf)
    return np.minimum(factor, 1e12)


def _lowest(log_health: FloatArray, between: bool, seed: int) -> FloatArray:
    """Lowest logarithm within each period, shape (m, horizon)."""
    before, after = log_health[:, :-1], log_health[:, 1:]
    if not between:
        return np.minimum(before, after)
    step = after - before
    # Variance of a period of this path: fat tails come from paths and periods that are wilder than others.
    surprise = (step - step.mean(axis=1, keepdims=True)) ** 2
    variance = 0.5 * (surprise + surprise.mean(axis=1, keepdims=True))
    chance = 1.0 - np.random.default_rng(seed).random(step.shape)
    low: FloatArray = 0.5 * (before + after - np.sqrt(step**2 - 2.0 * variance * np.log(chance)))
    return low
