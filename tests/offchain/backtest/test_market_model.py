# SPDX-License-Identifier: Apache-2.0
"""The market's side: feeds that lag, pools with the depth they state, base fees from a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from offchain.backtest.errors import MarketPathError
from offchain.backtest.feeds import FeedRule, FeedStatus, Oracle, Round, rounds
from offchain.backtest.gas import load_base_fees
from offchain.backtest.liquidity import ModelledLiquidity, RecordedLiquidity
from offchain.backtest.model_pools import CORRELATED, Flow, PoolSpec, constant
from offchain.backtest.path import path_from_prices
from offchain.mandate import Mandate
from offchain.risk.prices import load_prices
from offchain.route.leg import Venue
from offchain.route.pool import pools_from_states
from tests.offchain.backtest.conftest import DAY, START, Market
from tests.support.recorded import recorded
from tests.support.world import World

HOUR = 3_600


# Feeds.


def test_a_round_is_written_at_the_deviation_or_the_heartbeat() -> None:
    times = [START + k * 600 for k in range(12)]
    prices = [100.0, 100.4, 100.6, 100.6, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0]
    found = rounds(times, prices, FeedRule(3_600, 0.005), delay=0)
    assert [one.answer / 1e8 for one in found[:5] if one] == [100.0, 100.0, 100.6, 100.6, 100.0]
    assert [one.updated_at for one in found[4:] if one] == [times[4]] * 6 + [times[10]] * 2


def test_a_feed_that_sees_no_price_writes_nothing() -> None:
    times = [START + k * HOUR for k in range(6)]
    found = rounds(times, [np.nan, 1.0, np.nan, np.nan, np.nan, 1.0], FeedRule(HOUR, 0.01), delay=0)
    assert found == [None, *[Round(10**8, times[1])] * 4, Round(10**8, times[5])]


def test_a_round_reports_the_price_of_a_while_ago() -> None:
    found = rounds([START, START + 600], [100.0, 110.0], FeedRule(HOUR, 0.005), delay=300)
    assert found[1] is not None
    assert found[1].answer / 1e8 == pytest.approx(np.sqrt(100.0 * 110.0))


def test_the_past_of_a_feed_decides_when_it_writes_next() -> None:
    newest = Round(10**10, START - 600)
    found = rounds([START, START + 3_000], [100.1, 100.1], FeedRule(HOUR, 0.005), delay=0, newest=newest)
    assert found == [newest, Round(100_1 * 10**7, START + 3_000)]


def test_prices_are_composed_as_the_price_oracle_does(mandate: Mandate, market: Market) -> None:
    world = World.deploy(mandate)
    path = market.path()
    oracle = Oracle(mandate, path, delay=0)
    for row in (0, 17, 60):
        truth = {"ETH/USD": path.prices[:, 1], "BTC/USD": path.prices[:, 2], "LINK/USD": path.prices[:, 3]}
        truth |= {"USDC/USD": path.prices[:, 0], "stETH/ETH": path.prices[:, 4] / path.ratios[:, 4] / path.prices[:, 1]}
        for name, values in truth.items():
            known = rounds(path.timestamps[: row + 1].tolist(), values[: row + 1].tolist(), _rule(name), delay=0)
            assert known[-1] is not None
            world.write_round(name, known[-1].answer)
        world.token("wstETH").set_ratio(round(path.ratios[row, 4] * 1e18), sender="market")
        assert tuple(world.prices()) == oracle.reading(row).prices


def _rule(name: str) -> FeedRule:
    deviation = {"LINK/USD": 0.01, "USDC/USD": 0.0025}.get(name, 0.005)
    slow = name in ("stETH/ETH", "USDC/USD")
    return FeedRule(DAY if slow else 4 * HOUR, deviation, 18 if name == "stETH/ETH" else 8)


def test_a_reading_says_what_is_wrong(market: Market) -> None:
    path = market.path()
    prices = path.prices.copy()
    prices[30:, 1:5] = np.nan
    prices[20:30, 0] = 0.5
    oracle = Oracle(market.mandate, replace(path, prices=prices))
    assert oracle.reading(25).revert == "oracle: out of bounds"
    assert oracle.reading(25).statuses[0] is FeedStatus.OUT_OF_BOUNDS
    assert oracle.reading(40).revert == "oracle: stale"
    assert oracle.reading(10).live


def test_a_history_is_what_the_chain_knew(market: Market) -> None:
    path = market.path()
    oracle = Oracle(market.mandate, path)
    history = oracle.history(60, 1440, 30.0)
    assert history.timestamps[-1] == path.timestamps[60]
    assert len(history.timestamps) == 31
    np.testing.assert_allclose(history.prices[:, :4], path.prices[30:61, :4], rtol=0.012)
    # Today's ratio prices the past of a staking token.
    expected = path.prices[30, 4] * path.ratios[60, 4] / path.ratios[30, 4]
    assert history.prices[0, 4] == pytest.approx(expected, rel=0.012)


# Pools.


@pytest.mark.parametrize("fee_ppm", [500, 3000, 0])
@pytest.mark.parametrize("pair", [(0, 1), (2, 1), (0, 3)])
def test_the_stated_depth_moves_the_price_by_two_percent(mandate: Mandate, fee_ppm: int, pair: tuple[int, int]) -> None:
    venue = Venue.UNISWAP_V3 if fee_ppm else Venue.UNISWAP_V2
    market = ModelledLiquidity(mandate, [PoolSpec(venue, *pair, fee_ppm, constant(2e6))])
    prices = [1.0, 3000.0, 60_000.0, 15.0, 3500.0]
    market.advance(0, START, prices)
    (pool,) = pools_from_states(market.states())
    sold = pool.token1  # its price in the other token falls
    decimals = mandate.ordered_assets[sold].decimals
    before = pool.marginal_price(pool.token1)
    after = pool.swap(sold, int(2e6 / prices[sold] * 10**decimals)).after.marginal_price(pool.token1)
    # The fee stays out of the swap in v3 and in the pool in v2; the ranges are cut to the tick spacing.
    assert before / after == pytest.approx(1.02, abs=0.0015)


def test_a_centred_pool_stands_at_the_market_and_an_arbitraged_one_at_the_edge_of_its_band(mandate: Mandate) -> None:
    spec = PoolSpec(Venue.UNISWAP_V3, 0, 1, 3000, constant(1e6))
    centred, edged = ModelledLiquidity(mandate, [spec]), ModelledLiquidity(mandate, [spec], Flow.ARBITRAGED)
    for row, ether in enumerate((3000.0, 3150.0, 3150.0)):
        for market in (centred, edged):
            market.advance(row, START + row, [1.0, ether, 1.0, 1.0, 1.0])
    for market, expected in ((centred, 3150.0), (edged, 3150.0 * (1 - 0.003))):
        (pool,) = pools_from_states(market.states())
        middle = pool.marginal_price(1) / 0.997 * 1e12
        assert middle == pytest.approx(expected, rel=1e-6)


def test_providers_recentre_when_the_market_has_gone_far(mandate: Mandate) -> None:
    market = ModelledLiquidity(mandate, [PoolSpec(Venue.UNISWAP_V3, 4, 1, 100, constant(1e6), CORRELATED)])
    for row, ether in enumerate((3000.0, 30_000.0, 300.0)):
        market.advance(row, START + row, [1.0, ether, 1.0, 1.0, ether * (1.17 + 0.4 * row)])
        (state,) = market.states()
        assert state.liquidity > 0  # type: ignore[union-attr]


def test_our_own_trades_stay_in_the_pool_until_the_market_moves_it(mandate: Mandate) -> None:
    market = ModelledLiquidity(mandate, [PoolSpec(Venue.UNISWAP_V3, 0, 1, 3000, constant(1e6))], Flow.ARBITRAGED)
    prices = [1.0, 3000.0, 1.0, 1.0, 1.0]
    market.advance(0, START, prices)
    (pool,) = pools_from_states(market.states())
    moved = pool.swap(0, 50_000 * 10**6).after
    market.settle([moved])
    market.advance(1, START + 1, prices)
    assert pools_from_states(market.states())[0].marginal_price(0) == moved.marginal_price(0)


def test_recorded_states_are_replayed_as_they_were(mandate: Mandate) -> None:
    model = ModelledLiquidity(mandate, [PoolSpec(Venue.UNISWAP_V2, 0, 1, 0, constant(1e6))])
    records = []
    for row, ether in enumerate((3000.0, 3300.0)):
        model.advance(row, START + row * HOUR, [1.0, ether, 1.0, 1.0, 1.0])
        records.append(model.states())
    market = RecordedLiquidity([START, START + HOUR], records)
    market.advance(0, START + 60, [])
    assert market.states() == records[0]
    market.settle([pools_from_states(market.states())[0].swap(0, 10**9).after])
    assert market.states() != records[0]
    market.advance(1, START + HOUR, [])
    assert market.states() == records[1]


# Prices and gas.


def test_closes_count_from_the_end_of_their_bar(mandate: Mandate) -> None:
    table = load_prices(recorded("prices/binance_spot_1d_2018_2024.csv.gz"))
    path = path_from_prices(mandate, table)
    bitcoin = path.prices[:, 2]
    assert path.timestamps[0] == 1_514_764_800 + DAY
    assert bitcoin[0] == 13_380.0
    assert np.isnan(path.prices[0, 3])
    assert path.prices[0, 0] == 1.0


def test_a_missing_series_is_named(mandate: Mandate, tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text("time,ETH,BTC\n2024-01-01,2300,42000\n2024-01-02,2350,43000\n2024-01-03,2350,43000\n")
    with pytest.raises(MarketPathError, match="no series of LINK; they have ETH, BTC"):
        path_from_prices(mandate, load_prices(file))


def test_daily_gas_averages_count_from_the_next_day(tmp_path: Path) -> None:
    file = tmp_path / "gas.csv"
    file.write_text(
        '"UnixTimeStamp","Value (Wei)"\n' + "".join(f'"{START + k * DAY}","{(k + 1) * 10**9}"\n' for k in range(4))
    )
    times = np.array([START + DAY, START + DAY + 5, START + 3 * DAY - 1], dtype=np.int64)
    assert load_base_fees(file, times).tolist() == [10**9, 10**9, 2 * 10**9]
    with pytest.raises(MarketPathError, match="begins after the prices"):
        load_base_fees(file, np.array([START], dtype=np.int64))


def test_a_bad_row_of_gas_is_named(tmp_path: Path) -> None:
    file = tmp_path / "gas.csv"
    file.write_text("timestamp,base_fee_gwei\n1700000000,12\n1700000012,cheap\n")
    with pytest.raises(MarketPathError, match=r"gas.csv, row 3"):
        load_base_fees(file, np.array([1_700_000_000], dtype=np.int64))
