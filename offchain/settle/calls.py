# SPDX-License-Identifier: Apache-2.0
"""Calldata of the functions that the keeper uses on a vault and its mandate contract, and their events.

Signatures are spelled out so that what is signed and sent can be read here; a
test compares every selector with the compiled ABI.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from offchain.errors import PlimsollError
from offchain.route.leg import Venue
from offchain.settle.order import Leg, Order, SignedOrder

LEG = "(uint8,uint8,uint8,uint24,uint128,uint128)"
ORDER = f"(uint256,uint256,bytes32,bytes32,{LEG}[],uint256,uint256)"

SETTLE = f"settle({ORDER},address,bytes)"
TRIP = "trip()"
POKE = "poke(address)"
ALARMS = "alarms()"
HEARTBEAT = "heartbeat(address,uint256,address,bytes)"
LAST_HEARTBEAT = "last_heartbeat(address)"
DELEVERAGE = "deleverage(uint256,uint256,uint256,uint256)"
ORDER_NONCE = "order_nonce()"
IS_SIGNER = "is_signer(address)"
BREAKER_STATE = "breaker_state()"
MANDATE = "mandate()"
MANDATE_HASH = "mandate_hash()"
LIMITS = "limits()"
EIP712_DOMAIN = "eip712Domain()"
BALANCE_OF = "balanceOf(address)"
ALLOWANCE = "allowance(address,address)"

_SETTLED_DATA = ["bytes32", "uint256", "uint256", "uint256", "uint256[]"]
SETTLED = f"Settled(bytes32,uint256,address,{','.join(_SETTLED_DATA)})"
CANCELLED = "Cancelled(uint256,address)"
TRIPPED = "Tripped(uint256,uint256,uint256,uint256,address)"


class CalldataError(PlimsollError):
    """Bytes that are not the call or the event they were taken for."""


@dataclass(frozen=True, slots=True)
class SettledEvent:
    """The vault's own account of a settlement.

    Values are USD at 18 decimals, loss, turnover and levels fractions at 1e18,
    amounts token base units leg by leg.
    """

    digest: str
    nonce: int
    signer: str
    model_hash: str
    value_before: int
    value_after: int
    loss: int
    turnover: int
    loss_level: int
    turnover_level: int
    value_per_share: int
    amounts_in: tuple[int, ...]
    amounts_out: tuple[int, ...]


def selector(signature: str) -> bytes:
    """First four bytes of the hash of a canonical function signature."""
    return keccak(text=signature)[:4]


def topic(signature: str) -> str:
    """0x-prefixed hash of a canonical event signature."""
    return "0x" + keccak(text=signature).hex()


def order_values(order: Order) -> tuple[Any, ...]:
    """Return the order as the nested tuple that the ABI encodes."""
    legs = [
        (int(leg.venue), leg.token_in, leg.token_out, leg.fee, leg.amount_in, leg.min_amount_out) for leg in order.legs
    ]
    return (
        order.nonce,
        order.deadline,
        _hash32(order.mandate_hash, "mandate_hash"),
        _hash32(order.model_hash, "model_hash"),
        legs,
        order.min_value_per_share,
        order.max_base_fee,
    )


def encode_settle(order: Order, signer: str, signature: bytes) -> bytes:
    """Calldata of ``settle``."""
    return selector(SETTLE) + encode([ORDER, "address", "bytes"], [order_values(order), signer, signature])


def encode_signed(signed: SignedOrder) -> bytes:
    """Calldata of ``settle`` for a signed order."""
    return encode_settle(signed.order, signed.signer, bytes.fromhex(signed.signature[2:]))


def decode_settle(calldata: bytes) -> tuple[Order, str, bytes]:
    """Read calldata of ``settle`` back into the order, its signer and the signature.

    Raises
    ------
    CalldataError
        When the bytes are another call or are cut short.
    """
    if calldata[:4] != selector(SETTLE):
        raise CalldataError(
            f"calldata: selector 0x{calldata[:4].hex()} is not settle's; decode it with the contract it was sent to"
        )
    try:
        values, signer, signature = decode([ORDER, "address", "bytes"], calldata[4:])
    except DecodingError as error:
        raise CalldataError(f"calldata: settle's arguments do not decode ({error})") from error
    nonce, deadline, mandate_hash, model_hash, legs, min_value_per_share, max_base_fee = values
    order = Order(
        nonce=nonce,
        deadline=deadline,
        mandate_hash="0x" + mandate_hash.hex(),
        model_hash="0x" + model_hash.hex(),
        legs=tuple(Leg(Venue(leg[0]), *leg[1:]) for leg in legs),
        min_value_per_share=min_value_per_share,
        max_base_fee=max_base_fee,
    )
    return order, to_checksum_address(signer), signature


def encode_trip() -> bytes:
    """Calldata of ``trip``."""
    return selector(TRIP)


def encode_poke(mandate_contract: str) -> bytes:
    """Calldata of ``poke``, which the alarms take."""
    return selector(POKE) + bytes.fromhex(mandate_contract[2:]).rjust(32, b"\0")


def encode_deleverage(venue: int, debt: int, collateral: int, amount: int) -> bytes:
    """Calldata of ``deleverage``.

    Parameters
    ----------
    venue
        Index in the vault's list.
    debt, collateral
        Indices of the assets.
    amount
        Most base units of the debt that the caller brings.
    """
    return selector(DELEVERAGE) + encode(["uint256"] * 4, [venue, debt, collateral, amount])


def decode_settled(log: dict[str, Any]) -> SettledEvent:
    """Decode a ``Settled`` log as JSON-RPC returns it.

    Raises
    ------
    CalldataError
        When the log is another event or its data do not decode.
    """
    topics = log["topics"]
    if len(topics) != 4 or topics[0] != topic(SETTLED):
        raise CalldataError(f"log: topic {topics[0] if topics else 'none'} is not Settled")
    try:
        values = decode(_SETTLED_DATA, bytes.fromhex(log["data"][2:]))
    except DecodingError as error:
        raise CalldataError(f"log: Settled's data do not decode ({error}); is the vault another version?") from error
    model_hash, worth, per_share, charges, amounts = values
    before, after = unpacked(worth, 128)
    loss, turnover, loss_level, turnover_level = unpacked(charges, 64)
    legs = [unpacked(amount, 128) for amount in amounts]
    return SettledEvent(
        digest=topics[1],
        nonce=int(topics[2], 16),
        signer=to_checksum_address("0x" + topics[3][-40:]),
        model_hash="0x" + model_hash.hex(),
        value_before=before,
        value_after=after,
        loss=loss,
        turnover=turnover,
        loss_level=loss_level,
        turnover_level=turnover_level,
        value_per_share=per_share,
        amounts_in=tuple(paid for paid, _ in legs),
        amounts_out=tuple(got for _, got in legs),
    )


def unpacked(word: int, bits: int) -> tuple[int, ...]:
    """Numbers of so many bits that the contracts put into one word of 256, highest first."""
    return tuple((word >> offset) & ((1 << bits) - 1) for offset in range(256 - bits, -1, -bits))


def _hash32(value: str, field: str) -> bytes:
    raw = bytes.fromhex(value.removeprefix("0x"))
    if len(raw) != 32:
        raise CalldataError(f"order: {field} has {len(raw)} bytes, 32 are needed")
    return raw
