# SPDX-License-Identifier: Apache-2.0
"""Secrets are where they were put, and nowhere else: not in anything that a keeper writes, serves, sends or shows."""

import json
import os
import secrets
import subprocess
import sys
import time
import traceback
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from eth_account import Account

from offchain import cli
from offchain.market.rpc import NodeClient, NodeError
from offchain.market.url_secrets import url_secrets, without_secrets
from offchain.settle.development import development_key
from tests.support.proxy import Fault, FaultProxy
from tests.support.relay import PrivateRelay

OURS = secrets.token_hex(4)
"""So that another run of these tests on the machine is not taken for a leak of this one."""
PASSPHRASE = f"correct horse battery staple {OURS}"
RPC_PASSWORD = f"hunter2hunter2{OURS}"
PATH_KEY = f"d41d8cd98f00b204{OURS}"
QUERY_KEY = f"k-3f{OURS}"
RELAY_KEY = f"ae9ff1c2-77b0_4e1d-relay-{OURS}"
TOKEN = f"110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5{OURS}"
SLACK_PATH = f"T00000000/B00000000/XXXXXXXXXXXXXXXX{OURS}"
KEYS = tuple(development_key(role)[2:] for role in ("keeper", "optimizer"))
SECRETS = (PASSPHRASE, RPC_PASSWORD, PATH_KEY, QUERY_KEY, RELAY_KEY, TOKEN, SLACK_PATH, *KEYS)
PLIMSOLL = str(Path(sys.executable).with_name("plimsoll"))
KEYED = (
    f"http://user:{RPC_PASSWORD}@127.0.0.1:9",
    f"https://127.0.0.1:9/v3/{PATH_KEY}",
    f"wss://127.0.0.1:9/?apikey={QUERY_KEY}",
    f"https://{PATH_KEY}@127.0.0.1:9",
    f"http://127.0.0.1:8,https://127.0.0.1:9/v2/{RELAY_KEY}",
)


@pytest.fixture
def own_keys(tmp_path):
    """The development keys under a passphrase that can be searched for."""
    files = {}
    for role in ("keeper", "optimizer"):
        path = tmp_path / f"{role}.json"
        path.write_text(json.dumps(Account.encrypt(development_key(role), PASSPHRASE, kdf="scrypt", iterations=2**12)))
        path.chmod(0o600)
        files[role] = path
    return files


@pytest.fixture
def proxy(stage):
    proxy = FaultProxy(stage.sandbox.rpc_url)
    yield proxy
    proxy.stop()


@pytest.fixture
def relay():
    relay = PrivateRelay()
    yield relay
    relay.stop()


@pytest.fixture
def environment(proxy, relay, mailbox):
    """What an operator gives a keeper that has everything configured."""
    url, _ = mailbox
    rpc = proxy.url.replace("http://", f"http://user:{RPC_PASSWORD}@")
    return {
        **os.environ,
        "PLIMSOLL_RPC": f"{rpc}/v3/{PATH_KEY}?apikey={QUERY_KEY}",
        "PLIMSOLL_RELAY": f"{relay.url}/{RELAY_KEY}",
        "PLIMSOLL_PASSPHRASE": PASSPHRASE,
        "PLIMSOLL_SLACK_WEBHOOK": f"{url}/services/{SLACK_PATH}",
        "PLIMSOLL_TELEGRAM_TOKEN": TOKEN,
        "PLIMSOLL_TELEGRAM_CHAT": "42",
        "PLIMSOLL_TELEGRAM_API": url,
    }


def found_in(seen):
    """Where a secret is, of texts and bytes by place."""
    return [
        f"{secret[:4]}... in {where}"
        for where, content in seen.items()
        for secret in SECRETS
        if (secret.encode() if isinstance(content, bytes) else secret) in content
    ]


def files_below(folder):
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def processes(name):
    """A file of every process in /proc that may be read and is not this one's."""
    seen = {}
    for one in Path("/proc").glob(f"[0-9]*/{name}"):
        if one.parent.name != str(os.getpid()):
            try:
                seen[f"/proc/{one.parent.name}/{name}"] = one.read_bytes()
            except OSError:
                continue
    return seen


def served(url):
    """What a keeper answers at each of its paths."""
    seen = {}
    for path in ("/metrics", "/healthz", "/readyz", "/nothing"):
        try:
            with urlopen(url.replace("/metrics", path), timeout=5) as response:
                seen[path] = response.read().decode()
        except HTTPError as error:
            seen[path] = error.read().decode()
    return seen


def wait_for(log, text, seconds=60.0):
    end = time.monotonic() + seconds
    while text not in log.read_text():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)


def test_secrets_are_nowhere(stage, own_keys, environment, proxy, relay, mailbox, tmp_path):
    """A keeper settles through its relay, loses its node, and hears of its own key from a node that chatters."""
    log, traces = tmp_path / "keeper.log", tmp_path / "traces.jsonl"
    command = [
        PLIMSOLL, "keeper", "run", "--vault", stage.vault.address, "--mandate", str(stage.vault.file),
        "--account", str(own_keys["keeper"]), "--signer", str(own_keys["optimizer"]), "--journal", str(stage.path),
        "--poll", "0.05", "--metrics-port", "0", "--traces", str(traces), "--verbose", "--json",
    ]  # fmt: skip
    environment["PLIMSOLL_CACHE_DIR"] = str(tmp_path / "cache")
    chatter = {"code": -32000, "message": f"project {PATH_KEY} ({QUERY_KEY}) of {RPC_PASSWORD} is over its limit"}
    with log.open("w") as out:
        process = subprocess.Popen(command, stderr=out, stdout=out, env=environment)
    try:
        wait_for(log, "given to the relay")
        stage.node.send_raw(relay.held[0][0])
        stage.mine()
        wait_for(log, '"settled"')
        proxy.fault = Fault("gone", drop="before")
        wait_for(log, "node failed")
        proxy.fault = Fault("chatter", error=chatter)
        wait_for(log, "is over its limit")
        url = next(json.loads(line)["url"] for line in log.read_text().splitlines() if '"metrics"' in line)
        seen = served(url) | processes("cmdline")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        knowing = {where.split("/")[2] for where, content in processes("environ").items() if found_in({where: content})}
        seen |= files_below(tmp_path)  # journal and cache with what is not checkpointed yet
    finally:
        process.terminate()
        process.wait(20)
    seen |= files_below(tmp_path) | {"alerts": str([body for _, body in mailbox[1]])}

    assert {"/metrics", "/healthz", "/readyz", f"/proc/{process.pid}/cmdline", "keeper.log", "traces.jsonl"} <= set(
        seen
    )
    assert {"journal.sqlite", "journal.sqlite-wal", "cache/rounds.sqlite", "alerts"} <= set(seen)
    assert found_in(seen) == []
    # Docs: the environment is readable by the keeper's own user, and is inherited by nobody.
    assert knowing <= {str(process.pid)}
    assert children.strip() == ""


def test_search_would_find_a_secret(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"\x00" + PASSPHRASE.encode() + b"\x00")

    assert found_in(files_below(tmp_path)) == ["corr... in deep/file"]
    assert any(b"pytest" in content or b"python" in content for content in processes("cmdline").values())


@pytest.mark.slow
def test_what_commands_say_of_a_keeper_holds_no_secret(stage, own_keys, environment, tmp_path, monkeypatch, capfd):
    with stage.journal() as journal:
        stage.keeper(journal).tick()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    vault = ["--vault", stage.vault.address, "--mandate", str(stage.vault.file)]
    keys = ["--account", str(own_keys["keeper"]), "--signer", str(own_keys["optimizer"])]
    place = ["--journal", str(stage.path)]
    commands = (
        ["doctor", *vault, *keys, *place, "--json"],
        ["doctor", *vault, *keys, *place],
        ["plan", *vault, "--json"],
        ["keeper", "status", *place, "--json"],
        ["replay", str(stage.path), "--json"],
        ["journal", "rebuild", *vault, "--journal", str(tmp_path / "again.sqlite"), "--json"],
    )
    said = {
        " ".join(arguments[:2]) + f" {number}": run(arguments, monkeypatch, capfd)
        for number, arguments in enumerate(commands)
    }

    assert all(said.values())
    assert found_in(said | files_below(tmp_path)) == []


def run(arguments, monkeypatch, capfd):
    """All that a command prints."""
    monkeypatch.setattr(sys, "argv", ["plimsoll", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0, capfd.readouterr()
    return "".join(capfd.readouterr())


def test_traceback_of_an_unexpected_error_holds_no_secret(stage, own_keys, environment, monkeypatch, capfd):
    def break_down(*_arguments, **_options):
        raise RuntimeError("unexpected")

    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("offchain.keeper.keeper.check_before_start", break_down)
    arguments = [
        "plimsoll", "--debug", "keeper", "run", "--vault", stage.vault.address, "--mandate", str(stage.vault.file),
        "--account", str(own_keys["keeper"]), "--signer", str(own_keys["optimizer"]), "--journal", str(stage.path),
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(RuntimeError) as raised:
        cli.main()
    shown = "".join(traceback.format_exception(raised.value)) + "".join(capfd.readouterr())

    assert "break_down" in shown
    assert found_in({"traceback": shown}) == []


@pytest.mark.parametrize("url", KEYED, ids=range(len(KEYED)))
def test_failure_of_a_node_shows_neither_password_nor_key(url):
    with NodeClient(url.split(",")[-1], retries=0, timeout=1) as client, pytest.raises(NodeError) as raised:
        client.call("eth_chainId")

    assert (
        found_in({"message": str(raised.value), "traceback": "".join(traceback.format_exception(raised.value))}) == []
    )


@pytest.mark.parametrize("url", KEYED, ids=range(len(KEYED)))
@pytest.mark.parametrize(
    ("command", "option"),
    [("keeper run", "--rpc"), ("keeper run", "--relay"), ("doctor", "--rpc"), ("plan", "--rpc"), ("data sync", "--rpc"),
     ("journal rebuild", "--rpc")],
)  # fmt: skip
@pytest.mark.parametrize("joined", [False, True])
def test_key_on_the_command_line_is_refused(url, command, option, joined, monkeypatch, capsys):
    given = [f"{option}={url}"] if joined else [option, url]
    monkeypatch.setattr(sys, "argv", ["plimsoll", *command.split(), *given])
    with pytest.raises(SystemExit) as end:
        cli.main()
    err = capsys.readouterr().err

    assert end.value.code == 2
    assert f"put it into PLIMSOLL_{option[2:].upper()}" in err
    assert err.count("\n") == 1
    assert found_in({"message": err}) == []


def test_password_of_a_database_on_the_command_line_is_refused(monkeypatch, capsys):
    for url in (f"postgresql://keeper:{RPC_PASSWORD}@db/plimsoll", f"postgresql://db/plimsoll?password={RPC_PASSWORD}"):
        monkeypatch.setattr(sys, "argv", ["plimsoll", "keeper", "status", "--journal", url])
        with pytest.raises(SystemExit) as end:
            cli.main()
        err = capsys.readouterr().err

        assert end.value.code == 2
        assert "--journal: it holds a password" in err
        assert RPC_PASSWORD not in err


@pytest.mark.parametrize(
    "text",
    ["http://127.0.0.1:8545", "wss://node.example.org/ws", "https://rpc.example.org/eth/mainnet", "/var/geth.ipc",
     "postgresql://db.example.org/plimsoll?sslmode=require", "out/journal.sqlite", "http://[", "0x" + "ab" * 20],
)  # fmt: skip
def test_what_holds_no_secret_is_none(text):
    assert url_secrets(text) == ()
    assert without_secrets(text, text) == text


def test_secret_is_cut_out_encoded_or_not():
    url = "http://u:p%40ss-word@h/"

    assert without_secrets("p%40ss-word and p@ss-word", url) == "… and …"
