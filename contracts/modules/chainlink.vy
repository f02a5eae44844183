# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title Chainlink's feeds
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice The latest round of an aggregator, and the uptime feed of a rollup. What a feed may answer and
        how old it may be is the caller's table; a feed that answers nonsense never reverts here.
"""


interface Aggregator:
    def decimals() -> uint8: view


struct Reading:
    answer: uint256
    updated_at: uint256


# A round may carry the timestamp of a node whose clock runs ahead of the block by this much.
CLOCK_TOLERANCE: constant(uint256) = 60


@internal
@view
def _unit(feed: address) -> uint256:
    """
    @dev What a feed answers for one; reverts where there is no feed.
    """
    return 10 ** convert(staticcall Aggregator(feed).decimals(), uint256)


@internal
@view
def _read(feed: address) -> Reading:
    """
    @dev A feed that reverts or answers nonsense reads as 0, so that the caller can say so.
    """
    success: bool = False
    response: Bytes[160] = b""
    success, response = raw_call(
        feed, method_id("latestRoundData()"), max_outsize=160, is_static_call=True, revert_on_failure=False
    )
    if not success or len(response) != 160:
        return empty(Reading)
    answer: int256 = extract32(response, 32, output_type=int256)
    updated_at: uint256 = extract32(response, 96, output_type=uint256)
    # Answers past 2**128 cannot be prices and would overflow what follows.
    if answer <= 0 or answer >= 2**128 or updated_at >= 2**64:
        return empty(Reading)
    return Reading(answer=convert(answer, uint256), updated_at=updated_at)


@internal
@view
def _is_fresh(updated_at: uint256, heartbeat: uint256) -> bool:
    return updated_at <= block.timestamp + CLOCK_TOLERANCE and updated_at + heartbeat >= block.timestamp


@internal
@view
def _is_up(feed: address, grace: uint256) -> bool:
    """
    @dev The uptime feed answers 0 while the sequencer is up, since `startedAt`.
    @param grace Seconds after a restart that do not count as up.
    """
    success: bool = False
    response: Bytes[160] = b""
    success, response = raw_call(
        feed, method_id("latestRoundData()"), max_outsize=160, is_static_call=True, revert_on_failure=False
    )
    if not success or len(response) != 160 or extract32(response, 32, output_type=uint256) != 0:
        return False
    started_at: uint256 = extract32(response, 64, output_type=uint256)
    return started_at > 0 and started_at < block.timestamp and block.timestamp - started_at > grace
