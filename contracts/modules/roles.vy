# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title Roles
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice Four roles. The owner (snekmate's two-step ownable) appoints the others and is the only one who
        loosens; it has to be a timelock, so that whatever widens what a role can do waits. The curator
        tightens. The guardian stops things. Signers authorise settlements. Whatever narrows acts at
        once.
"""


from snekmate.auth import ownable
from . import standing

uses: ownable
uses: standing


interface Timelock:
    def get_minimum_delay() -> uint256: view


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
# The vault for which an account authorises settlements; zero for none. Asked by that vault, it answers
# for both in one word.
_signs_for: HashMap[address, address]

delay: public(immutable(uint256))
_FIRST_SIGNERS: immutable(DynArray[address, 8])


@deploy
def __init__(owner: address, curator: address, guardian: address, signers: DynArray[address, 8], delay_: uint256):
    """
    @param owner Becomes the owner, whoever deploys; a timelock of at least the delay.
    @param curator Tightens the mandate, raises the breaker, cancels orders.
    @param guardian Raises the breaker, removes signers, cancels orders.
    @param signers May authorise settlements from the block in which a vault binds itself.
    @param delay_ Seconds that every owner's actions must wait.
    """
    delay = delay_
    self._check_timelock(owner, delay_)
    ownable._transfer_ownership(owner)
    self.curator = curator
    self.guardian = guardian
    log CuratorSet(curator=curator)
    log GuardianSet(guardian=guardian)
    for signer: address in signers:
        assert signer != empty(address), "roles: zero signer"
    _FIRST_SIGNERS = signers


@external
@view
def is_signer(account: address) -> bool:
    """
    @notice Whether an account authorises settlements.
    """
    return self._signs_for[account] != empty(address)


@external
def add_signer(signer: address):
    """
    @notice Authorises a signer. Only the owner.
    @param signer An account (ECDSA) or a contract (ERC-1271).
    """
    ownable._check_owner()
    self._add_signer(signer)


@external
def remove_signer(signer: address):
    """
    @notice Voids a signer and everything it signed, at once. Owner, curator or guardian.
    @param signer Reverts when it is not authorised.
    """
    self._check_stopper()
    assert self._signs_for[signer] != empty(address), "roles: not a signer"
    self._signs_for[signer] = empty(address)
    log SignerRemoved(signer=signer, caller=msg.sender)


@external
def set_curator(account: address):
    """
    @notice Replaces the curator. Only the owner.
    @param account The new curator; zero for none.
    """
    ownable._check_owner()
    self.curator = account
    log CuratorSet(curator=account)


@external
def set_guardian(account: address):
    """
    @notice Replaces the guardian. Only the owner.
    @param account The new guardian; zero for none.
    """
    ownable._check_owner()
    self.guardian = account
    log GuardianSet(guardian=account)


@internal
@view
def _check_timelock(owner: address, least: uint256):
    """
    @dev The owner shall not be able to act sooner than the mandate promises. That the contract keeps
         the delay it tells is for those to verify who rely on it.
    """
    assert owner.is_contract, "roles: owner is not a timelock"
    assert staticcall Timelock(owner).get_minimum_delay() >= least, "roles: owner acts too soon"


@internal
def _add_first_signers():
    """
    @dev When the vault has bound itself. Without access control.
    """
    for signer: address in _FIRST_SIGNERS:
        self._add_signer(signer)


@internal
def _add_signer(signer: address):
    """
    @dev Without access control.
    """
    assert signer != empty(address), "roles: zero signer"
    vault: address = standing._vault()
    assert vault != empty(address), "roles: no vault to sign for"
    self._signs_for[signer] = vault
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
