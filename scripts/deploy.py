# SPDX-License-Identifier: Apache-2.0
"""``ape run deploy``: create a mandate's vault, check it and record it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scripts._accounts import account_options, choose_account
from scripts._command import ScriptError, VaultCommand, answer, json_option
from scripts._vaults import PROJECT, StandingVault, at_addresses, contract, deployments_option, record_path, transact

if TYPE_CHECKING:
    from offchain.mandate import Mandate
    from offchain.settle.deployment import Creation, Deployment, DeploymentPlan, Roles

DELAY_SECONDS = 2 * 86_400


@click.command(cls=VaultCommand)
@click.option("--mandate", "file", type=click.Path(path_type=Path), required=True, help="YAML file of the mandate.")
@account_options
@click.option(
    "--owner", help="Schedules what the timelock does, which owns the mandate. On a sandbox every role has a default."
)
@click.option("--curator", help="Tightens the mandate.")
@click.option("--guardian", help="Stops the vault.")
@click.option("--signer", "signers", multiple=True, help="Signs settlements; may be given several times.")
@click.option("--delay", type=click.IntRange(min=0), default=DELAY_SECONDS, help="Seconds that loosening waits.")
@click.option("--salt", default="", help="At most 32 characters; another one gives another vault of the same mandate.")
@deployments_option
@json_option
def cli(
    provider: Any,
    file: Path,
    alias: str | None,
    keyfile: Path | None,
    owner: str | None,
    curator: str | None,
    guardian: str | None,
    signers: tuple[str, ...],
    delay: int,
    salt: str,
    folder: Path,
    as_json: bool,
) -> None:
    """Create a mandate's vault, check it against the mandate and record it.

    Addresses depend only on the mandate, the roles and the salt: a second run finds the vault and sends nothing.

    Example: ape run deploy --network ethereum:local:foundry --mandate mandates/blue-chip.yaml --account owner
    """
    from offchain.mandate import load_mandate
    from offchain.settle.deployment import plan_deployment, save_deployment

    mandate = load_mandate(file)
    rehearsal = provider.process is not None if hasattr(provider, "process") else False
    if rehearsal and provider.network.name == "local":
        become_sandbox(provider)
    deployer = require_universe(provider, mandate)
    account = choose_account(provider, alias, keyfile)
    roles = choose_roles(provider, owner, curator, guardian, signers, delay)
    types = compiled_types()
    codes = {name: one.deployment_bytecode.bytecode for name, one in types.items()}
    plan = plan_deployment(mandate, roles, codes, deployer, salt.encode())
    require_free_mandate(provider, plan)
    blocks = {one.contract: create(provider, account, plan.deployer, one) for one in plan.creations}
    created = [name for name, block in blocks.items() if block is not None]
    vault = at_addresses(describe(provider, plan, mandate, file, types, blocks["Vault"]))
    verify(provider, vault, mandate, roles if created else None)
    path = record_path(provider, folder)
    if not rehearsal and (created or not already_recorded(path, plan.vault.address)):
        save_deployment(vault.deployment, path)
    answer(
        {
            "name": mandate.name,
            "vault": plan.vault.address,
            "mandate": plan.mandate.address,
            "oracle": plan.oracle.address,
            "timelock": plan.timelock.address,
            "created": created,
            "record": None if rehearsal else str(path),
        },
        [
            f"vault    {plan.vault.address}",
            f"mandate  {plan.mandate.address}",
            f"oracle   {plan.oracle.address}",
            f"timelock {plan.timelock.address}",
            f"created  {', '.join(created)}" if created else f"{mandate.name} already stands; nothing was sent.",
            "A rehearsal: this chain ends with the command, so nothing is recorded."
            if rehearsal
            else f"Recorded in {path}",
        ],
        as_json=as_json,
    )


def become_sandbox(provider: Any) -> None:
    """Load mainnet in a box into the empty chain that ape has just started."""
    import gzip

    from offchain.sandbox.prices import HEAD_TIMESTAMP
    from offchain.sandbox.state import saved_state

    state = gzip.compress(saved_state().read_bytes(), compresslevel=1)
    provider.make_request("anvil_loadState", ["0x" + state.hex()])
    provider.make_request("anvil_setChainId", [1])
    # By the machine's clock every feed would be stale.
    provider.make_request("anvil_setTime", [HEAD_TIMESTAMP + 1])
    provider.make_request("evm_mine", [])
    provider.cached_chain_id = 1


def require_universe(provider: Any, mandate: Mandate) -> str:
    """Return the CREATE2 deployer of a chain that has what the mandate names.

    Raises
    ------
    ScriptError
        It is another chain, or a token, a feed or the deployer is missing.
    """
    from offchain.settle.deployment import CREATE2_DEPLOYER
    from offchain.settle.development import is_sandbox, sandbox_deployer

    if provider.chain_id != mandate.chain_id:
        raise ScriptError(
            f"--network: the node serves chain {provider.chain_id}, the mandate is for {mandate.chain_id}; "
            "for a local chain run `plimsoll sandbox up` first"
        )
    deployer = sandbox_deployer() if is_sandbox(provider.web3) else CREATE2_DEPLOYER
    needed = {f"assets[{asset.symbol}].address": asset.address for asset in mandate.ordered_assets}
    for asset in mandate.ordered_assets:
        needed[f"assets[{asset.symbol}].oracle.feed"] = asset.oracle.feed
    needed["the CREATE2 deployer"] = deployer
    for name, address in needed.items():
        if len(provider.get_code(address)) == 0:
            raise ScriptError(f"{name} is {address}: this chain has no contract there; is it the right one?")
    return deployer


def choose_roles(
    provider: Any,
    owner: str | None,
    curator: str | None,
    guardian: str | None,
    signers: tuple[str, ...],
    delay: int,
) -> Roles:
    """Take roles as given, development accounts for the others on a sandbox.

    Raises
    ------
    ScriptError
        A role is missing where nothing can be assumed, or is not an address.
    """
    from offchain.keeper.open import parse_address
    from offchain.settle.deployment import Roles
    from offchain.settle.development import development_address, is_sandbox

    given = {"owner": owner, "curator": curator, "guardian": guardian, "signer": signers[0] if signers else None}
    if is_sandbox(provider.web3):
        standing_in = {"signer": "optimizer"}
        given = {role: one or development_address(standing_in.get(role, role)) for role, one in given.items()}
    missing = [f"--{role}" for role, one in given.items() if one is None]
    if missing:
        raise ScriptError(f"{', '.join(missing)}: missing; on a real chain every role has to be named")
    chosen = {role: parse_address(str(one), f"--{role}") for role, one in given.items()}
    others = tuple(parse_address(one, "--signer") for one in signers[1:])
    return Roles(chosen["owner"], chosen["curator"], chosen["guardian"], (chosen["signer"], *others), delay)


def compiled_types() -> Mapping[str, Any]:
    """Compile what is deployed; ape keeps the output until a source changes."""
    from ape import project

    from offchain.settle.deployment import EXTENSIONS, VENUE_CONTRACTS

    project.load_contracts()
    names = ("Timelock", "PriceOracle", "Alarms", "Mandate", *VENUE_CONTRACTS.values(), *EXTENSIONS, "Vault")
    return {name: getattr(project, name).contract_type for name in names}


def require_free_mandate(provider: Any, plan: DeploymentPlan) -> None:
    """Refuse a mandate contract that serves another vault: the vault's code has changed since it was created."""
    if len(provider.get_code(plan.mandate.address)) == 0:
        return
    served = contract(plan.mandate.address, "Mandate").vault()
    if int(served, 16) and served != plan.vault.address:
        raise ScriptError(
            f"the mandate contract {plan.mandate.address} serves the vault {served}, created from other sources "
            "of Vault.vy; give another --salt"
        )


def create(provider: Any, account: Any, deployer: str, creation: Creation) -> int | None:
    """Create a contract and return the block; `None` when it stands already."""
    if len(provider.get_code(creation.address)) > 0:
        return None
    receipt = transact(provider, account, deployer, creation.transaction_data)
    if len(provider.get_code(creation.address)) == 0:
        raise ScriptError(
            f"{creation.contract}: the deployer {deployer} created nothing at {creation.address} "
            f"(transaction {receipt['transactionHash'].to_0x_hex()}); does the constructor accept the mandate?"
        )
    click.echo(f"created {creation.contract} with {receipt['gasUsed']:,} gas", err=True)
    return int(receipt["blockNumber"])


def describe(
    provider: Any, plan: DeploymentPlan, mandate: Mandate, file: Path, types: Mapping[str, Any], block: int | None
) -> Deployment:
    """Make the record, and refuse code that is not what was compiled.

    Parameters
    ----------
    block
        In which the vault was created; `None` for one that was found, whose record has the present block.


    Raises
    ------
    ScriptError
        The code at an address does not begin with the compiled runtime code.
    """
    from eth_utils import keccak

    from offchain.settle.deployment import Deployment

    hashes = {}
    for creation in plan.creations:
        code = bytes(provider.get_code(creation.address))
        # Behind the code stand the immutables, which the constructor filled in.
        if not code.startswith(bytes.fromhex(types[creation.contract].runtime_bytecode.bytecode.removeprefix("0x"))):
            raise ScriptError(f"{creation.contract} {creation.address}: other code than was compiled; do not use it")
        hashes[creation.contract] = "0x" + keccak(code).hex()
    return Deployment(
        name=mandate.name,
        vault=plan.vault.address,
        mandate=plan.mandate.address,
        oracle=plan.oracle.address,
        base_asset=mandate.ordered_assets[0].address,
        block=provider.get_block("latest").number if block is None else block,
        code_hashes=hashes,
        arguments={creation.contract: creation.arguments for creation in plan.creations},
        mandate_file=str(_portable(file)),
        commit=commit_of_sources(),
        timelock=plan.timelock.address,
        alarms=plan.alarms.address,
    )


def verify(provider: Any, vault: StandingVault, mandate: Mandate, roles: Roles | None) -> None:
    """Read everything back from the chain and compare it with the mandate, and with the roles of a new vault.

    Raises
    ------
    MandateParityError
        Vault and mandate differ.
    ScriptError
        The parts of the vault do not know each other, or a role is somebody else's.
    """
    from offchain.mandate import compare_with_chain
    from offchain.market.rpc import NodeClient
    from offchain.market.vault import read_chain_mandate

    parts = vault.deployment
    with NodeClient(provider.http_uri) as client:
        compare_with_chain(mandate, read_chain_mandate(client, parts.vault, mandate))
    expected = {
        "vault.mandate": (vault.vault.mandate(), parts.mandate),
        "vault.oracle": (vault.vault.oracle(), parts.oracle),
        "mandate.vault": (vault.mandate.vault(), parts.vault),
        "mandate.alarms": (vault.mandate.alarms(), parts.alarms),
    }
    if roles is not None:
        for role in ("curator", "guardian", "delay"):
            expected[role] = (getattr(vault.mandate, role)(), getattr(roles, role))
        expected["owner"] = (vault.mandate.owner(), parts.timelock)
        for role, account in (("PROPOSER_ROLE", roles.owner), ("CANCELLER_ROLE", roles.guardian)):
            held = vault.timelock.hasRole(getattr(vault.timelock, role)(), account)
            expected[f"{role} of {account}"] = (held, True)
        for signer in roles.signers:
            expected[f"signer {signer}"] = (vault.mandate.is_signer(signer), True)
    for name, (found, wanted) in expected.items():
        if found != wanted:
            raise ScriptError(f"{name} is {found} on the chain, not {wanted}; do not use this vault")


def already_recorded(path: Path, address: str) -> bool:
    """Whether the file has this vault."""
    from offchain.settle.deployment import load_deployments

    return path.exists() and any(one.vault == address for one in load_deployments(path))


def _portable(file: Path) -> Path:
    """Path from the checkout's folder for a file inside of it."""
    path = file.resolve()
    return path.relative_to(PROJECT) if path.is_relative_to(PROJECT) else path


def commit_of_sources() -> str | None:
    """Commit of the checkout, marked when the contracts were changed since; `None` outside of one."""
    try:
        git = ["git", "-C", str(PROJECT)]
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changes = subprocess.run(
            [*git, "status", "--porcelain", "--", "contracts"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{head}-changed" if changes.strip() else head
