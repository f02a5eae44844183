# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title The mandate of one vault
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice Who may do what, which outcomes are refused, and when the vault stops. The vault reports what
        a settlement, deposit or redemption would leave behind; what breaks the mandate reverts there.
        It holds no tokens and calls nothing but its vault's value per share. One mandate serves one
        vault: the first that binds itself, in its constructor.
@custom:kill The guardian, curator or owner raise the breaker; anyone does when a condition of its
             table holds. It cannot stop redemption in kind, which only asks it for the exit fee.
"""


from snekmate.auth import ownable
from snekmate.auth import ownable_2step
from .interfaces import IMandate
from .interfaces import IVault
from .modules import breaker
from .modules import fees
from .modules import limits as rules
from .modules import loss_budget
from .modules import roles

implements: IMandate

initializes: ownable
initializes: ownable_2step[ownable := ownable]
initializes: roles[ownable := ownable]
initializes: rules
initializes: loss_budget
initializes: breaker

exports: (
    ownable_2step.owner,
    ownable_2step.pending_owner,
    ownable_2step.transfer_ownership,
    ownable_2step.accept_ownership,
    roles.curator,
    roles.guardian,
    roles.is_signer,
    roles.ready_at,
    roles.delay,
    roles.schedule,
    roles.unschedule,
    roles.add_signer,
    roles.remove_signer,
    roles.set_curator,
    roles.set_guardian,
    rules.limits,
    rules.mandate_hash,
    rules.hash_limits,
    breaker.breaker_state,
    breaker.breaker_reason,
    breaker.peak,
)


ONE: constant(uint256) = 10**18


# The vault this mandate judges; set once.
vault: public(address)


@deploy
def __init__(
    limits: rules.Limits,
    owner: address,
    curator: address,
    guardian: address,
    signers: DynArray[address, 8],
    delay: uint256,
):
    """
    @param limits The first limits, in the order of the vault's assets.
    @param owner Appoints roles and schedules loosening.
    @param curator Tightens.
    @param guardian Stops.
    @param signers Authorise settlements.
    @param delay Seconds that loosening waits.
    """
    ownable.__init__()
    ownable_2step.__init__()
    roles.__init__(owner, curator, guardian, signers, delay)
    rules.__init__(limits)


# ---------------------------------------------------------------------------------------------
# The vault's questions
# ---------------------------------------------------------------------------------------------


@external
def bind(count: uint256):
    """
    @notice Makes the caller the vault of this mandate. Any vault, in its constructor; reverts when
            another was first or has another number of assets.
    @param count Number of the vault's assets.
    """
    assert self.vault == empty(address), "mandate: bound"
    assert count == rules._COUNT, "mandate: other assets"
    self.vault = msg.sender


@external
def judge(
    signer: address,
    mandate_hash: bytes32,
    before: IMandate.Book,
    after: IMandate.Book,
    risen: uint256,
    per_share_before: uint256,
    per_share_after: uint256,
) -> IMandate.Outcome:
    """
    @notice Charges the budgets for a settlement. Only the vault; reverts when the signer is not
            authorised, the order was made under other limits, the vault is halted, or the outcome
            breaks the loss budget, the turnover budget, a weight or, while only reducing, raises the
            balance of anything but the base asset. Finding the drawdown condition true latches it.
    @param before What was held and owed, USD at 18 decimals.
    @param after The same after the legs, at the same prices.
    @param risen Bit i set: the balance of asset i is higher than before.
    @param per_share_before Value per share before the legs.
    @param per_share_after Value per share after the legs.
    """
    self._check_vault()
    assert roles.is_signer[signer], "orders: unauthorised signer"
    assert mandate_hash == rules._hash(rules._packed), "orders: wrong mandate"
    policy: uint256 = rules._packed.policy
    reduce_only: bool = self._settle_state(per_share_before, policy) == breaker.REDUCE_ONLY
    # Every asset but the base asset, which is bit 0.
    assert not reduce_only or risen >> 1 == 0, "limits: risk increased"

    total_before: uint256 = 0
    total_after: uint256 = 0
    bought: uint256 = 0
    sold: uint256 = 0
    for i: uint256 in range(rules._COUNT, bound=16):
        total_before += before.held[i]
        total_after += after.held[i]
        if after.held[i] > before.held[i]:
            bought += after.held[i] - before.held[i]
        else:
            sold += before.held[i] - after.held[i]
    assert total_before > 0, "mandate: empty vault"
    rules._check_weights(before.held, total_before, after.held, total_after, reduce_only)

    loss: uint256 = 0
    if total_after < total_before:
        loss = fees._ceil_div((total_before - total_after) * ONE, total_before)
    # The larger of what was bought and what was sold, net by asset: what a lagging oracle can hide
    # in a settlement is the net change of each holding times that oracle's error.
    turnover: uint256 = fees._ceil_div(max(bought, sold) * ONE, total_before)
    levels: loss_budget.Levels = loss_budget._charge(
        loss,
        rules._field(policy, rules.LOSS_CAPACITY),
        rules._field(policy, rules.LOSS_REFILL),
        turnover,
        rules._field(policy, rules.TURNOVER_CAPACITY),
        rules._field(policy, rules.TURNOVER_REFILL),
    )
    breaker._observe(per_share_after)
    return IMandate.Outcome(
        loss=loss, turnover=turnover, loss_level=levels.loss, turnover_level=levels.turnover
    )


@external
def enter(value_per_share_before: uint256, value_per_share_after: uint256, first: bool):
    """
    @notice Only the vault, on a deposit; reverts unless ACTIVE with no drawdown standing.
    @param first Whether the vault had no shares: its peak then starts anew.
    """
    self._check_vault()
    if first:
        breaker._rebase(value_per_share_before)
    assert self._is_open(value_per_share_before), "breaker: not active"
    breaker._observe(value_per_share_after)


@external
def leave(value_per_share_after: uint256):
    """
    @notice Only the vault, on a priced redemption; reverts when HALTED.
    """
    self._check_vault()
    assert breaker._state() != breaker.HALTED, "breaker: halted"
    breaker._observe(value_per_share_after)


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
    @notice Whether deposits are taken at this value per share.
    """
    return self._is_open(value_per_share)


@external
@view
def may_cancel(account: address) -> bool:
    """
    @notice Whether an account may cancel orders: signers, curator, guardian and owner may.
    """
    return roles.is_signer[account] or account in [ownable.owner, roles.curator, roles.guardian]


# ---------------------------------------------------------------------------------------------
# Breaker and limits
# ---------------------------------------------------------------------------------------------


@external
def trip() -> uint256:
    """
    @notice Applies the breaker's table at live prices. Anyone; reverts when no condition asks for a
            higher state, or a price is not live.
    @return The new state.
    """
    per_share: uint256 = staticcall IVault(self.vault).value_per_share()
    condition: uint256 = self._drawdown(per_share, rules._packed.policy)
    assert condition > breaker._state(), "breaker: no condition"
    breaker._raise_to(condition, breaker.DRAWDOWN, per_share)
    return condition


@external
def guardian_trip(state: uint256):
    """
    @notice Raises the breaker without a condition. Guardian, curator or owner; reverts unless the
            state is higher than the present one.
    @param state 1 REDUCE_ONLY or 2 HALTED.
    """
    roles._check_stopper()
    breaker._raise_to(state, breaker.GUARDIAN, 0)


@external
def resume(state: uint256, reason: uint256):
    """
    @notice Back to ACTIVE, with the peak rebased to the present value per share. Only the owner,
            after the delay, scheduled as keccak256(abi_encode("resume", state, reason)); reverts when
            it was scheduled before the trip, the breaker stands elsewhere than the owner saw, or a
            price is not live.
    @param state The state that the owner saw.
    @param reason The reason that the owner saw.
    """
    ownable._check_owner()
    id: bytes32 = keccak256(abi_encode("resume", state, reason))
    ready_at: uint256 = roles.ready_at[id]
    roles._execute(id)
    # A recovery kept in store would undo the next trip at once.
    assert ready_at >= breaker._tripped_at + roles.delay, "breaker: scheduled before the trip"
    breaker._resume(state, reason, staticcall IVault(self.vault).value_per_share())


@external
def set_limits(new: rules.Limits):
    """
    @notice Replaces the limits and voids open orders. Curator or owner at once when no limit becomes
            looser; otherwise only the owner, scheduled as
            keccak256(abi_encode("set_limits", hash_limits(new))). Reverts when the limits contradict
            each other.
    """
    roles._check_manager()
    packed: rules.Packed = rules._pack(new, rules._COUNT)
    if not rules._tightens(packed):
        ownable._check_owner()
        roles._execute(keccak256(abi_encode("set_limits", rules._hash(packed))))
    policy: uint256 = rules._packed.policy
    loss_budget._settle_leak(
        rules._field(policy, rules.LOSS_REFILL), rules._field(policy, rules.TURNOVER_REFILL)
    )
    rules._set(new, packed)


@external
@view
def loss_level() -> uint256:
    """
    @notice Fraction at 1e18 that stands in the loss bucket now.
    """
    return self._levels().loss


@external
@view
def turnover_level() -> uint256:
    """
    @notice Fraction at 1e18 that stands in the turnover bucket now.
    """
    return self._levels().turnover


# ---------------------------------------------------------------------------------------------
# Internals
# ---------------------------------------------------------------------------------------------


@internal
@view
def _check_vault():
    assert msg.sender == self.vault, "mandate: not the vault"


@internal
def _settle_state(per_share: uint256, policy: uint256) -> uint256:
    """
    @dev A settlement that finds the drawdown latches it first and is judged in the new state.
         Reverts when halted.
    """
    condition: uint256 = self._drawdown(per_share, policy)
    state: uint256 = breaker._state()
    assert max(state, condition) != breaker.HALTED, "breaker: halted"
    if condition > state:
        breaker._raise_to(condition, breaker.DRAWDOWN, per_share)
        return condition
    return state


@internal
@view
def _is_open(value_per_share: uint256) -> bool:
    """
    @dev No state latched, no drawdown waiting for somebody to trip.
    """
    return max(breaker._state(), self._drawdown(value_per_share, rules._packed.policy)) == breaker.ACTIVE


@internal
@view
def _drawdown(per_share: uint256, policy: uint256) -> uint256:
    return breaker._condition(
        per_share, rules._field(policy, rules.DRAWDOWN_REDUCE), rules._field(policy, rules.DRAWDOWN_HALT)
    )


@internal
@view
def _levels() -> loss_budget.Levels:
    policy: uint256 = rules._packed.policy
    return loss_budget._levels(
        rules._field(policy, rules.LOSS_REFILL), rules._field(policy, rules.TURNOVER_REFILL)
    )
