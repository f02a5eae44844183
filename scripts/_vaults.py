# SPDX-License-Identifier: Apache-2.0
"""Which vaults stand on the connected chain, from the records in ``deployments/``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from offchain.settle.deployment import Deployment
from scripts._command import ScriptError

if TYPE_CHECKING:
    from offchain.mandate import Mandate

PROJECT = Path(__file__).parents[1]
DEPLOYMENTS = PROJECT / "deployments"
ERC20 = ("approve", "allowance", "balanceOf", "transfer", "symbol")
FEED_DECIMALS = 5
"""Place of the token's decimals in a row of the oracle's table."""
SHARE_DECIMALS = 18
GAS_MARGIN_PERCENT = 130
"""An estimate made at one second can be too low at the next."""
BREAKER_STATES = ("ACTIVE", "REDUCE_ONLY", "HALTED")
BREAKER_REASONS = (
    "none",
    "drawdown",
    "guardian",
    "volatility",
    "health factor",
    "dead oracle",
    "sources apart",
    "base asset off its peg",
    "no heartbeat",
    "frozen reserve",
)


def deployments_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--deployments``."""
    return click.option(
        "--deployments",
        "folder",
        type=click.Path(path_type=Path, file_okay=False),
        envvar="PLIMSOLL_DEPLOYMENTS",
        default=DEPLOYMENTS,
        help="Folder of the records, one file a chain; by default deployments/.",
    )(command)


def vault_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--vault``."""
    return click.option(
        "--vault", "address", help="Address, where several vaults are recorded, or of a vault that others deployed."
    )(command)


def record_path(provider: Any, folder: Path) -> Path:
    """File of the connected chain's records; a fork of a real chain has one of its own."""
    from offchain.settle.development import deployment_name, is_sandbox

    name = deployment_name(provider.web3)
    fork = provider.network.name.endswith("-fork") and not is_sandbox(provider.web3)
    return folder / f"{name}{'-fork' if fork else ''}.json"


@dataclass(frozen=True)
class AssetName:
    """How to speak of an asset of a vault."""

    symbol: str
    address: str
    decimals: int


@dataclass(frozen=True)
class StandingVault:
    """A vault that the connected chain has, with ape contracts of its parts."""

    deployment: Deployment
    vault: Any
    mandate: Any
    oracle: Any
    timelock: Any
    """Owner of the mandate."""

    @property
    def base_decimals(self) -> int:
        """Decimals of the base asset, as its oracle was told; a fork may not have the token's own."""
        return int(self.oracle.feeds(0)[FEED_DECIMALS])

    @property
    def base(self) -> Any:
        """The base asset."""
        return token(self.deployment.base_asset)

    def asset_names(self) -> list[AssetName]:
        """Name the assets as the mandate does; as they call themselves where its file is not at hand."""
        addresses = [str(one) for one in self.vault.tokens()]
        mandate = self.recorded_mandate()
        if mandate is not None:
            return [AssetName(one.symbol, one.address, one.decimals) for one in mandate.ordered_assets]
        return [
            AssetName(own_symbol(one), one, int(self.oracle.feeds(index)[FEED_DECIMALS]))
            for index, one in enumerate(addresses)
        ]

    def recorded_mandate(self) -> Mandate | None:
        """Return the mandate it was deployed from, unless the file is gone or is another vault's now."""
        from offchain.mandate import MandateError, load_mandate

        try:
            mandate = load_mandate(PROJECT / self.deployment.mandate_file)
        except MandateError:
            return None
        addresses = [asset.address.lower() for asset in mandate.ordered_assets]
        return mandate if addresses == [one.lower() for one in self.vault.tokens()] else None


def open_vault(provider: Any, folder: Path, address: str | None) -> StandingVault:
    """Return the vault that was asked for, or the only one that is recorded.

    Raises
    ------
    DeploymentError
        No vault was recorded for this chain, and none was asked for.
    ScriptError
        None that was recorded is there, several are, or no vault is at the address.
    """
    from offchain.settle.deployment import load_deployments

    path = record_path(provider, folder)
    recorded = load_deployments(path) if address is None or path.exists() else ()
    if address is not None:
        recorded = tuple(one for one in recorded if one.vault.lower() == address.lower())
        if not recorded:
            return somebody_elses(address)
    standing = [one for one in recorded if len(provider.get_code(one.vault)) > 0]
    if not standing:
        raise ScriptError(f"{path}: this chain has no contract at {recorded[-1].vault}; run `ape run deploy` on it")
    if len(standing) > 1:
        known = ", ".join(f"{one.vault} ({one.name})" for one in standing)
        raise ScriptError(f"several vaults stand here; choose with --vault: {known}")
    return at_addresses(standing[0])


def somebody_elses(address: str) -> StandingVault:
    """A vault that is in no record, by what it says of itself: who has shares needs nothing else to leave.

    Raises
    ------
    ScriptError
        What stands there is no vault whose mandate knows it.
    """
    from ape.exceptions import ApeException

    from offchain.keeper.open import parse_address

    vault = contract(parse_address(address, "--vault"), "Vault")
    try:
        mandate, oracle, base = str(vault.mandate()), str(vault.oracle()), str(vault.asset())
        known, owner = str(contract(mandate, "Mandate").vault()), str(contract(mandate, "Mandate").owner())
        name = str(vault.name())
    except ApeException:
        known = ""
    if known != vault.address:
        raise ScriptError(f"--vault {address}: no vault of Plimsoll's stands there on this chain; check the address")
    click.echo(f"note: {vault.address} is in no record; nothing but its own word says what its code is", err=True)
    return at_addresses(
        Deployment(
            name=name,
            vault=vault.address,
            mandate=mandate,
            oracle=oracle,
            base_asset=base,
            block=0,
            code_hashes={},
            arguments={},
            mandate_file="",
            commit=None,
            timelock=owner,
        )
    )


def own_symbol(address: str) -> str:
    """What a token calls itself; the beginning of its address where it does not say."""
    from ape.exceptions import ApeException

    try:
        return str(token(address).symbol())
    except (ApeException, ValueError):
        return address[:8]


def events_since(provider: Any, standing: StandingVault, address: str, event: str) -> list[Any] | None:
    """Logs of an event since the vault stands; `None` where the node does not look that far back."""
    from eth_utils import keccak
    from web3.exceptions import Web3Exception

    wanted = {"address": address, "topics": [keccak(text=event)], "toBlock": "latest"}
    try:
        return list(provider.web3.eth.get_logs({**wanted, "fromBlock": standing.deployment.block}))
    except (Web3Exception, ValueError):
        return None


def at_addresses(deployment: Deployment) -> StandingVault:
    """Ape contracts of a deployment's addresses, by the committed ABIs."""
    return StandingVault(
        deployment,
        contract(deployment.vault, "Vault"),
        contract(deployment.mandate, "Mandate"),
        contract(deployment.oracle, "PriceOracle"),
        contract(deployment.timelock, "Timelock"),
    )


def contract(address: str, name: str) -> Any:
    """Ape contract of one of ours."""
    from ape.contracts import ContractInstance
    from ethpm_types import ContractType

    from offchain.abi import contract_abi

    return ContractInstance(address, ContractType(contractName=name, abi=contract_abi(name)))


def token(address: str) -> Any:
    """Ape contract of an ERC-20."""
    from ape.contracts import ContractInstance
    from ethpm_types import ContractType

    from offchain.abi import contract_abi

    functions = [entry for entry in contract_abi("Vault") if entry.get("name") in ERC20]
    return ContractInstance(address, ContractType(contractName="ERC20", abi=functions))


def transact(provider: Any, account: Any, target: str, calldata: str | bytes) -> Any:
    """Send a call and return web3's receipt of it; refused before it is sent where the chain would refuse it.

    Raises
    ------
    Reverted
        The contract would refuse, with its own reason.
    ScriptError
        It was mined and failed all the same.
    """
    from offchain.market.rpc import NodeClient
    from offchain.settle.node import Node

    data = calldata if isinstance(calldata, bytes) else bytes.fromhex(calldata.removeprefix("0x"))
    with NodeClient(provider.http_uri) as client:
        gas = Node(client).estimate_gas(target, data, sender=account.address)
    transaction = provider.network.ecosystem.create_transaction(
        receiver=target, data=data, sender=account.address, gas_limit=gas * GAS_MARGIN_PERCENT // 100
    )
    sent = account.call(transaction)
    # Ape waits only on a node that mines at once.
    receipt = provider.web3.eth.wait_for_transaction_receipt(sent.txn_hash, timeout=600, poll_latency=0.01)
    if receipt["status"] != 1:
        raise ScriptError(f"transaction {sent.txn_hash} was mined and failed; nothing else was sent")
    return receipt


def whole(amount: int, decimals: int) -> str:
    """Base units as whole units, with thousands separators and no trailing zeros."""
    text = f"{Decimal(amount).scaleb(-decimals):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
