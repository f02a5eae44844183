# SPDX-License-Identifier: Apache-2.0
"""What must hold before the keeper does anything, and before each plan."""

from __future__ import annotations

import time
from dataclasses import dataclass, fields

import numpy as np
from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils.address import to_checksum_address

from offchain.errors import PlimsollError
from offchain.keeper.journal import Journal
from offchain.keeper.reorganisation import DEEPEST
from offchain.mandate import Mandate, MandateParityError, VaultLimits, compare_with_chain
from offchain.market.rpc import NodeClient
from offchain.market.snapshot import Block, Snapshot
from offchain.market.vault import read_chain_mandate
from offchain.settle.calls import EIP712_DOMAIN, IS_SIGNER, MANDATE, selector
from offchain.settle.development import check_signer
from offchain.settle.node import Node, Reverted
from offchain.settle.signing import DOMAIN_VERSION, Domain

ONE_BPS = 10_000
MOST_AHEAD = 60.0
"""Seconds by which a head may be ahead of this machine's clock."""

_DOMAIN_TYPES = ["bytes1", "string", "string", "uint256", "address", "bytes32", "uint256[]"]


class KeeperRefusal(PlimsollError):
    """The keeper will not act; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class VaultIdentity:
    """What the chain says about a vault that never changes."""

    domain: Domain
    """What signatures are bound to."""
    mandate_contract: str
    """The contract that judges it: limits, breaker, roles."""


def check_before_start(node: Node, vault: str, mandate: Mandate, *, signer: str, payer: str) -> VaultIdentity:
    """Check chain, keys, vault and mandate before anything is planned or sent.

    Raises
    ------
    WrongChain
        The node serves another chain than the mandate names.
    NotADevelopmentKey, NotASandbox
        A real key on a sandbox, or a development key elsewhere.
    MandateParityError
        Vault and mandate differ in identity or limits.
    KeeperRefusal
        One key pays and signs, there is no vault at the address, its signatures are bound to
        something else, or it does not know the signer.
    """
    node.client.require_chain(mandate.chain_id)
    if not node.has_code(vault):
        raise KeeperRefusal(f"vault {vault}: there is no contract on chain {mandate.chain_id}; check --vault and --rpc")
    for address in dict.fromkeys((payer, signer)):
        check_signer(node, address)
    if payer == signer:
        raise KeeperRefusal(
            f"signer {signer}: the same key pays for gas; give --signer another one, so that the key in daily use "
            "cannot sign orders"
        )
    on_chain = read_chain_mandate(node.client, vault, mandate)
    compare_with_chain(mandate, on_chain)
    refuse_looser_file(mandate, on_chain.limits)
    identity = VaultIdentity(read_domain(node, vault, mandate.chain_id), _mandate_contract(node, vault))
    if not _is_signer(node, identity.mandate_contract, signer):
        raise KeeperRefusal(
            f"signer {signer}: vault {vault} does not accept its orders; have the owner add it, or give --signer"
        )
    return identity


def refuse_looser_file(mandate: Mandate, chain: VaultLimits) -> None:
    """Refuse to start on a file that allows more than the chain: its author expects what the chain forbids.

    Once the keeper runs it is another matter: a vault that was tightened in an emergency
    is obeyed at once (see `tighter_limits`).

    Raises
    ------
    MandateParityError
        Names the first field in which they differ.
    """
    file = mandate.vault_limits
    for field in fields(VaultLimits):
        ours, theirs = getattr(file, field.name), getattr(chain, field.name)
        per_asset = isinstance(ours, tuple)
        for index, (mine, other) in enumerate(zip(ours, theirs, strict=True) if per_asset else [(ours, theirs)]):
            if mine != other:
                name = f"{field.name}[{mandate.symbols[index]}]" if per_asset else field.name
                advice = "the file is looser than the chain; write the chain's number into it"
                raise MandateParityError(f"limits.{name}", mine, other, advice)


def read_domain(node: Node, vault: str, chain_id: int) -> Domain:
    """Ask the vault what its signatures are bound to (ERC-5267) and insist that it is itself.

    Raises
    ------
    KeeperRefusal
        When it does not answer, or names another version, chain or contract.
    """
    try:
        values = decode(_DOMAIN_TYPES, node.call(vault, selector(EIP712_DOMAIN)))
    except (Reverted, DecodingError):
        raise KeeperRefusal(f"vault {vault}: eip712Domain() does not answer; is it a Plimsoll vault?") from None
    _, name, version, domain_chain_id, contract, _, _ = values
    found = (version, domain_chain_id, to_checksum_address(contract))
    if found != (DOMAIN_VERSION, chain_id, to_checksum_address(vault)):
        raise KeeperRefusal(f"vault {vault}: its signatures are bound to {found}; nothing is signed for it")
    return Domain(name=name, chain_id=chain_id, vault=to_checksum_address(vault))


def check_fresh(head: Block, max_age: float | None) -> None:
    """Refuse a chain that stands still, or a clock that cannot tell.

    Parameters
    ----------
    max_age
        Seconds between the head's time and this machine's clock; `None` where the chain's
        clock is simulated.

    Raises
    ------
    KeeperRefusal
        When the head is older, or more than `MOST_AHEAD` seconds ahead of this machine's clock.
    """
    age = time.time() - head.timestamp
    if max_age is not None and age < -MOST_AHEAD:
        raise KeeperRefusal(
            f"block {head.number} is {-age:.0f} seconds ahead of this machine's clock; set the clock (NTP), "
            "because a slow one takes an old head for a new one"
        )
    if max_age is not None and age > max_age:
        raise KeeperRefusal(
            f"block {head.number} is {age:.0f} seconds old, {max_age:g} are allowed; "
            "see that the node is in sync and this machine's clock right"
        )


def check_sources(client: NodeClient, snapshot: Snapshot, mandate: Mandate, max_divergence_bps: float) -> None:
    """Refuse to plan on what is disputed: by other nodes about the block, by the pools about a price.

    Parameters
    ----------
    max_divergence_bps
        How far the pools' price of an asset may be from the oracle's, beyond the error that
        the mandate grants its feed.

    Raises
    ------
    KeeperRefusal
        Names the nodes, or the asset and both prices.
    """
    dissenters = client.dissenters(snapshot.block.number, snapshot.block.hash)
    if dissenters:
        raise KeeperRefusal(
            f"block {snapshot.block.number}: {', '.join(dissenters)} has another one than {client.url}; "
            "the next block is tried"
        )
    from offchain.route.pool import pool_from_state
    from offchain.route.rates import market_prices

    pools = [pool_from_state(state) for state in snapshot.pools]
    ratios = market_prices(pools, np.array([asset.price / 10**18 for asset in snapshot.assets]))
    for asset, rule, ratio in zip(snapshot.assets, mandate.ordered_assets, ratios, strict=True):
        allowed = float(rule.oracle.error) + max_divergence_bps / ONE_BPS
        if not 1 - allowed <= ratio <= 1 + allowed:
            ours, theirs = asset.price_usd, asset.price_usd * ratio
            raise KeeperRefusal(
                f"{asset.symbol}: the oracle says ${ours:,.6g} and the pools ${theirs:,.6g}, more than "
                f"{allowed:.2%} apart; nothing is signed until they agree"
            )


def check_same_chain(node: Node, head: Block, journal: Journal) -> None:
    """Refuse a chain that is not the one the journal was written on, or a node that is behind it.

    A reorganisation may take back less than `DEEPEST` blocks, and no final one.

    Raises
    ------
    KeeperRefusal
        When the last decision's block is above the head, or final and another one.
    """
    last = journal.last_tick_block()
    if last is None:
        return
    if head.number + DEEPEST < last.number:
        raise KeeperRefusal(
            f"journal {journal.path}: its last decision was at block {last.number}, the node is at {head.number}; "
            "wait until it is in sync, or give --journal another file if this is another chain"
        )
    if last.number <= node.finalized_number() and node.block_hash(last.number) not in (last.hash, None):
        raise KeeperRefusal(
            f"journal {journal.path}: its last decision was at block {last.number} of another chain; "
            "give --journal another file"
        )


def _mandate_contract(node: Node, vault: str) -> str:
    return to_checksum_address(node.call(vault, selector(MANDATE))[-20:])


def _is_signer(node: Node, mandate_contract: str, signer: str) -> bool:
    answer = node.call(mandate_contract, selector(IS_SIGNER) + bytes.fromhex(signer[2:]).rjust(32, b"\0"))
    return int.from_bytes(answer, "big") == 1
