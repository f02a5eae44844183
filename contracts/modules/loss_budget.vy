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
"""


struct Levels:
    loss: uint256
    turnover: uint256


ONE: constant(uint256) = 10**18
BPS: constant(uint256) = 10**14
DAY: constant(uint256) = 86_400
# A level is capped by 10,000 bps (loss) or 65,535 bps (turnover): 64 bits hold 18.4e18.
LEVEL_BITS: constant(uint256) = 64
LEVEL_MASK: constant(uint256) = 2**64 - 1


# updated_at (64 bits) | loss << 64 | turnover << 128 | time of the last settlement << 192
_buckets: uint256


@internal
@view
def _levels(loss_refill_bps: uint256, turnover_refill_bps: uint256) -> Levels:
    """
    @dev Levels after leaking up to now, rounded up.
    @param loss_refill_bps Leak of the loss bucket in basis points a day.
    @param turnover_refill_bps Leak of the turnover bucket in basis points a day.
    """
    buckets: uint256 = self._buckets
    elapsed: uint256 = block.timestamp - (buckets & LEVEL_MASK)
    return Levels(
        loss=self._leak((buckets >> LEVEL_BITS) & LEVEL_MASK, elapsed, loss_refill_bps),
        turnover=self._leak((buckets >> 128) & LEVEL_MASK, elapsed, turnover_refill_bps),
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
    levels.loss += loss
    levels.turnover += turnover
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
    self._store(self._levels(loss_refill_bps, turnover_refill_bps), self._settled_at())


@internal
@view
def _settled_at() -> uint256:
    """
    @dev Unix seconds of the last settlement; 0 before the first.
    """
    return self._buckets >> 192


@internal
def _store(levels: Levels, settled_at: uint256):
    self._buckets = block.timestamp | (levels.loss << LEVEL_BITS) | (levels.turnover << 128) | (settled_at << 192)


@internal
@pure
def _leak(level: uint256, elapsed: uint256, refill_bps: uint256) -> uint256:
    leaked: uint256 = elapsed * refill_bps * BPS // DAY
    return level - min(level, leaked)
