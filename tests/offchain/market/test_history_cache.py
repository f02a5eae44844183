# SPDX-License-Identifier: Apache-2.0
"""Rounds on disk: what is saved is what is read, whoever else writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import structlog

from offchain.market.round_cache import CACHE_VARIABLE, Anchor, FeedRounds, RoundCache, default_directory
from offchain.market.rounds import PHASE_BITS, Round

CHAIN = "1:0xabc"
PROXY = "0x" + "22" * 20


def some_rounds(first: int, last: int, price: int = 100, phase: int = 1) -> list[Round]:
    return [Round(phase << PHASE_BITS | number, price + number, 1000 + number) for number in range(first, last + 1)]


def same(left: FeedRounds, right: FeedRounds) -> bool:
    return (left.rounds, left.exhausted, left.anchors) == (right.rounds, right.exhausted, right.anchors)


@pytest.fixture
def feed() -> FeedRounds:
    feed = FeedRounds(CHAIN, PROXY)
    feed.append(some_rounds(1, 5))
    feed.add_anchor(Anchor(70, "0x70", feed.rounds[-1].id))
    return feed


def test_what_was_never_saved_is_empty(cache: RoundCache) -> None:
    assert cache.load(CHAIN, PROXY).rounds == []


def test_a_feed_survives_a_restart(tmp_path: Path, feed: FeedRounds) -> None:
    feed.append(some_rounds(1, 3, price=2**200, phase=6))
    feed.exhausted = True
    first = RoundCache(tmp_path)
    first.save(feed)
    first.close()
    assert same(RoundCache(tmp_path).load(CHAIN, PROXY), feed)


def test_additions_at_both_ends_are_saved(cache: RoundCache, feed: FeedRounds) -> None:
    feed.rounds = feed.rounds[2:]
    feed.unsaved = list(feed.rounds)
    cache.save(feed)
    feed.append(some_rounds(6, 8))
    feed.prepend(some_rounds(1, 2))
    cache.save(feed)
    assert cache.load(CHAIN, PROXY).rounds == some_rounds(1, 8)


def test_what_is_forgotten_is_gone(cache: RoundCache, feed: FeedRounds) -> None:
    cache.save(feed)
    feed.truncate(feed.rounds[1].id)
    cache.save(feed)
    assert same(cache.load(CHAIN, PROXY), feed)
    assert feed.anchors == []


def test_feeds_of_other_chains_are_apart(cache: RoundCache, feed: FeedRounds) -> None:
    cache.save(feed)
    assert cache.load("1:0xdef", PROXY).rounds == []


def test_two_writers_never_mix_their_rounds(tmp_path: Path, feed: FeedRounds) -> None:
    one, two = RoundCache(tmp_path), RoundCache(tmp_path)
    one.save(feed)
    other = two.load(CHAIN, PROXY)
    feed.append(some_rounds(6, 9))
    one.save(feed)
    other.append(some_rounds(6, 7, price=500))
    two.save(other)
    assert same(one.load(CHAIN, PROXY), other)
    one.save(feed)
    assert same(two.load(CHAIN, PROXY), feed)


def test_anchors_thin_out_but_keep_the_oldest_and_the_newest() -> None:
    feed = FeedRounds(CHAIN, PROXY)
    for block in range(1, 1001):
        feed.add_anchor(Anchor(block, hex(block), block))
    blocks = [anchor.block for anchor in feed.anchors]
    assert (len(blocks), blocks[0], blocks[-8:]) == (32, 1, list(range(993, 1001)))
    assert blocks == sorted(blocks)


def test_a_damaged_file_is_not_used(tmp_path: Path, feed: FeedRounds) -> None:
    (tmp_path / "rounds.sqlite").write_bytes(b"this is not a database, whatever its name says" * 50)
    with structlog.testing.capture_logs() as log:
        cache = RoundCache(tmp_path)
    cache.save(feed)
    assert same(cache.load(CHAIN, PROXY), feed)
    assert [entry["effect"] for entry in log] == ["kept in memory"]


def test_a_directory_that_cannot_exist_is_not_used(tmp_path: Path, feed: FeedRounds) -> None:
    (tmp_path / "file").touch()
    with structlog.testing.capture_logs() as log:
        cache = RoundCache(tmp_path / "file" / "below")
    cache.save(feed)
    assert same(cache.load(CHAIN, PROXY), feed)
    assert len(log) == 1


def test_the_directory_can_be_chosen(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    assert default_directory() == tmp_path
    monkeypatch.delenv(CACHE_VARIABLE)
    assert default_directory().name == "plimsoll"
