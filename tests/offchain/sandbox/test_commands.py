# SPDX-License-Identifier: Apache-2.0
"""`plimsoll sandbox`: up, status, down, as a person would type them."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from offchain.sandbox import background
from offchain.sandbox.chain import Chain
from offchain.sandbox.commands import app
from offchain.sandbox.rpc import Rpc
from offchain.sandbox.standup import Sandbox
from offchain.sandbox.tokens import BALANCE_OF
from offchain.settle.accounts import open_keyfile
from offchain.settle.development import UnknownRole, development_address, is_sandbox


@pytest.fixture(autouse=True)
def own_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox_node: Sandbox) -> None:
    """Pid files apart from those of whoever works in this checkout; the state is built already."""
    monkeypatch.setattr(background, "RUNNING", tmp_path / "running")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def test_up_status_down() -> None:
    started = json.loads(run("up", "--port", "0", "--json").stdout)
    try:
        assert is_sandbox(Rpc(started["rpc_url"]))
        shown = json.loads(run("status", "--json").stdout)
        assert (shown["rpc_url"], shown["chain_id"], len(shown["pools"])) == (started["rpc_url"], 1, 17)
        assert shown["deployments"] == "1-sandbox-" + shown["genesis_hash"][2:10]
    finally:
        stopped = json.loads(run("down", "--json").stdout)
    assert stopped["pid"] == started["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(started["pid"], 0)


def test_gives_tokens_to_a_role() -> None:
    started = json.loads(run("up", "--port", "0", "--json").stdout)
    try:
        given = json.loads(run("give", "alice", "1.5", "WETH", "--json").stdout)
        assert given["receiver"] == development_address("alice")
        chain = Chain(Rpc(started["rpc_url"]), development_address("market"))
        assert chain.call(given["token"], BALANCE_OF, given["receiver"]) == int(given["amount"]) == 15 * 10**17
        refused = run("give", "alice", "1", "FOO")
        assert refused.exit_code == 2
        assert "no token of the sandbox" in refused.output
        with pytest.raises(UnknownRole, match="the roles are owner"):
            run("give", "nobody", "1", "WETH")
    finally:
        run("down")


def test_up_twice_finds_the_first() -> None:
    first = json.loads(run("up", "--port", "0", "--json").stdout)
    try:
        second = json.loads(run("up", "--port", str(first["port"]), "--json").stdout)
        assert (second["pid"], second["already_running"]) == (first["pid"], True)
    finally:
        run("down")


def test_listed_key_files_open_with_the_listed_password() -> None:
    started = json.loads(run("up", "--port", "0", "--json").stdout)
    run("down")
    accounts = {account["role"]: account for account in json.loads(Path(started["accounts"]).read_text())}
    keeper = accounts["keeper"]
    opened = open_keyfile(Path(keeper["keyfile"]), keeper["password"])
    assert opened.address == keeper["address"] == development_address("keeper")
    assert Path(keeper["keyfile"]).stat().st_mode & 0o077 == 0


def test_status_without_a_sandbox_says_how_to_start_one() -> None:
    with pytest.raises(background.NoSandbox, match="plimsoll sandbox up"):
        run("status")


def test_down_forgets_a_node_that_died_without_killing_who_has_its_pid_now() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    background.Background(port, os.getpid(), f"http://127.0.0.1:{port}", "log", 0).save()
    with pytest.raises(background.NoSandbox):
        run("down")
    assert not list(background.RUNNING.glob("*.json"))
