# SPDX-License-Identifier: Apache-2.0
"""What has to be created for a vault, where it will stand, and the record of it.

Contracts are created through a CREATE2 deployer, so every address is known before the
first transaction and the same inputs give the same vault again. On a sandbox the deployer
is the sandbox's own, which cannot exist on the real chain.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from offchain.errors import PlimsollError
from offchain.mandate import Mandate
from offchain.mandate.venues import AaveV3Venue, BalancerV2Venue, ListedVenue

CREATE2_DEPLOYER: Final = "0x4e59b44847b379578588920cA78FbF26c0B4956C"
"""The deterministic deployment proxy that stands on the public chains."""
ZERO_ADDRESS: Final = "0x" + "00" * 20


class DeploymentError(PlimsollError):
    """A deployment record is missing or unreadable, or a deployment cannot be made."""


@dataclass(frozen=True, slots=True)
class Roles:
    """Who holds which role of a new vault."""

    owner: str
    """Schedules what the timelock, which owns the mandate, does after the delay."""
    curator: str
    guardian: str
    signers: tuple[str, ...]
    delay: int
    """Seconds that loosening waits."""


@dataclass(frozen=True, slots=True)
class Creation:
    """One contract to create."""

    contract: str
    address: str
    arguments: tuple[Any, ...]
    transaction_data: str
    """0x-prefixed salt and creation code, to be sent to the deployer."""


@dataclass(frozen=True, slots=True)
class DeploymentPlan:
    """The contracts of one vault, in the order in which they must be created."""

    deployer: str
    timelock: Creation
    """Owner of the mandate; its proposer is the role that is called the owner."""
    oracle: Creation
    alarms: Creation
    mandate: Creation
    venues: tuple[Creation, ...]
    extensions: tuple[Creation, ...]
    """As `EXTENSIONS` names them."""
    vault: Creation

    @property
    def creations(self) -> tuple[Creation, ...]:
        """Timelock, oracle, alarms, mandate, venues, the vault's extensions, vault."""
        return (self.timelock, self.oracle, self.alarms, self.mandate, *self.venues, *self.extensions, self.vault)


@dataclass(frozen=True, slots=True)
class Deployment:
    """The record of a vault that was deployed; a file of them exists for each chain."""

    name: str
    vault: str
    mandate: str
    oracle: str
    base_asset: str
    block: int
    code_hashes: Mapping[str, str]
    """keccak256 of the runtime code, by contract name."""
    arguments: Mapping[str, Any]
    """Constructor arguments, by contract name."""
    mandate_file: str
    commit: str | None
    """Of the sources; `None` outside a git checkout."""
    timelock: str = ZERO_ADDRESS
    """Owner of the mandate when it was deployed."""
    alarms: str = ZERO_ADDRESS
    """The breaker's table."""


def plan_deployment(
    mandate: Mandate,
    roles: Roles,
    creation_code: Mapping[str, str],
    deployer: str = CREATE2_DEPLOYER,
    salt: bytes = b"",
) -> DeploymentPlan:
    """Compute what a mandate's vault consists of and where it will stand.

    Parameters
    ----------
    creation_code
        Hex creation code of every contract that `DeploymentPlan.creations` names, without arguments.
    salt
        At most 32 bytes; another salt gives another vault of the same mandate and roles.
    """
    timelock = _creation(
        "Timelock",
        creation_code,
        deployer,
        salt,
        ["uint256", "address[]", "address[]", "address"],
        (roles.delay, [roles.owner], [roles.owner], roles.guardian),
    )
    feeds = [asset.oracle_feed.as_struct() for asset in mandate.ordered_assets]
    oracle = _creation(
        "PriceOracle",
        creation_code,
        deployer,
        salt,
        [FEEDS_TYPE, SECONDS_TYPE, "address[]", "(address,uint256)", "address"],
        (
            feeds,
            [second.as_struct() for second in mandate.second_prices],
            list(mandate.addresses) if mandate.second_prices else [],
            (mandate.sequencer.feed, mandate.sequencer.grace),
            timelock.address if mandate.oracle.replaceable else ZERO_ADDRESS,
        ),
    )
    # One for all: it keeps what it knows by mandate.
    alarms = _creation("Alarms", creation_code, deployer, b"", [], ())
    policy = _creation(
        "Mandate",
        creation_code,
        deployer,
        salt,
        [LIMITS_TYPE, "address", "address", "address", "address[]", "uint256", "address"],
        (
            mandate.vault_limits.as_struct(),
            timelock.address,
            roles.curator,
            roles.guardian,
            list(roles.signers),
            roles.delay,
            alarms.address,
        ),
    )
    tokens = [asset.address for asset in mandate.ordered_assets]
    venues = tuple(
        _creation(VENUE_CONTRACTS[type(venue)], creation_code, deployer, salt, *_venue(mandate, venue, tokens))
        for venue in mandate.listed_venues
    )
    parts = (
        tokens,
        mandate.ordered_assets[0].decimals,
        oracle.address,
        policy.address,
        [one.address for one in venues],
    )
    parts_types = ["address[]", "uint256", "address", "address", "address[]"]
    extensions = tuple(
        _creation(name, creation_code, deployer, salt, ["string", *parts_types], (mandate.name, *parts))
        for name in EXTENSIONS
    )
    vault = _creation(
        "Vault",
        creation_code,
        deployer,
        salt,
        ["string", "string", *parts_types, *["address"] * len(extensions)],
        (mandate.name, mandate.symbol, *parts, *(one.address for one in extensions)),
    )
    return DeploymentPlan(deployer, timelock, oracle, alarms, policy, venues, extensions, vault)


EXTENSIONS: Final = ("VaultExtension", "VaultClaims")
"""What a vault runs by delegatecall, in the order of its constructor."""
VENUE_CONTRACTS: Final = {AaveV3Venue: "AaveV3", BalancerV2Venue: "BalancerV2"}
"""Contract of ``contracts/venues`` by kind of listed venue."""


def _venue(mandate: Mandate, venue: ListedVenue, tokens: list[str]) -> tuple[list[str], tuple[Any, ...]]:
    """Constructor types and arguments of a venue."""
    if isinstance(venue, AaveV3Venue):
        supply, borrow = (
            sum(1 << mandate.symbols.index(symbol) for symbol in symbols) for symbols in (venue.supply, venue.borrow)
        )
        return ["address", "address[]", "uint256", "uint256"], (venue.pool, tokens, supply, borrow)
    pools = [bytes.fromhex(pool[2:]) for pool in venue.pools]
    return ["address", "address[]", "bytes32[]"], (venue.vault, tokens, pools)


FEEDS_TYPE: Final = "(uint256,address,uint256,uint256,uint256,uint256,address,address,uint256)[]"
SECONDS_TYPE: Final = "(address,uint256,uint256,uint256,uint256,uint256)[]"
LIMITS_TYPE: Final = "(uint256[],uint256[]," + "uint256," * 14 + "uint256[]" + ",uint256" * 11 + ")"


def _creation(
    contract: str,
    creation_code: Mapping[str, str],
    deployer: str,
    salt: bytes,
    types: list[str],
    arguments: tuple[Any, ...],
) -> Creation:
    from eth_abi.abi import encode
    from eth_utils.address import to_checksum_address
    from eth_utils.crypto import keccak

    init_code = bytes.fromhex(creation_code[contract].removeprefix("0x")) + encode(types, arguments)
    padded = salt.rjust(32, b"\0")
    if len(padded) != 32:
        raise DeploymentError(f"the salt has {len(salt)} bytes; at most 32 are possible")
    digest = keccak(b"\xff" + bytes.fromhex(deployer[2:]) + padded + keccak(init_code))
    return Creation(
        contract=contract,
        address=str(to_checksum_address(digest[-20:])),
        arguments=arguments,
        transaction_data="0x" + (padded + init_code).hex(),
    )


def save_deployment(deployment: Deployment, path: Path) -> None:
    """Add a record to a chain's file, or replace the one of the same vault."""
    records = {} if not path.exists() else _load(path)
    records[deployment.vault] = asdict(deployment)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(records, indent=2) + "\n")
    partial.replace(path)


def load_deployments(path: Path) -> tuple[Deployment, ...]:
    """The vaults recorded for one chain, oldest first.

    Raises
    ------
    DeploymentError
        The file is missing or is not one of ours.
    """
    if not path.exists():
        raise DeploymentError(f"{path}: no vault is recorded for this chain; deploy one with `ape run deploy`")
    try:
        return tuple(Deployment(**record) for record in _load(path).values())
    except TypeError as error:
        raise DeploymentError(f"{path}: {error}; restore it or move it away and deploy again") from None


def _load(path: Path) -> dict[str, Any]:
    try:
        records = json.loads(path.read_text())
    except ValueError as error:
        raise DeploymentError(f"{path}: not JSON ({error}); restore it or move it away") from None
    if not isinstance(records, dict):
        raise DeploymentError(f"{path}: not a deployment record; restore it or move it away")
    return records
