# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title The mandate's limits
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice Keeps the limits in four words and says whether a change only tightens. Asset 0 is the base
        asset. Parameters are basis points unless their name says otherwise; from
        `loss_per_settlement_bps` on, 0 and an empty list mean no such rule. Weights, leverage, venues
        and buffer are fractions of net value: what is held less what is owed.
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
    loss_per_settlement_bps: uint256
    # Everything held over net value.
    max_leverage_bps: uint256
    # Lowest health factor.
    min_health_bps: uint256
    # Least base asset in the wallet.
    min_buffer_bps: uint256
    # Between two settlements.
    cool_down_s: uint256
    # The drawdown counts from the highest value per share of at least this long; 0 for all time.
    peak_window_hours: uint256
    # Held at each venue, in the vault's order.
    max_venues_bps: DynArray[uint256, 4]
    # Below this health factor anyone may deleverage and trip, up to the target, for at most the discount.
    deleverage_trigger_bps: uint256
    deleverage_target_bps: uint256
    deleverage_discount_bps: uint256
    # Annual volatility of value per share that trips, and over how long it is measured.
    volatility_trip_bps: uint256
    volatility_window_hours: uint256
    oracle_dead_minutes: uint256
    sources_apart_minutes: uint256
    # How far the base asset may be off one dollar, and for how long.
    depeg_bps: uint256
    depeg_minutes: uint256
    heartbeat_minutes: uint256
    # 1: a paused or frozen reserve trips.
    frozen_trips: uint256


struct Packed:
    # Minimum and maximum weight in 16 bits each, lowest first; assets 0 to 7, then 8 to 15.
    weights: uint256
    more_weights: uint256
    # 16 bits a field, at the offsets below; a digest of `_more` in the 32 highest.
    policy: uint256


event LimitsSet:
    mandate_hash: indexed(bytes32)
    limits: Limits
    caller: indexed(address)


ONE_BPS: constant(uint256) = 10_000
BPS: constant(uint256) = 10**14
MAX_DISCOUNT_BPS: constant(uint256) = 2_000
# A maximum that nothing reaches, and that times a value does not overflow.
UNBOUNDED: constant(uint256) = 2**64
MAX_FEE_BPS: constant(uint256) = 500
FIELD: constant(uint256) = 2**16 - 1
# Assets whose weights a word holds.
WORD: constant(uint256) = 8

# Offsets in the policy word: what may only shrink comes first.
LOSS_CAPACITY: constant(uint256) = 0
LOSS_REFILL: constant(uint256) = 16
TURNOVER_CAPACITY: constant(uint256) = 32
TURNOVER_REFILL: constant(uint256) = 48
DRAWDOWN_REDUCE: constant(uint256) = 64
DRAWDOWN_HALT: constant(uint256) = 80
ENTRY_FEE: constant(uint256) = 96
EXIT_FEE: constant(uint256) = 112
LOSS_EACH: constant(uint256) = 128
LEVERAGE: constant(uint256) = 144
HEALTH: constant(uint256) = 160
BUFFER: constant(uint256) = 176
COOL_DOWN: constant(uint256) = 192
PEAK_WINDOW: constant(uint256) = 208
DIGEST: constant(uint256) = 224
# Fields that a vault without debt and positions leaves empty.
LENDING: constant(uint256) = (FIELD << LEVERAGE) | (FIELD << HEALTH) | (FIELD << BUFFER)

# Offsets in the other word: the venues' caps, then the breaker's table.
VENUES: constant(uint256) = 0
DELEVERAGE_TRIGGER: constant(uint256) = 64
DELEVERAGE_TARGET: constant(uint256) = 80
DELEVERAGE_DISCOUNT: constant(uint256) = 96
VOLATILITY_TRIP: constant(uint256) = 112
VOLATILITY_WINDOW: constant(uint256) = 128
DEAD_MINUTES: constant(uint256) = 144
APART_MINUTES: constant(uint256) = 160
DEPEG: constant(uint256) = 176
DEPEG_MINUTES: constant(uint256) = 192
HEARTBEAT_MINUTES: constant(uint256) = 208
FROZEN_TRIPS: constant(uint256) = 224


_packed: Packed
# 16 bits a field, at the offsets above; read only where `_packed` does not tell enough.
_more: uint256

_COUNT: immutable(uint256)


@deploy
def __init__(limits: Limits):
    """
    @param limits The first limits, one weight pair an asset; reverts when they contradict each other.
    """
    _COUNT = len(limits.min_weights_bps)
    more: uint256 = self._pack_more(limits)
    self._set(limits, self._pack(limits, len(limits.min_weights_bps), more), more)


@external
@view
def limits() -> Limits:
    """
    @notice The limits in force.
    """
    packed: Packed = self._load()
    more: uint256 = self._more
    min_weights: DynArray[uint256, 16] = []
    max_weights: DynArray[uint256, 16] = []
    venues: DynArray[uint256, 4] = []
    for i: uint256 in range(_COUNT, bound=16):
        min_weights.append(self._minimum(packed, i))
        max_weights.append(self._maximum(packed, i))
    for i: uint256 in range(4):
        cap: uint256 = self._venue_cap(more, i)
        if cap == FIELD:
            break
        venues.append(cap)
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
        loss_per_settlement_bps=self._field(packed.policy, LOSS_EACH),
        max_leverage_bps=self._field(packed.policy, LEVERAGE),
        min_health_bps=self._field(packed.policy, HEALTH),
        min_buffer_bps=self._field(packed.policy, BUFFER),
        cool_down_s=self._field(packed.policy, COOL_DOWN),
        peak_window_hours=self._field(packed.policy, PEAK_WINDOW),
        max_venues_bps=venues,
        deleverage_trigger_bps=self._field(more, DELEVERAGE_TRIGGER),
        deleverage_target_bps=self._field(more, DELEVERAGE_TARGET),
        deleverage_discount_bps=self._field(more, DELEVERAGE_DISCOUNT),
        volatility_trip_bps=self._field(more, VOLATILITY_TRIP),
        volatility_window_hours=self._field(more, VOLATILITY_WINDOW),
        oracle_dead_minutes=self._field(more, DEAD_MINUTES),
        sources_apart_minutes=self._field(more, APART_MINUTES),
        depeg_bps=self._field(more, DEPEG),
        depeg_minutes=self._field(more, DEPEG_MINUTES),
        heartbeat_minutes=self._field(more, HEARTBEAT_MINUTES),
        frozen_trips=self._field(more, FROZEN_TRIPS),
    )


@external
@view
def mandate_hash() -> bytes32:
    """
    @notice Identifies the limits in force here to orders, which are void when it changes. Of the
            venues' caps and the breaker's table it carries 32 bits: it approves no limits, see
            `hash_limits`. Tokens and oracle are fixed by the vault, which the order's domain names.
    """
    return self._hash(self._load())


@external
@view
def hash_limits(limits: Limits) -> bytes32:
    """
    @notice What the owner approves to have these limits set: a hash of all of them. Reverts when they
            contradict each other.
    """
    more: uint256 = self._pack_more(limits)
    return self._whole_hash(self._pack(limits, _COUNT, more), more)


@internal
def _set(limits: Limits, packed: Packed, more: uint256):
    """
    @dev Replaces the limits. Without access control.
    """
    self._packed = packed
    self._more = more
    log LimitsSet(mandate_hash=self._hash(packed), limits=limits, caller=msg.sender)


@internal
@view
def _load() -> Packed:
    """
    @dev The second word of weights is empty, and not read, up to eight assets.
    """
    return Packed(
        weights=self._packed.weights,
        more_weights=self._packed.more_weights if _COUNT > WORD else 0,
        policy=self._packed.policy,
    )


@internal
@view
def _hash(packed: Packed) -> bytes32:
    return keccak256(abi_encode(self, packed))


@internal
@view
def _whole_hash(packed: Packed, more: uint256) -> bytes32:
    """
    @dev Of every bit: 32 bits of digest keep apart what the owner knows of, but not what somebody sought.
    """
    return keccak256(abi_encode(self, packed, more))


@internal
@view
def _tightens(new: Packed, more: uint256) -> bool:
    """
    @dev Whether no limit becomes looser. Any change of the breaker's table, of what deleveraging pays
         or of a fee counts as loosening: a lower threshold lets somebody stop the vault, a higher one
         lets it sink.
    """
    old: Packed = self._load()
    both_ways: uint256 = (2**64 - 1 << DRAWDOWN_REDUCE) | (FIELD << PEAK_WINDOW)
    if (old.policy ^ new.policy) & both_ways != 0 or (self._more ^ more) >> DELEVERAGE_TRIGGER != 0:
        return False
    for i: uint256 in range(4):
        if self._field(new.policy, i << 4) > self._field(old.policy, i << 4):
            return False
        if self._venue_cap(more, i) > self._venue_cap(self._more, i):
            return False
    for offset: uint256 in [HEALTH, BUFFER, COOL_DOWN]:
        if self._field(new.policy, offset) < self._field(old.policy, offset):
            return False
    for offset: uint256 in [LOSS_EACH, LEVERAGE]:
        if self._cap(new.policy, offset) > self._cap(old.policy, offset):
            return False
    for i: uint256 in range(_COUNT, bound=16):
        if self._minimum(new, i) < self._minimum(old, i) or self._maximum(new, i) > self._maximum(old, i):
            return False
    return True


@internal
@pure
def _pack(limits: Limits, count: uint256, more: uint256) -> Packed:
    """
    @dev Reverts when the limits cannot all hold or exceed their hard ceilings.
    @param more As `_pack_more` gives it.
    """
    assert len(limits.min_weights_bps) == count and len(limits.max_weights_bps) == count, "limits: length"
    # Held on credit, weights of net value may sum to the leverage.
    most: uint256 = max(ONE_BPS, limits.max_leverage_bps)
    sum_min: uint256 = 0
    sum_max: uint256 = 0
    weights: uint256[2] = [0, 0]
    for i: uint256 in range(count, bound=16):
        minimum: uint256 = limits.min_weights_bps[i]
        maximum: uint256 = limits.max_weights_bps[i]
        assert minimum <= maximum, "limits: minimum above maximum"
        assert maximum <= most, "limits: weight above one"
        sum_min += minimum
        sum_max += maximum
        weights[i // WORD] |= (minimum | (maximum << 16)) << ((i % WORD) << 5)
    assert sum_min <= most and sum_max >= ONE_BPS, "limits: weights cannot sum to one"
    assert limits.loss_capacity_bps <= ONE_BPS, "limits: loss capacity"
    assert limits.loss_refill_bps_per_day <= ONE_BPS, "limits: loss refill"
    assert limits.turnover_capacity_bps <= FIELD, "limits: turnover capacity"
    assert limits.turnover_refill_bps_per_day <= FIELD, "limits: turnover refill"
    assert limits.drawdown_reduce_bps > 0, "limits: drawdown"
    assert limits.drawdown_reduce_bps <= limits.drawdown_halt_bps, "limits: drawdown"
    assert limits.drawdown_halt_bps <= ONE_BPS, "limits: drawdown"
    assert limits.entry_fee_bps <= MAX_FEE_BPS and limits.exit_fee_bps <= MAX_FEE_BPS, "limits: fee"
    assert limits.max_leverage_bps == 0 or limits.max_leverage_bps >= ONE_BPS, "limits: leverage below one"
    assert limits.min_buffer_bps <= limits.max_weights_bps[0], "limits: buffer above the base asset's weight"
    return Packed(
        weights=weights[0],
        more_weights=weights[1],
        policy=(
            (limits.loss_capacity_bps << LOSS_CAPACITY)
            | (limits.loss_refill_bps_per_day << LOSS_REFILL)
            | (limits.turnover_capacity_bps << TURNOVER_CAPACITY)
            | (limits.turnover_refill_bps_per_day << TURNOVER_REFILL)
            | (limits.drawdown_reduce_bps << DRAWDOWN_REDUCE)
            | (limits.drawdown_halt_bps << DRAWDOWN_HALT)
            | (limits.entry_fee_bps << ENTRY_FEE)
            | (limits.exit_fee_bps << EXIT_FEE)
            | self._put(limits.loss_per_settlement_bps, LOSS_EACH)
            | self._put(limits.max_leverage_bps, LEVERAGE)
            | self._put(limits.min_health_bps, HEALTH)
            | self._put(limits.min_buffer_bps, BUFFER)
            | self._put(limits.cool_down_s, COOL_DOWN)
            | self._put(limits.peak_window_hours, PEAK_WINDOW)
            | (convert(keccak256(convert(more, bytes32)), uint256) >> DIGEST << DIGEST)
        ),
    )


@internal
@pure
def _pack_more(limits: Limits) -> uint256:
    """
    @dev The venues' caps, which are none where the list ends, and the breaker's table.
    """
    caps: uint256 = 0
    for i: uint256 in range(4):
        if i < len(limits.max_venues_bps):
            assert limits.max_venues_bps[i] < FIELD, "limits: venue"
            caps |= limits.max_venues_bps[i] << (i << 4)
        else:
            caps |= FIELD << (i << 4)
    if limits.deleverage_trigger_bps > 0:
        # Above the trigger there would be nothing to do, at one a liquidation.
        assert limits.deleverage_trigger_bps > ONE_BPS, "limits: deleverage"
        assert limits.deleverage_target_bps > limits.deleverage_trigger_bps, "limits: deleverage"
        assert limits.deleverage_discount_bps <= MAX_DISCOUNT_BPS, "limits: deleverage"
        # Where a settlement may leave it, nobody is paid to mend it.
        assert limits.min_health_bps >= limits.deleverage_trigger_bps, "limits: deleverage"
    assert limits.volatility_trip_bps == 0 or limits.volatility_window_hours > 0, "limits: volatility"
    assert limits.depeg_bps == 0 or limits.depeg_minutes > 0, "limits: depeg"
    assert limits.frozen_trips <= 1, "limits: frozen"
    return (
        caps
        | self._put(limits.deleverage_trigger_bps, DELEVERAGE_TRIGGER)
        | self._put(limits.deleverage_target_bps, DELEVERAGE_TARGET)
        | self._put(limits.deleverage_discount_bps, DELEVERAGE_DISCOUNT)
        | self._put(limits.volatility_trip_bps, VOLATILITY_TRIP)
        | self._put(limits.volatility_window_hours, VOLATILITY_WINDOW)
        | self._put(limits.oracle_dead_minutes, DEAD_MINUTES)
        | self._put(limits.sources_apart_minutes, APART_MINUTES)
        | self._put(limits.depeg_bps, DEPEG)
        | self._put(limits.depeg_minutes, DEPEG_MINUTES)
        | self._put(limits.heartbeat_minutes, HEARTBEAT_MINUTES)
        | self._put(limits.frozen_trips, FROZEN_TRIPS)
    )


@internal
@pure
def _put(limit: uint256, offset: uint256) -> uint256:
    assert limit <= FIELD, "limits: past 16 bits"
    return limit << offset


@internal
@pure
def _field(policy: uint256, offset: uint256) -> uint256:
    return (policy >> offset) & FIELD


@internal
@pure
def _cap(policy: uint256, offset: uint256) -> uint256:
    """
    @dev A field in which 0 means no limit.
    """
    cap: uint256 = self._field(policy, offset)
    return cap if cap > 0 else UNBOUNDED


@internal
@pure
def _minimum(packed: Packed, i: uint256) -> uint256:
    return self._bounds(packed, i) & FIELD


@internal
@pure
def _maximum(packed: Packed, i: uint256) -> uint256:
    return (self._bounds(packed, i) >> 16) & FIELD


@internal
@pure
def _bounds(packed: Packed, i: uint256) -> uint256:
    """
    @dev Minimum and maximum weight of an asset, lowest.
    """
    return (packed.weights if i < WORD else packed.more_weights) >> ((i % WORD) << 5)


@internal
@pure
def _venue_cap(more: uint256, v: uint256) -> uint256:
    return self._field(more, VENUES + (v << 4))
