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


from . import limits as rules
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
def _levels(policy: uint256) -> Levels:
    """
    @dev Levels after leaking up to now, rounded up.
    @param policy The word of the limits that has capacities and refills.
    """
    tally: uint256 = standing._tally
    elapsed: uint256 = unsafe_sub(block.timestamp, tally & standing.TIME)
    return Levels(
        loss=self._leaked(tally >> standing.LOSS, elapsed, policy >> rules.LOSS_REFILL),
        turnover=self._leaked(tally >> standing.TURNOVER, elapsed, policy >> rules.TURNOVER_REFILL),
    )


@internal
@view
def _charge(tally: uint256, policy: uint256, loss: uint256, turnover: uint256) -> (uint256, uint256, uint256):
    """
    @dev Pours a settlement's loss and turnover, fractions at 1e18, into the buckets.
    @param tally As stored.
    @param policy The word of the limits that has capacities and refills.
    @return The tally and the levels of loss and turnover after the charge.
    """
    # Time does not run backwards.
    elapsed: uint256 = unsafe_sub(block.timestamp, tally & standing.TIME)
    loss_units: uint256 = self._units(self._leaked(tally >> standing.LOSS, elapsed, policy >> rules.LOSS_REFILL) + loss)
    turnover_units: uint256 = self._units(
        self._leaked(tally >> standing.TURNOVER, elapsed, policy >> rules.TURNOVER_REFILL) + turnover
    )
    loss_level: uint256 = unsafe_mul(loss_units, UNIT)
    turnover_level: uint256 = unsafe_mul(turnover_units, UNIT)
    # A settlement that loses nothing passes even when the capacity was tightened below the level.
    loss_capacity: uint256 = unsafe_mul((policy >> rules.LOSS_CAPACITY) & rules.FIELD, BPS)
    turnover_capacity: uint256 = unsafe_mul((policy >> rules.TURNOVER_CAPACITY) & rules.FIELD, BPS)
    assert loss == 0 or loss_level <= loss_capacity, "loss_budget: exhausted"
    assert turnover == 0 or turnover_level <= turnover_capacity, "turnover: exhausted"
    return self._told(tally, block.timestamp, loss_units, turnover_units), loss_level, turnover_level


@internal
def _settle_leak(policy: uint256):
    """
    @dev Books the leak at the present rates, so that a change of rates applies only from now on.
    """
    levels: Levels = self._levels(policy)
    standing._tally = self._told(
        standing._tally, self._settled_at(), self._units(levels.loss), self._units(levels.turnover)
    )


@internal
@view
def _settled_at() -> uint256:
    """
    @dev Unix seconds of the last settlement; 0 before the first.
    """
    return standing._time(standing._tally, standing.SETTLED_AT)


@internal
@view
def _told(tally: uint256, settled_at: uint256, loss_units: uint256, turnover_units: uint256) -> uint256:
    """
    @dev The tally with these levels as of now.
    """
    return (
        (tally >> standing.STATE << standing.STATE)
        | (block.timestamp << standing.LEAKED_AT)
        | (settled_at << standing.SETTLED_AT)
        | (loss_units << standing.LOSS)
        | (turnover_units << standing.TURNOVER)
    )


@internal
@pure
def _units(level: uint256) -> uint256:
    """
    @dev A level in the units that it is kept in, rounded up.
    """
    return unsafe_div(level + (UNIT - 1), UNIT)


@internal
@pure
def _leaked(units: uint256, elapsed: uint256, refill: uint256) -> uint256:
    """
    @dev What is left of a level. Of 40 bits for the time and 16 for the rate, nothing overflows.
    @param units The level as it is kept, in the lowest bits.
    @param refill Basis points a day, in the lowest bits.
    """
    level: uint256 = unsafe_mul(units & standing.LEVEL, UNIT)
    leak: uint256 = unsafe_div(unsafe_mul(unsafe_mul(elapsed, refill & rules.FIELD), BPS), DAY)
    return unsafe_sub(level, min(level, leak))
