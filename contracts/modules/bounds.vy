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


# Values below it times a field of 16 bits leave the sign's bit free.
BOUNDED: constant(uint256) = 2**239
# How a bound was kept, as `_compare` finds it.
OUTSIDE: constant(uint256) = 1
CLOSER: constant(uint256) = 2
FURTHER: constant(uint256) = 4
# A maximum of nothing is one basis point over this: what anyone can give.
# A wei, which nobody can sell, would otherwise stop every settlement.
GIFT: constant(uint256) = 1_000


@internal
@pure
def _is_inside(held: uint256[16], net: uint256, bounds: uint256) -> bool:
    """
    @dev Whether the first eight weights are inside their bounds: no difference is negative, that is,
         has its highest bit set. Written out, as a loop takes twice the gas; an asset that is not
         there is nothing between nothing and nothing.
    @param held Values by asset, below BOUNDED as their sum is.
    @param net Net value, not above that sum.
    @param bounds A word of weights.
    """
    return 0 == (
        unsafe_sub(unsafe_mul(held[0], rules.ONE_BPS), unsafe_mul(bounds & rules.FIELD, net))
        | unsafe_sub(unsafe_mul((bounds >> 16) & rules.FIELD, net), unsafe_mul(held[0], rules.ONE_BPS))
        | unsafe_sub(unsafe_mul(held[1], rules.ONE_BPS), unsafe_mul((bounds >> 32) & rules.FIELD, net))
        | unsafe_sub(unsafe_mul((bounds >> 48) & rules.FIELD, net), unsafe_mul(held[1], rules.ONE_BPS))
        | unsafe_sub(unsafe_mul(held[2], rules.ONE_BPS), unsafe_mul((bounds >> 64) & rules.FIELD, net))
        | unsafe_sub(unsafe_mul((bounds >> 80) & rules.FIELD, net), unsafe_mul(held[2], rules.ONE_BPS))
        | unsafe_sub(unsafe_mul(held[3], rules.ONE_BPS), unsafe_mul((bounds >> 96) & rules.FIELD, net))
        | unsafe_sub(unsafe_mul((bounds >> 112) & rules.FIELD, net), unsafe_mul(held[3], rules.ONE_BPS))
        | unsafe_sub(unsafe_mul(held[4], rules.ONE_BPS), unsafe_mul((bounds >> 128) & rules.FIELD, net))
        | unsafe_sub(unsafe_mul((bounds >> 144) & rules.FIELD, net), unsafe_mul(held[4], rules.ONE_BPS))
        | unsafe_sub(unsafe_mul(held[5], rules.ONE_BPS), unsafe_mul((bounds >> 160) & rules.FIELD, net))
        | unsafe_sub(unsafe_mul((bounds >> 176) & rules.FIELD, net), unsafe_mul(held[5], rules.ONE_BPS))
        | unsafe_sub(unsafe_mul(held[6], rules.ONE_BPS), unsafe_mul((bounds >> 192) & rules.FIELD, net))
        | unsafe_sub(unsafe_mul((bounds >> 208) & rules.FIELD, net), unsafe_mul(held[6], rules.ONE_BPS))
        | unsafe_sub(unsafe_mul(held[7], rules.ONE_BPS), unsafe_mul((bounds >> 224) & rules.FIELD, net))
        | unsafe_sub(unsafe_mul(bounds >> 240, net), unsafe_mul(held[7], rules.ONE_BPS))
    ) >> 255


@internal
@pure
def _rest(held: uint256[16]) -> uint256[16]:
    """
    @dev The values that belong to the second word of weights, from the first place on.
    """
    rest: uint256[16] = empty(uint256[16])
    for i: uint256 in range(rules.WORD, 16):
        rest[i - rules.WORD] = held[i]
    return rest


@internal
@view
def _check_weights(
    before: uint256[16],
    net_before: uint256,
    after: uint256[16],
    net_after: uint256,
    packed: rules.Packed,
    reduce_only: bool,
) -> uint256:
    """
    @dev Every weight is inside its bounds or no further from them than before. When only reducing, the
         lower bounds of the other assets and the upper bound of the base asset do not apply: they
         would forbid the way out.
    @param before Values by asset before the legs.
    @param after The same after them, at the same prices.
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
        found |= self._compare(before[i], net_before, after[i], net_after, minimum, maximum)
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
    @dev Holds value over net value against bounds in basis points, by cross-multiplication, exactly;
         a maximum of nothing is a thousandth of a basis point.
    @return 0 when inside before and after; CLOSER when it came inside; OUTSIDE when it is outside,
            with CLOSER or FURTHER when it moved, and with FURTHER when it is so only now.
    """
    was_below: bool = before * rules.ONE_BPS < minimum * net_before
    was_above: bool = before * rules.ONE_BPS > self._most(maximum, net_before)
    if after * rules.ONE_BPS < minimum * net_after:
        if not was_below or after * net_before < before * net_after:
            return OUTSIDE | FURTHER
        return OUTSIDE | CLOSER if after * net_before > before * net_after else OUTSIDE
    if after * rules.ONE_BPS > self._most(maximum, net_after):
        if not was_above or after * net_before > before * net_after:
            return OUTSIDE | FURTHER
        return OUTSIDE | CLOSER if after * net_before < before * net_after else OUTSIDE
    return CLOSER if was_below or was_above else 0


@internal
@pure
def _most(maximum: uint256, net: uint256) -> uint256:
    return maximum * net if maximum > 0 else net // GIFT
