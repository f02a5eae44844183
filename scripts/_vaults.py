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
ERC20 = ("approve", "allowance", "balanceOf", "transfer")
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
    return click.option("--vault", "address", help="Address, where several vaults are recorded.")(command)


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
    """A recorded vault that the connected chain has, with ape contracts of its parts."""

    deployment: Deployment
    vault: Any
    mandate: Any
    oracle: Any
    timelock: Any
    """Owner of the mandate."""

    @property
    def base_decimals(self) -> int:
        """Decimals of the base asset, as the vault was told; a fork may not have the token's own."""
        return int(self.deployment.arguments["Vault"][3])

    @property
    def base(self) -> Any:
        """The base asset."""
        return token(self.deployment.base_asset)

    def asset_names(self) -> list[AssetName]:
        """Name the assets as the mandate does; by their addresses where its file is not at hand any more."""
        addresses = [str(one) for one in self.vault.tokens()]
        mandate = self.recorded_mandate()
        if mandate is not None:
            return [AssetName(one.symbol, one.address, one.decimals) for one in mandate.ordered_assets]
        feeds = self.deployment.arguments["PriceOracle"][0]
        return [AssetName(one[:8], one, int(feed[5])) for one, feed in zip(addresses, feeds, strict=True)]

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
    """Return the vault that was asked for, or the only one there is.

    Raises
    ------
    DeploymentError
        No vault was recorded for this chain.
    ScriptError
        None that was recorded is there, several are, or not the one asked for.
    """
    from offchain.settle.deployment import load_deployments

    path = record_path(provider, folder)
    recorded = load_deployments(path)
    if address is not None:
        recorded = tuple(one for one in recorded if one.vault.lower() == address.lower())
        if not recorded:
            raise ScriptError(f"--vault {address}: not in {path}; deploy it, or give an address from there")
    standing = [one for one in recorded if len(provider.get_code(one.vault)) > 0]
    if not standing:
        raise ScriptError(f"{path}: this chain has no contract at {recorded[-1].vault}; run `ape run deploy` on it")
    if len(standing) > 1:
        known = ", ".join(f"{one.vault} ({one.name})" for one in standing)
        raise ScriptError(f"several vaults stand here; choose with --vault: {known}")
    return at_addresses(standing[0])


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
