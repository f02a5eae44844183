# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title The breaker's table
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice The conditions other than the drawdown that stop a mandate's vault, and what has to be
        remembered of them; how much, how far and how long is in the mandate's limits. It decides
        nothing: the mandate asks it when somebody trips.

        Clocks of the conditions that must persist: the first record that finds one true starts its
        clock, one that finds it false stops it, so that what holds for a block trips nothing unless it
        holds again when its time is over and nobody has recorded the contrary. And the volatility of
        the value per share: with r the return since the last sample dt seconds ago, the variance per
        year is (variance * window + r**2 * year) / (window + dt), an average whose weights fall off
        over the window; samples stand a 24th of the window apart at least. And how long the health
        factor has been below the trigger, which is what deleveraging pays for: the time between the
        first and the last record that found it there, so that a moment counts for nothing. A record
        that finds it healthy ends that, as does going without a record for fifteen minutes.

        One contract serves every mandate of a chain: what it remembers is kept by mandate, and only
        the mandate itself makes it forget. It calls only views: of the mandate, its vault, and the
        vault's oracle, base asset and venues.
@custom:kill Nobody can disable it; a condition is switched off in the mandate's limits.
"""


from ethereum.ercs import IERC20Detailed
from .interfaces import IAlarms
from .interfaces import IMandate
from .interfaces import IPriceOracle
from .interfaces import IVault
from .modules import breaker
from .modules import limits as rules
from .modules import orders

implements: IAlarms


interface Venue:
    def impaired(vault: address) -> bool: view


struct Reading:
    # Whether every price is live.
    live: bool
    # Whether two sources contradict each other.
    apart: bool
    # USD at 18 decimals per 10**18 base units of the base asset; 0 when not live.
    base_price: uint256


event Recorded:
    mandate: indexed(address)
    clocks: uint256
    variance: uint256


event Heartbeat:
    mandate: indexed(address)
    signer: indexed(address)
    at: uint256


# The oracle's status of an asset whose two sources are apart.
APART_STATUS: constant(uint256) = 6
ONE_BPS: constant(uint256) = 10_000
# Offsets of the clocks, Unix seconds in 40 bits each; 0 while the condition is not known to hold.
DEAD: constant(uint256) = 0
APART: constant(uint256) = 40
OFF_PEG: constant(uint256) = 80
# And of the keeper's last sign of life.
BEAT: constant(uint256) = 120
# The first and the last record of a health factor below the trigger.
LOW: constant(uint256) = 160
STILL_LOW: constant(uint256) = 200

CLOCK: constant(uint256) = 2**40 - 1
SAMPLE_BITS: constant(uint256) = 104
SAMPLE: constant(uint256) = 2**SAMPLE_BITS - 1
TIME: constant(uint256) = 2**48 - 1
ONE: constant(uint256) = 10**18
BPS: constant(uint256) = 10**14
HOUR: constant(uint256) = 3_600
MINUTE: constant(uint256) = 60
YEAR: constant(uint256) = 365 * 86_400
SAMPLES: constant(uint256) = 24
# How soon a low health factor may be recorded again, and after how long it is forgotten.
RENEWAL: constant(uint256) = 300
LAPSE: constant(uint256) = 900


# By mandate: the clocks, at the offsets above.
_clocks: HashMap[address, uint256]
# By mandate: value per share (104 bits) | variance per year at 1e18 << 104 | time of the sample << 208
_sample: HashMap[address, uint256]


# ---------------------------------------------------------------------------------------------
# The mandate's questions
# ---------------------------------------------------------------------------------------------


@external
def reset():
    """
    @notice Stops the caller's clocks and forgets its samples; the keeper's last sign of life stays, or is
            now when there was none. Any mandate, of its own.
    """
    beat: uint256 = self._since(msg.sender, BEAT)
    self._clocks[msg.sender] = (beat if beat > 0 else block.timestamp) << BEAT
    self._sample[msg.sender] = 0


@external
@view
def condition(vault: address, table: uint256, settled_at: uint256) -> IAlarms.Condition:
    """
    @notice What the table of the caller, a mandate, asks for now, first what halts.
    @param vault Whose.
    @param table The mandate's thresholds, packed as its limits keep them.
    @param settled_at Unix seconds of the last settlement, which is a sign of life, too.
    """
    reading: Reading = self._read_oracle(vault, table)
    if not reading.live and self._persists(msg.sender, DEAD, rules._field(table, rules.DEAD_MINUTES)):
        return IAlarms.Condition(state=breaker.HALTED, reason=breaker.DEAD_ORACLE, live=False)
    if reading.apart and self._persists(msg.sender, APART, rules._field(table, rules.APART_MINUTES)):
        return IAlarms.Condition(state=breaker.HALTED, reason=breaker.SOURCES_APART, live=False)
    # Reducing would buy the very asset.
    if self._persists(msg.sender, OFF_PEG, rules._field(table, rules.DEPEG_MINUTES)) and self._is_off_peg(vault, reading, table):
        return IAlarms.Condition(state=breaker.HALTED, reason=breaker.DEPEG, live=reading.live)
    reason: uint256 = breaker.NO_REASON
    if self._is_volatile(msg.sender, rules._field(table, rules.VOLATILITY_TRIP), rules._field(table, rules.VOLATILITY_WINDOW)):
        reason = breaker.VOLATILITY
    elif self._is_silent(msg.sender, rules._field(table, rules.HEARTBEAT_MINUTES), settled_at):
        reason = breaker.NO_HEARTBEAT
    elif self._is_unhealthy(vault, rules._field(table, rules.DELEVERAGE_TRIGGER)):
        reason = breaker.HEALTH_FACTOR
    elif rules._field(table, rules.FROZEN_TRIPS) > 0 and self._is_impaired(vault):
        reason = breaker.FROZEN_RESERVE
    if reason == breaker.NO_REASON:
        return IAlarms.Condition(state=breaker.ACTIVE, reason=reason, live=reading.live)
    # What asks the keeper or a protocol holds whether or not our feeds live.
    live: bool = reading.live and self._has_value(vault)
    return IAlarms.Condition(state=breaker.REDUCE_ONLY, reason=reason, live=live)


# ---------------------------------------------------------------------------------------------
# Anyone
# ---------------------------------------------------------------------------------------------


@external
def poke(mandate: address):
    """
    @notice Records which of the conditions that must persist hold now and whether the health factor is
            below the trigger, and takes the next sample of the value per share. Anyone; reverts when
            there is nothing new to record.
    @param mandate Whose table.
    """
    table: uint256 = staticcall IMandate(mandate).table()
    vault: address = staticcall IMandate(mandate).vault()
    reading: Reading = self._read_oracle(vault, table)
    is_new: bool = False
    if rules._field(table, rules.DEAD_MINUTES) > 0:
        is_new = self._record(mandate, DEAD, not reading.live)
    if rules._field(table, rules.APART_MINUTES) > 0:
        is_new = self._record(mandate, APART, reading.apart) or is_new
    if rules._field(table, rules.DEPEG) > 0 and reading.base_price > 0:
        is_new = self._record(mandate, OFF_PEG, self._is_off_peg(vault, reading, table)) or is_new
    trigger: uint256 = rules._field(table, rules.DELEVERAGE_TRIGGER)
    if trigger > 0:
        is_new = self._record_health(mandate, vault, trigger) or is_new
    window: uint256 = rules._field(table, rules.VOLATILITY_WINDOW)
    if rules._field(table, rules.VOLATILITY_TRIP) > 0 and reading.live and self._is_due(mandate, window):
        self._take_sample(mandate, staticcall IVault(vault).value_per_share(), window)
        is_new = True
    assert is_new, "alarms: nothing to record"
    log Recorded(mandate=mandate, clocks=self._clocks[mandate], variance=self._variance(mandate, window))


@external
def heartbeat(mandate: address, at: uint256, signer: address, signature: Bytes[1024]):
    """
    @notice Shows that the keeper was alive at a time. Anyone who has an authorised signer's word; reverts
            for a time in the future, or not after the last one shown. A settlement is one, too.
    @param mandate Whose keeper.
    @param at Unix seconds.
    @param signature Of keccak256(0x1900, this contract, then in 32 bytes each: chain id, mandate, `at`),
           data for an intended validator of EIP-191.
    """
    assert staticcall IMandate(mandate).is_signer(signer), "orders: unauthorised signer"
    assert at <= block.timestamp and at > self._since(mandate, BEAT), "alarms: not a new heartbeat"
    orders._check_signature(
        signer, keccak256(concat(x"1900", convert(self, bytes20), abi_encode(chain.id, mandate, at))), signature
    )
    self._set_clock(mandate, BEAT, at)
    log Heartbeat(mandate=mandate, signer=signer, at=at)


@external
@view
def last_heartbeat(mandate: address) -> uint256:
    """
    @notice When the keeper last showed that it is alive, Unix seconds; a settlement counts beside it.
    """
    return self._since(mandate, BEAT)


@external
@view
def clocks(mandate: address) -> (uint256, uint256, uint256):
    """
    @notice Since when a price is known to be dead, two sources apart, the base asset off its peg; Unix
            seconds, 0 while not.
    """
    return self._since(mandate, DEAD), self._since(mandate, APART), self._since(mandate, OFF_PEG)


@external
@view
def unhealthy_for(mandate: address) -> uint256:
    """
    @notice Seconds between the first and the last record that found the vault's health factor below the
            trigger; 0 when the last is more than fifteen minutes old or there is none.
    """
    last: uint256 = self._since(mandate, STILL_LOW)
    return last - self._since(mandate, LOW) if block.timestamp <= last + LAPSE else 0


@external
@view
def variance(mandate: address) -> uint256:
    """
    @notice Realised variance of the value per share, a year's at 1e18.
    """
    table: uint256 = staticcall IMandate(mandate).table()
    return self._variance(mandate, rules._field(table, rules.VOLATILITY_WINDOW))


# ---------------------------------------------------------------------------------------------
# Internals: what is seen
# ---------------------------------------------------------------------------------------------


@internal
@view
def _read_oracle(vault: address, table: uint256) -> Reading:
    """
    @dev Without conditions that ask for it everything counts as live, and reading the value reverts
         when it is not.
    """
    reading: Reading = Reading(live=True, apart=False, base_price=0)
    watched: uint256 = (rules.FIELD << rules.DEAD_MINUTES) | (rules.FIELD << rules.APART_MINUTES)
    watched |= (rules.FIELD << rules.DEPEG) | (rules.FIELD << rules.VOLATILITY_TRIP)
    if table & watched == 0:
        return reading
    oracle: address = staticcall IVault(vault).oracle()
    for status: uint256 in staticcall IPriceOracle(oracle).statuses():
        if status != 0:
            reading.live = False
        if status == APART_STATUS:
            reading.apart = True
    live: bool = False
    prices: DynArray[uint256, 16] = []
    live, prices = staticcall IPriceOracle(oracle).try_prices()
    reading.base_price = prices[0]
    return reading


@internal
@view
def _has_value(vault: address) -> bool:
    """
    @dev Whether the value per share can be read.
    """
    return raw_call(vault, method_id("value_per_share()"), is_static_call=True, revert_on_failure=False)


@internal
@view
def _is_off_peg(vault: address, reading: Reading, table: uint256) -> bool:
    """
    @dev Whether a whole base asset is further from one dollar than the mandate says; not known, and so
         not, without a live price.
    """
    base: address = staticcall IVault(vault).asset()
    peg: uint256 = 10 ** (36 - convert(staticcall IERC20Detailed(base).decimals(), uint256))
    apart: uint256 = max(reading.base_price, peg) - min(reading.base_price, peg)
    return reading.base_price > 0 and apart * ONE_BPS > peg * rules._field(table, rules.DEPEG)


@internal
@view
def _is_silent(mandate: address, minutes: uint256, settled_at: uint256) -> bool:
    alive: uint256 = max(self._since(mandate, BEAT), settled_at)
    return minutes > 0 and block.timestamp >= alive + minutes * MINUTE


@internal
@view
def _is_unhealthy(vault: address, trigger_bps: uint256) -> bool:
    return trigger_bps > 0 and staticcall IVault(vault).health() < trigger_bps * BPS


@internal
@view
def _is_impaired(vault: address) -> bool:
    """
    @dev Whether a venue says that a reserve of the vault is paused or frozen.
    """
    for venue: address in staticcall IVault(vault).venues():
        if staticcall Venue(venue).impaired(vault):
            return True
    return False


# ---------------------------------------------------------------------------------------------
# Internals: what is remembered
# ---------------------------------------------------------------------------------------------


@internal
@view
def _since(mandate: address, offset: uint256) -> uint256:
    """
    @dev Since when a condition is known to hold; 0 when it is not.
    """
    return (self._clocks[mandate] >> offset) & CLOCK


@internal
@view
def _persists(mandate: address, offset: uint256, minutes: uint256) -> bool:
    """
    @dev Whether a clock has run for so long; never when no length is set.
    """
    since: uint256 = self._since(mandate, offset)
    return minutes > 0 and since > 0 and block.timestamp >= since + minutes * MINUTE


@internal
def _record(mandate: address, offset: uint256, holds: bool) -> bool:
    """
    @dev Starts or stops a clock.
    @return Whether that changed anything.
    """
    if holds == (self._since(mandate, offset) > 0):
        return False
    self._set_clock(mandate, offset, block.timestamp if holds else 0)
    return True


@internal
def _record_health(mandate: address, vault: address, trigger_bps: uint256) -> bool:
    """
    @dev A health factor that cannot be read says nothing, and keeps nobody from recording the rest.
    @return Whether that changed anything.
    """
    success: bool = False
    response: Bytes[32] = b""
    success, response = raw_call(
        vault, method_id("health()"), max_outsize=32, is_static_call=True, revert_on_failure=False
    )
    if not success or len(response) != 32:
        return False
    last: uint256 = self._since(mandate, STILL_LOW)
    if convert(response, uint256) >= trigger_bps * BPS:
        self._set_clock(mandate, LOW, 0)
        self._set_clock(mandate, STILL_LOW, 0)
        return last > 0
    if block.timestamp > last + LAPSE:
        self._set_clock(mandate, LOW, block.timestamp)
    elif block.timestamp < last + RENEWAL:
        return False
    self._set_clock(mandate, STILL_LOW, block.timestamp)
    return True


@internal
def _set_clock(mandate: address, offset: uint256, at: uint256):
    self._clocks[mandate] = (self._clocks[mandate] & ~(CLOCK << offset)) | (at << offset)


@internal
@view
def _is_due(mandate: address, window_hours: uint256) -> bool:
    """
    @dev Whether the next sample of the value per share may be taken.
    """
    return window_hours > 0 and block.timestamp >= (self._sample[mandate] >> 208) + window_hours * HOUR // SAMPLES


@internal
def _take_sample(mandate: address, value_per_share: uint256, window_hours: uint256):
    """
    @dev The first sample after a reset has nothing to compare with.
    """
    last: uint256 = self._sample[mandate] & SAMPLE
    variance: uint256 = 0
    if last > 0:
        elapsed: uint256 = block.timestamp - (self._sample[mandate] >> 208)
        move: uint256 = (max(value_per_share, last) - min(value_per_share, last)) * ONE // last
        # Saturates far beyond every threshold.
        squared: uint256 = min(move, 2**64) ** 2 // ONE
        window: uint256 = window_hours * HOUR
        variance = ((self._sample[mandate] >> SAMPLE_BITS) & SAMPLE) * window + squared * YEAR
        variance = min(variance // (window + elapsed), SAMPLE)
    self._sample[mandate] = min(value_per_share, SAMPLE) | (variance << SAMPLE_BITS) | (block.timestamp << 208)


@internal
@view
def _variance(mandate: address, window_hours: uint256) -> uint256:
    """
    @dev Variance per year at 1e18 as it stands now: since the last sample as though nothing had moved.
    """
    if self._sample[mandate] == 0:
        return 0
    window: uint256 = window_hours * HOUR
    elapsed: uint256 = block.timestamp - (self._sample[mandate] >> 208)
    return ((self._sample[mandate] >> SAMPLE_BITS) & SAMPLE) * window // (window + elapsed)


@internal
@view
def _is_volatile(mandate: address, trip_bps: uint256, window_hours: uint256) -> bool:
    return trip_bps > 0 and self._variance(mandate, window_hours) >= (trip_bps * BPS) ** 2 // ONE
