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


from snekmate.utils import ecdsa
from snekmate.utils import eip712_domain_separator
uses: eip712_domain_separator


struct Leg:
    venue: uint8
    token_in: uint8
    token_out: uint8
    fee: uint24
    amount_in: uint128
    min_amount_out: uint128


struct Order:
    nonce: uint256
    deadline: uint256
    mandate_hash: bytes32
    model_hash: bytes32
    legs: DynArray[Leg, 16]
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


# The only nonce that may settle next.
order_nonce: public(uint256)


@external
@view
def hash_order(order: Order) -> bytes32:
    """
    @notice The EIP-712 digest a signer signs.
    """
    return self._digest(order)


@internal
@view
def _digest(order: Order) -> bytes32:
    hashes: DynArray[bytes32, 16] = []
    for leg: Leg in order.legs:
        hashes.append(
            keccak256(
                abi_encode(
                    LEG_TYPEHASH, leg.venue, leg.token_in, leg.token_out, leg.fee, leg.amount_in, leg.min_amount_out
                )
            )
        )
    # abi_encode puts an offset and a length before the elements; EIP-712 hashes the elements alone.
    legs_hash: bytes32 = keccak256(slice(abi_encode(hashes), 64, 32 * len(hashes)))
    return eip712_domain_separator._hash_typed_data_v4(
        keccak256(
            abi_encode(
                ORDER_TYPEHASH,
                order.nonce,
                order.deadline,
                order.mandate_hash,
                order.model_hash,
                legs_hash,
                order.min_value_per_share,
                order.max_base_fee,
            )
        )
    )


@internal
def _consume(order: Order):
    """
    @dev Checks what does not depend on the signature and uses the nonce up.
    """
    assert order.nonce == self.order_nonce, "orders: wrong nonce"
    assert block.number <= order.deadline, "orders: expired"
    assert block.basefee <= order.max_base_fee, "orders: base fee above ceiling"
    self.order_nonce = order.nonce + 1


@internal
def _cancel(nonce: uint256):
    """
    @dev Uses the current nonce up without settling. Without access control.
    """
    assert nonce == self.order_nonce, "orders: wrong nonce"
    self.order_nonce = nonce + 1
    log Cancelled(nonce=nonce, caller=msg.sender)


@internal
@view
def _check_signature(signer: address, digest: bytes32, signature: Bytes[1024]):
    """
    @dev ERC-1271 when the signer has code and answers with the magic value, ECDSA otherwise (an
         account may carry code by EIP-7702 and still sign itself).
    """
    if signer.is_contract:
        success: bool = False
        answer: Bytes[32] = b""
        success, answer = raw_call(
            signer,
            abi_encode(digest, signature, method_id=ERC1271_MAGIC),
            max_outsize=32,
            is_static_call=True,
            revert_on_failure=False,
        )
        if success and len(answer) == 32 and answer == abi_encode(ERC1271_MAGIC):
            return
    assert len(signature) == 65, "orders: invalid signature"
    assert ecdsa._recover_sig(digest, slice(signature, 0, 65)) == signer, "orders: invalid signature"
