# SPDX-License-Identifier: Apache-2.0
"""Deploys a real vault on a sandbox and sends transactions as its actors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eth_account import Account
from web3 import HTTPProvider, Web3
from web3.contract import Contract
from web3.types import TxReceipt

from offchain.abi import contract_abi
from offchain.mandate import Mandate, load_mandate
from offchain.sandbox.standup import Sandbox
from offchain.settle.access_list import AccessEntry
from offchain.settle.deployment import Roles, plan_deployment
from offchain.settle.development import development_address, development_key, sandbox_deployer
from tests.support.contracts import DEPLOYABLE, PROJECT, compiled

BLUE_CHIP = PROJECT / "mandates" / "blue-chip.yaml"
ERC20_ABI = [
    entry
    for entry in contract_abi("Vault")
    if entry.get("name") in ("approve", "transfer", "transferFrom", "balanceOf", "allowance", "Transfer")
]
DAY = 86_400
GAS_LIMIT = 12_000_000

AccessList = tuple[AccessEntry, ...]


@dataclass
class DeployedVault:
    """A vault on a running node, with its contracts and its mandate."""

    web3: Web3
    file: Path
    file_mandate: Mandate
    vault: Contract
    mandate: Contract
    oracle: Contract
    addresses: Mapping[str, str] = field(default_factory=dict)
    """Of every contract that it is made of, by the contract's name."""

    @property
    def address(self) -> str:
        return self.vault.address

    def token(self, index: int) -> Contract:
        """ERC-20 interface of one asset."""
        address = self.file_mandate.ordered_assets[index].address
        return self.web3.eth.contract(address=self.web3.to_checksum_address(address), abi=ERC20_ABI)

    def send(self, role: str, function: Any, value: int = 0, access_list: AccessList = ()) -> TxReceipt:
        """Sign with a role's development key, send, and wait until mined."""
        return send_as(self.web3, role, function, value, access_list)

    def deposit(self, role: str, assets: int) -> TxReceipt:
        """Approve and deposit base asset units; the role must hold them."""
        self.send(role, self.token(0).functions.approve(self.address, assets))
        return self.send(role, self.vault.functions.deposit(assets, development_address(role)))

    def sign(self, order: tuple[Any, ...], role: str = "optimizer") -> tuple[tuple[Any, ...], str, bytes]:
        """Arguments of ``settle`` for an order tuple, signed through the vault's own digest."""
        digest = self.vault.functions.hash_order(order).call()
        signed = Account.unsafe_sign_hash(digest, development_key(role))
        return order, development_address(role), bytes(signed.signature)


def send_as(web3: Web3, role: str, function: Any, value: int = 0, access_list: AccessList = ()) -> TxReceipt:
    """Sign a contract call or creation with a role's development key, send it, and wait until mined."""
    fields = function.build_transaction({"gas": 1, "gasPrice": 1, "nonce": 0, "value": value})
    return send_data(web3, role, {**fields, "accessList": [entry.as_json() for entry in access_list]})


def send_data(web3: Web3, role: str, fields: Any) -> TxReceipt:
    account = Account.from_key(development_key(role))
    base_fee = web3.eth.get_block("latest")["baseFeePerGas"]
    transaction = {
        "chainId": web3.eth.chain_id,
        "nonce": web3.eth.get_transaction_count(account.address),
        "gas": GAS_LIMIT,
        "maxFeePerGas": 2 * base_fee + 10**9,
        "maxPriorityFeePerGas": 10**9,
        "to": fields.get("to", ""),
        "data": fields["data"],
        "value": fields.get("value", 0),
        "accessList": fields.get("accessList", []),
    }
    # A revert is reported with its reason here, before anything is sent.
    web3.eth.call({**{k: v for k, v in transaction.items() if k not in ("nonce",)}, "from": account.address})
    raw = account.sign_transaction(transaction).raw_transaction
    receipt = web3.eth.wait_for_transaction_receipt(web3.eth.send_raw_transaction(raw), poll_latency=0.005)
    if receipt["status"] != 1:
        raise AssertionError(f"reverted: {receipt['transactionHash'].hex()}")
    return receipt


def default_roles(delay: int = 2 * DAY) -> Roles:
    return Roles(
        owner=development_address("owner"),
        curator=development_address("curator"),
        guardian=development_address("guardian"),
        signers=(development_address("optimizer"),),
        delay=delay,
    )


def deploy_vault(
    sandbox: Sandbox, file: Path = BLUE_CHIP, salt: bytes = b"", roles: Roles | None = None
) -> DeployedVault:
    """Deploy the vault of a mandate file through the sandbox's deployer."""
    web3 = Web3(HTTPProvider(sandbox.rpc_url))
    mandate = load_mandate(file)
    plan = plan_deployment(
        mandate,
        roles or default_roles(),
        {name: compiled(name).bytecode for name in DEPLOYABLE},
        sandbox_deployer(),
        salt,
    )
    for creation in plan.creations:
        if len(web3.eth.get_code(web3.to_checksum_address(creation.address))) == 0:
            send_data(web3, "owner", {"to": plan.deployer, "data": creation.transaction_data})
    vault, policy, oracle = (
        web3.eth.contract(address=web3.to_checksum_address(creation.address), abi=contract_abi(creation.contract))
        for creation in (plan.vault, plan.mandate, plan.oracle)
    )
    addresses = {creation.contract: creation.address for creation in plan.creations}
    return DeployedVault(web3, file, mandate, vault, policy, oracle, addresses)
