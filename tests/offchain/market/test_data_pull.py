# SPDX-License-Identifier: Apache-2.0
"""Bars from an exchange into a store, and out of it again in the layout that every command reads."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ccxt
import duckdb
import pytest
from typer.testing import CliRunner

from offchain.cli import app
from offchain.errors import PlimsollError
from offchain.market import pull
from offchain.market.pull import Pulled, PullError, open_exchange, pull_bars
from offchain.market.store import FILE, Store, StoreError
from offchain.risk.prices import load_prices

DAY = 86_400
START = 1_704_067_200
"""First of January 2024."""


@dataclass
class ListedMarket:
    """An exchange that lists one market from a day on, gives pages of at most seven bars, and may break down."""

    listed: int = START
    until: int = START + 40 * DAY
    breaks_at: int | None = None
    id: str = "kraken"
    timeframes: dict[str, Any] = field(default_factory=lambda: {"1d": 1440, "1h": 60})
    pages: int = 0

    def parse_timeframe(self, timeframe: str) -> int:
        return {"1d": DAY, "1h": 3_600}[timeframe]

    def fetch_ohlcv(self, symbol: str, timeframe: str, since: int | None, limit: int | None) -> list[list[Any]]:
        self.pages += 1
        if symbol != "BTC/USD":
            raise ccxt.BadSymbol(f"kraken does not have market symbol {symbol}")
        if self.breaks_at == self.pages:
            raise ccxt.NetworkError("connection reset")
        start = max(self.listed, (since or 0) // 1_000)
        times = range(start + -start % DAY, min(start + 7 * DAY, self.until + 1), DAY)
        return [[1_000 * time, 100.0, 200.0, 90.0, 100.0 + (time - START) // DAY, 5.0] for time in times]


def bars(store: Store) -> list[tuple[int, float]]:
    return [(row[0], row[1]) for row in store.query("SELECT time, close FROM bars ORDER BY time")]


def test_every_closed_bar_is_stored_once_over_many_pages(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        now = START + 30 * DAY + 3_600.0
        done = pull_bars(ListedMarket(), store, "BTC/USD", "1d", START, now=lambda: now)
        assert done == Pulled(30, START)
        assert bars(store) == [(START + DAY * day, 100.0 + day) for day in range(30)], "the open bar is not there"


def test_a_second_pull_goes_on_where_the_first_stopped(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        broken = ListedMarket(breaks_at=3)
        with pytest.raises(PullError, match="cannot be reached: connection reset; check the connection, 14 bars were"):
            pull_bars(broken, store, "BTC/USD", "1d", START, now=lambda: START + 30 * DAY)
        again = ListedMarket()
        done = pull_bars(again, store, "BTC/USD", "1d", START, now=lambda: START + 30 * DAY)
        assert done == Pulled(16, START + 14 * DAY)
        assert len(bars(store)) == 30
        assert again.pages == 3


def test_a_market_younger_than_the_wish_begins_with_its_first_bar(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        market = ListedMarket(listed=START + 20 * DAY)
        done = pull_bars(market, store, "BTC/USD", "1d", START - 3_000 * DAY, now=lambda: START + 30 * DAY)
        assert done == Pulled(10, START + 20 * DAY)


def test_what_an_exchange_does_not_have_is_named(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        with pytest.raises(PullError, match="kraken has no DOGE/EUR"):
            pull_bars(ListedMarket(), store, "DOGE/EUR", "1d", START)
        with pytest.raises(PullError, match="has no bars of 7m; it has 1d, 1h"):
            pull_bars(ListedMarket(), store, "BTC/USD", "7m", START)
    with pytest.raises(PullError, match="no exchange 'kraken2'; did you mean kraken"):
        open_exchange("kraken2")


def test_the_commands_from_exchange_to_risk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull, "open_exchange", lambda name: ListedMarket())
    store, out = tmp_path / "history", tmp_path / "prices.csv"
    run = CliRunner().invoke
    wish = ["--symbol", "BTC/USD", "--since", "2024-01-01", "--until", "2024-02-01", "--store", str(store)]
    told = json.loads(run(app, ["data", "pull", "--exchange", "kraken", *wish, "--json"]).stdout)
    assert told["symbols"] == {"BTC/USD": {"added": 31, "first": START}}
    again = run(app, ["data", "pull", "--exchange", "kraken", *wish])
    assert again.stdout == f"kraken BTC/USD 1d: 0 new bars in {store}\n"
    (held,) = json.loads(run(app, ["data", "status", "--store", str(store), "--json"]).stdout)
    assert (held["series"], held["rows"], held["last"]) == ("kraken BTC/USD 86400s", 31, START + 30 * DAY)
    assert run(app, ["data", "export", "--store", str(store), "--out", str(out)]).stdout == f"31 rows in {out}\n"
    table = load_prices(out)
    assert (table.symbols, table.step_seconds, table.problems) == (("BTC/USD",), DAY, ())
    assert table.prices[:, 0].tolist() == [100.0 + day for day in range(31)]


def test_parquet_is_parquet(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        pull_bars(ListedMarket(), store, "BTC/USD", "1d", START, now=lambda: START + 5 * DAY)
        assert store.export("bars", tmp_path / "bars.parquet") == 5
        for table, file, said in (
            ("bars", "bars.xlsx", "must end in .parquet or .csv"),
            ("ticks", "x.csv", "no table ticks; there are bars"),
            ("rounds", "x.csv", "rounds is empty"),
        ):
            with pytest.raises(StoreError, match=said):
                store.export(table, tmp_path / file)
    rows = duckdb.sql(f"SELECT close FROM '{tmp_path / 'bars.parquet'}' ORDER BY time").fetchall()
    assert rows == [(100.0,), (101.0,), (102.0,), (103.0,), (104.0,)]


def test_a_file_that_is_no_store_is_said(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("not a database, but long enough to be read as one")
    with pytest.raises(StoreError, match=FILE):
        Store(tmp_path)
    result = CliRunner().invoke(app, ["data", "status", "--store", str(tmp_path / "nowhere")])
    assert isinstance(result.exception, PlimsollError)
    assert "fill it with `plimsoll data pull`" in str(result.exception)


def test_without_a_network_the_exchange_is_named_and_nothing_hangs(tmp_path: Path) -> None:
    exchange = open_exchange("kraken")
    # Nobody listens on the discard port: the same refusal as without a network, at once.
    exchange.urls["api"] = dict.fromkeys(exchange.urls["api"], "http://127.0.0.1:9")  # type: ignore[attr-defined]
    with Store(tmp_path) as store, pytest.raises(PullError, match=r"kraken cannot be reached: .* 0 bars were stored"):
        pull_bars(exchange, store, "BTC/USD", "1d", START)
