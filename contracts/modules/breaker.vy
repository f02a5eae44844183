# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title Circuit breaker
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice ACTIVE, REDUCE_ONLY, HALTED. States latch: only the owner's delayed `resume` lowers them.
        The table: value per share below its peak by the mandate's reduce threshold gives
        REDUCE_ONLY, by its halt threshold HALTED; the guardian gives either.
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

ONE_BPS: constant(uint256) = 10_000
BYTE: constant(uint256) = 2**8 - 1
MAX_PEAK: constant(uint256) = 2**240 - 1


# state (8 bits) | reason << 8 | peak << 16
_latch: uint256
# Unix seconds of the last trip.
_tripped_at: uint256


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
    @notice Why it stands where it stands: 0 none, 1 drawdown, 2 guardian.
    """
    return (self._latch >> 8) & BYTE


@external
@view
def peak() -> uint256:
    """
    @notice Highest value per share since the last rebase that a transaction of the vault has seen.
    """
    return self._peak()


@internal
@view
def _state() -> uint256:
    return self._latch & BYTE


@internal
@view
def _peak() -> uint256:
    return self._latch >> 16


@internal
@view
def _condition(value_per_share: uint256, reduce_bps: uint256, halt_bps: uint256) -> uint256:
    """
    @dev The state that the drawdown from the peak asks for.
    """
    peak: uint256 = self._peak()
    if value_per_share * ONE_BPS <= peak * (ONE_BPS - halt_bps):
        return HALTED
    if value_per_share * ONE_BPS <= peak * (ONE_BPS - reduce_bps):
        return REDUCE_ONLY
    return ACTIVE


@internal
def _raise_to(state: uint256, reason: uint256, value_per_share: uint256):
    """
    @dev Latches a higher state.
    """
    latch: uint256 = self._latch
    assert state > latch & BYTE and state <= HALTED, "breaker: not a higher state"
    self._latch = (latch >> 16 << 16) | state | (reason << 8)
    self._tripped_at = block.timestamp
    log Tripped(state=state, reason=reason, value_per_share=value_per_share, peak=latch >> 16, caller=msg.sender)


@internal
def _observe(value_per_share: uint256):
    """
    @dev Moves the peak up if the value per share is higher.
    """
    if value_per_share > self._peak():
        self._rebase(value_per_share)


@internal
def _rebase(value_per_share: uint256):
    """
    @dev Restarts the peak at a value per share.
    """
    assert value_per_share <= MAX_PEAK, "breaker: value per share"
    self._latch = (self._latch & (2**16 - 1)) | (value_per_share << 16)


@internal
def _resume(state: uint256, reason: uint256, value_per_share: uint256):
    """
    @dev Back to ACTIVE from exactly the state and reason that the caller saw; rebases the peak.
    """
    latch: uint256 = self._latch
    assert latch & BYTE != ACTIVE, "breaker: active"
    assert latch & BYTE == state and (latch >> 8) & BYTE == reason, "breaker: state changed"
    self._latch = 0
    self._rebase(value_per_share)
    log Resumed(state=state, reason=reason, peak=value_per_share)
