# SPDX-License-Identifier: Apache-2.0
"""Every kind of key that a keeper takes: geth's and ape's files, keys in KMS; and every way to give a passphrase."""

import json
import os
import pty
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from eth_account import Account

from offchain import cli
from offchain.keeper.doctor import Patient, Verdict, examine
from offchain.keeper.open import InputError, declared_address, open_signers, read_passphrase
from offchain.settle.accounts import ExposedFileError, KeyfileError, open_keyfile
from offchain.settle.development import development_address, development_key
from tests.support.contracts import PROJECT

PASSPHRASE = "tread lightly"
# The test vectors of go-ethereum's keystore and of the Web3 Secret Storage definition.
GETH_LIGHT = {
    "address": "45dea0fb0bba44f4fcf290bba71fd57d7117cbb8",
    "crypto": {
        "cipher": "aes-128-ctr",
        "ciphertext": "b87781948a1befd247bff51ef4063f716cf6c2d3481163e9a8f42e1f9bb74145",
        "cipherparams": {"iv": "dc4926b48a105133d2f16b96833abf1e"},
        "kdf": "scrypt",
        "kdfparams": {
            "dklen": 32, "n": 2, "p": 1, "r": 8,
            "salt": "004244bbdc51cadda545b1cfa43cff9ed2ae88e08c61f1479dbb45410722f8f0",
        },
        "mac": "39990c1684557447940d4c69e06b1b82b2aceacb43f284df65c956daf3046b85",
    },
    "id": "ce541d8d-c79b-40f8-9f8c-20f59616faba",
    "version": 3,
}  # fmt: skip
PBKDF2 = {
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
        "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
        "kdf": "pbkdf2",
        "kdfparams": {
            "c": 262144, "dklen": 32, "prf": "hmac-sha256",
            "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
        },
        "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3,
}  # fmt: skip
SCRYPT = {
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "83dbcc02d8ccb40e466191a123791e0e"},
        "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
        "kdf": "scrypt",
        "kdfparams": {
            "dklen": 32, "n": 262144, "p": 8, "r": 1,
            "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19",
        },
        "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097",
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3,
}  # fmt: skip
OF_THE_DEFINITION = "0x008AeEda4D805471dF9b2A5B0f38A0C3bCBA786b"
VECTORS = [
    pytest.param(GETH_LIGHT, "", "0x45DeA0FB0bBA44f4fcF290bbA71Fd57d7117Cbb8", id="geth"),
    pytest.param(PBKDF2, "testpassword", OF_THE_DEFINITION, id="pbkdf2"),
    pytest.param(SCRYPT, "testpassword", OF_THE_DEFINITION, id="scrypt", marks=pytest.mark.slow),
]


def written(path, content):
    path.write_text(json.dumps(content))
    path.chmod(0o600)
    return path


def keystore(path, role, *, kdf="scrypt", named=True):
    """A role's development key as a file of a kind; some kinds do not name the address."""
    content = Account.encrypt(development_key(role), PASSPHRASE, kdf=kdf, iterations=2**10)
    if not named:
        del content["address"]
    return written(path / f"{role}.json", content)


@pytest.mark.parametrize(("content", "passphrase", "address"), VECTORS)
def test_published_keystore_opens_to_its_address_and_to_no_other_passphrase(tmp_path, content, passphrase, address):
    path = written(tmp_path / "key.json", content)

    assert open_keyfile(path, passphrase).address == address
    assert declared_address(path) == (address if "address" in content else None)
    with pytest.raises(KeyfileError, match=r"key\.json: wrong passphrase"):
        open_keyfile(path, passphrase + "!")


def test_crypto_section_may_be_written_large(tmp_path):
    content = {"Crypto" if key == "crypto" else key: value for key, value in GETH_LIGHT.items()}

    assert open_keyfile(written(tmp_path / "old.json", content), "").address.startswith("0x45DeA0")


@pytest.mark.slow
def test_file_that_ape_wrote_opens_and_the_doctor_finds_it_fit(stage, tmp_path):
    code = (
        "import sys; from ape_accounts import import_account_from_private_key as take; "
        "[take(role, sys.argv[1], key) for role, key in zip(('keeper', 'optimizer'), sys.argv[2:], strict=True)]"
    )
    keys = [development_key(role) for role in ("keeper", "optimizer")]
    environment = {**os.environ, "APE_DATA_FOLDER": str(tmp_path)}
    subprocess.run(
        [sys.executable, "-c", code, PASSPHRASE, *keys], check=True, capture_output=True, env=environment, cwd=PROJECT
    )
    files = [tmp_path / "accounts" / f"{role}.json" for role in ("keeper", "optimizer")]
    for one in files:
        one.chmod(0o600)
    payer, signer = open_signers(*files, passphrase_file(tmp_path))

    assert (payer.address, signer.address) == (development_address("keeper"), development_address("optimizer"))
    assert verdicts(stage, *files) == {Verdict.OK}


def passphrase_file(folder):
    path = folder / "passphrase"
    path.write_text(f"{PASSPHRASE}\nand a note that is none of it\n")
    path.chmod(0o600)
    return path


def verdicts(stage, account, signer):
    """What the doctor says of the keys."""
    mandate, address = stage.vault.file_mandate, stage.vault.address
    findings = examine(Patient(stage.node.client, address, mandate, account, signer, stage.path))
    return {one.verdict for one in findings if one.check == "keys"}


@pytest.mark.parametrize("kdf", ["scrypt", "pbkdf2"])
@pytest.mark.parametrize("named", [True, False])
def test_doctor_and_each_kind_of_file(stage, tmp_path, kdf, named):
    files = [keystore(tmp_path, role, kdf=kdf, named=named) for role in ("keeper", "optimizer")]

    assert verdicts(stage, *files) == {Verdict.OK if named else Verdict.WARNING}
    payer, signer = open_signers(*files, passphrase_file(tmp_path))
    assert (payer.address, signer.address) == (development_address("keeper"), development_address("optimizer"))


def test_doctor_says_how_to_close_a_file_that_others_can_read(stage, tmp_path):
    files = [keystore(tmp_path, role) for role in ("keeper", "optimizer")]
    files[1].chmod(0o640)
    mandate = stage.vault.file_mandate
    findings = examine(Patient(stage.node.client, stage.vault.address, mandate, files[0], files[1], stage.path))

    assert [one.advice for one in findings if "others may use it (mode 640)" in one.found] == [f"chmod 600 {files[1]}"]


def test_file_goes_before_the_environment_and_its_first_line_counts(tmp_path, monkeypatch):
    monkeypatch.setenv("PLIMSOLL_PASSPHRASE", "of the environment")

    assert read_passphrase(Path("key.json"), passphrase_file(tmp_path)) == PASSPHRASE
    assert read_passphrase(Path("key.json"), None) == "of the environment"


def test_file_that_others_may_read_is_refused_with_the_command_that_closes_it(tmp_path):
    keys = [keystore(tmp_path, role) for role in ("keeper", "optimizer")]
    passphrase = passphrase_file(tmp_path)
    for exposed in (*keys, passphrase):
        exposed.chmod(0o604)
        with pytest.raises(ExposedFileError, match=r"others may use it \(mode 604\)") as refused:
            open_signers(*keys, passphrase)
        subprocess.run(str(refused.value).rpartition("close it: ")[2], shell=True, check=True)
        assert exposed.stat().st_mode & 0o777 == 0o600
    open_signers(*keys, passphrase)


def test_secret_that_root_gave_to_the_keepers_group_opens(tmp_path, monkeypatch):
    path = keystore(tmp_path, "keeper")
    path.chmod(0o640)
    with pytest.raises(ExposedFileError):
        open_keyfile(path, PASSPHRASE)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    assert open_keyfile(path, PASSPHRASE).address == development_address("keeper")
    path.chmod(0o644)
    with pytest.raises(ExposedFileError):
        open_keyfile(path, PASSPHRASE)


def test_passphrase_may_come_through_a_pipe(tmp_path):
    read, write = os.pipe()
    os.write(write, PASSPHRASE.encode() + b"\n")
    os.close(write)
    assert read_passphrase(Path("key.json"), Path(f"/dev/fd/{read}")) == PASSPHRASE
    os.close(read)


def test_passphrase_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"--passphrase-file .*gone.*cannot be read"):
        read_passphrase(Path("key.json"), tmp_path / "gone")


def test_without_a_terminal_nobody_is_asked(monkeypatch):
    monkeypatch.delenv("PLIMSOLL_PASSPHRASE", raising=False)
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with pytest.raises(InputError, match=r"key\.json: no passphrase; set PLIMSOLL_PASSPHRASE or give"):
            read_passphrase(Path("key.json"), None)


def test_prompt_names_the_file_and_shows_nothing_of_what_is_typed(tmp_path, monkeypatch):
    path = keystore(tmp_path, "optimizer")
    monkeypatch.delenv("PLIMSOLL_PASSPHRASE", raising=False)
    child, terminal = pty.fork()
    if child == 0:
        status = 1
        try:
            sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
            opened, _ = open_signers(path, None, None)
            os.write(1, opened.address.encode())
            status = 0
        finally:
            os._exit(status)
    shown = read_until(terminal, b"optimizer.json: ")
    time.sleep(0.1)  # the prompt is written before the echo is off on some systems
    os.write(terminal, PASSPHRASE.encode() + b"\n")
    shown += read_until(terminal, development_address("optimizer").encode())
    _, status = os.waitpid(child, 0)
    os.close(terminal)

    assert os.waitstatus_to_exitcode(status) == 0
    assert f"Passphrase of {path}".encode() in shown
    assert PASSPHRASE.encode() not in shown


def read_until(terminal, words):
    shown = b""
    while words not in shown:
        try:
            chunk = os.read(terminal, 1024)
        except OSError:
            chunk = b""
        if not chunk:
            raise AssertionError(shown)
        shown += chunk
    return shown


@pytest.fixture
def kms(monkeypatch):
    """The keeper's and the optimizer's keys in a stand-in of KMS."""
    pytest.importorskip("boto3", reason="the extra kms is not installed")
    from tests.support.kms import Kms

    roles = {"alias/gas": "keeper", "alias/optimizer": "optimizer", "alias/stranger": "alice"}
    kms = Kms({alias: int(development_key(role), 16) for alias, role in roles.items()})
    for name, value in kms.environment.items():
        monkeypatch.setenv(name, value)
    yield kms
    kms.stop()


def test_doctor_and_keys_in_kms(stage, kms):
    assert verdicts(stage, Path("kms:alias/gas"), Path("kms:alias/optimizer")) == {Verdict.OK}
    assert Verdict.FAILED in verdicts(stage, Path("kms:alias/gas"), Path("kms:alias/stranger"))
    assert Verdict.FAILED in verdicts(stage, Path("kms:alias/gas"), Path("kms:alias/nobody"))


def test_keeper_whose_keys_never_leave_kms_settles(stage, kms, monkeypatch, capsys):
    """`plimsoll keeper run --once`, the miner beside it."""
    monkeypatch.delenv("PLIMSOLL_PASSPHRASE", raising=False)
    arguments = [
        "plimsoll", "keeper", "run", "--rpc", stage.sandbox.rpc_url, "--vault", stage.vault.address,
        "--mandate", str(stage.vault.file), "--account", "kms:alias/gas", "--signer", "kms:alias/optimizer",
        "--journal", str(stage.path), "--poll", "0.02", "--once", "--json",
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", arguments)
    done = threading.Event()
    miner = threading.Thread(target=mine_until, args=(stage.sandbox.rpc_url, done))
    miner.start()
    try:
        with pytest.raises(SystemExit) as end:
            cli.main()
    finally:
        done.set()
        miner.join(20)
    said = json.loads(capsys.readouterr().out)

    assert end.value.code == 0
    assert said["decision"] == "settle"
    assert stage.settled() == 1
    with stage.journal() as journal:
        paid = {row.account for row in journal.transactions()}
    assert paid == {development_address("keeper")}
    assert {request["KeyId"] for operation, request, _ in kms.asked if operation == "Sign"} == {
        "alias/gas",
        "alias/optimizer",
    }


def mine_until(url, done):
    from offchain.sandbox.rpc import Rpc

    rpc = Rpc(url)
    while not done.wait(0.05):
        if int(rpc.call("txpool_status")["pending"], 16):
            rpc.call("evm_mine")
    rpc.close()


def test_key_that_kms_does_not_have_ends_the_start_with_one_line(stage, kms, monkeypatch, capsys):
    arguments = [
        "plimsoll", "keeper", "run", "--rpc", stage.sandbox.rpc_url, "--vault", stage.vault.address,
        "--mandate", str(stage.vault.file), "--account", "kms:alias/gas", "--signer", "kms:alias/nobody",
        "--journal", str(stage.path),
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as end:
        cli.main()
    err = capsys.readouterr().err

    assert end.value.code == 2
    assert err.startswith("error: kms key alias/nobody: KMS refuses get_public_key")
    assert err.count("\n") == 1
