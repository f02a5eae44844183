# SPDX-License-Identifier: Apache-2.0
"""Walking back through rounds and phases, without a node: the walk only says what it wants to know."""

from __future__ import annotations

from dataclasses import dataclass

from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from offchain.market import abi
from offchain.market.multicall import Call
from offchain.market.rounds import PHASE_BITS, End, Round, Walked, decode_round, walk_back

PROXY = "0x" + "11" * 20
GET_ROUND_DATA = abi.selector("getRoundData(uint80)")
PHASE_AGGREGATORS = abi.selector("phaseAggregators(uint16)")


@dataclass
class Feed:
    """A proxy over aggregators; phase i has `phases[i - 1]`, rounds of which some have no answer."""

    phases: list[list[int | None]]

    @property
    def rounds(self) -> list[Round]:
        """Every round with an answer, oldest first."""
        return [
            Round(phase << PHASE_BITS | number, 100 + number, updated_at)
            for phase, times in enumerate(self.phases, 1)
            for number, updated_at in enumerate(times, 1)
            if updated_at is not None
        ]

    def answer(self, call: Call) -> bytes | None:
        argument = abi.word(call.data[4:], 0) if len(call.data) > 4 else 0
        if call.data[:4] == PHASE_AGGREGATORS:
            there = 0 < argument <= len(self.phases) and self.phases[argument - 1] is not None
            return encode(["address"], [f"0x{argument if there else 0:040x}"])
        if call.target != PROXY:
            return encode(["uint256"], [len(self.phases[int(call.target, 16) - 1])])
        phase, number = divmod(argument, 1 << PHASE_BITS)
        assert 0 < phase <= len(self.phases)
        assert 0 < number <= len(self.phases[phase - 1])
        updated_at = self.phases[phase - 1][number - 1]
        if updated_at is None:
            return None
        return encode(
            ["uint256", "int256", "uint256", "uint256", "uint256"], [argument, 100 + number, 0, updated_at, 0]
        )


def walk(feed: Feed, newest: Round, known: int, start: int) -> Walked:
    steps = walk_back(PROXY, newest, known, start)
    answers: list[bytes | None] | None = None
    while True:
        try:
            calls = next(steps) if answers is None else steps.send(answers)
            answers = [feed.answer(call) for call in calls]
        except StopIteration as stop:
            walked: Walked = stop.value
            return walked


@st.composite
def feeds(draw: st.DrawFn) -> Feed:
    """Up to three phases of up to 200 rounds; time goes on from phase to phase."""
    clock = 1000
    phases: list[list[int | None]] = []
    for length in draw(st.lists(st.integers(0, 200), min_size=1, max_size=3)):
        times: list[int | None] = []
        for _ in range(length):
            clock += 10
            times.append(clock)
        phases.append(times)
    for phase in phases:
        for number in draw(st.lists(st.integers(0, 199), max_size=5)):
            if number < len(phase):
                phase[number] = None
    return Feed(phases)


@given(feeds(), st.data())
def test_a_walk_finds_every_round_down_to_what_is_known(feed: Feed, data: st.DataObject) -> None:
    rounds = feed.rounds
    if len(rounds) < 2:
        return
    last = data.draw(st.integers(1, len(rounds) - 1))
    known = data.draw(st.integers(0, last - 1))
    walked = walk(feed, rounds[last], rounds[known].id, 0)
    assert walked == Walked(rounds[known + 1 : last], End.KNOWN)


@given(feeds(), st.data())
def test_a_walk_reaches_the_start_of_the_window(feed: Feed, data: st.DataObject) -> None:
    rounds = feed.rounds
    if not rounds:
        return
    start = data.draw(st.integers(900, rounds[-1].updated_at + 10))
    walked = walk(feed, rounds[-1], 0, start)
    first = rounds.index(walked.rounds[0]) if walked.rounds else len(rounds) - 1
    assert walked.rounds == rounds[first:-1]
    assert walked.end is (End.START if rounds[first].updated_at <= start else End.FIRST)


def test_the_round_after_the_known_one_asks_nothing() -> None:
    feed = Feed([[10, 20, 30]])
    first, second, _ = feed.rounds
    steps = walk_back(PROXY, second, first.id, 0)
    assert next(steps) == []


def test_a_feed_without_phases_ends_at_its_first_round() -> None:
    newest = Round(1, 5, 100)
    assert walk(Feed([]), newest, 0, 0) == Walked([], End.FIRST)


def test_a_round_without_an_answer_is_none() -> None:
    words = ["uint256"] * 5
    assert decode_round(None) is None
    assert decode_round(b"") is None
    assert decode_round(encode(words, [1, 0, 0, 5, 1])) is None
    assert decode_round(encode(words, [1, 7, 0, 0, 1])) is None
    assert decode_round(encode(words, [1, 2**256 - 1, 0, 5, 1])) is None
    assert decode_round(encode(words, [1, 7, 0, 5, 1])) == Round(1, 7, 5)
