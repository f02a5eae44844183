# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title Circuit breaker
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice ACTIVE, REDUCE_ONLY, HALTED. States latch: only the owner's delayed `resume` lowers them. Keeps
        the state, why and since when it stands, and the peak of the value per share, over all time or
        over a window: the highest of the present epoch and of the one before, each as long as the
        window, so that it reaches back between one and two windows. An epoch begins with the first
        value seen after the last has run out; without values seen the peak stays.
        Value per share is USD at 18 decimals per 10**18 share units.
"""


event Tripped:
    state: indexed(uint256)
    reason: uint256
    value_per_share: uint256
    peak: uint256
    caller: indexed(address)


event Resumed:
    state: indexed(uint256)
    reason: uint256
    peak: uint256


ACTIVE: constant(uint256) = 0
REDUCE_ONLY: constant(uint256) = 1
HALTED: constant(uint256) = 2

NO_REASON: constant(uint256) = 0
DRAWDOWN: constant(uint256) = 1
GUARDIAN: constant(uint256) = 2
VOLATILITY: constant(uint256) = 3
HEALTH_FACTOR: constant(uint256) = 4
DEAD_ORACLE: constant(uint256) = 5
SOURCES_APART: constant(uint256) = 6
DEPEG: constant(uint256) = 7
NO_HEARTBEAT: constant(uint256) = 8
FROZEN_RESERVE: constant(uint256) = 9

ONE_BPS: constant(uint256) = 10_000
BYTE: constant(uint256) = 2**8 - 1
HEADER: constant(uint256) = 2**16 - 1
HOUR: constant(uint256) = 3_600
# A peak is kept as 96 bits and by how many it was shifted; only beyond 2**96 is it rounded, down.
PEAK: constant(uint256) = 2**104 - 1
SHIFT_BITS: constant(uint256) = 8
MANTISSA: constant(uint256) = 2**96
MAX_PEAK: constant(uint256) = 2**240 - 1
TIME: constant(uint256) = 2**32 - 1


# state (8 bits) | reason << 8 | start of the epoch << 16 | its peak << 48 | peak of the one before << 152
_latch: uint256
# Unix seconds of the last trip.
tripped_at: public(uint256)


@external
@view
def breaker_state() -> uint256:
    """
    @notice 0 ACTIVE, 1 REDUCE_ONLY, 2 HALTED.
    """
    return self._state()


@external
@view
def breaker_reason() -> uint256:
    """
    @notice Why it stands where it stands: 0 none, 1 drawdown, 2 guardian, 3 volatility, 4 health
            factor, 5 dead oracle, 6 sources apart, 7 base asset off its peg, 8 no heartbeat, 9 frozen
            reserve.
    """
    return (self._latch >> 8) & BYTE


@internal
@view
def _state() -> uint256:
    return self._latch & BYTE


@internal
@view
def _peak(window_hours: uint256) -> uint256:
    """
    @dev The highest value per share seen in the present epoch and the one before.
    @param window_hours Length of an epoch; 0 for one that never ends.
    """
    latch: uint256 = self._latch
    current: uint256 = self._unpacked((latch >> 48) & PEAK)
    if self._is_over(latch, window_hours):
        return current
    return max(current, self._unpacked(latch >> 152))


@internal
@view
def _is_over(latch: uint256, window_hours: uint256) -> bool:
    return window_hours > 0 and block.timestamp >= ((latch >> 16) & TIME) + window_hours * HOUR


@internal
@view
def _condition(value_per_share: uint256, window_hours: uint256, reduce_bps: uint256, halt_bps: uint256) -> uint256:
    """
    @dev The state that the drawdown from the peak asks for.
    """
    peak: uint256 = self._peak(window_hours)
    if value_per_share * ONE_BPS <= peak * (ONE_BPS - halt_bps):
        return HALTED
    if value_per_share * ONE_BPS <= peak * (ONE_BPS - reduce_bps):
        return REDUCE_ONLY
    return ACTIVE


@internal
def _raise_to(state: uint256, reason: uint256, value_per_share: uint256, window_hours: uint256):
    """
    @dev Latches a higher state.
    """
    latch: uint256 = self._latch
    assert state > latch & BYTE and state <= HALTED, "breaker: not a higher state"
    self._latch = (latch >> 16 << 16) | state | (reason << 8)
    self.tripped_at = block.timestamp
    log Tripped(
        state=state,
        reason=reason,
        value_per_share=value_per_share,
        peak=self._peak(window_hours),
        caller=msg.sender,
    )


@internal
def _observe(value_per_share: uint256, window_hours: uint256):
    """
    @dev Moves the peak up if the value per share is higher; begins an epoch when one is over.
    """
    latch: uint256 = self._latch
    current: uint256 = (latch >> 48) & PEAK
    if self._is_over(latch, window_hours):
        self._keep_peak(latch, block.timestamp, value_per_share, current)
    elif value_per_share > self._unpacked(current):
        self._keep_peak(latch, (latch >> 16) & TIME, value_per_share, latch >> 152)


@internal
def _rebase(value_per_share: uint256):
    """
    @dev Restarts the peak at a value per share.
    """
    self._keep_peak(self._latch, block.timestamp, value_per_share, 0)


@internal
def _keep_peak(latch: uint256, started_at: uint256, current: uint256, previous: uint256):
    """
    @param previous As it is packed.
    """
    self._latch = (latch & HEADER) | (started_at << 16) | (self._packed(current) << 48) | (previous << 152)


@internal
@pure
def _packed(peak: uint256) -> uint256:
    assert peak <= MAX_PEAK, "breaker: value per share"
    mantissa: uint256 = peak
    shifted: uint256 = 0
    # Nine steps of sixteen bits reach the greatest peak.
    for i: uint256 in range(9):
        if mantissa < MANTISSA:
            break
        mantissa = mantissa >> 16
        shifted += 16
    return (mantissa << SHIFT_BITS) | shifted


@internal
@pure
def _unpacked(packed: uint256) -> uint256:
    return packed >> SHIFT_BITS << (packed & BYTE)


@internal
def _resume(state: uint256, reason: uint256, tripped_at: uint256, value_per_share: uint256):
    """
    @dev Back to ACTIVE from exactly the trip that the caller saw; rebases the peak.
    """
    latch: uint256 = self._latch
    assert latch & BYTE != ACTIVE, "breaker: active"
    assert latch & HEADER == state | (reason << 8) and tripped_at == self.tripped_at, "breaker: state changed"
    self._latch = 0
    self._rebase(value_per_share)
    log Resumed(state=state, reason=reason, peak=value_per_share)
