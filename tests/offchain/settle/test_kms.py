# SPDX-License-Identifier: Apache-2.0
"""A signer whose key is in KMS, against a stand-in for KMS's HTTP API with a real secp256k1 key."""

import pytest
from eth_account import Account

boto3 = pytest.importorskip("boto3", reason="the extra kms is not installed")
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402

from offchain.settle.kms import KmsError, KmsSigner  # noqa: E402
from tests.support.kms import ORDER, SECRET_ACCESS_KEY, Kms  # noqa: E402

SECRET = int.from_bytes(b"\x07" * 32, "big")
ADDRESS = Account.from_key(SECRET.to_bytes(32, "big")).address
TRANSACTION = {
    "type": 2, "chainId": 1, "nonce": 3, "to": "0x00000000000000000000000000000000000000cc", "value": 0,
    "data": "0x0102", "gas": 100_000, "maxFeePerGas": 10**10, "maxPriorityFeePerGas": 10**9,
}  # fmt: skip


@pytest.fixture
def kms(monkeypatch):
    kms = Kms({"alias/optimizer": SECRET})
    for name, value in kms.environment.items():
        monkeypatch.setenv(name, value)
    yield kms
    kms.stop()


def test_address_is_the_public_keys(kms):
    assert KmsSigner("alias/optimizer").address == ADDRESS


@pytest.mark.parametrize("high_s", [False, True])
def test_signature_of_a_digest_recovers_to_the_key_with_s_in_the_lower_half(kms, high_s):
    kms.high_s = high_s
    signer = KmsSigner("alias/optimizer")
    for number in range(6):
        digest = bytes([number]) * 32
        signature = signer.sign_digest(digest)

        assert len(signature) == 65
        assert int.from_bytes(signature[32:64], "big") <= ORDER // 2
        assert Account._recover_hash(digest, signature=signature) == ADDRESS


def test_transaction_is_what_a_local_key_would_pay_for(kms):
    signed = KmsSigner("alias/optimizer").sign_transaction(TRANSACTION)

    assert Account.recover_transaction(signed.raw) == ADDRESS
    local = Account.from_key(SECRET.to_bytes(32, "big")).sign_transaction(TRANSACTION)
    # The signature is what follows the empty access list: y's parity, r and s.
    assert signed.raw.split("0102c0")[0] == ("0x" + bytes(local.raw_transaction).hex()).split("0102c0")[0]
    assert len(signed.hash) == 66


def test_key_that_is_not_there_is_named(kms):
    with pytest.raises(KmsError, match=r"kms key alias/nobody: KMS refuses get_public_key \(NotFoundException\)"):
        KmsSigner("alias/nobody")


def test_key_of_another_curve_is_refused(kms):
    kms.keys["alias/optimizer"] = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(KmsError, match="ECC_SECG_P256K1"):
        KmsSigner("alias/optimizer")


def test_alias_that_was_moved_to_another_key_is_noticed(kms):
    signer = KmsSigner("alias/optimizer")
    kms.keys["alias/optimizer"] = ec.generate_private_key(ec.SECP256K1())

    with pytest.raises(KmsError, match="was the alias moved"):
        signer.sign_digest(b"\x01" * 32)


def test_requests_carry_a_signature_and_never_the_secret(kms):
    KmsSigner("alias/optimizer").sign_digest(b"\x01" * 32)

    assert all("AWS4-HMAC-SHA256" in authorization for _, _, authorization in kms.asked)
    assert SECRET_ACCESS_KEY not in str(kms.asked)
