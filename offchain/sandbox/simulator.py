# SPDX-License-Identifier: Apache-2.0
"""A seeded market: regimes, jumps, fat tails, correlation that rises in a crash.

Log returns of ETH, BTC and LINK are multivariate Student-t (one chi-square shared by all three, so that tails
come together) with the volatility and the correlation of a Markov chain's regime, plus Poisson jumps common to
the three. The stETH discount and the stablecoins' distance from one dollar are Ornstein-Uhlenbeck processes whose
level and noise also follow the regime.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

import numpy as np

from offchain.sandbox.paths import MARKET_SYMBOLS, FloatArray, IntArray, PricePath, PricePathError
from offchain.sandbox.prices import PRICES

DAY = 86_400
YEAR_DAYS = 365.0

START_PRICES: Mapping[str, float] = MappingProxyType(
    {
        "ETH": PRICES["ETH/USD"],
        "BTC": PRICES["BTC/USD"],
        "LINK": PRICES["LINK/USD"],
        "stETH": PRICES["ETH/USD"] * PRICES["stETH/ETH"],
        "USDC": PRICES["USDC/USD"],
        "USDT": PRICES["USDT/USD"],
        "DAI": PRICES["DAI/USD"],
    }
)
"""USD per whole token where a simulation begins, unless the caller says otherwise: the sandbox's head."""

_TAIL_DEGREES = 5.0
"""Degrees of freedom of the Student-t: the fourth moment exists, the tails are those of daily crypto returns."""
_JUMP_BETAS = np.array([1.0, 0.8, 1.3])
_STABLES = ("USDC", "USDT", "DAI")


class Regime(IntEnum):
    """States of the hidden market."""

    CALM = 0
    VOLATILE = 1
    CRASH = 2


@dataclass(frozen=True, slots=True)
class RegimeLaw:
    """How prices move in one regime; ETH, BTC, LINK in this order."""

    volatilities: tuple[float, float, float]
    """Per year of 365 days."""
    drift: float
    """Logarithmic, per year, common to the three."""
    correlation: float
    jumps_per_year: float
    jump_mean: float
    jump_deviation: float
    steth_discount: float
    """Level, as a fraction, that the discount of stETH to ETH is drawn to."""
    stable_deviation: float
    """Stationary standard deviation of a stablecoin around one dollar."""


LAWS: dict[Regime, RegimeLaw] = {
    Regime.CALM: RegimeLaw((0.50, 0.40, 0.65), 0.80, 0.60, 15, 0.0, 0.02, 0.0005, 0.00015),
    Regime.VOLATILE: RegimeLaw((0.90, 0.75, 1.15), 0.0, 0.75, 50, -0.005, 0.035, 0.0030, 0.00030),
    Regime.CRASH: RegimeLaw((1.60, 1.35, 2.00), -12.0, 0.93, 150, -0.03, 0.03, 0.0400, 0.00120),
}
"""Calibrated by eye to BTC, ETH and LINK of 2020-2022: about 80 % volatility overall, daily kurtosis well over 3."""

_DAILY_MOVES: dict[Regime, dict[Regime, float]] = {
    Regime.CALM: {Regime.VOLATILE: 0.06, Regime.CRASH: 0.003},
    Regime.VOLATILE: {Regime.CALM: 0.12, Regime.CRASH: 0.02},
    Regime.CRASH: {Regime.VOLATILE: 0.40},
}
"""Rates per day at which one regime turns into another."""


@dataclass(frozen=True, slots=True)
class Crash:
    """A fall put into the path on purpose; no other crash happens then.

    Attributes
    ----------
    day
        When it begins, days after the start.
    depth
        Return of ETH from the beginning to the end of the fall, for example -0.40.
    days
        How long it takes.
    """

    day: float
    depth: float
    days: float = 2.0

    BETAS = (1.0, 0.85, 1.15)


def simulate(
    seed: int,
    *,
    days: float,
    start: int = 0,
    step_seconds: int = 1_800,
    crash: Crash | None = None,
    start_prices: Mapping[str, float] | None = None,
) -> PricePath:
    """Draw one price path; the same arguments give the same path.

    Parameters
    ----------
    seed
        Of numpy's PCG64.
    days
        Length of the path.
    start
        Unix seconds of the first row.
    step_seconds
        Distance between rows.
    crash
        A fall of exactly the stated depth; without it crashes come by chance.
    start_prices
        USD per whole token of `MARKET_SYMBOLS`; missing ones come from `START_PRICES`.

    Returns
    -------
    PricePath
        Columns `MARKET_SYMBOLS`, ``days * 86400 / step_seconds + 1`` rows, with regimes.

    Raises
    ------
    PricePathError
        When the crash does not fit inside the path or its depth is not between -1 and 0.
    """
    steps = round(days * DAY / step_seconds)
    if steps < 1 or step_seconds < 1:
        raise PricePathError(f"a path of {days} days in steps of {step_seconds} s has no step; lengthen it")
    rng = np.random.default_rng(seed)
    dt_days = step_seconds / DAY
    fall = _fall_slice(crash, steps, dt_days) if crash is not None else None
    regimes = _regimes(rng, steps, dt_days, fall)
    returns = _returns(rng, regimes, dt_days)
    if crash is not None and fall is not None:
        _bridge(returns, fall, crash)

    first = {**START_PRICES, **(start_prices or {})}
    log_start = np.log([first[symbol] for symbol in MARKET_SYMBOLS[:3]])
    risky = np.exp(log_start + np.vstack([np.zeros(3), np.cumsum(returns, axis=0)]))
    discount = _discount(rng, regimes, dt_days, 1.0 - first["stETH"] / first["ETH"])
    stables = np.column_stack([_stable(rng, regimes, dt_days, first[symbol]) for symbol in _STABLES])
    prices = np.column_stack([risky, risky[:, 0] * (1.0 - discount), stables])
    timestamps = start + step_seconds * np.arange(steps + 1, dtype=np.int64)
    return PricePath(MARKET_SYMBOLS, timestamps, prices, np.concatenate([regimes[:1], regimes]))


def continued_from_the_sandbox(path: PricePath) -> PricePath:
    """Return a path's returns from the sandbox's head prices on; stETH keeps its discount, stablecoins their price.

    For recorded prices: a chain at 3,000 dollars an ether cannot go on at 195 without a crash that never was, and
    its pools have the depth they state only near the prices they were filled at.
    """
    first = dict(zip(path.symbols, path.prices[0].tolist(), strict=True))
    volatile = {symbol: START_PRICES[symbol] for symbol in MARKET_SYMBOLS[:3]}
    return path.scaled_to(volatile | {"stETH": first["stETH"] * START_PRICES["ETH"] / first["ETH"]})


def _fall_slice(crash: Crash, steps: int, dt_days: float) -> slice:
    first, last = round(crash.day / dt_days), round((crash.day + crash.days) / dt_days)
    if not -1.0 < crash.depth < 0.0:
        raise PricePathError(f"a crash needs a depth between -1 and 0, not {crash.depth}")
    if not 0 <= first < last <= steps:
        raise PricePathError(
            f"a crash from day {crash.day} to {crash.day + crash.days} does not fit a path of {steps * dt_days:g} days"
        )
    return slice(first, last)


def _regimes(rng: np.random.Generator, steps: int, dt_days: float, fall: slice | None) -> IntArray:
    """Shape (steps,): a placed fall is preceded by calm or volatile days and followed by volatile ones."""
    regimes = np.empty(steps, dtype=np.int64)
    current = Regime.CALM
    for step, draw in enumerate(rng.random(steps)):
        if fall is not None and fall.start <= step < fall.stop:
            current = Regime.CRASH
        elif fall is not None and step == fall.stop:
            current = Regime.VOLATILE
        else:
            for target, rate in _DAILY_MOVES[current].items():
                if fall is not None and target is Regime.CRASH:
                    continue
                probability = -math.expm1(-rate * dt_days)
                if draw < probability:
                    current = target
                    break
                draw -= probability
        regimes[step] = current
    return regimes


def _returns(rng: np.random.Generator, regimes: IntArray, dt_days: float) -> FloatArray:
    """Shape (steps, 3): log returns of ETH, BTC, LINK."""
    steps, dt_years = regimes.size, dt_days / YEAR_DAYS
    normal = rng.standard_normal((steps, 3))
    mixing = np.sqrt((_TAIL_DEGREES - 2.0) / rng.chisquare(_TAIL_DEGREES, steps))
    jump_draw, jump_size = rng.random(steps), rng.standard_normal(steps)
    returns = np.empty((steps, 3))
    for regime, law in LAWS.items():
        rows = regimes == regime
        root = np.linalg.cholesky(np.full((3, 3), law.correlation) + (1.0 - law.correlation) * np.eye(3))
        scale = np.array(law.volatilities) * math.sqrt(dt_years)
        returns[rows] = (normal[rows] @ root.T) * mixing[rows, None] * scale + law.drift * dt_years
        jumps = jump_draw[rows] < -math.expm1(-law.jumps_per_year * dt_years)
        sizes = np.where(jumps, law.jump_mean + law.jump_deviation * jump_size[rows], 0.0)
        returns[rows] += sizes[:, None] * _JUMP_BETAS
    return returns


def _bridge(returns: FloatArray, fall: slice, crash: Crash) -> None:
    """Pin the sum of each asset's returns over the fall, keeping the noise around the line."""
    totals = np.array(Crash.BETAS) * math.log1p(crash.depth)
    window = returns[fall]
    returns[fall] = window - window.mean(axis=0) + totals / window.shape[0]


def _discount(rng: np.random.Generator, regimes: IntArray, dt_days: float, first: float) -> FloatArray:
    """Shape (steps + 1,): discount of stETH to ETH; it opens in hours and closes over weeks."""
    noise = rng.standard_normal(regimes.size) * math.sqrt(dt_days)
    discount = np.empty(regimes.size + 1)
    discount[0] = first
    for step, regime in enumerate(regimes):
        level = LAWS[Regime(int(regime))].steth_discount
        speed = 1.5 if level > discount[step] else 0.15
        move = -math.expm1(-speed * dt_days) * (level - discount[step]) + 0.12 * level * noise[step]
        discount[step + 1] = min(0.15, max(-0.001, discount[step] + move))
    return discount


def _stable(rng: np.random.Generator, regimes: IntArray, dt_days: float, first: float) -> FloatArray:
    """Shape (steps + 1,): USD price of a stablecoin that reverts to one dollar within a day."""
    speed = 2.0
    keep = math.exp(-speed * dt_days)
    noise = rng.standard_normal(regimes.size) * math.sqrt(-math.expm1(-2.0 * speed * dt_days))
    away = np.empty(regimes.size + 1)
    away[0] = first - 1.0
    for step, regime in enumerate(regimes):
        away[step + 1] = keep * away[step] + LAWS[Regime(int(regime))].stable_deviation * noise[step]
    return 1.0 + np.clip(away, -0.03, 0.03)
