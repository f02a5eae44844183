# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title What the vault runs by delegatecall
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice Says what an extension was made for, which a vault checks when it is deployed, and refuses
        every other use of it.
"""


# keccak256 of the extension's name and of what it was made for.
parts: public(immutable(bytes32))

_ITSELF: immutable(address)


@deploy
def __init__(parts_: bytes32):
    """
    @param parts_ As the vault computes it.
    """
    parts = parts_
    _ITSELF = self


@internal
@view
def _check():
    assert self != _ITSELF, "vault: not called by a vault"
