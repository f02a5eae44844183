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


from . import standing
uses: standing


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
HOUR: constant(uint256) = 3_600
# A peak is kept as 88 bits and by how many steps of 16 bits it was shifted; only beyond 2**88 is it
# rounded, down.
PEAK_BITS: constant(uint256) = 92
PEAK: constant(uint256) = 2**PEAK_BITS - 1
STEP_BITS: constant(uint256) = 4
STEPS: constant(uint256) = 2**STEP_BITS - 1
MANTISSA: constant(uint256) = 2**88
MAX_PEAK: constant(uint256) = 2**240 - 1


# Peak of the epoch before, as it is packed (92 bits) | start of the present one << 92. Read only where
# the mandate sets a window.
_epoch: uint256


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
    return (standing._seat >> standing.REASON) & standing.BYTE


@external
@view
def tripped_at() -> uint256:
    """
    @notice Unix seconds of the last trip; 0 before the first.
    """
    return self._tripped_at()


@internal
@view
def _tripped_at() -> uint256:
    return standing._time(standing._seat, standing.TRIPPED_AT)


@internal
@view
def _state() -> uint256:
    return self._state_of(standing._tally)


@internal
@pure
def _state_of(tally: uint256) -> uint256:
    return (tally >> standing.STATE) & standing.STATES


@internal
@view
def _peak(tally: uint256, window_hours: uint256) -> uint256:
    """
    @dev The highest value per share seen in the present epoch and the one before.
    @param tally As stored.
    @param window_hours Length of an epoch; 0 for one that never ends.
    """
    current: uint256 = self._unpacked(tally >> standing.PEAK)
    if window_hours == 0:
        return current
    epoch: uint256 = self._epoch
    if self._is_over(epoch, window_hours):
        return current
    return max(current, self._unpacked(epoch & PEAK))


@internal
@view
def _is_over(epoch: uint256, window_hours: uint256) -> bool:
    return block.timestamp >= (epoch >> PEAK_BITS) + window_hours * HOUR


@internal
@pure
def _condition(value_per_share: uint256, peak: uint256, reduce_bps: uint256, halt_bps: uint256) -> uint256:
    """
    @dev The state that the drawdown from a peak asks for.
    @param peak As `_peak` tells it: it has room for basis points.
    @param reduce_bps Not above `halt_bps`, which is not above one.
    """
    value: uint256 = value_per_share * ONE_BPS
    if value > unsafe_mul(peak, unsafe_sub(ONE_BPS, reduce_bps)):
        return ACTIVE
    return HALTED if value <= unsafe_mul(peak, unsafe_sub(ONE_BPS, halt_bps)) else REDUCE_ONLY


@internal
def _raise_to(state: uint256, reason: uint256, value_per_share: uint256, window_hours: uint256):
    """
    @dev Latches a higher state.
    """
    assert state > self._state() and state <= HALTED, "breaker: not a higher state"
    self._latch(state, reason, block.timestamp)
    log Tripped(
        state=state,
        reason=reason,
        value_per_share=value_per_share,
        peak=self._peak(standing._tally, window_hours),
        caller=msg.sender,
    )


@internal
def _observe(tally: uint256, value_per_share: uint256, window_hours: uint256) -> uint256:
    """
    @dev Moves the peak up if the value per share is higher; begins an epoch when one is over.
    @return The tally to store.
    """
    current: uint256 = tally >> standing.PEAK
    if window_hours > 0 and self._is_over(self._epoch, window_hours):
        self._begin_epoch(current)
    elif value_per_share <= self._unpacked(current):
        return tally
    return self._with_peak(tally, value_per_share)


@internal
def _observe_entry(value_per_share: uint256, window_hours: uint256, reduce_bps: uint256) -> bool:
    """
    @dev The same where somebody enters, unless a state or a drawdown stands that asks for one; the
         first that a drawdown asks for is to reduce.
    @return Whether none stands.
    """
    tally: uint256 = standing._tally
    peak: uint256 = self._peak(tally, window_hours)
    if self._state_of(tally) != ACTIVE or value_per_share * ONE_BPS <= peak * (ONE_BPS - reduce_bps):
        return False
    if window_hours > 0 or value_per_share > peak:
        standing._tally = self._observe(tally, value_per_share, window_hours)
    return True


@internal
def _rebase(value_per_share: uint256):
    """
    @dev Restarts the peak at a value per share.
    """
    standing._tally = self._with_peak(standing._tally, value_per_share)
    self._begin_epoch(0)


@internal
def _join_epochs(window_hours: uint256):
    """
    @dev Makes one epoch of all that counts: what a window has seen so far stays when the limits have
         none any more.
    """
    self._rebase(self._peak(standing._tally, window_hours))


@internal
@pure
def _with_peak(tally: uint256, peak: uint256) -> uint256:
    return (tally & (2**standing.PEAK - 1)) | (self._packed(peak) << standing.PEAK)


@internal
def _begin_epoch(previous: uint256):
    """
    @param previous As it is packed.
    """
    self._epoch = (block.timestamp << PEAK_BITS) | previous


@internal
def _latch(state: uint256, reason: uint256, tripped_at: uint256):
    tally: uint256 = standing._tally
    standing._tally = (tally & ~(standing.STATES << standing.STATE)) | (state << standing.STATE)
    standing._seat = self._seated(reason, tripped_at)


@internal
@view
def _seated(reason: uint256, tripped_at: uint256) -> uint256:
    """
    @dev The seat as a trip for this reason leaves it.
    """
    return (
        (standing._seat & standing.VAULT) | (reason << standing.REASON) | (tripped_at << standing.TRIPPED_AT)
    )


@internal
@pure
def _packed(peak: uint256) -> uint256:
    assert peak <= MAX_PEAK, "breaker: value per share"
    mantissa: uint256 = peak
    steps: uint256 = 0
    # Ten steps reach the greatest peak.
    for i: uint256 in range(10):
        if mantissa < MANTISSA:
            break
        mantissa = mantissa >> 16
        steps += 1
    return (mantissa << STEP_BITS) | steps


@internal
@pure
def _unpacked(packed: uint256) -> uint256:
    return packed >> STEP_BITS << ((packed & STEPS) << 4)


@internal
def _resume(state: uint256, reason: uint256, tripped_at: uint256, value_per_share: uint256):
    """
    @dev Back to ACTIVE from exactly the trip that the caller saw; rebases the peak.
    """
    present: uint256 = self._state()
    assert present != ACTIVE, "breaker: active"
    assert state == present and standing._seat == self._seated(reason, tripped_at), "breaker: state changed"
    self._latch(ACTIVE, NO_REASON, tripped_at)
    self._rebase(value_per_share)
    log Resumed(state=state, reason=reason, peak=value_per_share)
