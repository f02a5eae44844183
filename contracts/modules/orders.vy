# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title Signed settlement orders
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice EIP-712 orders with one nonce sequence a vault. A signer chooses typed legs, never targets
        or calldata. The domain binds chain and vault, the mandate hash binds the limits it was
        planned under, and a consumed or cancelled nonce never comes back.
"""


from snekmate.utils import eip712_domain_separator
from ..interfaces import IVenue
from . import state

uses: eip712_domain_separator
uses: state


struct Order:
    nonce: uint256
    deadline: uint256
    mandate_hash: bytes32
    model_hash: bytes32
    legs: DynArray[IVenue.Leg, 16]
    min_value_per_share: uint256
    max_base_fee: uint256


event Cancelled:
    nonce: indexed(uint256)
    caller: indexed(address)


LEG_TYPEHASH: constant(bytes32) = keccak256(
    "Leg(uint8 venue,uint8 token_in,uint8 token_out,uint24 fee,uint128 amount_in,uint128 min_amount_out)"
)
ORDER_TYPEHASH: constant(bytes32) = keccak256(
    "Order(uint256 nonce,uint256 deadline,bytes32 mandate_hash,bytes32 model_hash,Leg[] legs,uint256 min_value_per_share,uint256 max_base_fee)Leg(uint8 venue,uint8 token_in,uint8 token_out,uint24 fee,uint128 amount_in,uint128 min_amount_out)"
)
ERC1271_MAGIC: constant(bytes4) = 0x1626ba7e
# Half the order of secp256k1: the larger s of a pair is refused, as in snekmate's ecdsa.
MAX_S: constant(uint256) = 57896044618658097711785492504343953926418782139537452191302581570759080747168


@external
@view
def hash_order(order: Order) -> bytes32:
    """
    @notice The EIP-712 digest a signer signs.
    """
    return self._digest(
        order.nonce,
        order.deadline,
        order.mandate_hash,
        order.model_hash,
        self._hash_legs(order.legs),
        order.min_value_per_share,
        order.max_base_fee,
    )


@internal
@view
def _digest(
    nonce: uint256,
    deadline: uint256,
    mandate_hash: bytes32,
    model_hash: bytes32,
    legs_hash: bytes32,
    min_value_per_share: uint256,
    max_base_fee: uint256,
) -> bytes32:
    return eip712_domain_separator._hash_typed_data_v4(
        keccak256(
            abi_encode(
                ORDER_TYPEHASH,
                nonce,
                deadline,
                mandate_hash,
                model_hash,
                legs_hash,
                min_value_per_share,
                max_base_fee,
            )
        )
    )


@internal
@pure
def _hash_legs(legs: DynArray[IVenue.Leg, 16]) -> bytes32:
    hashes: bytes32[16] = empty(bytes32[16])
    count: uint256 = 0
    for leg: IVenue.Leg in legs:
        hashes[count] = keccak256(abi_encode(LEG_TYPEHASH, leg))
        count = unsafe_add(count, 1)
    return keccak256(slice(abi_encode(hashes), 0, 32 * count))


@internal
def _consume(nonce: uint256, deadline: uint256, max_base_fee: uint256) -> uint256:
    """
    @dev Checks what does not depend on the signature and uses the nonce up.
    @return What `state._claimed_assets` would, for which the word needs no second read.
    """
    claimed: uint256 = state._use_nonce(nonce)
    assert block.number <= deadline, "orders: expired"
    assert block.basefee <= max_base_fee, "orders: base fee above ceiling"
    return claimed


@internal
def _cancel(nonce: uint256):
    """
    @dev Uses the current nonce up without settling. Without access control.
    """
    state._use_nonce(nonce)
    log Cancelled(nonce=nonce, caller=msg.sender)


@internal
@view
def _check_signature(signer: address, digest: bytes32, signature: Bytes[1024]):
    """
    @dev ECDSA when it recovers the signer (an account may carry code by EIP-7702 and still sign
         itself); otherwise the signer must have code that answers with the magic value of ERC-1271.
    """
    if len(signature) == 65:
        s: uint256 = extract32(signature, 32, output_type=uint256)
        v: uint256 = convert(slice(signature, 64, 1), uint256)
        if s <= MAX_S and signer != empty(address):
            if ecrecover(digest, v, extract32(signature, 0, output_type=uint256), s) == signer:
                return
    assert signer.is_contract, "orders: invalid signature"
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(
        signer,
        abi_encode(digest, signature, method_id=ERC1271_MAGIC),
        max_outsize=32,
        is_static_call=True,
        revert_on_failure=False,
    )
    assert success and len(answer) == 32 and answer == abi_encode(ERC1271_MAGIC), "orders: invalid signature"
