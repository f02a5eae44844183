# SPDX-License-Identifier: Apache-2.0
import pytest

from offchain.market.rpc import NodeClient, RpcError
from offchain.route.leg import Venue
from offchain.settle.access_list import cheaper_access_list
from offchain.settle.development import development_address
from offchain.settle.node import Node
from tests.support.vaults import GAS_LIMIT

KEEPER = development_address("keeper")
LEGS = [(int(Venue.UNISWAP_V3), 0, 1, 500, 10**11, 1), (int(Venue.UNISWAP_V2), 0, 1, 0, 10**10, 1)]
COUNTER = "0x00000000000000000000000000000000000000c7"
READS_ITS_SLOT = "0x60005450"
"""PUSH1 0, SLOAD, POP."""


class Without(NodeClient):
    """A node that does not know a method."""

    missing = ""

    def batch_answers(self, requests):
        unknown = {"code": -32601, "message": "Method not found"}
        answers = super().batch_answers(requests)
        return [
            RpcError(self.url, method, unknown) if method == self.missing else answer
            for (method, _), answer in zip(requests, answers, strict=True)
        ]


def settle(vault):
    functions = vault.vault.functions
    head = vault.web3.eth.block_number
    mandate_hash = vault.mandate.functions.mandate_hash().call()
    order = (0, head + 25, mandate_hash, b"\x5a" * 32, LEGS, 0, 10**12)
    return functions.settle(*vault.sign(order))


def list_of(node, vault, call):
    calldata = bytes.fromhex(call._encode_transaction_data()[2:])
    return cheaper_access_list(node, vault.address, calldata, sender=KEEPER, gas_limit=GAS_LIMIT)


def test_settlement_pays_less_gas_with_its_list(sandbox, vault, node):
    call = settle(vault)
    access_list = list_of(node, vault, call)
    mark = sandbox.rpc.call("evm_snapshot")
    plain = vault.send("keeper", call)["gasUsed"]
    sandbox.rpc.call("evm_revert", mark)

    listed = vault.send("keeper", call, access_list=access_list)["gasUsed"]

    items = len(access_list) + sum(len(entry.slots) for entry in access_list)
    assert plain - listed == 100 * items
    assert items > 40


def test_vault_and_sender_are_warm_and_left_out(vault, node):
    listed = {entry.address.lower() for entry in list_of(node, vault, settle(vault))}

    assert listed
    assert not listed & {vault.address.lower(), KEEPER.lower()}


def test_call_that_touches_only_the_target_gets_no_list(sandbox, node):
    sandbox.rpc.call("anvil_setCode", COUNTER, READS_ITS_SLOT)

    assert cheaper_access_list(node, COUNTER, b"", sender=KEEPER, gas_limit=GAS_LIMIT) == ()


def test_call_that_reverts_gets_no_list(vault, node):
    assert cheaper_access_list(node, vault.address, b"\x01\x02\x03\x04", sender=KEEPER, gas_limit=GAS_LIMIT) == ()


@pytest.mark.parametrize("method", ["eth_createAccessList", "eth_simulateV1"])
def test_node_that_cannot_tell_costs_the_list_and_no_more(sandbox, vault, method):
    with Without(sandbox.rpc_url) as client:
        client.missing = method

        assert list_of(Node(client), vault, settle(vault)) == ()
