# SPDX-License-Identifier: Apache-2.0
"""Keys that never leave AWS KMS: an ``ECC_SECG_P256K1`` key that signs orders or pays for gas.

KMS signs a 32-byte digest and answers with a DER-encoded signature over secp256k1. Ethereum
wants ``r || s || v`` with s in the lower half of the group's order (EIP-2) and v saying which
of two public keys it was; both are worked out here. Needs the extra ``kms`` (boto3), which
takes region, credentials and endpoint from its own environment variables.
"""

from __future__ import annotations

from typing import Any

from eth_account.typed_transactions.typed_transaction import TypedTransaction
from eth_keys.datatypes import PublicKey, Signature
from eth_keys.exceptions import BadSignature
from eth_utils.crypto import keccak

from offchain.errors import PlimsollError
from offchain.settle.accounts import RawTransaction

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
# SubjectPublicKeyInfo of an uncompressed secp256k1 point: id-ecPublicKey, secp256k1, BIT STRING, 0x04.
_SPKI_HEAD = bytes.fromhex("3056301006072a8648ce3d020106052b8104000a03420004")
_POINT_BYTES = 64
_INTEGER, _SEQUENCE = 0x02, 0x30


class KmsError(PlimsollError):
    """A key in KMS that cannot be used; names it, and says what KMS said."""


class KmsSigner:
    """A key in KMS; it signs orders and transactions.

    Parameters
    ----------
    key_id
        Key id, ``alias/...`` or ARN.
    client
        A boto3 client for ``kms``; made from the environment where it is not given.

    Raises
    ------
    KmsError
        When boto3 is not installed, KMS does not answer, or the key is of another kind.
    """

    def __init__(self, key_id: str, client: Any = None) -> None:
        self._key_id = key_id
        self._client = client or _client()
        answer = self._ask("get_public_key", KeyId=key_id)
        self._public_key = _public_key(key_id, bytes(answer["PublicKey"]))

    @property
    def address(self) -> str:
        """Checksummed address of the key."""
        return str(self._public_key.to_checksum_address())

    def sign_digest(self, digest: bytes) -> bytes:
        """Sign 32 bytes as they are; 65 bytes ``r || s || v`` with v 27 or 28.

        Raises
        ------
        KmsError
            KMS refuses, or signs with another key.
        """
        parity, r, s = self._sign(digest)
        return r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([27 + parity])

    def sign_transaction(self, transaction: dict[str, Any]) -> RawTransaction:
        """Sign an EIP-1559 transaction given as JSON-RPC field names and integers; errors as `sign_digest`."""
        digest = bytes(TypedTransaction.from_dict(transaction).hash())
        parity, r, s = self._sign(digest)
        raw = bytes(TypedTransaction.from_dict({**transaction, "v": parity, "r": r, "s": s}).encode())
        return RawTransaction(hash="0x" + keccak(raw).hex(), raw="0x" + raw.hex())

    def _sign(self, digest: bytes) -> tuple[int, int, int]:
        """Parity of R's y, r, and s in the lower half."""
        answer = self._ask(
            "sign", KeyId=self._key_id, Message=digest, MessageType="DIGEST", SigningAlgorithm="ECDSA_SHA_256"
        )
        r, s = _der_signature(self._key_id, bytes(answer["Signature"]))
        s = min(s, _ORDER - s)
        for parity in (0, 1):
            try:
                if Signature(vrs=(parity, r, s)).recover_public_key_from_msg_hash(digest) == self._public_key:
                    return parity, r, s
            except BadSignature:
                continue
        raise KmsError(f"kms key {self._key_id}: its signature is not by its public key; was the alias moved?")

    def _ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**arguments)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "an error")
            raise KmsError(
                f"kms key {self._key_id}: KMS refuses {operation} ({code}); check the key and the role"
            ) from None
        except BotoCoreError as error:
            raise KmsError(
                f"kms key {self._key_id}: {type(error).__name__}; check region, credentials and network"
            ) from None
        return answer


def _client() -> Any:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise KmsError("kms: boto3 is not installed; install plimsoll[kms]") from None
    try:
        return boto3.client("kms", config=Config(connect_timeout=5, read_timeout=10, retries={"max_attempts": 3}))
    except BotoCoreError as error:
        raise KmsError(f"kms: {error}; set AWS_REGION and credentials") from None


def _public_key(key_id: str, spki: bytes) -> PublicKey:
    if not spki.startswith(_SPKI_HEAD) or len(spki) != len(_SPKI_HEAD) + _POINT_BYTES:
        raise KmsError(f"kms key {key_id}: not a secp256k1 key; make one of kind ECC_SECG_P256K1 for SIGN_VERIFY")
    return PublicKey(spki[-_POINT_BYTES:])


def _der_signature(key_id: str, der: bytes) -> tuple[int, int]:
    """The two integers of an ECDSA-Sig-Value (RFC 3279, 2.2.3)."""
    try:
        if der[0] != _SEQUENCE or der[1] != len(der) - 2:
            raise ValueError
        r, rest = _der_integer(der[2:])
        s, rest = _der_integer(rest)
        if rest or not (0 < r < _ORDER and 0 < s < _ORDER):
            raise ValueError
    except (IndexError, ValueError):
        raise KmsError(f"kms key {key_id}: its signature is not one; is the endpoint KMS?") from None
    return r, s


def _der_integer(der: bytes) -> tuple[int, bytes]:
    length = der[1]
    if der[0] != _INTEGER or len(der) < 2 + length or not length:
        raise ValueError
    return int.from_bytes(der[2 : 2 + length], "big"), der[2 + length :]
