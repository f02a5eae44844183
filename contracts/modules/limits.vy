# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title The mandate's limits
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice Keeps the limits in three words, says whether a change only tightens, and judges realised
        holdings. Asset 0 is the base asset. All parameters are basis points.
"""


struct Limits:
    min_weights_bps: DynArray[uint256, 16]
    max_weights_bps: DynArray[uint256, 16]
    loss_capacity_bps: uint256
    loss_refill_bps_per_day: uint256
    turnover_capacity_bps: uint256
    turnover_refill_bps_per_day: uint256
    drawdown_reduce_bps: uint256
    drawdown_halt_bps: uint256
    entry_fee_bps: uint256
    exit_fee_bps: uint256


struct Packed:
    # 16 bits an asset, asset 0 lowest.
    min_weights: uint256
    max_weights: uint256
    # 16 bits a field, at the offsets below.
    policy: uint256


event LimitsSet:
    mandate_hash: indexed(bytes32)
    limits: Limits
    caller: indexed(address)


ONE_BPS: constant(uint256) = 10_000
MAX_FEE_BPS: constant(uint256) = 500
FIELD: constant(uint256) = 2**16 - 1

# Offsets in the policy word: what may only shrink comes first.
LOSS_CAPACITY: constant(uint256) = 0
LOSS_REFILL: constant(uint256) = 16
TURNOVER_CAPACITY: constant(uint256) = 32
TURNOVER_REFILL: constant(uint256) = 48
DRAWDOWN_REDUCE: constant(uint256) = 64
DRAWDOWN_HALT: constant(uint256) = 80
ENTRY_FEE: constant(uint256) = 96
EXIT_FEE: constant(uint256) = 112


_packed: Packed

_COUNT: immutable(uint256)


@deploy
def __init__(limits: Limits):
    """
    @param limits The first limits, one weight pair an asset; reverts when they contradict each other.
    """
    _COUNT = len(limits.min_weights_bps)
    self._set(limits, self._pack(limits, len(limits.min_weights_bps)))


@external
@view
def limits() -> Limits:
    """
    @notice The limits in force.
    """
    packed: Packed = self._packed
    min_weights: DynArray[uint256, 16] = []
    max_weights: DynArray[uint256, 16] = []
    for i: uint256 in range(_COUNT, bound=16):
        min_weights.append(self._weight(packed.min_weights, i))
        max_weights.append(self._weight(packed.max_weights, i))
    return Limits(
        min_weights_bps=min_weights,
        max_weights_bps=max_weights,
        loss_capacity_bps=self._field(packed.policy, LOSS_CAPACITY),
        loss_refill_bps_per_day=self._field(packed.policy, LOSS_REFILL),
        turnover_capacity_bps=self._field(packed.policy, TURNOVER_CAPACITY),
        turnover_refill_bps_per_day=self._field(packed.policy, TURNOVER_REFILL),
        drawdown_reduce_bps=self._field(packed.policy, DRAWDOWN_REDUCE),
        drawdown_halt_bps=self._field(packed.policy, DRAWDOWN_HALT),
        entry_fee_bps=self._field(packed.policy, ENTRY_FEE),
        exit_fee_bps=self._field(packed.policy, EXIT_FEE),
    )


@external
@view
def mandate_hash() -> bytes32:
    """
    @notice Identifies the limits in force here; an order is void when it changes. Tokens and oracle
            are fixed by the vault, which the order's domain names.
    """
    return self._hash(self._packed)


@external
@view
def hash_limits(limits: Limits) -> bytes32:
    """
    @notice The mandate hash that these limits would have. Reverts when they contradict each other.
    """
    return self._hash(self._pack(limits, _COUNT))


@internal
def _set(limits: Limits, packed: Packed):
    """
    @dev Replaces the limits. Without access control.
    """
    self._packed = packed
    log LimitsSet(mandate_hash=self._hash(packed), limits=limits, caller=msg.sender)


@internal
@view
def _hash(packed: Packed) -> bytes32:
    return keccak256(abi_encode(self, packed))


@internal
@view
def _tightens(new: Packed) -> bool:
    """
    @dev Whether no limit becomes looser. Any change of a trip threshold or of a fee counts as
         loosening: a lower threshold lets somebody stop the vault, a higher one lets it sink.
    """
    old: Packed = self._packed
    if old.policy >> DRAWDOWN_REDUCE != new.policy >> DRAWDOWN_REDUCE:
        return False
    for i: uint256 in range(4):
        if self._field(new.policy, i << 4) > self._field(old.policy, i << 4):
            return False
    for i: uint256 in range(_COUNT, bound=16):
        if self._weight(new.min_weights, i) < self._weight(old.min_weights, i):
            return False
        if self._weight(new.max_weights, i) > self._weight(old.max_weights, i):
            return False
    return True


@internal
@view
def _check_weights(
    before: DynArray[uint256, 16],
    total_before: uint256,
    after: DynArray[uint256, 16],
    total_after: uint256,
    reduce_only: bool,
):
    """
    @dev Every realised weight inside its bounds; or each violation no larger than before, at least
         one strictly smaller, none new. Weights are compared by cross-multiplication, exactly.
         When only reducing, the lower bounds of the other assets and the upper bound of the base
         asset do not apply: they would forbid the way out.
    @param before Values before the legs, USD at 18 decimals.
    @param after Values after the legs at the same prices.
    """
    packed: Packed = self._packed
    violated: bool = False
    closer: bool = False
    for i: uint256 in range(_COUNT, bound=16):
        minimum: uint256 = self._weight(packed.min_weights, i)
        maximum: uint256 = self._weight(packed.max_weights, i)
        if reduce_only:
            if i == 0:
                maximum = ONE_BPS
            else:
                minimum = 0
        was_below: bool = before[i] * ONE_BPS < minimum * total_before
        was_above: bool = before[i] * ONE_BPS > maximum * total_before
        weight_before: uint256 = before[i] * total_after
        weight_after: uint256 = after[i] * total_before
        if after[i] * ONE_BPS < minimum * total_after:
            assert was_below and weight_after >= weight_before, "limits: weight"
            violated = True
            closer = closer or weight_after > weight_before
        elif after[i] * ONE_BPS > maximum * total_after:
            assert was_above and weight_after <= weight_before, "limits: weight"
            violated = True
            closer = closer or weight_after < weight_before
        elif was_below or was_above:
            closer = True
    assert closer or not violated, "limits: weight"


@internal
@pure
def _pack(limits: Limits, count: uint256) -> Packed:
    """
    @dev Reverts when the limits cannot all hold or exceed their hard ceilings.
    """
    assert len(limits.min_weights_bps) == count and len(limits.max_weights_bps) == count, "limits: length"
    sum_min: uint256 = 0
    sum_max: uint256 = 0
    min_weights: uint256 = 0
    max_weights: uint256 = 0
    for i: uint256 in range(count, bound=16):
        minimum: uint256 = limits.min_weights_bps[i]
        maximum: uint256 = limits.max_weights_bps[i]
        assert minimum <= maximum, "limits: minimum above maximum"
        assert maximum <= ONE_BPS, "limits: weight above one"
        sum_min += minimum
        sum_max += maximum
        min_weights |= minimum << (i << 4)
        max_weights |= maximum << (i << 4)
    assert sum_min <= ONE_BPS and sum_max >= ONE_BPS, "limits: weights cannot sum to one"
    assert limits.loss_capacity_bps <= ONE_BPS, "limits: loss capacity"
    assert limits.loss_refill_bps_per_day <= ONE_BPS, "limits: loss refill"
    assert limits.turnover_capacity_bps <= FIELD, "limits: turnover capacity"
    assert limits.turnover_refill_bps_per_day <= FIELD, "limits: turnover refill"
    assert limits.drawdown_reduce_bps > 0, "limits: drawdown"
    assert limits.drawdown_reduce_bps <= limits.drawdown_halt_bps, "limits: drawdown"
    assert limits.drawdown_halt_bps <= ONE_BPS, "limits: drawdown"
    assert limits.entry_fee_bps <= MAX_FEE_BPS and limits.exit_fee_bps <= MAX_FEE_BPS, "limits: fee"
    return Packed(
        min_weights=min_weights,
        max_weights=max_weights,
        policy=(
            (limits.loss_capacity_bps << LOSS_CAPACITY)
            | (limits.loss_refill_bps_per_day << LOSS_REFILL)
            | (limits.turnover_capacity_bps << TURNOVER_CAPACITY)
            | (limits.turnover_refill_bps_per_day << TURNOVER_REFILL)
            | (limits.drawdown_reduce_bps << DRAWDOWN_REDUCE)
            | (limits.drawdown_halt_bps << DRAWDOWN_HALT)
            | (limits.entry_fee_bps << ENTRY_FEE)
            | (limits.exit_fee_bps << EXIT_FEE)
        ),
    )


@internal
@pure
def _field(policy: uint256, offset: uint256) -> uint256:
    return (policy >> offset) & FIELD


@internal
@pure
def _weight(packed: uint256, i: uint256) -> uint256:
    return (packed >> (i << 4)) & FIELD
