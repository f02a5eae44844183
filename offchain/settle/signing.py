# SPDX-License-Identifier: Apache-2.0
"""The EIP-712 digest of an order and who may sign it.

The hashing is written out (https://eips.ethereum.org/EIPS/eip-712) because the
digest is what custody hangs on; tests compare it with eth-account's encoder and
with the vault's ``hash_order``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from offchain.settle.order import Leg, Order, SignedOrder

LEG_TYPE = "Leg(uint8 venue,uint8 token_in,uint8 token_out,uint24 fee,uint128 amount_in,uint128 min_amount_out)"
ORDER_TYPE = (
    "Order(uint256 nonce,uint256 deadline,bytes32 mandate_hash,bytes32 model_hash,Leg[] legs,"
    "uint256 min_value_per_share,uint256 max_base_fee)" + LEG_TYPE
)
DOMAIN_TYPE = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
DOMAIN_VERSION = "1"

LEG_TYPEHASH = keccak(text=LEG_TYPE)
ORDER_TYPEHASH = keccak(text=ORDER_TYPE)
DOMAIN_TYPEHASH = keccak(text=DOMAIN_TYPE)


@dataclass(frozen=True, slots=True)
class Domain:
    """What binds a signature to one vault on one chain."""

    name: str
    """The share token's name."""
    chain_id: int
    vault: str


class OrderSigner(Protocol):
    """Whoever signs orders: a local account, or a remote key that never leaves its home."""

    @property
    def address(self) -> str:
        """Checksummed address the vault knows as a signer."""
        ...

    def sign_digest(self, digest: bytes) -> bytes:
        """Sign 32 bytes; 65 bytes ``r || s || v`` for ECDSA, anything for ERC-1271."""
        ...


def domain_separator(domain: Domain) -> bytes:
    """Hash of the EIP-712 domain."""
    values = [
        DOMAIN_TYPEHASH,
        keccak(text=domain.name),
        keccak(text=DOMAIN_VERSION),
        domain.chain_id,
        domain.vault,
    ]
    return keccak(encode(["bytes32", "bytes32", "bytes32", "uint256", "address"], values))


def hash_leg(leg: Leg) -> bytes:
    """Struct hash of a leg."""
    values = [LEG_TYPEHASH, int(leg.venue), leg.token_in, leg.token_out, leg.fee, leg.amount_in, leg.min_amount_out]
    return keccak(encode(["bytes32", "uint8", "uint8", "uint8", "uint24", "uint128", "uint128"], values))


def hash_order(order: Order) -> bytes:
    """Struct hash of an order; the legs are hashed as an array of struct hashes."""
    values = [
        ORDER_TYPEHASH,
        order.nonce,
        order.deadline,
        bytes.fromhex(order.mandate_hash[2:]),
        bytes.fromhex(order.model_hash[2:]),
        keccak(b"".join(hash_leg(leg) for leg in order.legs)),
        order.min_value_per_share,
        order.max_base_fee,
    ]
    types = ["bytes32", "uint256", "uint256", "bytes32", "bytes32", "bytes32", "uint256", "uint256"]
    return keccak(encode(types, values))


def order_digest(order: Order, domain: Domain) -> bytes:
    """The 32 bytes that are signed: ``keccak(0x1901 || domain separator || struct hash)``."""
    return keccak(b"\x19\x01" + domain_separator(domain) + hash_order(order))


def sign_order(order: Order, domain: Domain, signer: OrderSigner) -> SignedOrder:
    """Sign an order for one vault on one chain."""
    digest = order_digest(order, domain)
    return SignedOrder(
        order=order,
        vault=to_checksum_address(domain.vault),
        chain_id=domain.chain_id,
        digest="0x" + digest.hex(),
        signer=signer.address,
        signature="0x" + signer.sign_digest(digest).hex(),
    )
