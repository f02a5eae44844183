# SPDX-License-Identifier: Apache-2.0
"""Liquidations that push prices down until more accounts are liquidated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from offchain.risk.arrays import FloatArray
from offchain.risk.leverage.account import LendingAccount
from offchain.risk.leverage.liquidation import liquidate
from offchain.risk.leverage.reserve import LeverageError

MOST_ROUNDS = 200


@dataclass(frozen=True)
class Round:
    """One round of a cascade.

    Attributes
    ----------
    prices
        At its start, USD by symbol.
    liquidated
        How many accounts lost collateral in it.
    sold
        USD of collateral sold in it, at its starting prices.
    """

    prices: Mapping[str, float]
    liquidated: int
    sold: float


@dataclass(frozen=True)
class Cascade:
    """A shock and what followed from it.

    Attributes
    ----------
    rounds
        In order; the last one liquidated nobody.
    prices
        Where they end.
    liquidated
        Accounts that lost collateral at least once.
    sold, penalty, bad_debt
        USD: collateral sold, what accounts lost beyond the debt repaid, and debt without collateral at the end.
    amplification
        For each asset, its fall over the shock's fall; NaN where the shock spared it.
    """

    rounds: tuple[Round, ...]
    prices: Mapping[str, float]
    liquidated: int
    sold: float
    penalty: float
    bad_debt: float
    amplification: Mapping[str, float]


def cascade(
    accounts: Sequence[LendingAccount],
    prices: Mapping[str, float],
    falls: Mapping[str, float],
    depth: Mapping[str, float],
) -> Cascade:
    r"""Let a shock run through a lending market whose liquidators sell what they seize.

    Selling moves a price along a constant-product curve: after q tokens it is

    .. math:: p = \frac{p_s}{(1 + q p_s / D)^2}

    with the shocked price and depth D, the dollars on the other side of the market. Nobody buys back: a worst case, and
    deterministic. Assets without depth are taken not to move, as a dollar that is borrowed.

    Parameters
    ----------
    accounts
        Of the market.
    prices
        Before the shock.
    falls
        Simple returns of the shock by symbol, above -1.
    depth
        USD by symbol.

    Raises
    ------
    LeverageError
        On a shock of an unknown asset or a depth that is not positive.
    """
    unknown = sorted((set(falls) | set(depth)) - set(prices))
    if unknown:
        raise LeverageError(f"there is no price of {', '.join(unknown)}")
    if any(value <= -1.0 for value in falls.values()) or any(value <= 0.0 for value in depth.values()):
        raise LeverageError("falls must stay above -1 and depths be positive")
    shocked = {name: price * (1.0 + falls.get(name, 0.0)) for name, price in prices.items()}
    current, states = dict(shocked), list(accounts)
    tokens = dict.fromkeys(prices, 0.0)
    touched: set[int] = set()
    rounds: list[Round] = []
    penalty = sold = 0.0
    for _ in range(MOST_ROUNDS):
        hit, amount = 0, 0.0
        for number, state in enumerate(states):
            if float(state.health_factor(current)) >= 1.0:
                continue
            result = liquidate(state, current)
            if not result.calls:
                continue
            states[number], hit = result.account, hit + 1
            penalty += result.penalty
            touched.add(number)
            for call in result.calls:
                tokens[call.collateral] += call.seized
                amount += call.seized * current[call.collateral]
        rounds.append(Round(dict(current), hit, amount))
        sold += amount
        if not hit:
            break
        for name, held in tokens.items():
            if held and name in depth:
                current[name] = shocked[name] / (1.0 + held * shocked[name] / depth[name]) ** 2
    bad = sum(max(-float(state.equity(current)), 0.0) for state in states)
    amplification = {
        name: (current[name] / price - 1.0) / falls[name] if falls.get(name) else float("nan")
        for name, price in prices.items()
    }
    return Cascade(tuple(rounds), current, len(touched), sold, penalty, bad, amplification)


def fall_that_breaks(
    accounts: Sequence[LendingAccount],
    prices: Mapping[str, float],
    symbol: str,
    depth: Mapping[str, float],
    *,
    grid: FloatArray | None = None,
) -> float:
    """Return the smallest fall of one asset, on a grid, after which debt without collateral is left; NaN if none does.

    Parameters
    ----------
    grid
        Falls to try, ascending and positive; by default every per cent to 95.
    """
    for fall in np.arange(0.01, 0.955, 0.01) if grid is None else grid:
        if cascade(accounts, prices, {symbol: -float(fall)}, depth).bad_debt > 0.0:
            return float(fall)
    return float("nan")
