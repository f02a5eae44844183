# SPDX-License-Identifier: Apache-2.0
"""How the recorded stress events were computed: `python -m tests.support.stress_events` writes them again."""

from __future__ import annotations

import json
from pathlib import Path

from offchain.risk.prices import PriceTable, load_prices
from offchain.risk.stress import StressEvent, record_event
from tests.support.recorded import DATA

OUT = Path(__file__).parents[2] / "offchain" / "risk" / "stress" / "recorded.json"
DAILY = DATA / "prices" / "binance_spot_1d_2018_2024.csv.gz"
HOURLY_2019 = DATA / "prices" / "binance_spot_1h_2019-10_2020-05_btc_eth.csv.gz"
HOURLY_2020 = DATA / "prices" / "binance_spot_1h_2020_2022.csv.gz"
DOLLARS = DATA / "prices" / "coingecko_hourly_stables_steth_2021_2023.csv.gz"
DEPEG = DATA / "prices" / "usdc_usd_15m_2023-03-09_19.csv.gz"
FILES = (DAILY, HOURLY_2019, HOURLY_2020, DOLLARS, DEPEG)

DAILY_SOURCE = "Binance spot against USDT, daily closes (UTC)"
HOURLY_SOURCE = "Binance spot against USDT, hourly closes"
DOLLARS_SOURCE = "CoinGecko USD price, hourly"
DEPEG_SOURCE = "USDC/USD, 15-minute closes"


def since(table: PriceTable, date: str) -> list[str]:
    """Symbols of a daily table that traded by a date."""
    from datetime import UTC, datetime

    import numpy as np

    second = int(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp())
    row = int(np.searchsorted(table.timestamps, second))
    return [name for at, name in enumerate(table.symbols) if np.isfinite(table.prices[row, at])]


def compute() -> list[StressEvent]:
    """All events from the recorded prices."""
    daily, early, hourly = load_prices(DAILY), load_prices(HOURLY_2019), load_prices(HOURLY_2020)
    dollars, depeg = load_prices(DOLLARS, fill_steps=24), load_prices(DEPEG, fill_steps=96)
    depeg = PriceTable(
        ("USDC",), depeg.timestamps, depeg.step_seconds, depeg.prices, depeg.joined, depeg.bars, depeg.problems
    )
    coins = ["USDC", "USDT", "DAI", "stETH"]
    fine = list(hourly.symbols)

    def exchange(date: str) -> tuple[PriceTable, list[str], str]:
        return daily, since(daily, date), DAILY_SOURCE

    return [
        record_event(
            "march-2020", "Pandemic crash of 12 March 2020", "2020-03-07", "2020-03-16",
            [exchange("2020-03-07"), (early, ["BTC", "ETH"], HOURLY_SOURCE)],
        ),
        record_event(
            "may-2021", "Deleveraging of 19 May 2021", "2021-05-11", "2021-05-23",
            [exchange("2021-05-11"), (hourly, fine, HOURLY_SOURCE), (dollars, coins, DOLLARS_SOURCE)],
        ),
        record_event(
            "terra-2022", "Collapse of Terra, May 2022", "2022-05-04", "2022-05-12",
            [exchange("2022-05-04"), (hourly, fine, HOURLY_SOURCE), (dollars, coins, DOLLARS_SOURCE)],
        ),
        record_event(
            "ftx-2022", "Failure of FTX, November 2022", "2022-11-05", "2022-11-14",
            [exchange("2022-11-05"), (hourly, fine, HOURLY_SOURCE), (dollars, coins, DOLLARS_SOURCE)],
        ),
        record_event(
            "usdc-2023", "USDC below a dollar, March 2023", "2023-03-09", "2023-03-14",
            [exchange("2023-03-09"), (depeg, ["USDC"], DEPEG_SOURCE)],
        ),
    ]  # fmt: skip


def encoded(events: list[StressEvent]) -> str:
    """Events as the JSON file has them, one series a line."""
    parts = []
    for one in events:
        lines = [f'  "{key}": {json.dumps(getattr(one, key))},' for key in ("name", "title", "start", "days")]
        for key in ("returns", "trough", "sources"):
            rows = ",\n".join(f'   "{name}": {json.dumps(value)}' for name, value in getattr(one, key).items())
            lines.append(f'  "{key}": {{\n{rows}\n  }}' + ("" if key == "sources" else ","))
        parts.append(" {\n" + "\n".join(lines) + "\n }")
    return "[\n" + ",\n".join(parts) + "\n]\n"


if __name__ == "__main__":
    OUT.write_text(encoded(compute()))
