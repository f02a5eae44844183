# SPDX-License-Identifier: Apache-2.0
"""The anvil process: started, found, refused, ended."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from offchain.sandbox.anvil import Anvil, AnvilFailed, AnvilMissing, PortBusy, anvil_binary
from offchain.sandbox.rpc import NodeUnreachable, Rpc, RpcError


def test_it_answers_chain_id_one_on_a_port_of_its_own() -> None:
    with Anvil() as first, Anvil() as second:
        assert first.port != second.port
        assert first.rpc.call("eth_chainId") == second.rpc.call("eth_chainId") == "0x1"


def test_leaving_the_context_ends_the_child() -> None:
    with Anvil() as anvil:
        pid = anvil.pid
        assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_busy_port_is_refused() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(PortBusy, match=str(taken.getsockname()[1])):
            Anvil(port=taken.getsockname()[1])


def test_a_missing_binary_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AnvilMissing, match="make setup"):
        anvil_binary(tmp_path)


def test_a_node_that_does_not_start_tells_its_last_words() -> None:
    with pytest.raises(AnvilFailed, match="no-such-fork"):
        Anvil(hardfork="no-such-fork").start()


def test_dumped_state_loads_again(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    account = "0x" + "12" * 20
    with Anvil(dump_state=state) as first:
        first.rpc.call("anvil_setBalance", account, hex(77))
        first.rpc.call("evm_mine")
    with Anvil(load_state=state) as second:
        assert int(second.rpc.call("eth_getBalance", account, "latest"), 16) == 77


def test_an_error_of_the_node_is_typed_and_names_the_method() -> None:
    with Anvil() as anvil, pytest.raises(RpcError, match="eth_noSuchThing"):
        anvil.rpc.call("eth_noSuchThing")


def test_batches_answer_in_order() -> None:
    with Anvil() as anvil:
        accounts = [f"0x{i:040x}" for i in range(1, 40)]
        anvil.rpc.batch([("anvil_setBalance", [account, account]) for account in accounts], size=7)
        balances = anvil.rpc.batch([("eth_getBalance", [account, "latest"]) for account in accounts], size=7)
        assert [int(balance, 16) for balance in balances] == list(range(1, 40))


def test_nobody_listening_is_said_plainly() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(NodeUnreachable, match=f"127.0.0.1:{port}"):
        Rpc(f"http://127.0.0.1:{port}").call("eth_chainId")
