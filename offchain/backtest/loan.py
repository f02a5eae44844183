# SPDX-License-Identifier: Apache-2.0
"""A lending account that the simulated vault carries beside its wallet: interest, health, liquidation.

The keeper's line plans the wallet; the account is opened with the first deposit and is carried, restored and
liquidated by these rules. Its collateral and debt count in the value of a share, and leave pro rata with who leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from offchain.backtest.errors import BacktestError
from offchain.backtest.ledger import Ledger
from offchain.risk.leverage import LendingAccount, LiquidationResult, Reserve, debt_growth, liquidate

YEAR_SECONDS = 365 * 86_400
FULL_BPS = 10_000


@dataclass(frozen=True, slots=True)
class LoanTerms:
    """How the account is opened and what it costs.

    Attributes
    ----------
    collateral, debt
        Indices of the assets, in the mandate's order.
    reserve
        Terms of the collateral; in an efficiency mode those of its category.
    part
        Of the first deposit that becomes the account's own money.
    leverage
        Collateral over own money at opening.
    borrow_rate, supply_rate
        A year of 365 days; the debt compounds every second, the collateral's interest is credited every step.
    restore_below
        Health factor below which collateral is sold to repay until it is `restore_to`; None for never.
    swap_cost_bps
        Of what is swapped between collateral and debt, at opening and at every restoration.
    """

    collateral: int
    debt: int
    reserve: Reserve
    part: float
    leverage: float
    borrow_rate: float
    supply_rate: float = 0.0
    restore_below: float | None = None
    restore_to: float = 1.2
    swap_cost_bps: float = 5.0

    def __post_init__(self) -> None:
        """Refuse terms under which the account would be liquidated at once, or never restored.

        Raises
        ------
        BacktestError
            Names the term.
        """
        if self.collateral == self.debt or not 0.0 < self.part <= 1.0:
            raise BacktestError("a loan needs two assets, and a part of the deposit in (0, 1]")
        if not 1.0 < self.leverage < self.reserve.highest_leverage:
            most = self.reserve.highest_leverage
            raise BacktestError(f"a loan's leverage of {self.leverage:g} must lie between 1 and {most:g}")
        if self.restore_below is not None and not 1.0 < self.restore_below < self.restore_to:
            raise BacktestError("a loan's restore_below must lie between 1 and restore_to")


def opened(ledger: Ledger, terms: LoanTerms, unit_prices: Sequence[float]) -> tuple[Ledger, float]:
    """Open the account from the wallet's base asset; the vault afterwards and what the swap cost, USD.

    Parameters
    ----------
    unit_prices
        Shape (n,): the market's USD per base unit.
    """
    spent = int(ledger.holdings[0] * terms.part)
    own = spent * unit_prices[0]
    swapped = own * terms.leverage
    cost = swapped * terms.swap_cost_bps / FULL_BPS
    supplied, owed = [0] * len(ledger.holdings), [0] * len(ledger.holdings)
    supplied[terms.collateral] = int((swapped - cost) / unit_prices[terms.collateral])
    owed[terms.debt] = -int(-(swapped - own) / unit_prices[terms.debt])
    holdings = (ledger.holdings[0] - spent, *ledger.holdings[1:])
    return replace(ledger, holdings=holdings, supplied=tuple(supplied), owed=tuple(owed)), cost


def accrued(ledger: Ledger, terms: LoanTerms, seconds: int) -> tuple[Ledger, int, int]:
    """Add interest; the vault afterwards, base units earned on the collateral and owed on the debt."""
    earned = int(ledger.supplied[terms.collateral] * terms.supply_rate * seconds / YEAR_SECONDS)
    due = -int(-ledger.owed[terms.debt] * (debt_growth(terms.borrow_rate, seconds) - 1.0))
    return _moved(ledger, terms, earned, due), earned, due


def account(ledger: Ledger, terms: LoanTerms, units: Sequence[float]) -> LendingAccount:
    """The account in whole tokens; assets are named by their index.

    Parameters
    ----------
    units
        Base units of a whole token, an asset each.
    """
    collateral, debt = str(terms.collateral), str(terms.debt)
    held = ledger.supplied[terms.collateral] / units[terms.collateral]
    return LendingAccount(
        {collateral: held},
        {debt: ledger.owed[terms.debt] / units[terms.debt]},
        {collateral: terms.reserve},
    )


def liquidated(
    ledger: Ledger, terms: LoanTerms, prices: Sequence[float], units: Sequence[float]
) -> tuple[Ledger, LiquidationResult] | None:
    """What liquidators do at the oracle's prices; None while the account is healthy.

    Debt that no collateral is left for stays owed.

    Parameters
    ----------
    prices
        USD per whole token, as the lending market reads them.
    """
    result = liquidate(account(ledger, terms, units), _named(terms, prices))
    if not result.calls:
        return None
    seized = sum(call.seized for call in result.calls)
    repaid = sum(call.repaid for call in result.calls)
    lost = min(-int(-seized * units[terms.collateral]), ledger.supplied[terms.collateral])
    paid = min(int(repaid * units[terms.debt]), ledger.owed[terms.debt])
    return _moved(ledger, terms, -lost, -paid), result


def restored(
    ledger: Ledger, terms: LoanTerms, prices: Sequence[float], units: Sequence[float]
) -> tuple[Ledger, float] | None:
    r"""Sell collateral and repay where the health factor fell too low; the vault afterwards and the cost, USD.

    Repaying r USD with collateral of r / (1 - c) leaves (C - r / (1 - c)) T / (D - r), which is the target h at

    .. math:: r = \frac{h D - C T}{h - T / (1 - c)}

    None where nothing is to be done.
    """
    if terms.restore_below is None:
        return None
    named = _named(terms, prices)
    now = account(ledger, terms, units)
    if float(now.health_factor(named)) >= terms.restore_below:
        return None
    held, debt = float(now.collateral_value(named)), float(now.debt_value(named))
    threshold, kept = terms.reserve.liquidation_threshold, 1.0 - terms.swap_cost_bps / FULL_BPS
    repaid = min(debt, (terms.restore_to * debt - held * threshold) / (terms.restore_to - threshold / kept))
    sold = min(held, repaid / kept)
    lost = -int(-sold / prices[terms.collateral] * units[terms.collateral])
    paid = int(sold * kept / prices[terms.debt] * units[terms.debt])
    lost, paid = min(lost, ledger.supplied[terms.collateral]), min(paid, ledger.owed[terms.debt])
    return _moved(ledger, terms, -lost, -paid), sold - sold * kept


def _moved(ledger: Ledger, terms: LoanTerms, collateral: int, debt: int) -> Ledger:
    supplied, owed = list(ledger.supplied), list(ledger.owed)
    supplied[terms.collateral] += collateral
    owed[terms.debt] += debt
    return replace(ledger, supplied=tuple(supplied), owed=tuple(owed))


def _named(terms: LoanTerms, prices: Sequence[float]) -> dict[str, float]:
    return {str(index): prices[index] for index in (terms.collateral, terms.debt)}
