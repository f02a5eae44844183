# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ~=0.4.3
"""
@title A price feed, and a staking ratio, that answer whatever they are told to
@license AGPL-3.0-only
@notice Plays a broken aggregator. Anyone may turn its knobs.
@custom:kill It exists in tests only.
"""


decimals: public(uint8)
answer: public(int256)
updated_at: public(uint256)
# What `startedAt` answers; the time of the update when zero.
started_at: public(uint256)
ratio: public(uint256)
# 0 answers, 1 reverts, 2 answers one word, 3 answers nothing.
mode: public(uint256)


@deploy
def __init__(decimals_: uint8, answer: int256):
    self.decimals = decimals_
    self.answer = answer
    self.updated_at = block.timestamp
    self.ratio = 10**18


@external
def set(answer: int256, updated_at: uint256):
    self.answer = answer
    self.updated_at = updated_at


@external
def set_started_at(started_at: uint256):
    self.started_at = started_at


@external
def set_ratio(ratio: uint256):
    self.ratio = ratio


@external
def set_mode(mode: uint256):
    self.mode = mode


@external
@view
@raw_return
def latestRoundData() -> Bytes[160]:
    self._fail()
    if self.mode == 2:
        return abi_encode(convert(1, uint256))
    if self.mode == 3:
        return b""
    started_at: uint256 = self.started_at if self.started_at > 0 else self.updated_at
    return abi_encode(convert(7, uint80), self.answer, started_at, self.updated_at, convert(7, uint80))


@external
@view
@raw_return
def stEthPerToken() -> Bytes[32]:
    self._fail()
    if self.mode >= 2:
        return b""
    return abi_encode(self.ratio)


@internal
@view
def _fail():
    assert self.mode != 1, "hostile: feed is down"
