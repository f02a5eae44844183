# SPDX-License-Identifier: Apache-2.0
"""History kept on disk: one DuckDB file of bars, feed rounds and pool events, written out as Parquet or CSV.

Rows have a key, so that fetching the same again changes nothing. On-chain integers stand as decimal text: they are
wider than any column type.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from offchain.errors import PlimsollError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

FILE = "history.duckdb"
_TABLES: dict[str, tuple[tuple[tuple[str, str], ...], tuple[str, ...]]] = {
    "bars": (
        (
            ("source", "VARCHAR"), ("symbol", "VARCHAR"), ("interval_s", "INTEGER"), ("time", "BIGINT"),
            ("open", "DOUBLE"), ("high", "DOUBLE"), ("low", "DOUBLE"), ("close", "DOUBLE"), ("volume", "DOUBLE"),
        ),
        ("source", "symbol", "interval_s", "time"),
    ),
    "rounds": (
        (
            ("chain", "VARCHAR"), ("feed", "VARCHAR"), ("phase", "INTEGER"), ("number", "BIGINT"),
            ("answer", "VARCHAR"), ("decimals", "INTEGER"), ("updated_at", "BIGINT"),
        ),
        ("chain", "feed", "phase", "number"),
    ),
    "pool_events": (
        (
            ("chain", "VARCHAR"), ("pool", "VARCHAR"), ("block", "BIGINT"), ("log_index", "INTEGER"),
            ("time", "BIGINT"), ("transaction", "VARCHAR"), ("kind", "VARCHAR"), ("amount0", "VARCHAR"),
            ("amount1", "VARCHAR"), ("sqrt_price_x96", "VARCHAR"), ("liquidity", "VARCHAR"), ("tick", "INTEGER"),
            ("tick_lower", "INTEGER"), ("tick_upper", "INTEGER"), ("reserve0", "VARCHAR"), ("reserve1", "VARCHAR"),
        ),
        ("chain", "block", "log_index"),
    ),
    "anchors": (
        (("chain", "VARCHAR"), ("what", "VARCHAR"), ("block", "BIGINT"), ("hash", "VARCHAR")),
        ("chain", "what", "block"),
    ),
}  # fmt: skip
TABLES = ("bars", "rounds", "pool_events")


class StoreError(PlimsollError):
    """A store that cannot be opened, read or written."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What a store has of one series.

    Attributes
    ----------
    table, series
        Such as ``bars`` and ``binance BTC/USDT 1d``.
    first, last
        Unix seconds.
    """

    table: str
    series: str
    rows: int
    first: int
    last: int


class Store:
    """A folder with history. One process writes at a time.

    Parameters
    ----------
    folder
        Made when it is not there, unless `read_only`.

    Raises
    ------
    StoreError
        When the file is in use by another process, is no store, or the folder cannot be written.
    """

    def __init__(self, folder: Path | str, *, read_only: bool = False) -> None:
        import duckdb

        self.folder = Path(folder)
        path = self.folder / FILE
        if read_only and not path.exists():
            raise StoreError(f"{self.folder}: no {FILE}; fill it with `plimsoll data pull` or `plimsoll data sync`")
        try:
            if not read_only:
                self.folder.mkdir(parents=True, exist_ok=True)
            self._database = duckdb.connect(str(path), read_only=read_only)
            if not read_only:
                for name, (columns, key) in _TABLES.items():
                    listed = ", ".join(f"{column} {kind}" for column, kind in columns)
                    self._database.execute(
                        f"CREATE TABLE IF NOT EXISTS {name} ({listed}, PRIMARY KEY ({', '.join(key)}))"
                    )
        except (duckdb.Error, OSError) as error:
            busy = "lock" in str(error).casefold()
            said = "another process is writing to it; wait for it" if busy else _one_line(error)
            raise StoreError(f"{path}: {said}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def add(self, table: str, rows: Iterable[Mapping[str, Any]]) -> int:
        """Insert rows, replacing those with the same key; a column that a row lacks is empty. Returns how many."""
        import pandas as pd

        columns, _ = _TABLES[table]
        names = [name for name, _ in columns]
        listed = list(rows)
        if not listed:
            return 0
        frame = pd.DataFrame([[row.get(name) for name in names] for row in listed], columns=names)
        casts = ", ".join(f"CAST({name} AS {kind})" for name, kind in columns)
        self._database.register("fresh", frame)
        try:
            self._database.execute(f"INSERT OR REPLACE INTO {table} SELECT {casts} FROM fresh")
        finally:
            self._database.unregister("fresh")
        return len(listed)

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Rows of a query."""
        rows: list[tuple[Any, ...]] = self._database.execute(sql, list(parameters)).fetchall()
        return rows

    def last_bar(self, source: str, symbol: str, interval_s: int) -> int | None:
        """Time of a series' last bar; None when there is none."""
        found = self.query(
            "SELECT max(time) FROM bars WHERE source = ? AND symbol = ? AND interval_s = ?",
            (source, symbol, interval_s),
        )
        return found[0][0] if found else None

    def last_round(self, chain: str, feed: str) -> int:
        """Highest round id (phase << 64 | number) of a feed; 0 when there is none."""
        found = self.query(
            "SELECT phase, number FROM rounds WHERE chain = ? AND feed = ? ORDER BY phase DESC, number DESC LIMIT 1",
            (chain, feed),
        )
        return (found[0][0] << 64 | found[0][1]) if found else 0

    def anchors(self, chain: str, what: str) -> list[tuple[int, str]]:
        """Blocks up to which something was read, newest first, with their hashes."""
        return [
            (int(block), str(hash_))
            for block, hash_ in self.query(
                "SELECT block, hash FROM anchors WHERE chain = ? AND what = ? ORDER BY block DESC", (chain, what)
            )
        ]

    def forget_after(self, chain: str, what: str, block: int) -> None:
        """Drop the pool events and anchors above a block: they were read on a chain that is no more."""
        self.query("DELETE FROM pool_events WHERE chain = ? AND block > ?", (chain, block))
        self.query("DELETE FROM anchors WHERE chain = ? AND what = ? AND block > ?", (chain, what, block))

    def pool_liquidity(self, pool: str) -> tuple[IntArray, FloatArray]:
        """Times and liquidity of a pool after each of its trades, for change points.

        Active liquidity of a concentrated pool; the geometric mean of the reserves of a constant-product pair.
        """
        rows = self.query(
            "SELECT time, liquidity, reserve0, reserve1 FROM pool_events WHERE lower(pool) = lower(?) "
            "AND (kind = 'swap' AND liquidity IS NOT NULL OR kind = 'sync') ORDER BY block, log_index",
            (pool,),
        )
        times = np.array([row[0] for row in rows], dtype=np.int64)
        values = [float(row[1]) if row[1] is not None else (float(row[2]) * float(row[3])) ** 0.5 for row in rows]
        return times, np.array(values, dtype=np.float64)

    def holdings(self) -> list[Holding]:
        """What there is, by series."""
        found = []
        for table, series, time in (
            ("bars", "source || ' ' || symbol || ' ' || interval_s || 's'", "time"),
            ("rounds", "feed", "updated_at"),
            ("pool_events", "pool", "time"),
        ):
            rows = self.query(
                f"SELECT {series} AS series, count(*), min({time}), max({time}) FROM {table} GROUP BY 1 ORDER BY 1"
            )
            found += [Holding(table, *row) for row in rows]
        return found

    def export(self, table: str, file: Path | str) -> int:
        """Write a table as Parquet or CSV, by the file's name; returns the number of rows.

        Bars come in the long layout that every command reads: time, symbol, open, high, low, close, volume.

        Raises
        ------
        StoreError
            When there is no such table or no rows, or the file cannot be written.
        """
        import duckdb

        path = Path(file)
        kinds = {".parquet": "FORMAT parquet", ".csv": "FORMAT csv, HEADER"}
        if table not in TABLES:
            raise StoreError(f"no table {table}; there are {', '.join(TABLES)}")
        if path.suffix not in kinds:
            raise StoreError(f"{path}: the name must end in .parquet or .csv")
        count = int(self.query(f"SELECT count(*) FROM {table}")[0][0])
        if not count:
            raise StoreError(f"{self.folder}: {table} is empty")
        select = (
            "SELECT strftime(to_timestamp(time) AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S+00:00') AS time, symbol, open, "
            "high, low, close, volume FROM bars ORDER BY symbol, time"
            if table == "bars"
            else f"SELECT * FROM {table} ORDER BY ALL"
        )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            target = str(path).replace("'", "''")
            self._database.execute(f"COPY ({select}) TO '{target}' ({kinds[path.suffix]})")
        except (duckdb.Error, OSError) as error:
            raise StoreError(f"{path}: cannot be written ({_one_line(error)})") from error
        return count


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
