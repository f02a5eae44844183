# SPDX-License-Identifier: Apache-2.0
"""A lending account beside the wallet: interest, liquidation with its penalty, restoration, leaving; and funding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from offchain.backtest import loan
from offchain.backtest.errors import BacktestError
from offchain.backtest.ledger import Ledger
from offchain.backtest.loan import LoanTerms
from offchain.backtest.path import MarketPath
from offchain.backtest.records import BacktestRun, EventKind
from offchain.backtest.settings import BacktestSettings, CapitalFlow, FlowKind, Perpetual
from offchain.mandate import Mandate
from offchain.risk.leverage import Reserve
from tests.offchain.backtest.conftest import DAY, START, Market, unexplained

WETH = Reserve("WETH", loan_to_value=0.8, liquidation_threshold=0.83, liquidation_bonus=0.05)
TERMS = LoanTerms(collateral=1, debt=0, reserve=WETH, part=0.5, leverage=2.5, borrow_rate=0.06, swap_cost_bps=0.0)
UNITS = [1e6, 1e18, 1e8, 1e18, 1e18]
USD = [1.0, 3000.0, 60_000.0, 15.0, 3510.0]


@pytest.fixture(scope="module")
def vault(mandate: Mandate) -> Ledger:
    zeros = (0,) * 5
    prices = [round(usd * 10**36 / unit) for usd, unit in zip(USD, UNITS, strict=True)]
    return Ledger("0x01", mandate.vault_limits, "0x02", 6, zeros).deposit(10**12, prices)[0]


def open_account(vault: Ledger, terms: LoanTerms = TERMS) -> Ledger:
    return loan.opened(vault, terms, [usd / unit for usd, unit in zip(USD, UNITS, strict=True)])[0]


def falling(market: Market, fall: float) -> MarketPath:
    """Ether falls from one row to the next and stays down."""
    path = market.path()
    prices, ether = path.prices.copy(), path.ether.copy()
    prices[60:, 1] *= 1 - fall
    prices[60:, 4] *= 1 - fall
    ether[60:] *= 1 - fall
    return replace(path, prices=prices, ether=ether)


def run(market: Market, path: MarketPath, terms: LoanTerms, **settings: object) -> BacktestRun:
    return market.run(path, BacktestSettings(loan=terms, recovery_days=None, **settings))  # type: ignore[arg-type]


def test_opening_borrows_to_the_leverage_and_keeps_the_value(vault: Ledger) -> None:
    account = loan.account(open_account(vault), TERMS, UNITS)
    named = {"0": USD[0], "1": USD[1]}
    assert float(account.leverage(named)) == pytest.approx(2.5)
    assert float(account.equity(named)) == pytest.approx(500_000, rel=1e-9)


def test_debt_compounds_as_aave_compounds_it(vault: Ledger) -> None:
    ledger = open_account(vault)
    after, _, due = loan.accrued(ledger, TERMS, 365 * DAY)
    # A year at 6 %, compounded every second, to the third order of the series.
    assert due / ledger.owed[0] == pytest.approx(np.expm1(0.06), abs=1e-6)
    assert after.owed[0] == ledger.owed[0] + due


def test_a_liquidation_takes_the_bonus_of_what_it_repays(vault: Ledger) -> None:
    ledger = open_account(vault)
    # Health factor 2.5 x 0.83 / 1.5 x price: at 0.71 of it 0.98, where half the debt may be repaid.
    prices = [1.0, 3000.0 * 0.71, *USD[2:]]
    found = loan.liquidated(ledger, TERMS, prices, UNITS)
    assert found is not None
    after, result = found
    repaid = (ledger.owed[0] - after.owed[0]) / 1e6
    assert repaid == pytest.approx(375_000, rel=1e-6)
    assert result.penalty == pytest.approx(0.05 * repaid, rel=1e-6)
    assert loan.liquidated(open_account(vault), TERMS, USD, UNITS) is None


def test_restoring_reaches_its_health_factor_and_pays_for_the_swap(vault: Ledger) -> None:
    terms = replace(TERMS, restore_below=1.2, restore_to=1.3, swap_cost_bps=30.0)
    ledger, prices = open_account(vault, terms), [1.0, 3000.0 * 0.8, *USD[2:]]
    found = loan.restored(ledger, terms, prices, UNITS)
    assert found is not None
    after, cost = found
    named = {"0": 1.0, "1": prices[1]}
    assert float(loan.account(after, terms, UNITS).health_factor(named)) == pytest.approx(1.3, rel=1e-6)
    sold = (ledger.supplied[1] - after.supplied[1]) / 1e18 * prices[1]
    assert cost == pytest.approx(0.003 * sold, rel=1e-6)


def test_leaving_takes_collateral_and_brings_debt_and_harms_nobodys_health(vault: Ledger) -> None:
    ledger = open_account(vault)
    after, amounts = ledger.redeem_in_kind(ledger.supply // 3)
    assert amounts[1] > 0
    assert amounts[0] == ledger.exposure[0] - after.exposure[0]
    before, now = (one.supplied[1] * 10**18 // one.owed[0] for one in (ledger, after))
    assert now >= before


def test_a_crash_liquidates_a_fixed_loan_and_spares_a_restored_one(market: Market) -> None:
    path = falling(market, 0.18)
    naive = run(market, path, replace(TERMS, leverage=3.6))
    calm = run(market, path, replace(TERMS, leverage=3.6, restore_below=1.25, restore_to=1.4))
    assert EventKind.LIQUIDATED in {event.kind for event in naive.events}
    assert EventKind.LIQUIDATED not in {event.kind for event in calm.events}
    assert EventKind.RESTORED in {event.kind for event in calm.events}
    assert naive.track.penalty.sum() > 0
    assert calm.track.penalty.sum() == 0


def test_every_step_of_a_run_with_a_loan_is_explained(market: Market) -> None:
    flows = (
        CapitalFlow(START + 50 * DAY, FlowKind.DEPOSIT, usd=100_000.0),
        CapitalFlow(START + 70 * DAY, FlowKind.REDEEM_IN_KIND, part=0.3),
    )
    found = run(market, falling(market, 0.3), TERMS, flows=flows)
    assert unexplained(found.track) < 1e-9
    assert found.track.borrow.sum() > 0


def test_interest_is_the_rate_on_what_is_owed(market: Market) -> None:
    # Far from liquidation, nobody touches the debt: a quarter of a million.
    track, owed = run(market, market.path(), replace(TERMS, leverage=1.5)).track, 250_000
    days = (track.timestamps[-1] - track.timestamps[0]) / DAY
    assert float(track.borrow.sum()) == pytest.approx(owed * np.expm1(0.06 * days / 365), rel=1e-6)


def test_terms_that_would_be_liquidated_at_once_are_refused() -> None:
    with pytest.raises(BacktestError, match="must lie between 1 and 5"):
        replace(TERMS, leverage=6.0)
    with pytest.raises(BacktestError, match="restore_below"):
        replace(TERMS, restore_below=0.9)


def test_a_short_perpetual_pays_the_fall_and_receives_funding(market: Market) -> None:
    short = Perpetual(asset=1, size=-10.0, times=(START,), rates=(0.10,))
    path = market.path()
    track = market.run(path, BacktestSettings(carries=(short,))).track
    ether = path.prices[np.searchsorted(path.timestamps, track.timestamps), 1]
    funding = 10.0 * 0.10 / 365 * ether[:-1].sum()
    assert float(track.carry.sum()) == pytest.approx(10.0 * (ether[0] - ether[-1]) + funding, abs=0.01)
    assert unexplained(track) < 1e-9
