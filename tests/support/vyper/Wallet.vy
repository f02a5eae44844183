# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ~=0.4.3
"""
@title A contract wallet of one owner
@license AGPL-3.0-only
@notice Signs by ERC-1271: valid is what its owner signed.
@custom:kill It exists in tests only.
"""


from snekmate.utils import ecdsa


owner: public(address)
# 0 answers by the standard, 1 the magic value without padding, 2 true, 3 reverts, 4 more than a word.
mode: public(uint256)


@deploy
def __init__(owner: address):
    self.owner = owner


@external
def set_owner(owner: address):
    self.owner = owner


@external
def set_mode(mode: uint256):
    self.mode = mode


@external
@view
@raw_return
def isValidSignature(digest: bytes32, signature: Bytes[1024]) -> Bytes[96]:
    """
    @notice ERC-1271.
    """
    if self.mode == 1:
        return x"1626ba7e"
    if self.mode == 2:
        return abi_encode(True)
    assert self.mode != 3, "wallet: no"
    if len(signature) == 65 and ecdsa._recover_sig(digest, slice(signature, 0, 65)) == self.owner:
        if self.mode == 4:
            return abi_encode(0x1626ba7e, 0x1626ba7e)
        return abi_encode(0x1626ba7e)
    return abi_encode(0xffffffff)
