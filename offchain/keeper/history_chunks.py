# SPDX-License-Identifier: Apache-2.0
"""A price history as chunks that successive ticks share.

Rows are cut at multiples of `CHUNK_ROWS` grid steps of absolute time, so from one
tick to the next only the first and the last chunk differ and the journal stores each
content once. Prices are kept as the 64-bit floats they are: replay must be exact.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from offchain.errors import PlimsollError
from offchain.market.history import FloatArray, IntArray, PriceHistory

CHUNK_ROWS = 64

_TIME = np.dtype("<i8")
_PRICE = np.dtype("<f8")


class RecordedHistoryError(PlimsollError):
    """Chunks that are not a history."""


def encode_history(history: PriceHistory) -> tuple[bytes, ...]:
    """Cut a history into chunks, oldest first."""
    if len(history.timestamps) == 0:
        return (_chunk(history, slice(0, 0)),)
    step = int(np.diff(history.timestamps).min()) if len(history.timestamps) > 1 else 1
    bins = history.timestamps // (step * CHUNK_ROWS)
    edges = [0, *(np.flatnonzero(np.diff(bins)) + 1).tolist(), len(bins)]
    return tuple(_chunk(history, slice(first, last)) for first, last in pairwise(edges))


def decode_history(chunks: Sequence[bytes]) -> PriceHistory:
    """Join what `encode_history` cut.

    Raises
    ------
    RecordedHistoryError
        When there are no chunks, or one is damaged or of other assets.
    """
    try:
        parts = [_parts(chunk) for chunk in chunks]
    except (ValueError, KeyError) as error:
        raise RecordedHistoryError(f"recorded history: a chunk is damaged ({error}); the journal is corrupt") from None
    if len({symbols for symbols, _, _ in parts}) != 1:
        raise RecordedHistoryError("recorded history: the chunks name different assets; the journal is corrupt")
    return PriceHistory(
        symbols=parts[0][0],
        timestamps=np.concatenate([times for _, times, _ in parts]),
        prices=np.concatenate([prices for _, _, prices in parts]),
    )


def _chunk(history: PriceHistory, rows: slice) -> bytes:
    times, prices = history.timestamps[rows], history.prices[rows]
    header = json.dumps({"symbols": history.symbols, "rows": len(times)}).encode()
    return header + b"\n" + times.astype(_TIME).tobytes() + prices.astype(_PRICE).tobytes()


def _parts(chunk: bytes) -> tuple[tuple[str, ...], IntArray, FloatArray]:
    header, _, body = chunk.partition(b"\n")
    description = json.loads(header)
    symbols, rows = tuple(description["symbols"]), int(description["rows"])
    split = rows * _TIME.itemsize
    times = np.frombuffer(body[:split], _TIME).astype(np.int64)
    prices = np.frombuffer(body[split:], _PRICE).reshape(rows, len(symbols)).astype(np.float64)
    return symbols, times, prices
