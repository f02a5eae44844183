# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title Leaky buckets for loss and turnover
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice A bucket is a fraction of value at 1e18. It fills with what a settlement costs, leaks at a
        constant rate and may never stand above its capacity C. What is poured in during any window
        of t seconds is therefore at most C + r * t, wherever the window starts; gains refill nothing.
        Levels are kept in units of 10**7, rounded up.
"""


from . import standing
uses: standing


struct Levels:
    loss: uint256
    turnover: uint256


ONE: constant(uint256) = 10**18
BPS: constant(uint256) = 10**14
DAY: constant(uint256) = 86_400
# Divides every capacity. A level is capped by 10,000 bps (loss) or 65,535 bps (turnover): 40 bits hold 109,951 bps.
UNIT: constant(uint256) = 10**7


@internal
@view
def _levels(loss_refill_bps: uint256, turnover_refill_bps: uint256) -> Levels:
    """
    @dev Levels after leaking up to now, rounded up.
    @param loss_refill_bps Leak of the loss bucket in basis points a day.
    @param turnover_refill_bps Leak of the turnover bucket in basis points a day.
    """
    tally: uint256 = standing._tally
    elapsed: uint256 = block.timestamp - standing._time(tally, standing.LEAKED_AT)
    return Levels(
        loss=self._leak(self._level(tally, standing.LOSS), elapsed, loss_refill_bps),
        turnover=self._leak(self._level(tally, standing.TURNOVER), elapsed, turnover_refill_bps),
    )


@internal
def _charge(
    loss: uint256,
    loss_capacity_bps: uint256,
    loss_refill_bps: uint256,
    turnover: uint256,
    turnover_capacity_bps: uint256,
    turnover_refill_bps: uint256,
) -> Levels:
    """
    @dev Pours a settlement's loss and turnover, fractions at 1e18, into the buckets.
    @return Levels after the charge.
    """
    levels: Levels = self._levels(loss_refill_bps, turnover_refill_bps)
    levels.loss = self._rounded(levels.loss + loss)
    levels.turnover = self._rounded(levels.turnover + turnover)
    # A settlement that loses nothing passes even when the capacity was tightened below the level.
    assert loss == 0 or levels.loss <= loss_capacity_bps * BPS, "loss_budget: exhausted"
    assert turnover == 0 or levels.turnover <= turnover_capacity_bps * BPS, "turnover: exhausted"
    self._store(levels, block.timestamp)
    return levels


@internal
def _settle_leak(loss_refill_bps: uint256, turnover_refill_bps: uint256):
    """
    @dev Books the leak at the present rates, so that a change of rates applies only from now on.
    """
    levels: Levels = self._levels(loss_refill_bps, turnover_refill_bps)
    levels.loss = self._rounded(levels.loss)
    levels.turnover = self._rounded(levels.turnover)
    self._store(levels, self._settled_at())


@internal
@view
def _settled_at() -> uint256:
    """
    @dev Unix seconds of the last settlement; 0 before the first.
    """
    return standing._time(standing._tally, standing.SETTLED_AT)


@internal
def _store(levels: Levels, settled_at: uint256):
    """
    @dev Levels must be whole units.
    """
    standing._tally = (
        (standing._tally >> standing.PEAK << standing.PEAK)
        | (block.timestamp << standing.LEAKED_AT)
        | (settled_at << standing.SETTLED_AT)
        | (levels.loss // UNIT << standing.LOSS)
        | (levels.turnover // UNIT << standing.TURNOVER)
    )


@internal
@pure
def _level(tally: uint256, offset: uint256) -> uint256:
    return ((tally >> offset) & standing.LEVEL) * UNIT


@internal
@pure
def _rounded(level: uint256) -> uint256:
    return (level + UNIT - 1) // UNIT * UNIT


@internal
@pure
def _leak(level: uint256, elapsed: uint256, refill_bps: uint256) -> uint256:
    leaked: uint256 = elapsed * refill_bps * BPS // DAY
    return level - min(level, leaked)
