# SPDX-License-Identifier: Apache-2.0
"""Whatever is wrong with a price file is reported with its row and handled by the rule that is stated for it."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from offchain.risk.prices import RULES, PriceFileError, PriceProblem, PriceTable, ProblemKind, load_prices

DAY = 86_400


def write(folder: Path, lines: list[str], name: str = "prices.csv") -> Path:
    file = folder / name
    file.write_text("\n".join(lines) + "\n")
    return file


def daily(symbol: str, closes: dict[int, object]) -> list[str]:
    """Rows of the long layout for days of January 2024."""
    return [f"2024-01-{day:02d},{symbol},{close}" for day, close in closes.items()]


def long_file(folder: Path, *series: list[str]) -> Path:
    return write(folder, ["date,symbol,close", *[line for lines in series for line in lines]])


def problem(table: PriceTable, kind: ProblemKind) -> PriceProblem:
    found = [one for one in table.problems if one.kind is kind]
    assert len(found) == 1, table.problems
    return found[0]


def test_every_kind_of_problem_has_a_rule() -> None:
    assert set(RULES) == set(ProblemKind)


def test_clean_file_gives_prices_and_simple_returns(tmp_path: Path) -> None:
    table = load_prices(long_file(tmp_path, daily("A", {1: 100, 2: 110, 3: 99}), daily("B", {1: 1, 2: 2, 3: 2})))
    assert (table.symbols, table.step_seconds, table.periods_per_year) == (("A", "B"), DAY, 365.0)
    assert np.allclose(table.returns(), [[0.1, 1.0], [-0.1, 0.0]])
    assert table.problems == ()


def test_wide_layout_and_long_layout_agree(tmp_path: Path) -> None:
    long = long_file(tmp_path, daily("A", {1: 100, 2: 110, 3: 99}), daily("B", {2: 2, 3: 2.5}))
    wide = write(tmp_path, ["Date,A,B", "2024-01-01,100,", "2024-01-02,110,2", "2024-01-03,99,2.5"], "wide.csv")
    one, other = load_prices(long), load_prices(wide)
    assert one.symbols == other.symbols
    assert np.array_equal(one.prices, other.prices, equal_nan=True)
    assert np.array_equal(one.joined, other.joined)


def test_wide_file_of_pandas_gzipped_with_index_without_name(tmp_path: Path) -> None:
    file = tmp_path / "wide.csv.gz"
    with gzip.open(file, "wt") as handle:
        handle.write(",BTC\n1704067200000,100\n1704153600000,101\n")
    assert load_prices(file).prices.tolist() == [[100.0], [101.0]]


def test_single_asset_file_is_named_after_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, ["time,open,high,low,close", "2024-01-01,1,2,1,2", "2024-01-02,2,3,1,3"], "usdc.csv")
    table = load_prices(file)
    assert table.symbols == ("usdc",)
    assert table.prices[:, 0].tolist() == [2.0, 3.0]
    assert table.bars is not None
    assert [side[1, 0] for side in table.bars] == [2.0, 3.0, 1.0]


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "", "n/a"])
def test_row_without_a_positive_price_is_ignored_and_its_gap_filled(tmp_path: Path, value: str) -> None:
    table = load_prices(long_file(tmp_path, daily("A", {1: 100, 2: value, 3: 99, 4: 98})))
    bad, gap = problem(table, ProblemKind.BAD_PRICE), problem(table, ProblemKind.GAP_FILLED)
    assert (bad.row, bad.column, bad.value, gap.row) == (3, "close", value, 4)
    assert table.prices[:, 0].tolist() == [100.0, 100.0, 99.0, 98.0]
    assert "row 3" in str(bad)
    assert RULES[ProblemKind.BAD_PRICE] in str(bad)


def test_long_gap_is_left_and_the_return_across_not_computed(tmp_path: Path) -> None:
    whole = daily("B", dict.fromkeys(range(1, 9), 1))
    table = load_prices(long_file(tmp_path, daily("A", {1: 100, 2: 101, 7: 99, 8: 98}), whole))
    assert problem(table, ProblemKind.GAP).row == 4
    assert np.isnan(table.returns()[1:6, 0]).all()
    assert np.isfinite(table.returns()[[0, 6], 0]).all()


def test_gap_limit_is_the_callers(tmp_path: Path) -> None:
    file = long_file(tmp_path, daily("A", {1: 100, 2: 101, 4: 99, 5: 98}))
    assert problem(load_prices(file, fill_steps=0), ProblemKind.GAP).row == 4


def test_same_row_twice_counts_once(tmp_path: Path) -> None:
    table = load_prices(long_file(tmp_path, daily("A", {1: 100, 2: 101}), daily("A", {2: 101, 3: 102})))
    assert problem(table, ProblemKind.DUPLICATE).row == 4
    assert table.prices[:, 0].tolist() == [100.0, 101.0, 102.0]


def test_two_prices_at_one_time_keep_the_first(tmp_path: Path) -> None:
    table = load_prices(long_file(tmp_path, daily("A", {1: 100, 2: 101}), daily("A", {2: 777, 3: 102})))
    assert problem(table, ProblemKind.CONFLICT).row == 4
    assert "777" in problem(table, ProblemKind.CONFLICT).text
    assert table.prices[1, 0] == 101.0


def test_rows_out_of_order_are_sorted(tmp_path: Path) -> None:
    table = load_prices(long_file(tmp_path, daily("A", {1: 100, 3: 102, 2: 101, 4: 103})))
    assert problem(table, ProblemKind.OUT_OF_ORDER).row == 4
    assert table.prices[:, 0].tolist() == [100.0, 101.0, 102.0, 103.0]


def test_newest_first_is_one_problem(tmp_path: Path) -> None:
    table = load_prices(long_file(tmp_path, daily("A", {4: 103, 3: 102, 2: 101, 1: 100})))
    assert problem(table, ProblemKind.OUT_OF_ORDER).row is None
    assert table.prices[:, 0].tolist() == [100.0, 101.0, 102.0, 103.0]


def test_short_row_bad_time_and_missing_symbol_are_ignored(tmp_path: Path) -> None:
    extra = ["2024-01-05,A", "yesterday,A,5", "2024-01-05,,5"]
    table = load_prices(long_file(tmp_path, daily("A", {1: 100, 2: 101}), extra))
    assert [(one.kind, one.row) for one in table.problems] == [
        (ProblemKind.SHORT_ROW, 4),
        (ProblemKind.BAD_TIME, 5),
        (ProblemKind.NO_SYMBOL, 6),
    ]
    assert len(table.timestamps) == 2


def test_delisted_asset_ends_and_late_asset_starts(tmp_path: Path) -> None:
    full = daily("A", dict.fromkeys(range(1, 11), 1))
    late, gone = daily("LATE", dict.fromkeys(range(4, 11), 2)), daily("GONE", {1: 3, 2: 3})
    table = load_prices(long_file(tmp_path, full, late, gone))
    assert problem(table, ProblemKind.STARTS_LATE).symbol == "LATE"
    assert problem(table, ProblemKind.ENDS_EARLY).symbol == "GONE"
    assert np.isnan(table.prices[2:, 2]).all()
    assert np.isnan(table.prices[:3, 1]).all()


def test_name_reused_by_another_asset_is_not_joined(tmp_path: Path) -> None:
    luna, other = daily("LUNA", {1: 80, 2: 1, 3: 0.0001, 9: 9, 10: 8}), daily("B", dict.fromkeys(range(1, 11), 1))
    table = load_prices(long_file(tmp_path, luna, other))
    assert problem(table, ProblemKind.REPLACED).row == 5
    returns = table.returns()[:, 0]
    assert returns[:2] == pytest.approx([1 / 80 - 1, 0.0001 - 1]), "a crash is kept, however deep"
    assert np.nanmax(returns) < 0


def test_redenominated_asset_is_not_joined_and_a_jump_is_kept(tmp_path: Path) -> None:
    table = load_prices(long_file(tmp_path, daily("A", {1: 1, 2: 3, 3: 3000, 4: 3000})))
    assert problem(table, ProblemKind.JUMP).row == 3
    assert problem(table, ProblemKind.REPLACED).row == 4
    assert np.array_equal(table.returns()[:, 0], [2.0, np.nan, 0.0], equal_nan=True)


def test_bar_that_cannot_be_keeps_its_price(tmp_path: Path) -> None:
    file = write(tmp_path, ["time,open,high,low,close", "2024-01-01,1,2,1,2", "2024-01-02,2,1,1,3"], "a.csv")
    table = load_prices(file)
    assert problem(table, ProblemKind.BAD_BAR).row == 3
    assert table.prices[1, 0] == 3.0
    assert table.bars is not None
    assert np.isnan(table.bars[1][1, 0])


def test_irregular_times_take_the_last_price_known(tmp_path: Path) -> None:
    base = 1_704_067_200
    lines = [f"{base + 3600 * hour + (97 * hour) % 600},ETH,{100 + hour}" for hour in range(24)]
    table = load_prices(write(tmp_path, ["time,symbol,price", *lines]))
    assert table.step_seconds == 3_600
    assert np.all(table.timestamps % 3_600 == 0)
    seconds = [float(line.split(",")[0]) for line in lines]
    for time, price in zip(table.timestamps, table.prices[:, 0], strict=True):
        assert price == 100 + max(index for index, one in enumerate(seconds) if one <= time)


def test_poisoned_future_leaves_the_past_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    clean = [f"{1_704_067_200 + DAY * day},A,{100 * np.exp(rng.normal(0, 0.1))}" for day in range(60) if day % 17]
    poison = zip(clean[30:], [0, 1e9, "x", 1e-9] * 9, strict=False)
    poisoned = clean[:30] + [line.rsplit(",", 1)[0] + f",{value}" for line, value in poison]
    one = load_prices(write(tmp_path, ["time,symbol,price", *clean], "clean.csv"))
    other = load_prices(write(tmp_path, ["time,symbol,price", *poisoned], "poisoned.csv"))
    # Thirty rows and one filled day.
    assert np.array_equal(one.prices[:31], other.prices[:31], equal_nan=True)
    assert np.array_equal(one.joined[:31], other.joined[:31])


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "empty"),
        (["time,symbol,price"], "no usable row"),
        (["time,symbol,price", "2024-01-01,A,-1"], "row 2: '-1' is not a positive price"),
        (["time,symbol,price", "2024-01-01,A,1"], "returns need two"),
        (["when,symbol,price", "2024-01-01,A,1"], "no time column"),
        (["time,symbol,cost", "2024-01-01,A,1"], "no price column"),
        (["time", "2024-01-01"], "no column of prices"),
        (["time,A,A", "2024-01-01,1,1"], "column A twice"),
    ],
)
def test_file_of_no_use_is_refused(tmp_path: Path, lines: list[str], said: str) -> None:
    with pytest.raises(PriceFileError, match=said):
        load_prices(write(tmp_path, lines) if lines else _empty(tmp_path))


def _empty(folder: Path) -> Path:
    (folder / "prices.csv").write_text("")
    return folder / "prices.csv"


def test_bars_of_different_lengths_do_not_share_a_grid(tmp_path: Path) -> None:
    hourly = [f"2024-01-01T{hour:02d}:00Z,FAST,1" for hour in range(24)]
    with pytest.raises(PriceFileError, match="SLOW comes every 86400 s and FAST every 3600 s"):
        load_prices(long_file(tmp_path, daily("SLOW", dict.fromkeys(range(1, 9), 1)), hourly))


def test_window_of_a_table(tmp_path: Path) -> None:
    table = load_prices(long_file(tmp_path, daily("A", {1: 1, 2: 2, 3: 3, 4: 4})))
    part = table.between(1_704_067_200 + DAY, 1_704_067_200 + 2 * DAY)
    assert part.prices[:, 0].tolist() == [2.0, 3.0]
    assert part.returns()[:, 0].tolist() == [0.5]
    with pytest.raises(PriceFileError, match="2024-01-01T00:00Z to 2024-01-04T00:00Z"):
        table.between(2e9)


def test_missing_symbol_is_named(tmp_path: Path) -> None:
    with pytest.raises(PriceFileError, match="no DOGE; they have A"):
        load_prices(long_file(tmp_path, daily("A", {1: 1, 2: 2}))).column("DOGE")
