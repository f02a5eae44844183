# SPDX-License-Identifier: Apache-2.0
"""`plimsoll keeper`, `plan` and `doctor`.

Only typer and the standard library are imported at the top, see `offchain.cli`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from offchain.allocate.plan import Plan
    from offchain.keeper.keeper import Keeper
    from offchain.mandate import Mandate
    from offchain.market.rpc import NodeClient
    from offchain.market.snapshot import Snapshot

app = typer.Typer(
    help="Run and watch the keeper, which plans, signs and settles.",
    epilog="Example: plimsoll keeper status --journal journal.sqlite --json",
    no_args_is_help=True,
)

RpcOption = Annotated[
    str,
    typer.Option(
        "--rpc",
        envvar="PLIMSOLL_RPC",
        help="A node's http(s) or ws(s) URL or socket, or several with commas; secrets go into the variable.",
    ),
]
VaultOption = Annotated[str, typer.Option("--vault", help="Address of the vault.")]
MandateOption = Annotated[Path, typer.Option("--mandate", help="The file the vault was deployed from.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else.")]


@app.command(
    short_help="Keep a vault: plan, sign, settle, trip its breaker.",
    epilog="Example: plimsoll keeper run --rpc http://127.0.0.1:8545 --vault 0x... "
    "--mandate mandates/blue-chip.yaml --account keeper.json --signer optimizer.json",
)
def run(
    rpc: RpcOption,
    vault: VaultOption,
    mandate: MandateOption,
    account: Annotated[Path, typer.Option("--account", help="Keystore file or kms:KEY that pays for gas.")],
    signer: Annotated[
        Path | None, typer.Option("--signer", help="The same that signs orders; must be another key.")
    ] = None,
    journal: Annotated[
        str | None,
        typer.Option(
            "--journal",
            envvar="PLIMSOLL_JOURNAL",
            help="File to write the journal to, or postgresql:// URL; by default in the user's state folder.",
        ),
    ] = None,
    relay: Annotated[
        str | None,
        typer.Option("--relay", envvar="PLIMSOLL_RELAY", help="URL of a private relay that gets settlements first."),
    ] = None,
    lease_seconds: Annotated[
        float, typer.Option("--lease-seconds", min=1, help="Silence after which another keeper on PostgreSQL leads.")
    ] = 30.0,
    passphrase_file: Annotated[
        Path | None,
        typer.Option("--passphrase-file", help="First line opens the keystores; else PLIMSOLL_PASSPHRASE or a prompt."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Decide once, wait until it is settled, and end.")] = False,
    poll: Annotated[float, typer.Option("--poll", min=0.01, help="Seconds between two looks at the head.")] = 1.0,
    keep_days: Annotated[
        float, typer.Option("--keep-days", min=0, help="Days after which what is final leaves the journal; 0: never.")
    ] = 90.0,
    max_divergence: Annotated[
        float,
        typer.Option(
            "--max-divergence-bps", min=0, help="Furthest the pools may be from the oracle, beyond its error."
        ),
    ] = 500.0,
    full_snapshots: Annotated[
        bool, typer.Option("--full-snapshots", help="Read every pool at every snapshot, instead of its events.")
    ] = False,
    simulate_here: Annotated[
        bool, typer.Option("--simulate-here", help="Try orders in this process first: for a node that is far away.")
    ] = False,
    urgency: Annotated[
        int, typer.Option("--urgency", min=1, help="How many times the mandate's fee ceilings a trip may pay.")
    ] = 4,
    max_head_age: Annotated[
        float, typer.Option("--max-head-age", min=0, help="Seconds after which the chain counts as stopped; 0: never.")
    ] = 180.0,
    metrics_port: Annotated[
        int | None,
        typer.Option("--metrics-port", min=0, max=65535, help="Serve /metrics, /healthz and /readyz; 0: a free port."),
    ] = None,
    metrics_host: Annotated[str, typer.Option("--metrics-host", help="Address to serve them on.")] = "127.0.0.1",
    traces: Annotated[
        Path | None, typer.Option("--traces", help="Append OpenTelemetry spans to a file, a JSON object a line.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log more.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Keep a vault: plan, sign, settle, and trip its breaker when the condition holds.

    Alerts go to Slack (PLIMSOLL_SLACK_WEBHOOK) and Telegram (PLIMSOLL_TELEGRAM_TOKEN and
    PLIMSOLL_TELEGRAM_CHAT) where the environment names them.
    """
    import signal
    from contextlib import ExitStack

    from offchain.keeper.alerts import Alerts, webhooks
    from offchain.keeper.keeper import Keeper, KeeperSettings
    from offchain.keeper.leading import lead
    from offchain.keeper.logs import configure_logs
    from offchain.keeper.open import default_journal, open_signers, parse_address
    from offchain.keeper.tracing import trace_to_file
    from offchain.mandate import load_mandate
    from offchain.settle.relay import Relay

    stack = ExitStack()
    hooks = webhooks()
    alerts = [Alerts(hooks)] if hooks else []
    for one in alerts:
        stack.callback(one.close)
    configure_logs(verbose=verbose, also=alerts)
    if traces is not None:
        trace_to_file(traces)
    rules = load_mandate(mandate)
    address = parse_address(vault, "--vault")
    settings = KeeperSettings(
        poll_seconds=poll,
        max_head_age=max_head_age or None,
        urgency=urgency,
        keep_days=keep_days or None,
        max_divergence_bps=max_divergence,
        full_snapshots=full_snapshots,
        simulate_here=simulate_here,
    )
    with stack:
        client = stack.enter_context(_client(rpc, rules.chain_id))
        payer, order_signer = open_signers(account, signer, passphrase_file)
        place = journal or default_journal(rules.chain_id, address)
        opened = stack.enter_context(lead(place, chain_id=rules.chain_id, vault=address, seconds=lease_seconds))
        keeper = Keeper(
            client,
            address,
            rules,
            payer=payer,
            signer=order_signer,
            journal=opened,
            settings=settings,
            relay=Relay(relay, blocks=settings.patience) if relay else None,
            announced_by=next((one for one in _urls(rpc) if one.startswith(("ws://", "wss://"))), ""),
        )
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: keeper.stopping.set())
        if metrics_port is not None:
            from offchain.keeper.metrics import MetricsServer

            stack.callback(MetricsServer(opened, keeper.health, metrics_port, metrics_host).close)
        _keep(keeper, once=once, as_json=as_json)


def _keep(keeper: Keeper, *, once: bool, as_json: bool) -> None:
    from offchain.keeper.report import TickReport, report_lines, report_to_json

    def show(report: TickReport) -> None:
        if as_json:
            _print_json(report_to_json(report), indent=None)
        elif once:
            typer.echo("\n".join(report_lines(report)))

    if once:
        keeper.recover()
        show(keeper.tick())
    else:
        keeper.run(show)


@app.command(
    short_help="Say what a keeper did and waits for.",
    epilog="Example: plimsoll keeper status --journal journal.sqlite --json",
)
def status(
    journal: Annotated[
        str, typer.Option("--journal", envvar="PLIMSOLL_JOURNAL", help="The journal; the keeper may be running.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Say what a keeper decided, sent and waits for, from its journal alone."""
    from offchain.keeper.journal import Journal
    from offchain.keeper.status import journal_status

    with Journal.read(journal) as opened:
        found = journal_status(opened)
    if as_json:
        _print_json(found)
        return
    typer.echo(f"Vault {found['vault']} on chain {found['chain_id']}")
    last = found["last_tick"]
    if last is not None:
        typer.echo(f"Last tick: block {last['block']}, {last['decision']}: {last['reason']}")
    for name in ("ticks", "orders", "transactions"):
        counts = ", ".join(f"{count} {state}" for state, count in found[name].items())
        typer.echo(f"{name.capitalize()}: {counts or 'none'}")
    settled = found["last_settlement"]
    if settled is not None:
        worth, lost = int(settled["value_after"]) / 10**18, settled["loss_bps"]
        typer.echo(f"Last settlement: {settled['transaction']} in block {settled['block']}")
        typer.echo(f"  vault worth ${worth:,.2f} after it, {lost:.2f} basis points charged to the loss budget")
    for order in found["open_orders"]:
        typer.echo(f"Open: order {order['digest']} nonce {order['nonce']} {order['state']} {order['detail']}")
    for waiting in found["waiting"]:
        typer.echo(f"Waiting: {waiting['purpose']} {waiting['hash']} at {waiting['max_fee_gwei']:g} gwei")
    for trip in found["trips"]:
        typer.echo(f"Trip: {trip['hash']} {trip['state']} {trip['detail']}")


def plan(
    mandate: MandateOption,
    rpc: Annotated[
        str | None, typer.Option("--rpc", envvar="PLIMSOLL_RPC", help="Node to read the vault from.")
    ] = None,
    vault: Annotated[str | None, typer.Option("--vault", help="Address of the vault.")] = None,
    instance: Annotated[
        Path | None, typer.Option("--instance", help="Holdings, moments, tokens and pools as JSON, instead of a vault.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the keeper would do now, or with the holdings and pools of a file; signs and sends nothing."""
    from offchain.keeper.logs import configure_logs
    from offchain.mandate import load_mandate

    if (instance is None) == (rpc is None or vault is None):
        raise typer.BadParameter("give either --rpc and --vault, or --instance")
    configure_logs()
    rules = load_mandate(mandate)
    if instance is not None:
        from offchain.allocate.instance import load_plan_instance
        from offchain.allocate.planner import make_plan

        problem = load_plan_instance(instance, rules)
        snapshot = problem.snapshot
        planned = make_plan(snapshot, problem.forecast, rules, problem.ether_usd)
    else:
        assert rpc is not None
        assert vault is not None
        snapshot, planned = _plan_of_vault(rpc, vault, rules)
    _show_plan(planned, snapshot, as_json)


def _plan_of_vault(rpc: str, vault: str, rules: Mandate) -> tuple[Snapshot, Plan]:
    from offchain.keeper.open import parse_address
    from offchain.keeper.pipeline import deliberate
    from offchain.mandate import tighter_limits
    from offchain.market.history import HistoryReader
    from offchain.market.pools import discover_pools
    from offchain.market.reader import read_snapshot

    address = parse_address(vault, "--vault")
    with _client(rpc, rules.chain_id) as client:
        snapshot = read_snapshot(client, address, rules, discover_pools(client, rules))
        tighter_limits(rules, snapshot.vault.limits)
        return snapshot, deliberate(snapshot, HistoryReader(client, rules).read(snapshot.block), rules)


def _show_plan(planned: Plan, snapshot: Snapshot, as_json: bool) -> None:
    from offchain.allocate.report import leg_cost_usd, plan_lines
    from offchain.keeper.pipeline import plan_to_json

    if not as_json:
        for line in plan_lines(planned, snapshot):
            typer.echo(line)
        return
    document = json.loads(plan_to_json(planned))
    for shown, leg in zip(document["legs"], planned.legs, strict=True):
        shown["cost_usd"] = leg_cost_usd(leg, snapshot)
    typer.echo(json.dumps(document, separators=(",", ":")))


def doctor(
    rpc: RpcOption,
    vault: VaultOption,
    mandate: MandateOption,
    account: Annotated[
        Path | None, typer.Option("--account", help="Keystore file or kms:KEY that pays for gas.")
    ] = None,
    signer: Annotated[Path | None, typer.Option("--signer", help="Keystore file or kms:KEY that signs orders.")] = None,
    journal: Annotated[
        str | None, typer.Option("--journal", envvar="PLIMSOLL_JOURNAL", help="Where the journal is, or will be.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Examine node, clock, vault, mandate, feeds, keys, balance and database; say what to do. Exit code 1: not fit."""
    from dataclasses import asdict

    from offchain.keeper.doctor import Patient, Verdict, examine
    from offchain.keeper.open import default_journal, parse_address
    from offchain.mandate import load_mandate
    from offchain.market.rpc import NodeClient

    rules = load_mandate(mandate)
    address = parse_address(vault, "--vault")
    with NodeClient(rpc, timeout=10.0) as client:
        place = journal or default_journal(rules.chain_id, address)
        findings = examine(Patient(client, address, rules, account, signer, place))
    fit = all(one.verdict is not Verdict.FAILED for one in findings)
    if as_json:
        _print_json({"fit": fit, "findings": [asdict(one) for one in findings]})
    else:
        for one in findings:
            typer.echo(f"{one.verdict.upper():<8} {one.check:<9} {one.found}")
            if one.advice:
                typer.echo(f"{'':<18} -> {one.advice}")
        typer.echo("Fit to sail." if fit else "Not fit: see FAILED above.")
    if not fit:
        raise typer.Exit(1)


def _client(rpc: str, chain_id: int) -> NodeClient:
    from offchain.market.failover import FailoverClient
    from offchain.market.rpc import NodeClient

    urls = _urls(rpc)
    client = FailoverClient(urls) if len(urls) > 1 else NodeClient(rpc)
    client.require_chain(chain_id)
    return client


def _urls(rpc: str) -> list[str]:
    return [one.strip() for one in rpc.split(",") if one.strip()]


def _print_json(document: dict[str, Any], *, indent: int | None = 2) -> None:
    typer.echo(json.dumps(document, indent=indent))
