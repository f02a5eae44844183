# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from offchain.keeper.history_chunks import RecordedHistoryError, decode_history, encode_history
from offchain.market.history import PriceHistory

STEP = 4 * 3600


def history(first, rows):
    times = (np.arange(rows) + first) * STEP
    prices = np.exp(np.sin(times[:, None] * [0.001, 0.0007, 0.0003])) / 3
    return PriceHistory(("USDC", "WETH", "WBTC"), times, prices)


@pytest.mark.parametrize("rows", [0, 1, 2, 63, 64, 361])
def test_history_comes_back_to_the_bit(rows):
    recorded = history(123_456, rows)

    replayed = decode_history(encode_history(recorded))

    assert replayed.symbols == recorded.symbols
    assert np.array_equal(replayed.timestamps, recorded.timestamps)
    assert np.array_equal(replayed.prices, recorded.prices)


def test_successive_ticks_share_all_but_the_ends():
    before, after = encode_history(history(1000, 361)), encode_history(history(1001, 361))

    assert len(set(after) - set(before)) <= 2


def test_damaged_chunk_is_named():
    first, *rest = encode_history(history(0, 100))

    with pytest.raises(RecordedHistoryError, match="damaged"):
        decode_history([first[:-3], *rest])
