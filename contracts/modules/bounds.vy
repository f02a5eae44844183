# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title Realised holdings against the limits
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice Every bound is kept, or what stands outside comes closer: no violation is larger than before,
        none is new, and one is smaller. Compared by cross-multiplication, exactly.
"""


from ..interfaces import IMandate
from . import limits as rules

uses: rules


# Values below it times basis points do not overflow.
BOUNDED: constant(uint256) = 2**240
# How a bound was kept, as `_compare` finds it.
OUTSIDE: constant(uint256) = 1
CLOSER: constant(uint256) = 2
FURTHER: constant(uint256) = 4


@internal
@view
def _is_inside(held: uint256[16], net: uint256, packed: rules.Packed) -> bool:
    """
    @dev Whether every weight is inside its bounds.
    @param held Values by asset, below BOUNDED as their sum is.
    @param net Net value, not above that sum.
    """
    bounds: uint256 = packed.weights
    for i: uint256 in range(rules._COUNT, bound=16):
        if i == rules.WORD:
            bounds = packed.more_weights
        value: uint256 = unsafe_mul(held[i], rules.ONE_BPS)
        if value < unsafe_mul(bounds & rules.FIELD, net) or value > unsafe_mul((bounds >> 16) & rules.FIELD, net):
            return False
        bounds = bounds >> 32
    return True


@internal
@view
def _check_bounds(
    before: IMandate.Book, after: IMandate.Book, packed: rules.Packed, venues: uint256, reduce_only: bool
):
    """
    @dev Every weight, the leverage, the venues' caps, the buffer and the health factor are inside their
         bounds or no further from them than before; with one outside, one must have come closer.
    @param before What was held and owed before the legs.
    @param after The same after them, at the same prices.
    @param venues Number of the vault's venues.
    """
    found: uint256 = self._check_weights(before, after, packed, reduce_only)
    if packed.policy & rules.LENDING != 0 or venues > 0:
        found |= self._check_positions(before, after, packed.policy, venues, reduce_only)
    assert found & (OUTSIDE | CLOSER) != OUTSIDE, "limits: weight"


@internal
@view
def _check_weights(before: IMandate.Book, after: IMandate.Book, packed: rules.Packed, reduce_only: bool) -> uint256:
    """
    @dev When only reducing, the lower bounds of the other assets and the upper bound of the base asset
         do not apply: they would forbid the way out.
    @return OUTSIDE and CLOSER, as far as they are true of any.
    """
    found: uint256 = 0
    for i: uint256 in range(rules._COUNT, bound=16):
        minimum: uint256 = rules._minimum(packed, i)
        maximum: uint256 = rules._maximum(packed, i)
        if reduce_only:
            if i == 0:
                maximum = rules.UNBOUNDED
            else:
                minimum = 0
        found |= self._compare(before.held[i], before.net, after.held[i], after.net, minimum, maximum)
    assert found & FURTHER == 0, "limits: weight"
    return found


@internal
@view
def _check_positions(
    before: IMandate.Book, after: IMandate.Book, policy: uint256, venues: uint256, reduce_only: bool
) -> uint256:
    """
    @dev The same for leverage, venues, buffer and health factor.
    """
    # While only reducing, no more is borrowed.
    assert not reduce_only or after.gross * before.net <= before.gross * after.net, "limits: leverage increased"
    found: uint256 = self._compare(
        before.gross, before.net, after.gross, after.net, 0, rules._cap(policy, rules.LEVERAGE)
    )
    assert found & FURTHER == 0, "limits: leverage"
    if venues > 0:
        more: uint256 = rules._more
        for i: uint256 in range(venues, bound=4):
            found |= self._compare(
                before.venues[i], before.net, after.venues[i], after.net, 0, rules._venue_cap(more, i)
            )
        assert found & FURTHER == 0, "limits: venue"
    buffer: uint256 = rules._field(policy, rules.BUFFER)
    # The way out of debt may use the buffer.
    if not reduce_only and buffer > 0:
        found |= self._compare(before.wallet, before.net, after.wallet, after.net, buffer, rules.UNBOUNDED)
        assert found & FURTHER == 0, "limits: buffer"
    least: uint256 = rules._field(policy, rules.HEALTH) * rules.BPS
    if after.health < least:
        assert after.health >= before.health, "limits: health factor"
        found |= OUTSIDE
        if after.health > before.health:
            found |= CLOSER
    elif before.health < least:
        found |= CLOSER
    return found


@internal
@pure
def _compare(
    before: uint256, net_before: uint256, after: uint256, net_after: uint256, minimum: uint256, maximum: uint256
) -> uint256:
    """
    @dev Holds value over net value against bounds in basis points, by cross-multiplication, exactly.
    @return 0 when inside before and after; CLOSER when it came inside; OUTSIDE when it is outside,
            with CLOSER or FURTHER when it moved, and with FURTHER when it is so only now.
    """
    was_below: bool = before * rules.ONE_BPS < minimum * net_before
    was_above: bool = before * rules.ONE_BPS > maximum * net_before
    if after * rules.ONE_BPS < minimum * net_after:
        if not was_below or after * net_before < before * net_after:
            return OUTSIDE | FURTHER
        return OUTSIDE | CLOSER if after * net_before > before * net_after else OUTSIDE
    if after * rules.ONE_BPS > maximum * net_after:
        if not was_above or after * net_before > before * net_after:
            return OUTSIDE | FURTHER
        return OUTSIDE | CLOSER if after * net_before < before * net_after else OUTSIDE
    return CLOSER if was_below or was_above else 0
