# SPDX-License-Identifier: Apache-2.0
"""Chains from files: three layouts, every unusable row reported, and surfaces of real snapshots."""

from __future__ import annotations

import gzip
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from offchain.risk.options.black import black_76
from offchain.risk.options.chain import CHAIN_RULES, ChainProblemKind, OptionChain
from offchain.risk.options.chain_file import read_chain
from offchain.risk.options.errors import OptionError
from offchain.risk.options.quotes import chain_surface, chain_volatility
from offchain.risk.options.svi import lowest_calendar
from offchain.risk.options.svi_surface import fit_svi_surface
from tests.support.recorded import recorded

HEADER = "type,strike,expiry_years,forward,price,iv,rate,bid,ask"
GOOD = "call,110,0.5,100,8.5,,0.01,8.4,8.6"


def chain_of(folder: Path, *lines: str, header: str = HEADER) -> OptionChain:
    file = folder / "chain.csv"
    file.write_text("\n".join([header, *lines]) + "\n")
    return read_chain(file)


def test_every_kind_of_problem_has_a_rule() -> None:
    assert set(CHAIN_RULES) == set(ChainProblemKind)


def test_plain_chain(tmp_path: Path) -> None:
    chain = chain_of(tmp_path, GOOD, "P,90,0.5,100,,0.55,,,")
    assert chain.is_call.tolist() == [True, False]
    assert chain.rate.tolist() == [0.01, 0.0]
    assert np.array_equal(chain.price, [8.5, np.nan], equal_nan=True)
    assert chain.volatility[1] == 0.55
    assert (chain.bid[0], chain.ask[0]) == (8.4, 8.6)
    assert chain.problems == ()


@pytest.mark.parametrize(
    ("line", "kind", "said"),
    [
        ("call,110,0.5,100", ChainProblemKind.SHORT_ROW, "4 cells"),
        ("straddle,110,0.5,100,8.5,,,,", ChainProblemKind.BAD_VALUE, "type 'straddle'"),
        ("call,-110,0.5,100,8.5,,,,", ChainProblemKind.BAD_VALUE, "strike -110; it must be positive"),
        ("call,110,0.5,0,8.5,,,,", ChainProblemKind.BAD_VALUE, "forward 0; it must be positive"),
        ("call,,0.5,100,8.5,,,,", ChainProblemKind.BAD_VALUE, "no strike"),
        ("call,110,soon,100,8.5,,,,", ChainProblemKind.BAD_VALUE, "expiry_years 'soon'"),
        ("call,110,0.5,100,inf,,,,", ChainProblemKind.BAD_VALUE, "price inf"),
        ("call,110,0.5,100,,-0.5,,,", ChainProblemKind.BAD_VALUE, "iv -0.5"),
        ("call,110,0,100,8.5,,,,", ChainProblemKind.EXPIRED, "expires in 0"),
        ("call,120,0.5,100,,,,,", ChainProblemKind.NO_PRICE, "neither"),
        (GOOD, ChainProblemKind.DUPLICATE, "repeats row 2"),
    ],
)
def test_unusable_row_is_reported_and_left_out(tmp_path: Path, line: str, kind: ChainProblemKind, said: str) -> None:
    chain = chain_of(tmp_path, GOOD, line)
    (problem,) = chain.problems
    assert (problem.kind, problem.row) == (kind, 3)
    assert said in str(problem)
    assert problem.rule in str(problem)
    assert len(chain) == 1


def test_crossed_quotes_are_dropped_and_the_price_kept(tmp_path: Path) -> None:
    chain = chain_of(tmp_path, GOOD, "put,90,0.5,100,3.0,,,3.2,3.1")
    (problem,) = chain.problems
    assert (problem.kind, problem.row) == (ChainProblemKind.CROSSED, 3)
    assert np.isnan([chain.bid[1], chain.ask[1]]).all()
    assert chain.price[1] == 3.0


def test_volatility_in_per_cent_is_pointed_out(tmp_path: Path) -> None:
    chain = chain_of(tmp_path, "call,110,0.5,100,,55,,,")
    assert chain.problems[0].kind is ChainProblemKind.PERCENT


@pytest.mark.parametrize(
    ("header", "said"),
    [("type,strike,forward,price", "expiry_years"), ("type,strike,expiry_years,forward", "price or iv"), ("", "type")],
)
def test_missing_column_is_named(tmp_path: Path, header: str, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        chain_of(tmp_path, GOOD, header=header)


def test_file_without_usable_rows_names_its_first_problem(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no usable row; the first problem: row 2"):
        chain_of(tmp_path, "call,110,0,100,8.5,,,,")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"nowhere\.csv"):
        read_chain(tmp_path / "nowhere.csv")


def test_volatility_comes_from_quotes_then_price_then_file(tmp_path: Path) -> None:
    quoted, marked = (float(black_76(100, 110, 0.5, sigma).price) for sigma in (0.5, 0.6))
    chain = chain_of(
        tmp_path,
        f"call,110,0.5,100,{marked},0.7,,{quoted - 0.01},{quoted + 0.01}",
        f"call,110,0.6,100,{marked},0.7,,,",
        "call,110,0.7,100,,0.7,,,",
    )
    quotes = chain_volatility(chain)
    assert quotes.volatility[0] == pytest.approx(0.5, abs=1e-4)
    assert quotes.volatility[1] == pytest.approx(float(quotes.mark.volatility[1]))
    assert quotes.volatility[2] == 0.7
    assert quotes.bid[0] < quotes.volatility[0] < quotes.ask[0]


def test_price_below_intrinsic_is_reported_by_row(tmp_path: Path) -> None:
    chain = chain_of(tmp_path, GOOD, "call,80,0.5,100,19,,,,")
    (problem,) = chain_volatility(chain).problems
    assert (problem.kind, problem.row) == (ChainProblemKind.NO_VOLATILITY, 3)
    assert "below the intrinsic value" in str(problem)


def test_unknown_underlying_is_named(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no options on DOGE"):
        chain_of(tmp_path, GOOD).of("DOGE")


def test_exchange_export_with_greeks() -> None:
    chain = read_chain(recorded("options/deribit_btc_2020-05-21_full_greeks.csv.gz"))
    assert len(chain) == 326
    assert chain.problems == ()
    assert set(chain.published) == {"delta", "gamma", "vega", "theta", "rho"}
    quotes = chain_volatility(chain)
    # Marks have eight decimals of a coin, 7e-5 dollars: far in the money that is all the time value there is.
    sure = (np.abs(chain.published["delta"]) < 0.95) & (chain.expiry_years > 1 / 365)
    assert np.nanmax(np.abs(quotes.mark.volatility - chain.volatility)[sure]) < 6e-3


SNAPSHOTS = [
    f"options/deribit_options_snapshot_{name}.csv.gz"
    for name in ("20260105T153329Z", "20260205T042952Z", "20260206T043012Z")
]


@pytest.mark.parametrize(
    ("name", "underlying"), [(SNAPSHOTS[0], "BTC"), (SNAPSHOTS[1], "ETH"), (SNAPSHOTS[2], "BTC"), (SNAPSHOTS[2], "ETH")]
)
def test_surface_of_a_real_snapshot(name: str, underlying: str) -> None:
    chain = read_chain(recorded(name)).of(underlying)
    fitted = chain_surface(chain)
    grid = np.linspace(-5, 5, 1_001)
    slices = fitted.fit.surface.slices
    assert len(slices) >= 10
    for one in slices:
        assert one.raw().lowest_butterfly()[0] >= -1e-9
    for one, other in pairwise(slices):
        assert np.all(other.raw().total_variance(grid) >= one.raw().total_variance(grid) - 1e-12)
    assert fitted.within_quotes > 0.45
    assert max(fitted.fit.errors[4:]) < 0.03
    free = fit_svi_surface(fitted.smiles, fitted.fit.surface)
    for one in free.surface.slices:
        assert one.lowest_butterfly()[0] >= 0
    for one, other in pairwise(free.surface.slices):
        assert lowest_calendar(one, other) >= 0
    assert max(one.error for one in free.fits[2:]) < 0.012


def test_damaged_snapshot_is_read_around_the_damage(tmp_path: Path) -> None:
    with gzip.open(recorded(SNAPSHOTS[0]), "rt") as handle:
        lines = handle.read().splitlines()
    header = lines[0].split(",")

    def with_cell(row: int, name: str, value: str) -> None:
        cells = lines[row - 1].split(",")
        cells[header.index(name)] = value
        lines[row - 1] = ",".join(cells)

    with_cell(10, "bid_price", "0.9")
    with_cell(20, "strike", "-1")
    with_cell(30, "futures_price", "n/a")
    lines[40] = lines[38]
    file = tmp_path / "damaged.csv"
    file.write_text("\n".join(lines))
    chain = read_chain(file)
    assert [(one.kind, one.row) for one in chain.problems] == [
        (ChainProblemKind.CROSSED, 10),
        (ChainProblemKind.BAD_VALUE, 20),
        (ChainProblemKind.BAD_VALUE, 30),
        (ChainProblemKind.DUPLICATE, 41),
    ]
    assert len(chain_surface(chain.of("BTC")).smiles) >= 10
