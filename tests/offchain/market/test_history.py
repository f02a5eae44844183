# SPDX-License-Identifier: Apache-2.0
"""Price histories: on a grid, as of a block, and the same from whatever the cache holds."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from offchain.mandate import Mandate
from offchain.market.errors import HistoryError, ReorgError
from offchain.market.history import HistoryReader, PriceHistory, resample, time_grid
from offchain.market.round_cache import RoundCache
from offchain.market.rpc import NodeClient, WrongChain
from offchain.market.snapshot import Block
from offchain.sandbox import addresses
from offchain.sandbox.artifacts import npm_artifact
from offchain.sandbox.chainlink import GET_ROUND_DATA, LATEST_ROUND_DATA, TRUFFLE
from offchain.sandbox.contract import Contract, function
from offchain.sandbox.prices import STAKED_RATIO
from offchain.sandbox.standup import Sandbox
from offchain.settle.development import development_address
from tests.offchain.market.conftest import newest_block

HOUR = 3600
DAY = 86_400
CHAINLINK = Path(__file__).parents[4] / "shared" / "data" / "onchain" / "chainlink"
PROXY = "0x5f4eC3Df9cbd43714FE2740f5E3616155c5b8419"


def same(left: PriceHistory, right: PriceHistory) -> bool:
    """Equal to the bit."""
    return (
        left.symbols == right.symbols
        and left.timestamps.tobytes() == right.timestamps.tobytes()
        and left.prices.tobytes() == right.prices.tobytes()
    )


def windowed(mandate: Mandate, days: float) -> Mandate:
    """The mandate with another covariance window."""
    covariance = mandate.objective.covariance.model_copy(update={"window_days": days})
    objective = mandate.objective.model_copy(update={"covariance": covariance})
    return mandate.model_copy(update={"objective": objective})


def on_chain_rounds(sandbox: Sandbox, pair: str) -> pd.DataFrame:
    """Every round of a feed, read one by one."""
    proxy = addresses.FEEDS[pair]
    newest = sandbox.chain.call(proxy, LATEST_ROUND_DATA)[0]
    numbers = range((newest >> 64 << 64) + 1, newest + 1)
    raw = sandbox.rpc.batch(
        [("eth_call", [{"to": proxy, "data": GET_ROUND_DATA.encode(one)}, "latest"]) for one in numbers]
    )
    rows = [(updated_at, answer) for _, answer, _, updated_at, _ in map(GET_ROUND_DATA.decode, raw)]
    return pd.DataFrame(rows, columns=["time", "answer"])


def as_pandas_samples(rounds: pd.DataFrame, grid: np.ndarray) -> np.ndarray:
    """Last observation carried forward, by another library."""
    merged = pd.merge_asof(pd.DataFrame({"time": grid}), rounds.sort_values("time", kind="stable"), on="time")
    return merged["answer"].to_numpy(dtype=float)


def test_resampling_takes_the_last_value_known() -> None:
    sampled = resample(np.array([10, 20, 25]), np.array([1.0, 2.0, 3.0]), np.array([9, 10, 19, 20, 24, 30]))
    np.testing.assert_array_equal(sampled, [np.nan, 1, 1, 2, 2, 3])


def test_resampling_nothing_is_nothing() -> None:
    assert np.isnan(resample(np.array([], dtype=np.int64), np.array([]), np.array([1, 2]))).all()


@pytest.mark.parametrize(("end", "last"), [(7200, 7200), (7199, 3600), (10799, 7200)])
def test_the_grid_ends_at_or_before_the_block(end: int, last: int) -> None:
    grid = time_grid(end + 100 * DAY, 2, 60)
    assert grid[-1] == last + 100 * DAY
    assert (np.diff(grid) == HOUR).all()
    assert grid[-1] - grid[0] == 2 * DAY


@pytest.mark.skipif(not CHAINLINK.is_dir(), reason=f"real feed rounds are not there: {CHAINLINK}")
@pytest.mark.parametrize("file", ["ETH_USD", "BTC_USD", "stETH_ETH"])
def test_real_rounds_are_resampled_as_pandas_does(file: str) -> None:
    (path,) = CHAINLINK.glob(f"{file}_*.csv.gz")
    with gzip.open(path, "rt") as lines:
        table = pd.read_csv(lines, dtype={"answer": object})
    rounds = pd.DataFrame({"time": table["update"].astype("int64"), "answer": table["answer"].astype(float)})
    # Newest first in the file; round 0 of a phase is empty.
    rounds = rounds[rounds["time"] > 0][::-1].sort_values("time", kind="stable").reset_index(drop=True)
    grid = time_grid(int(rounds["time"].iloc[-1]), 200, 60)
    sampled = resample(rounds["time"].to_numpy(), rounds["answer"].to_numpy(), grid)
    np.testing.assert_array_equal(sampled, as_pandas_samples(rounds, grid))


@pytest.mark.skipif(not CHAINLINK.is_dir(), reason=f"real feed rounds are not there: {CHAINLINK}")
def test_rounds_taken_for_hours_misstate_volatility() -> None:
    (path,) = CHAINLINK.glob("ETH_USD_*.csv.gz")
    with gzip.open(path, "rt") as lines:
        table = pd.read_csv(lines, dtype={"answer": object})
    times, answers = table["update"].to_numpy()[::-1], table["answer"].astype(float).to_numpy()[::-1]
    times, answers = times[times > 0], answers[times > 0]
    grid = time_grid(int(times[-1]), 200, 60)
    inside = times >= grid[0]
    hourly = np.std(np.diff(np.log(resample(times, answers, grid)))) * np.sqrt(24 * 365)
    rounds_as_hours = np.std(np.diff(np.log(answers[inside]))) * np.sqrt(24 * 365)
    assert abs(rounds_as_hours / hourly - 1) > 0.1


def test_history_is_every_round_of_the_chain_on_the_grid(
    sandbox: Sandbox, client: NodeClient, mandate: Mandate, cache: RoundCache
) -> None:
    history = HistoryReader(client, mandate, cache).read(newest_block(client))
    ether = as_pandas_samples(on_chain_rounds(sandbox, "ETH/USD"), history.timestamps) / 1e8
    staked = as_pandas_samples(on_chain_rounds(sandbox, "stETH/ETH"), history.timestamps) / 1e18
    np.testing.assert_array_equal(history.prices[:, 1], ether)
    np.testing.assert_allclose(history.prices[:, 4], ether * staked * STAKED_RATIO, rtol=1e-12)
    np.testing.assert_array_equal(
        history.prices[:, 3], as_pandas_samples(on_chain_rounds(sandbox, "LINK/USD"), history.timestamps) / 1e8
    )


def test_history_covers_the_window_in_the_vaults_order(client: NodeClient, mandate: Mandate, cache: RoundCache) -> None:
    block = newest_block(client)
    history = HistoryReader(client, mandate, cache).read(block)
    assert history.symbols == mandate.symbols
    assert history.prices.shape == (60 * 6 + 1, 5)
    assert 0 <= block.timestamp - history.timestamps[-1] < 4 * HOUR
    assert np.isfinite(history.prices).all()


def test_only_news_is_fetched(sandbox: Sandbox, client: NodeClient, mandate: Mandate, cache: RoundCache) -> None:
    reader = HistoryReader(client, mandate, cache)
    reader.read(newest_block(client))

    def trips() -> int:
        block = newest_block(client)
        before = client.round_trips
        reader.read(block)
        return client.round_trips - before

    assert trips() == 1
    sandbox.push("ETH/USD", 3010.0)
    assert trips() == 1
    for price in (3020.0, 3030.0, 3040.0):
        sandbox.push("ETH/USD", price)
    assert trips() == 2


def test_the_cache_serves_the_next_process(client: NodeClient, mandate: Mandate, tmp_path: Path) -> None:
    block = newest_block(client)
    first = HistoryReader(client, mandate, RoundCache(tmp_path)).read(block)
    before = client.round_trips
    second = HistoryReader(client, mandate, RoundCache(tmp_path)).read(block)
    assert client.round_trips - before == 2
    assert same(first, second)


def test_later_rounds_do_not_leak_into_an_earlier_block(
    sandbox: Sandbox, client: NodeClient, mandate: Mandate, cache: RoundCache
) -> None:
    reader = HistoryReader(client, mandate, cache)
    block = newest_block(client)
    honest = reader.read(block)
    for hours in (1, 5, 9):
        sandbox.chain.mine(block.timestamp + hours * HOUR)
        for feed in ("ETH/USD", "BTC/USD", "LINK/USD", "USDC/USD"):
            sandbox.push(feed, 1.0)
    later = reader.read(newest_block(client))
    assert later.prices[-1, 1] == 1.0
    assert same(reader.read(block), honest)
    assert same(HistoryReader(client, mandate, RoundCache(cache_directory(cache))).read(block), honest)


def cache_directory(cache: RoundCache) -> Path:
    """Where a cache keeps its file."""
    return Path(cache._database.execute("PRAGMA database_list").fetchone()[2]).parent


def test_one_cache_tells_two_forks_of_one_chain_apart(sandbox: Sandbox, mandate: Mandate, tmp_path: Path) -> None:
    histories = {}
    with sandbox.fork() as one, sandbox.fork() as two:
        for fork, move in ((one, 1.01), (two, 0.99)):
            for step in range(1, 9):
                fork.chain.mine(fork.chain.timestamp() + 4 * HOUR)
                fork.push("ETH/USD", 3000.0 * move**step)
        for _ in range(2):
            for fork, move in ((one, 1.01), (two, 0.99)):
                with NodeClient(fork.rpc_url) as client:
                    block = newest_block(client)
                    shared = HistoryReader(client, mandate, RoundCache(tmp_path / "shared")).read(block)
                    fresh = HistoryReader(client, mandate, RoundCache(tmp_path / f"own {move}")).read(block)
                    assert same(shared, fresh)
                    histories[move] = shared
    assert histories[1.01].prices[-1, 1] > 3200 > 2800 > histories[0.99].prices[-1, 1]


def test_rounds_that_a_reorganisation_undid_are_forgotten(
    sandbox: Sandbox, client: NodeClient, mandate: Mandate, cache: RoundCache
) -> None:
    reader = HistoryReader(client, mandate, cache)
    reader.read(newest_block(client))
    mark = sandbox.rpc.call("evm_snapshot")
    sandbox.push("ETH/USD", 4000.0)
    sandbox.chain.mine(sandbox.chain.timestamp() + 4 * HOUR)
    assert reader.read(newest_block(client)).prices[-1, 1] == 4000.0
    sandbox.rpc.call("evm_revert", mark)
    sandbox.push("ETH/USD", 2000.0)
    sandbox.chain.mine(sandbox.chain.timestamp() + 4 * HOUR)
    assert reader.read(newest_block(client)).prices[-1, 1] == 2000.0


def test_a_longer_window_fetches_the_older_rounds(
    client: NodeClient, mandate: Mandate, cache: RoundCache, tmp_path: Path
) -> None:
    block = newest_block(client)
    short = HistoryReader(client, windowed(mandate, 10), cache).read(block)
    long = HistoryReader(client, windowed(mandate, 90), cache).read(block)
    assert len(short.timestamps) == 61
    assert same(long, HistoryReader(client, windowed(mandate, 90), RoundCache(tmp_path / "fresh")).read(block))
    np.testing.assert_array_equal(long.prices[-61:], short.prices)


def test_what_no_later_window_reaches_leaves_memory_and_not_the_file(
    sandbox: Sandbox, client: NodeClient, mandate: Mandate, tmp_path: Path
) -> None:
    HistoryReader(client, mandate, RoundCache(tmp_path)).read(newest_block(client))
    narrow = windowed(mandate, 4)
    reader = HistoryReader(client, narrow, RoundCache(tmp_path))
    for price in (3010.0, 3020.0):
        sandbox.push("ETH/USD", price)
        block = newest_block(client)
        history = reader.read(block)
        assert same(history, HistoryReader(client, narrow, RoundCache(tmp_path / f"{price}")).read(block))
        oldest = min(feed.rounds[0].updated_at for feed in reader._feeds.values())
        # One answer that held when the window began, and a day of slack; the staking feed writes once a day.
        assert oldest > history.timestamps[0] - 3 * DAY
    block = newest_block(client)
    held = RoundCache(tmp_path).load(next(iter(reader._feeds.values())).chain, PROXY)
    assert held.rounds[0].updated_at < block.timestamp - 59 * DAY
    wide = HistoryReader(client, mandate, RoundCache(tmp_path))
    assert same(wide.read(block), HistoryReader(client, mandate, RoundCache(tmp_path / "fresh")).read(block))


def test_a_window_past_the_last_sync_leaves_no_hole(
    sandbox: Sandbox, client: NodeClient, mandate: Mandate, cache: RoundCache, tmp_path: Path
) -> None:
    short = windowed(mandate, 5)
    reader = HistoryReader(client, short, cache)
    reader.read(newest_block(client))
    # Half an hour past a point of the grid: the seconds that pushing takes must not carry a round across the next.
    start = (sandbox.chain.timestamp() // (4 * HOUR) + 1) * 4 * HOUR + HOUR // 2
    for step in range(80):
        sandbox.chain.mine(start + 4 * HOUR * step)
        sandbox.push("ETH/USD", 3000.0 + step)
    block = newest_block(client)
    after = reader.read(block)
    np.testing.assert_array_equal(np.diff(after.prices[:, 1])[-20:], 1.0)
    longer = windowed(mandate, 40)
    fresh = HistoryReader(client, longer, RoundCache(tmp_path / "fresh")).read(block)
    assert same(HistoryReader(client, longer, cache).read(block), fresh)


def test_history_goes_on_across_a_change_of_aggregator(
    sandbox: Sandbox, client: NodeClient, mandate: Mandate, cache: RoundCache
) -> None:
    before = HistoryReader(client, mandate, cache).read(newest_block(client))
    aggregator = sandbox.chain.deploy(
        npm_artifact(f"{TRUFFLE}/FluxAggregator.js"), addresses.LINK, 0, 0, "0x" + "00" * 20, 1, 10**30, 8, "ETH / USD"
    )
    oracle = development_address("oracle0")
    sandbox.chain.send(aggregator, "changeOracles", [], [oracle], [oracle], 1, 1, 0)
    proxy = Contract(PROXY, npm_artifact(f"{TRUFFLE}/EACAggregatorProxy.js").abi)
    start = int(before.timestamps[-1])
    for number in (1, 2):
        sandbox.chain.mine(start + 4 * HOUR * number + 60)
        sandbox.chain.send(aggregator, "submit", number, (3000 + number) * 10**8, sender=oracle)
    sandbox.chain.send(proxy, "proposeAggregator", aggregator.address)
    sandbox.chain.send(proxy, "confirmAggregator", aggregator.address)
    assert sandbox.chain.call(PROXY, function("phaseId()", "uint16")) == 2
    sandbox.chain.mine(start + 12 * HOUR)
    after = HistoryReader(client, mandate, cache).read(newest_block(client))
    np.testing.assert_array_equal(after.prices[:-3, 1], before.prices[3:, 1])
    np.testing.assert_array_equal(after.prices[-3:, 1], [3000.0, 3001.0, 3002.0])


def test_a_block_that_is_gone_is_said_so(client: NodeClient, mandate: Mandate, cache: RoundCache) -> None:
    ghost = Block(10**6, "0x" + "ab" * 32, "0x" + "cd" * 32, 1_800_000_000, 1)
    with pytest.raises(ReorgError, match="cannot read at block 1000000"):
        HistoryReader(client, mandate, cache).read(ghost)


def test_a_feed_that_is_none_is_named(client: NodeClient, mandate: Mandate, cache: RoundCache) -> None:
    weth = mandate.ordered_assets[1]
    wrong = weth.model_copy(update={"oracle": weth.oracle.model_copy(update={"feed": "0x" + "Ab" * 20})})
    broken = mandate.model_copy(update={"assets": (mandate.assets[0], wrong, *mandate.assets[2:])})
    with pytest.raises(HistoryError, match=f"feed 0x{'Ab' * 20}: decimals"):
        HistoryReader(client, broken, cache).read(newest_block(client))


def test_another_chain_is_refused(client: NodeClient, mandate: Mandate, cache: RoundCache) -> None:
    with pytest.raises(WrongChain):
        HistoryReader(client, mandate.model_copy(update={"chain_id": 5}), cache).read(newest_block(client))


def test_a_history_cannot_be_written_to(client: NodeClient, mandate: Mandate, cache: RoundCache) -> None:
    history = HistoryReader(client, mandate, cache).read(newest_block(client))
    with pytest.raises(ValueError, match="read-only"):
        history.prices[0, 0] = 1.0


def test_a_history_of_the_wrong_shape_is_refused() -> None:
    with pytest.raises(HistoryError, match="history of 2 times and 1 assets"):
        PriceHistory(("A",), np.array([1, 2]), np.ones((3, 1)))
