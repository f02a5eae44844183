# SPDX-License-Identifier: Apache-2.0
"""A price file is either understood to the last row or refused with the place at fault."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from offchain.sandbox.prices_file import PriceFileError, load_path, read_series

HEADER = "time,symbol,open,high,low,close,volume"


def write_bars(folder: Path, *, hours: int = 6, symbols: tuple[str, ...] = ("ETH", "BTC", "LINK")) -> list[str]:
    """Hourly bars whose opening price is 100 times the symbol's place, up one per cent an hour."""
    lines = [HEADER]
    for symbol in symbols:
        for hour in range(hours):
            price = 100 * (symbols.index(symbol) + 1) * 1.01**hour
            lines.append(f"2022-11-08T{hour:02d}:00Z,{symbol},{price},{price * 1.02},{price * 0.98},{price * 1.01},5")
    (folder / "bars.csv").write_text("\n".join(lines) + "\n")
    return lines


def refused(folder: Path, lines: list[str]) -> PriceFileError:
    file = folder / "bars.csv"
    file.write_text("\n".join(lines) + "\n")
    with pytest.raises(PriceFileError) as caught:
        load_path(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


def test_bars_count_with_their_opening_price(tmp_path: Path) -> None:
    write_bars(tmp_path)
    path = load_path(tmp_path / "bars.csv")
    assert path.timestamps.tolist() == [1_667_865_600 + 3_600 * hour for hour in range(6)]
    assert np.allclose(path.series("ETH"), 100 * 1.01 ** np.arange(6))
    assert np.allclose(path.series("LINK"), 3 * path.series("ETH"))


def test_missing_steth_is_one_ether_and_missing_stablecoins_one_dollar(tmp_path: Path) -> None:
    write_bars(tmp_path)
    path = load_path(tmp_path / "bars.csv")
    assert np.array_equal(path.series("stETH"), path.series("ETH"))
    assert np.all(path.series("USDC") == 1.0)


def test_gzip_milliseconds_and_symbols_one_after_the_other(tmp_path: Path) -> None:
    rows = [
        f"{symbol},{1_667_865_600_000 + 3_600_000 * hour},{price}"
        for symbol, price in (("WETH", 1_500.0), ("BTC", 20_000.0), ("LINK", 8.0), ("stETH", 1_470.0), ("USDC", 0.999))
        for hour in range(3)
    ]
    with gzip.open(tmp_path / "prices.csv.gz", "wt") as handle:
        handle.write("\n".join(["symbol,timestamp,USD_price", *rows]))
    path = load_path(tmp_path / "prices.csv.gz")
    assert path.at(1_667_865_600 + 3_600) == pytest.approx(
        {"ETH": 1_500, "BTC": 20_000, "LINK": 8, "stETH": 1_470, "USDC": 0.999, "USDT": 1, "DAI": 1}
    )


def test_steth_keeps_its_ratio_to_the_ether_of_its_own_file(tmp_path: Path) -> None:
    write_bars(tmp_path, hours=3)
    rows = [
        f"{symbol},{1_667_865_600 + 3_600 * hour},{price}"
        for symbol, price in (("WETH", 90.0), ("stETH", 81.0))
        for hour in range(3)
    ]
    (tmp_path / "staked.csv").write_text("\n".join(["symbol,timestamp,price", *rows]))
    path = load_path([tmp_path / "bars.csv", tmp_path / "staked.csv"])
    assert np.allclose(path.series("stETH") / path.series("ETH"), 0.9)


def test_window_and_step(tmp_path: Path) -> None:
    write_bars(tmp_path)
    path = load_path(
        tmp_path / "bars.csv",
        start=datetime(2022, 11, 8, 1, tzinfo=UTC), end=datetime(2022, 11, 8, 3), step_seconds=1_800,
    )  # fmt: skip
    assert (path.start, path.end, path.timestamps.size) == (1_667_869_200, 1_667_876_400, 5)
    assert path.series("ETH")[1] == pytest.approx(100 * 1.01**1.5)


def test_substitute_takes_the_returns_of_another_symbol(tmp_path: Path) -> None:
    write_bars(tmp_path, symbols=("ETH", "BTC"))
    path = load_path(tmp_path / "bars.csv", substitutes={"LINK": "ETH"})
    assert path.series("LINK")[0] == 15.0
    assert np.allclose(path.series("LINK") / 15.0, path.series("ETH") / 100.0)


def test_symbol_without_series_is_named(tmp_path: Path) -> None:
    write_bars(tmp_path, symbols=("ETH", "BTC"))
    with pytest.raises(PriceFileError, match="no series of LINK covers 2022-11-08T00:00Z to 2022-11-08T05:00Z"):
        load_path(tmp_path / "bars.csv")


@pytest.mark.parametrize("value", ["nan", "-3.5", "0", "inf", "abc", ""])
@pytest.mark.parametrize("column", ["open", "close"])
def test_bad_price_names_row_column_and_value(tmp_path: Path, column: str, value: str) -> None:
    lines = write_bars(tmp_path)
    cells = lines[4].split(",")
    cells[HEADER.split(",").index(column)] = value
    lines[4] = ",".join(cells)
    error = refused(tmp_path, lines)
    assert (error.row, error.column, error.value) == (5, column, value)
    assert f"row 5, column {column}" in str(error)


def test_bad_time_names_row_and_value(tmp_path: Path) -> None:
    lines = write_bars(tmp_path)
    lines[2] = lines[2].replace("2022-11-08T01:00Z", "yesterday")
    error = refused(tmp_path, lines)
    assert (error.row, error.column, error.value) == (3, "time", "yesterday")


def test_row_out_of_order_is_refused(tmp_path: Path) -> None:
    lines = write_bars(tmp_path)
    lines[2], lines[3] = lines[3], lines[2]
    error = refused(tmp_path, lines)
    assert error.row == 4
    assert "earlier than row 3" in str(error)


def test_duplicate_row_is_refused(tmp_path: Path) -> None:
    lines = write_bars(tmp_path)
    lines.insert(3, lines[2])
    error = refused(tmp_path, lines)
    assert error.row == 4
    assert "repeats the time of row 3" in str(error)


def test_gap_over_the_limit_is_refused_only_inside_the_window(tmp_path: Path) -> None:
    lines = [line for line in write_bars(tmp_path, hours=24) if "T10:" not in line and "T11:" not in line]
    (tmp_path / "bars.csv").write_text("\n".join(lines))
    with pytest.raises(PriceFileError, match=r"ETH has a gap of 3.0 h after row 11, over the limit of 2.0 h") as caught:
        load_path(tmp_path / "bars.csv", gap_limit=2)
    assert caught.value.row == 12
    assert load_path(tmp_path / "bars.csv", gap_limit=3).timestamps.size == 24
    assert load_path(tmp_path / "bars.csv", gap_limit=2, start=datetime(2022, 11, 8, 12)).timestamps.size == 12


def test_short_row_is_refused(tmp_path: Path) -> None:
    lines = write_bars(tmp_path)
    lines[5] = "2022-11-08T04:00Z,ETH,100"
    assert refused(tmp_path, lines).row == 6


@pytest.mark.parametrize(
    ("header", "missing"),
    [("day,symbol,price", "time"), ("time,asset,price", "symbol"), ("time,symbol,value", "price")],
)
def test_missing_column_is_named(tmp_path: Path, header: str, missing: str) -> None:
    error = refused(tmp_path, [header, "2022-11-08T04:00Z,ETH,100"])
    assert f"no {missing} column" in str(error)


def test_missing_or_broken_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PriceFileError, match=r"nowhere\.csv"):
        read_series(tmp_path / "nowhere.csv")
    (tmp_path / "broken.csv.gz").write_bytes(b"not gzip")
    with pytest.raises(PriceFileError, match=r"broken\.csv\.gz"):
        read_series(tmp_path / "broken.csv.gz")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(PriceFileError, match="empty"):
        read_series(tmp_path / "empty.csv")
