# SPDX-License-Identifier: Apache-2.0
"""Examines everything a keeper needs, and says what to do about what is wrong."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from offchain.errors import PlimsollError
from offchain.keeper.checks import MOST_AHEAD, read_domain, refuse_looser_file
from offchain.keeper.journal import Journal
from offchain.keeper.open import declared_address, kms_key
from offchain.mandate import Mandate, compare_with_chain
from offchain.market.pools import discover_pools
from offchain.market.reader import read_snapshot
from offchain.market.rpc import NodeClient, NodeError, RpcError
from offchain.market.snapshot import BreakerState
from offchain.market.vault import read_chain_mandate
from offchain.settle.accounts import ExposedFileError, refuse_exposed
from offchain.settle.calls import BREAKER_STATE, IS_SIGNER, MANDATE, encode_trip, selector
from offchain.settle.compile import gwei
from offchain.settle.development import check_signer, is_sandbox
from offchain.settle.node import Node, Reverted, is_unsupported

SETTLEMENT_GAS = 1_000_000
ENOUGH_SETTLEMENTS = 10
FREE_BYTES = 1 << 30
SLOW_SECONDS = 1.0
STALE_SECONDS = 180.0


class Verdict(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was found and, where it is not well, what to do."""

    check: str
    verdict: Verdict
    found: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Patient:
    """What is examined; what is not given is not."""

    client: NodeClient
    vault: str
    mandate: Mandate
    account: Path | None = None
    signer: Path | None = None
    journal: Path | str | None = None


def examine(patient: Patient) -> list[Finding]:
    """Run every check; one that fails does not keep the others from running."""
    node = Node(patient.client)
    findings: list[Finding] = []
    checks: list[tuple[str, Callable[[Patient, Node], Iterator[Finding]]]] = [
        ("rpc", _rpc),
        ("clock", _clock),
        ("vault", _vault),
        ("mandate", _mandate),
        ("feeds", _feeds),
        ("keys", _keys),
        ("balance", _balance),
        ("database", _database),
        ("alerts", _alerts),
    ]
    for name, check in checks:
        try:
            findings += check(patient, node)
        except PlimsollError as error:
            findings.append(_failed(name, str(error)))
        if name == "rpc" and findings[-1].verdict is Verdict.FAILED:
            # Without a node of the right chain the rest would fail in nine voices.
            findings += _database(patient, node)
            break
    return findings


def _rpc(patient: Patient, node: Node) -> Iterator[Finding]:
    began = time.perf_counter()
    try:
        served = node.chain_id()
    except NodeError as error:
        yield _failed("rpc", str(error), "see that the node runs and --rpc is its URL")
        return
    seconds = time.perf_counter() - began
    if served != patient.mandate.chain_id:
        yield _failed("rpc", f"serves chain {served}", f"give --rpc a node of chain {patient.mandate.chain_id}")
        return
    head = node.head()
    found = f"{patient.client.url}: chain {served}, block {head.number}, {seconds * 1e3:.0f} ms"
    if seconds > SLOW_SECONDS:
        yield Finding("rpc", Verdict.WARNING, found, "use a node that is nearer; each block takes several requests")
    else:
        yield Finding("rpc", Verdict.OK, found)
    if node.client.call("eth_syncing") not in (False, None):
        yield _failed("rpc", "the node is still syncing", "wait until it has caught up")
    try:
        node.client.call("eth_simulateV1", {"blockStateCalls": [{"calls": []}]}, "latest")
    except RpcError as error:
        if is_unsupported(error):
            advice = "settlements are tried with eth_estimateGas, which shows less; a newer node knows it"
            yield Finding("rpc", Verdict.WARNING, "does not know eth_simulateV1", advice)


def _clock(patient: Patient, node: Node) -> Iterator[Finding]:
    if is_sandbox(node):
        yield Finding("clock", Verdict.OK, "a sandbox has its own")
        return
    age = time.time() - node.head().timestamp
    if age < -MOST_AHEAD:
        yield _failed("clock", f"{-age:.0f} seconds behind the head", "set this machine's clock (NTP)")
    elif age > STALE_SECONDS:
        advice = "see that the node is in sync, and this machine's clock right (NTP)"
        yield _failed("clock", f"the head is {age:.0f} seconds old", advice)
    else:
        yield Finding("clock", Verdict.OK, f"the head is {age:.0f} seconds old")


def _vault(patient: Patient, node: Node) -> Iterator[Finding]:
    if not node.has_code(patient.vault):
        yield _failed("vault", f"no contract at {patient.vault}", "check --vault and --rpc")
        return
    domain = read_domain(node, patient.vault, patient.mandate.chain_id)
    yield Finding("vault", Verdict.OK, f"{domain.name} at {domain.vault}")
    contract = "0x" + node.call(patient.vault, selector(MANDATE))[-20:].hex()
    try:
        node.call(contract, encode_trip())
    except Reverted as refusal:
        if refusal.reason == "breaker: no condition":
            yield from _breaker(patient, node, contract)
        else:
            yield Finding(
                "breaker", Verdict.WARNING, refusal.reason, "`plimsoll keeper status` shows whether it tripped"
            )
    else:
        yield Finding("breaker", Verdict.WARNING, "its condition holds", "a keeper that runs will trip it; anyone may")


def _breaker(patient: Patient, node: Node, contract: str) -> Iterator[Finding]:
    """In which state the vault stands while no condition holds: it latches."""
    state = BreakerState(int.from_bytes(node.call(contract, selector(BREAKER_STATE)), "big"))
    if state is BreakerState.ACTIVE:
        yield Finding("breaker", Verdict.OK, "ACTIVE, no condition holds")
    else:
        allowed = "the keeper only sells" if state is BreakerState.REDUCE_ONLY else "nothing is settled"
        advice = "`ape run status` names the reason; the owner recovers it with `ape run resume`, after the delay"
        yield Finding("breaker", Verdict.WARNING, f"{state.name}: {allowed}, deposits are closed", advice)


def _mandate(patient: Patient, node: Node) -> Iterator[Finding]:
    on_chain = read_chain_mandate(node.client, patient.vault, patient.mandate)
    compare_with_chain(patient.mandate, on_chain)
    refuse_looser_file(patient.mandate, on_chain.limits)
    yield Finding("mandate", Verdict.OK, "file and chain agree")


def _feeds(patient: Patient, node: Node) -> Iterator[Finding]:
    client, mandate = patient.client, patient.mandate
    snapshot = read_snapshot(client, patient.vault, mandate, ())
    for asset, rule in zip(snapshot.assets, mandate.ordered_assets, strict=True):
        age, heartbeat = snapshot.block.timestamp - asset.price_updated_at, rule.oracle.heartbeat_s
        found = f"{asset.symbol}: {age} of {heartbeat} seconds old"
        if age > 0.95 * heartbeat:
            yield Finding("feeds", Verdict.WARNING, found, "watch it: past its heartbeat the vault stops")
        else:
            yield Finding("feeds", Verdict.OK, found)
    pools = discover_pools(client, mandate)
    if pools:
        yield Finding("pools", Verdict.OK, f"{len(pools)} with a price")
    else:
        yield _failed("pools", "none of the mandate's pools exists", "check the venues in the mandate")


def _keys(patient: Patient, node: Node) -> Iterator[Finding]:
    files = [(name, path) for name, path in (("account", patient.account), ("signer", patient.signer)) if path]
    for name, path in files:
        address = declared_address(path)
        if address is None:
            yield Finding("keys", Verdict.WARNING, f"--{name} {path} does not name its address")
            continue
        check_signer(node, address)
        if kms_key(path) is not None:
            yield Finding("keys", Verdict.OK, f"{name} {address}, in KMS")
            continue
        try:
            refuse_exposed(path, f"--{name}")
        except ExposedFileError as error:
            yield _failed("keys", error.found, error.mending)
        else:
            yield Finding("keys", Verdict.OK, f"{name} {address}")
    if patient.account is not None:
        signer = declared_address(patient.signer or patient.account)
        if signer is not None:
            yield from _authority(patient, node, signer)
        if patient.signer is None or (signer is not None and signer == declared_address(patient.account)):
            advice = "give --signer a key of its own: the keeper does not start with one for both"
            yield _failed("keys", "one key pays and signs orders", advice)


def _authority(patient: Patient, node: Node, signer: str) -> Iterator[Finding]:
    contract = "0x" + node.call(patient.vault, selector(MANDATE))[-20:].hex()
    answer = node.call(contract, selector(IS_SIGNER) + bytes.fromhex(signer[2:]).rjust(32, b"\0"))
    if int.from_bytes(answer, "big") == 1:
        yield Finding("keys", Verdict.OK, f"the vault accepts orders of {signer}")
    else:
        yield _failed("keys", f"the vault does not accept orders of {signer}", "have the owner add it")


def _balance(patient: Patient, node: Node) -> Iterator[Finding]:
    payer = None if patient.account is None else declared_address(patient.account)
    if payer is None:
        return
    execution, held = patient.mandate.execution, node.balance(payer)
    most = SETTLEMENT_GAS * (gwei(execution.max_base_fee_gwei) + gwei(execution.max_priority_fee_gwei))
    found = f"{payer} has {held / 1e18:.4f} ETH, a settlement costs {most / 1e18:.4f} at most"
    if held < most:
        yield _failed("balance", found, f"send it {ENOUGH_SETTLEMENTS * most / 1e18:.2f} ETH")
    elif held < ENOUGH_SETTLEMENTS * most:
        yield Finding("balance", Verdict.WARNING, found, f"send it {(ENOUGH_SETTLEMENTS * most - held) / 1e18:.2f} ETH")
    else:
        yield Finding("balance", Verdict.OK, found)


def _database(patient: Patient, _node: Node) -> Iterator[Finding]:
    place = patient.journal
    if place is None:
        return
    server = isinstance(place, str) and "://" in place
    path = Path() if server else Path(place)
    if server or path.exists():
        with Journal.read(place) as journal:
            known = journal.meta()
        expected = (str(patient.mandate.chain_id), patient.vault.lower())
        if (known.get("chain_id"), known.get("vault", "").lower()) != expected:
            vault, chain = known.get("vault"), known.get("chain_id")
            yield _failed("database", f"is of vault {vault} on chain {chain}", "give --journal another place")
            return
    if server:
        yield Finding("database", Verdict.OK, "the server answers")
        return
    folder = next(one for one in (path.parent, *path.parent.absolute().parents) if one.exists())
    free = shutil.disk_usage(folder).free
    if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        yield _failed("database", f"{path} cannot be written", "give --journal a place that this user may write")
    elif free < FREE_BYTES:
        found = f"{free / 1e6:.0f} MB are free beside {path}"
        yield Finding("database", Verdict.WARNING, found, "make room: on a full disk nothing is sent")
    else:
        yield Finding("database", Verdict.OK, f"{path}, {free / 1e9:.0f} GB free")


def _alerts(_patient: Patient, _node: Node) -> Iterator[Finding]:
    from offchain.keeper.alerts import SLACK, TELEGRAM_CHAT, TELEGRAM_TOKEN, webhooks

    hooks = webhooks()
    if hooks:
        yield Finding("alerts", Verdict.OK, f"{len(hooks)} places")
    else:
        advice = f"set {SLACK}, or {TELEGRAM_TOKEN} and {TELEGRAM_CHAT}"
        yield Finding("alerts", Verdict.WARNING, "nobody is told of trouble", advice)


def _failed(check: str, found: str, advice: str = "") -> Finding:
    return Finding(check, Verdict.FAILED, found, advice)
