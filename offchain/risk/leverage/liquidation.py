# SPDX-License-Identifier: Apache-2.0
"""What liquidators take from an account, by Aave v3's rules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offchain.risk.leverage.account import LendingAccount, Prices
from offchain.risk.leverage.reserve import LeverageError

FULL_CLOSE_BELOW = 0.95
"""Health factor below which a whole debt may be repaid at once (CLOSE_FACTOR_HF_THRESHOLD)."""
HALF = 0.5
MOST_CALLS = 64


@dataclass(frozen=True, slots=True)
class LiquidationCall:
    """One call.

    Attributes
    ----------
    debt, repaid
        Asset and whole tokens repaid.
    collateral, seized
        Asset and whole tokens taken from the account, the protocol's part included.
    protocol
        Whole tokens of the collateral that the protocol keeps.
    """

    debt: str
    repaid: float
    collateral: str
    seized: float
    protocol: float


@dataclass(frozen=True)
class LiquidationResult:
    """An account after everybody has liquidated what they may.

    Attributes
    ----------
    account
        What is left.
    calls
        In order.
    penalty
        USD that the account lost: seized less repaid.
    bad_debt
        USD of debt that no collateral is left for.
    """

    account: LendingAccount
    calls: tuple[LiquidationCall, ...]
    penalty: float
    bad_debt: float


def liquidation_call(
    account: LendingAccount, prices: Prices, debt: str, collateral: str, repay: float | None = None
) -> LiquidationCall:
    """Return what one call repays and seizes.

    Parameters
    ----------
    debt, collateral
        Assets of the account.
    repay
        Whole tokens offered; by default as much as allowed: half of this debt, all of it below a health factor of
        0.95. If the collateral is not worth that with the bonus, as much as it is worth.

    Raises
    ------
    LeverageError
        When the account is healthy or has none of an asset.
    """
    health = float(account.health_factor(prices))
    if health >= 1.0:
        raise LeverageError(f"the account has a health factor of {health:.4f} and cannot be liquidated")
    owed, held = account.debt.get(debt, 0.0), account.collateral.get(collateral, 0.0)
    if owed <= 0.0 or held <= 0.0:
        raise LeverageError(f"the account has {owed:g} {debt} of debt and {held:g} {collateral} of collateral")
    terms = account.reserves[collateral]
    allowed = owed if health < FULL_CLOSE_BELOW else HALF * owed
    repaid = allowed if repay is None else min(repay, allowed)
    ratio = float(np.asarray(prices[debt])) / float(np.asarray(prices[collateral]))
    seized = repaid * ratio * (1.0 + terms.liquidation_bonus)
    if seized > held:
        seized, repaid = held, held / ratio / (1.0 + terms.liquidation_bonus)
    bonus = seized - seized / (1.0 + terms.liquidation_bonus)
    return LiquidationCall(debt, repaid, collateral, seized, bonus * terms.protocol_fee)


def liquidate(account: LendingAccount, prices: Prices) -> LiquidationResult:
    """Liquidate at given prices until the account is healthy or has no collateral left.

    Each call repays the debt that is worth most and takes the collateral that is worth most, as a liquidator with
    one transaction would. Gas is not counted: accounts too small to pay for it are liquidated all the same.
    """
    calls: list[LiquidationCall] = []
    penalty = 0.0

    def worth(symbol: str) -> float:
        return float(np.asarray(prices[symbol]))

    for _ in range(MOST_CALLS):
        if float(account.health_factor(prices)) >= 1.0 or float(account.collateral_value(prices)) <= 0.0:
            break
        debt = max(account.debt, key=lambda name: account.debt[name] * worth(name))
        collateral = max(account.collateral, key=lambda name: account.collateral[name] * worth(name))
        call = liquidation_call(account, prices, debt, collateral)
        calls.append(call)
        penalty += call.seized * worth(collateral) - call.repaid * worth(debt)
        left = {**account.collateral, collateral: max(account.collateral[collateral] - call.seized, 0.0)}
        owed = {**account.debt, debt: max(account.debt[debt] - call.repaid, 0.0)}
        account = LendingAccount(left, owed, account.reserves)
    shortfall = max(-float(account.equity(prices)), 0.0)
    return LiquidationResult(account, tuple(calls), penalty, shortfall)
