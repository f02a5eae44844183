# SPDX-License-Identifier: Apache-2.0
import json

import pytest
from eth_account import Account

from offchain.settle.accounts import KeyfileError, keyfile_address, open_keyfile

KEY = b"\x07" * 32
PASSPHRASE = "load line"


@pytest.fixture(scope="module")
def keystore():
    return Account.encrypt(KEY, PASSPHRASE, kdf="scrypt", iterations=2**12)


@pytest.fixture
def keyfile(tmp_path, keystore):
    path = tmp_path / "key.json"
    path.write_text(json.dumps(keystore))
    path.chmod(0o600)
    return path


def test_keystore_opens_with_its_passphrase(keyfile):
    assert open_keyfile(keyfile, PASSPHRASE).address == Account.from_key(KEY).address


def test_keystore_says_whose_it_is_without_a_passphrase(keyfile):
    assert keyfile_address(keyfile) == Account.from_key(KEY).address


def test_wrong_passphrase_names_the_file_and_not_the_passphrase(keyfile):
    with pytest.raises(KeyfileError, match=r"key\.json: wrong passphrase") as raised:
        open_keyfile(keyfile, "sunk")

    assert "sunk" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "No such file"),
        ("0x" + "07" * 32, "not JSON"),
        ('{"private_key": "0x07"}', "no `crypto` section"),
        ('{"crypto": {}, "version": 3}', "not a version 3 keystore"),
        ('{"crypto": {}, "version": 1}', "not a version 3 keystore"),
    ],
)
def test_what_is_no_keystore_is_named(tmp_path, content, problem):
    path = tmp_path / "key.json"
    if content is not None:
        path.write_text(content)
        path.chmod(0o600)

    with pytest.raises(KeyfileError, match=rf"key\.json: .*{problem}"):
        open_keyfile(path, PASSPHRASE)
