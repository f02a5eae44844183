# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title The mandate of one vault
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice Who may do what, which outcomes are refused, and when the vault stops. The vault reports what
        a settlement, deposit or redemption would leave behind; what breaks the mandate reverts there.
        It holds no tokens and calls its vault's value per share and the breaker's table. One mandate
        serves one vault: the first that binds itself, in its constructor.

        Deposits and redemptions are not held against the bounds: they move weights, leverage, venues
        and buffer as far as their size does, and the next settlement has to come closer. A settlement
        in the transaction of a deposit is refused, so that every bound is a fraction of the value that
        the vault had when the transaction began.
@custom:kill The guardian, curator or owner raise the breaker; anyone does when a condition of its
             table holds. It cannot stop redemption in kind, which only asks it for the exit fee.
"""


from snekmate.auth import ownable
from snekmate.auth import ownable_2step
from .interfaces import IAlarms
from .interfaces import IMandate
from .interfaces import IVault
from .modules import bounds
from .modules import breaker
from .modules import fees
from .modules import limits as rules
from .modules import loss_budget
from .modules import roles
from .modules import standing

implements: IMandate

initializes: ownable
initializes: ownable_2step[ownable := ownable]
initializes: rules
initializes: bounds[rules := rules]
initializes: standing
initializes: roles[ownable := ownable, standing := standing]
initializes: loss_budget[standing := standing]
initializes: breaker[standing := standing]

exports: (
    ownable_2step.owner,
    ownable_2step.pending_owner,
    ownable_2step.transfer_ownership,
    roles.curator,
    roles.guardian,
    roles.is_signer,
    roles.delay,
    roles.add_signer,
    roles.remove_signer,
    roles.set_curator,
    roles.set_guardian,
    rules.limits,
    rules.mandate_hash,
    rules.hash_limits,
    breaker.breaker_state,
    breaker.breaker_reason,
    breaker.tripped_at,
)


ONE: constant(uint256) = 10**18
BPS: constant(uint256) = 10**14


event LimitsApproved:
    limits_hash: indexed(bytes32)


# Seconds in which what deleveraging pays grows from nothing to the limit.
AUCTION: constant(uint256) = 1_800

# Knows the conditions besides the drawdown.
alarms: public(immutable(address))

# Hash of limits that the owner allows to be set although something loosens.
approved_limits: public(bytes32)

# Whether this transaction has deposited.
_has_entered: transient(bool)


@deploy
def __init__(
    limits: rules.Limits,
    owner: address,
    curator: address,
    guardian: address,
    signers: DynArray[address, 8],
    delay: uint256,
    alarms_: address,
):
    """
    @param limits The first limits, in the order of the vault's assets.
    @param owner Appoints roles and loosens; a timelock of at least the delay.
    @param curator Tightens.
    @param guardian Stops.
    @param signers Authorise settlements.
    @param delay Seconds that everything the owner does must have waited.
    @param alarms_ The chain's Alarms contract.
    """
    ownable.__init__()
    ownable_2step.__init__()
    roles.__init__(owner, curator, guardian, signers, delay)
    rules.__init__(limits)
    alarms = alarms_
    extcall IAlarms(alarms_).reset()


# ---------------------------------------------------------------------------------------------
# The vault's questions
# ---------------------------------------------------------------------------------------------


@external
def bind(count: uint256):
    """
    @notice Makes the caller the vault of this mandate, for which the first signers sign. Any vault, in its
            constructor; reverts when another was first or has another number of assets.
    @param count Number of the vault's assets.
    """
    assert standing._vault() == empty(address), "mandate: bound"
    assert count == rules._COUNT, "mandate: other assets"
    standing._seat |= convert(msg.sender, uint256)
    roles._add_first_signers()


@external
def judge(
    signer: address,
    mandate_hash: bytes32,
    before: IMandate.Book,
    after: IMandate.Book,
    change: IMandate.Change,
    venues: uint256,
) -> uint256:
    """
    @notice Charges the budgets for a settlement. Only the vault; reverts when the signer is not
            authorised, the order was made under other limits, the vault is halted, the last settlement
            was too recent or a deposit was made in this transaction, or when the outcome breaks the
            loss limits, the turnover budget, a weight, the leverage, a venue's cap, the buffer or the
            health factor, unless it brings what stood outside closer; and, while only reducing, when
            it raises the balance of anything but the base asset, or the leverage. Finding the drawdown
            condition true latches it.
    @param before What was held and owed, USD at 18 decimals.
    @param after The same after the legs, at the same prices.
    @param change What the legs changed.
    @param venues Number of the vault's venues.
    @return Fractions at 1e18: loss << 192 | turnover << 128 | level of losses << 64 | level of turnover.
    """
    # Zero is nobody's address.
    signs: bool = roles._signs_for[signer] == msg.sender
    if not signs:
        self._check_vault()
    assert not self._has_entered, "limits: deposit in this transaction"
    assert signs, "orders: unauthorised signer"
    packed: rules.Packed = rules._load()
    assert mandate_hash == rules._hash(packed), "orders: wrong mandate"
    policy: uint256 = packed.policy
    tally: uint256 = standing._tally
    cool_down: uint256 = (policy >> rules.COOL_DOWN) & rules.FIELD
    if cool_down > 0:
        assert block.timestamp >= standing._time(tally, standing.SETTLED_AT) + cool_down, "limits: cooling down"
    window: uint256 = (policy >> rules.PEAK_WINDOW) & rules.FIELD
    tally = self._settle_state(change.per_share_before, policy, tally, breaker._peak(tally, window))
    reduce_only: bool = breaker._state_of(tally) == breaker.REDUCE_ONLY
    # Every asset but the base asset, which is bit 0.
    assert not reduce_only or change.risen >> 1 == 0, "limits: risk increased"

    net_before: uint256 = before.net
    net_after: uint256 = after.net
    assert net_before > 0, "mandate: empty vault"
    assert net_after > 0, "mandate: insolvent"
    has_positions: bool = venues > 0 or policy & rules.LENDING != 0
    # Nearly always all that there is to ask.
    is_plain: bool = not reduce_only and not has_positions and after.gross < bounds.BOUNDED
    if not is_plain or not (
        bounds._is_inside(after.held, net_after, packed.weights)
        and (
            rules._COUNT <= rules.WORD
            or bounds._is_inside(bounds._rest(after.held), net_after, packed.more_weights)
        )
    ):
        found: uint256 = bounds._check_weights(before.held, net_before, after.held, net_after, packed, reduce_only)
        if has_positions:
            found |= bounds._check_positions(before, after, policy, venues, reduce_only)
        assert found & (bounds.OUTSIDE | bounds.CLOSER) != bounds.OUTSIDE, "limits: weight"

    loss: uint256 = 0
    if net_after < net_before:
        loss = fees._ceil_div(unsafe_sub(net_before, net_after) * ONE, net_before)
        assert loss <= unsafe_mul(rules._cap(policy, rules.LOSS_EACH), BPS), "limits: loss of a settlement"
    # The larger of what was bought and what was sold, net by asset: what a lagging oracle can hide
    # in a settlement is the net change of each exposure times that oracle's error.
    turnover: uint256 = fees._ceil_div(max(change.bought, change.sold) * ONE, net_before)
    loss_level: uint256 = 0
    turnover_level: uint256 = 0
    tally, loss_level, turnover_level = loss_budget._charge(tally, policy, loss, turnover)
    standing._tally = breaker._observe(tally, change.per_share_after, window)
    # All are below 2**64: no capacity is above 2**16 basis points, and no charge above its level.
    return (loss << 192) | (turnover << 128) | (loss_level << 64) | turnover_level


@external
def enter(value_per_share: uint256, first: bool) -> uint256:
    """
    @notice Only the vault, before a deposit; reverts unless ACTIVE with no drawdown standing. What the
            depositor's fee adds is no gain to measure a drawdown from.
    @param value_per_share Before the deposit.
    @param first Whether the vault has no shares: its peak then starts anew.
    @return The entry fee in basis points.
    """
    self._check_vault()
    self._has_entered = True
    policy: uint256 = rules._packed.policy
    if first:
        breaker._rebase(value_per_share)
        extcall IAlarms(alarms).reset()
    assert breaker._observe_entry(
        value_per_share, rules._field(policy, rules.PEAK_WINDOW), rules._field(policy, rules.DRAWDOWN_REDUCE)
    ), "breaker: not active"
    return rules._field(policy, rules.ENTRY_FEE)


@external
def leave(value_per_share_after: uint256):
    """
    @notice Only the vault, on a priced redemption; reverts when HALTED.
    """
    self._check_vault()
    tally: uint256 = standing._tally
    assert breaker._state_of(tally) != breaker.HALTED, "breaker: halted"
    standing._tally = breaker._observe(tally, value_per_share_after, self._peak_window())


@external
@view
def vault() -> address:
    """
    @notice The vault that this mandate judges; set once.
    """
    return standing._vault()


@external
@view
def terms() -> IMandate.Terms:
    """
    @notice The breaker's state and the fees in basis points.
    """
    policy: uint256 = rules._packed.policy
    return IMandate.Terms(
        state=breaker._state(),
        entry_fee_bps=rules._field(policy, rules.ENTRY_FEE),
        exit_fee_bps=rules._field(policy, rules.EXIT_FEE),
    )


@external
@view
def is_open(value_per_share: uint256) -> bool:
    """
    @notice Whether deposits are taken at this value per share: no state is latched, and no drawdown
            waits for somebody to trip.
    """
    policy: uint256 = rules._packed.policy
    peak: uint256 = breaker._peak(standing._tally, rules._field(policy, rules.PEAK_WINDOW))
    return max(breaker._state(), self._drawdown(value_per_share, policy, peak)) == breaker.ACTIVE


@external
@view
def may_cancel(account: address) -> bool:
    """
    @notice Whether an account may cancel orders: signers, curator, guardian and owner may.
    """
    return roles._signs_for[account] != empty(address) or account in [ownable.owner, roles.curator, roles.guardian]


@external
@view
def deleverage_terms(health: uint256) -> (bool, uint256, uint256):
    """
    @notice Whether anyone may deleverage the vault now: below the trigger, or when it is halted; never
            without a trigger. The discount is a Dutch auction's: from nothing to the limit in half an
            hour, of the time for which the alarms have it on record that the vault is below the
            trigger, or since it was halted.
    @param health The vault's health factor at 1e18.
    @return Whether; the health factor at 1e18 up to which; the discount in basis points, rounded down.
    """
    more: uint256 = rules._more
    trigger: uint256 = rules._field(more, rules.DELEVERAGE_TRIGGER) * BPS
    target: uint256 = rules._field(more, rules.DELEVERAGE_TARGET) * BPS
    is_halted: bool = breaker._state() == breaker.HALTED
    waited: uint256 = staticcall IAlarms(alarms).unhealthy_for(self)
    if is_halted:
        waited = max(waited, block.timestamp - breaker._tripped_at())
    discount: uint256 = rules._field(more, rules.DELEVERAGE_DISCOUNT) * min(waited, AUCTION) // AUCTION
    return trigger > 0 and (health < trigger or (is_halted and health < target)), target, discount


# ---------------------------------------------------------------------------------------------
# Breaker
# ---------------------------------------------------------------------------------------------


@external
def trip() -> uint256:
    """
    @notice Applies the breaker's table. Anyone; reverts when no condition asks for a higher state. What
            a block's manipulation can make true must have been recorded the mandate's time ago, by
            `poke` of the alarms, and be true now. Conditions of value per share need live prices; what
            asks the keeper or a protocol needs none.
    @return The new state.
    """
    policy: uint256 = rules._packed.policy
    vault: address = standing._vault()
    found: IAlarms.Condition = staticcall IAlarms(alarms).condition(vault, rules._more, loss_budget._settled_at())
    per_share: uint256 = 0
    if found.live:
        per_share = staticcall IVault(vault).value_per_share()
        drawdown: uint256 = self._drawdown(per_share, policy, breaker._peak(standing._tally, self._peak_window()))
        if drawdown > found.state:
            found.state = drawdown
            found.reason = breaker.DRAWDOWN
    assert found.state > breaker._state(), "breaker: no condition"
    breaker._raise_to(found.state, found.reason, per_share, rules._field(policy, rules.PEAK_WINDOW))
    return found.state


@external
@view
def table() -> uint256:
    """
    @notice The thresholds of the breaker's table, packed as the limits keep them.
    """
    return rules._more


@external
@view
def settled_at() -> uint256:
    """
    @notice Unix seconds of the last settlement; 0 before the first.
    """
    return loss_budget._settled_at()


@external
@view
def peak() -> uint256:
    """
    @notice Highest value per share that a transaction of the vault has seen since the last rebase, in
            the window that the limits set.
    """
    return breaker._peak(standing._tally, self._peak_window())


@external
def guardian_trip(state: uint256):
    """
    @notice Raises the breaker without a condition. Guardian, curator or owner; reverts unless the
            state is higher than the present one.
    @param state 1 REDUCE_ONLY or 2 HALTED.
    """
    roles._check_stopper()
    breaker._raise_to(state, breaker.GUARDIAN, 0, self._peak_window())


@external
def resume(state: uint256, reason: uint256, tripped_at: uint256):
    """
    @notice Back to ACTIVE, with the peak rebased to the present value per share and the clocks stopped.
            Only the owner; reverts when the breaker stands elsewhere than the owner saw, or a price is
            not live. Naming the trip's time, no recovery can be kept in store for the next one.
    @param state The state that the owner saw.
    @param reason The reason that the owner saw.
    @param tripped_at When it was tripped, Unix seconds.
    """
    ownable._check_owner()
    breaker._resume(state, reason, tripped_at, staticcall IVault(standing._vault()).value_per_share())
    extcall IAlarms(alarms).reset()


# ---------------------------------------------------------------------------------------------
# Limits and ownership
# ---------------------------------------------------------------------------------------------


@external
def set_limits(new: rules.Limits):
    """
    @notice Replaces the limits and voids open orders. Curator or owner at once when no limit becomes
            looser; anyone when the owner approved these very limits, once, and none were set since.
            Reverts when the limits contradict each other.
    """
    more: uint256 = rules._pack_more(new)
    packed: rules.Packed = rules._pack(new, rules._COUNT, more)
    if rules._whole_hash(packed, more) != self.approved_limits:
        roles._check_manager()
        assert rules._tightens(packed, more), "limits: looser and not approved"
    self.approved_limits = empty(bytes32)
    policy: uint256 = rules._packed.policy
    loss_budget._settle_leak(policy)
    window: uint256 = rules._field(policy, rules.PEAK_WINDOW)
    if window > 0 and new.peak_window_hours == 0:
        breaker._join_epochs(window)
    rules._set(new, packed, more)


@external
def approve_limits(limits_hash: bytes32):
    """
    @notice Allows limits to be set although something loosens. Only the owner; replaces what it
            approved before, and zero withdraws it.
    @param limits_hash As `hash_limits` tells it.
    """
    ownable._check_owner()
    self.approved_limits = limits_hash
    log LimitsApproved(limits_hash=limits_hash)


@external
def accept_ownership():
    """
    @notice Only who was offered the ownership; reverts unless it is a timelock of at least the delay.
    """
    roles._check_timelock(msg.sender, roles.delay)
    assert msg.sender == ownable_2step.pending_owner, "ownable_2step: caller is not the new owner"
    ownable_2step._transfer_ownership(msg.sender)


@external
@view
def loss_level() -> uint256:
    """
    @notice Fraction at 1e18 that stands in the loss bucket now.
    """
    return loss_budget._levels(rules._packed.policy).loss


@external
@view
def turnover_level() -> uint256:
    """
    @notice Fraction at 1e18 that stands in the turnover bucket now.
    """
    return loss_budget._levels(rules._packed.policy).turnover


# ---------------------------------------------------------------------------------------------
# Internals
# ---------------------------------------------------------------------------------------------


@internal
@view
def _check_vault():
    assert msg.sender == standing._vault(), "mandate: not the vault"


@internal
def _settle_state(per_share: uint256, policy: uint256, tally: uint256, peak: uint256) -> uint256:
    """
    @dev A settlement that finds the drawdown latches it first and is judged in the new state.
         Reverts when halted.
    @return The tally in that state.
    """
    condition: uint256 = self._drawdown(per_share, policy, peak)
    state: uint256 = breaker._state_of(tally)
    assert max(state, condition) != breaker.HALTED, "breaker: halted"
    if condition > state:
        breaker._raise_to(condition, breaker.DRAWDOWN, per_share, rules._field(policy, rules.PEAK_WINDOW))
        return standing._tally
    return tally


@internal
@view
def _peak_window() -> uint256:
    return rules._field(rules._packed.policy, rules.PEAK_WINDOW)


@internal
@view
def _drawdown(per_share: uint256, policy: uint256, peak: uint256) -> uint256:
    return breaker._condition(
        per_share,
        peak,
        (policy >> rules.DRAWDOWN_REDUCE) & rules.FIELD,
        (policy >> rules.DRAWDOWN_HALT) & rules.FIELD,
    )
