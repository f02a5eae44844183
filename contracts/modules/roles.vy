# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title Roles and the delay that loosening waits for
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice Four roles. The owner (snekmate's two-step ownable) appoints the others and schedules
        loosening. The curator tightens and schedules nothing. The guardian stops things. Signers
        authorise settlements. Whatever widens what a role can do waits `delay` seconds between
        `schedule` and its execution; whatever narrows it acts at once.
"""


from snekmate.auth import ownable
uses: ownable


event Scheduled:
    id: indexed(bytes32)
    ready_at: uint256


event Unscheduled:
    id: indexed(bytes32)
    caller: indexed(address)


event CuratorSet:
    curator: indexed(address)


event GuardianSet:
    guardian: indexed(address)


event SignerAdded:
    signer: indexed(address)


event SignerRemoved:
    signer: indexed(address)
    caller: indexed(address)


curator: public(address)
guardian: public(address)
is_signer: public(HashMap[address, bool])
# Unix seconds from which a scheduled id may execute; 0 when not scheduled.
ready_at: public(HashMap[bytes32, uint256])

delay: public(immutable(uint256))


@deploy
def __init__(owner: address, curator: address, guardian: address, signers: DynArray[address, 8], delay_: uint256):
    """
    @param owner Becomes the owner, whoever deploys.
    @param curator Tightens the mandate, raises the breaker, cancels orders.
    @param guardian Raises the breaker, removes signers, cancels orders and schedules.
    @param signers May authorise settlements from the first block.
    @param delay_ Seconds between scheduling and executing what loosens.
    """
    assert owner != empty(address), "roles: zero owner"
    ownable._transfer_ownership(owner)
    self.curator = curator
    self.guardian = guardian
    delay = delay_
    log CuratorSet(curator=curator)
    log GuardianSet(guardian=guardian)
    for signer: address in signers:
        self._add_signer(signer)


@external
def schedule(id: bytes32):
    """
    @notice Starts the delay of a loosening action. Only the owner; reverts when it is already scheduled.
    @param id keccak256 of the ABI-encoded action: its name and its arguments.
    """
    ownable._check_owner()
    assert self.ready_at[id] == 0, "roles: already scheduled"
    self.ready_at[id] = block.timestamp + delay
    log Scheduled(id=id, ready_at=block.timestamp + delay)


@external
def unschedule(id: bytes32):
    """
    @notice Withdraws a scheduled action. Owner or guardian; reverts when it is not scheduled.
    @param id As given to `schedule`.
    """
    assert msg.sender in [ownable.owner, self.guardian], "roles: not owner or guardian"
    assert self.ready_at[id] != 0, "roles: not scheduled"
    self.ready_at[id] = 0
    log Unscheduled(id=id, caller=msg.sender)


@external
def add_signer(signer: address):
    """
    @notice Authorises a signer. Only the owner, after the delay.
            Scheduled as keccak256(abi_encode("add_signer", signer)).
    @param signer An account (ECDSA) or a contract (ERC-1271).
    """
    ownable._check_owner()
    self._execute(keccak256(abi_encode("add_signer", signer)))
    self._add_signer(signer)


@external
def remove_signer(signer: address):
    """
    @notice Voids a signer and everything it signed, at once. Owner, curator or guardian.
    @param signer Reverts when it is not authorised.
    """
    self._check_stopper()
    assert self.is_signer[signer], "roles: not a signer"
    self.is_signer[signer] = False
    log SignerRemoved(signer=signer, caller=msg.sender)


@external
def set_curator(account: address):
    """
    @notice Replaces the curator. Only the owner, after the delay.
            Scheduled as keccak256(abi_encode("set_curator", account)).
    @param account The new curator; zero for none.
    """
    ownable._check_owner()
    self._execute(keccak256(abi_encode("set_curator", account)))
    self.curator = account
    log CuratorSet(curator=account)


@external
def set_guardian(account: address):
    """
    @notice Replaces the guardian. Only the owner, after the delay.
            Scheduled as keccak256(abi_encode("set_guardian", account)).
    @param account The new guardian; zero for none.
    """
    ownable._check_owner()
    self._execute(keccak256(abi_encode("set_guardian", account)))
    self.guardian = account
    log GuardianSet(guardian=account)


@internal
def _execute(id: bytes32):
    """
    @dev Consumes a scheduled action; reverts before its time.
    """
    ready_at: uint256 = self.ready_at[id]
    assert ready_at != 0, "roles: not scheduled"
    assert block.timestamp >= ready_at, "roles: not ready"
    self.ready_at[id] = 0


@internal
def _add_signer(signer: address):
    """
    @dev Without access control.
    """
    assert signer != empty(address), "roles: zero signer"
    self.is_signer[signer] = True
    log SignerAdded(signer=signer)


@internal
@view
def _check_stopper():
    """
    @dev Whoever may stop things: owner, curator, guardian.
    """
    assert msg.sender in [ownable.owner, self.curator, self.guardian], "roles: not owner, curator or guardian"


@internal
@view
def _check_manager():
    """
    @dev Whoever may tighten: owner, curator.
    """
    assert msg.sender in [ownable.owner, self.curator], "roles: not owner or curator"
