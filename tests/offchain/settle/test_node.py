# SPDX-License-Identifier: Apache-2.0
import pytest
from eth_abi.abi import encode

from offchain.market.rpc import NodeClient, RpcError
from offchain.sandbox.anvil import Anvil
from offchain.settle.node import Node, Reverted, as_revert, revert_reason

TARGET = "0x00000000000000000000000000000000000000cc"


@pytest.fixture(scope="module")
def node():
    with Anvil() as anvil:
        client = NodeClient(anvil.rpc_url)
        yield Node(client)
        client.close()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (bytes.fromhex("08c379a0") + encode(["string"], ["limits: weight"]), "limits: weight"),
        (bytes.fromhex("4e487b71") + encode(["uint256"], [0x11]), "panic 0x11"),
        (b"", "without a reason"),
        (bytes.fromhex("deadbeef"), "0xdeadbeef"),
        (bytes.fromhex("08c379a0") + b"\xff", "0x08c379a0ff"),
    ],
)
def test_revert_data_become_words(data, reason):
    assert revert_reason(data) == reason


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ({"code": 3, "message": "execution reverted: limits: weight"}, "limits: weight"),
        ({"code": -32000, "message": "execution reverted"}, "without a reason"),
        ({"code": 3, "message": "execution reverted", "data": "0xdeadbeef"}, "0xdeadbeef"),
    ],
)
def test_every_nodes_way_to_say_revert_is_understood(error, reason):
    assert as_revert(RpcError("http://node", "eth_call", error)).reason == reason


def test_other_errors_are_no_reverts():
    assert as_revert(RpcError("http://node", "eth_call", {"code": -32000, "message": "header not found"})) is None


def test_call_that_reverts_raises_the_contracts_words(node):
    message = bytes.fromhex("08c379a0") + encode(["string"], ["roles: not the owner"])
    copy = f"60{len(message):02x}80600b6000396000fd"
    node.client.call("anvil_setCode", TARGET, "0x" + copy + message.hex())

    with pytest.raises(Reverted, match="roles: not the owner"):
        node.call(TARGET, b"")


def test_transaction_that_the_node_already_has_may_be_sent_again(node):
    node.client.call("evm_setAutomine", False)
    from eth_account import Account

    account = Account.create()
    node.client.call("anvil_setBalance", account.address, hex(10**18))
    fields = {"chainId": 1, "nonce": 0, "to": TARGET, "gas": 30_000, "gasPrice": 10**10}
    raw = "0x" + account.sign_transaction(fields).raw_transaction.hex()

    node.send_raw(raw)
    node.send_raw(raw)


def test_state_that_the_node_does_not_keep_is_unknown(node):
    assert node.final_nonce(TARGET, 10**9) is None
