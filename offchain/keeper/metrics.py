# SPDX-License-Identifier: Apache-2.0
"""`/metrics`, `/healthz` and `/readyz` of a running keeper.

What happened is counted from the journal when it is asked for, so that the numbers go on
where they were after a crash.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from offchain.errors import PlimsollError
from offchain.keeper.health import TICK_BUCKETS, Health
from offchain.keeper.journal import Journal, JournalError

USD = 10**18

log = structlog.get_logger(__name__)


class MetricsError(PlimsollError):
    """The port cannot be listened on."""


class KeeperCollector(Collector):
    """What Prometheus is told of one keeper."""

    def __init__(self, journal: Journal, health: Health) -> None:
        self._journal = journal
        self._health = health

    def collect(self) -> Iterable[Metric]:
        """Count the journal and look at the loop."""
        yield from self._loop()
        try:
            yield from self._counted()
        except JournalError:
            yield GaugeMetricFamily("plimsoll_journal_readable", "Whether the journal can be read.", value=0)
        else:
            yield GaugeMetricFamily("plimsoll_journal_readable", "Whether the journal can be read.", value=1)

    def _loop(self) -> Iterable[Metric]:
        health = self._health
        if health.head is not None:
            yield GaugeMetricFamily("plimsoll_head_block", "Newest block seen.", value=health.head.number)
            yield GaugeMetricFamily(
                "plimsoll_head_age_seconds",
                "This machine's clock less the head's time.",
                value=time.time() - health.head.timestamp,
            )
            yield GaugeMetricFamily("plimsoll_base_fee_wei", "Base fee of the head.", value=health.head.base_fee)
        failures = CounterMetricFamily("plimsoll_failures", "Turns of the loop that failed.", labels=["kind"])
        for kind in ("node", "journal"):
            failures.add_metric([kind], health.failures[kind])
        yield failures
        buckets = [(str(bound), health.tick_buckets[bound]) for bound in TICK_BUCKETS]
        total, count = health.tick_seconds
        yield HistogramMetricFamily(
            "plimsoll_tick_seconds",
            "From a new block to the end of the decision, its order sent.",
            buckets=[*buckets, ("+Inf", count)],
            sum_value=total,
        )
        yield GaugeMetricFamily("plimsoll_ready", "What /readyz says.", value=0 if health.not_ready() else 1)

    def _counted(self) -> Iterable[Metric]:
        journal = self._journal
        families = (
            ("plimsoll_ticks", "Decisions.", "decision", journal.tick_counts()),
            ("plimsoll_orders", "Orders by state.", "state", journal.order_counts()),
            ("plimsoll_transactions", "Transactions by state.", "state", journal.transaction_counts()),
        )
        for name, about, label, counts in families:
            family = GaugeMetricFamily(name, about, labels=[label])
            for key, count in counts.items():
                family.add_metric([key], count)
            yield family
        last = journal.last_settlement()
        if last is not None:
            yield GaugeMetricFamily(
                "plimsoll_vault_value_usd", "After the last settlement.", value=last.value_after / USD
            )
            yield GaugeMetricFamily(
                "plimsoll_value_per_share_usd", "After the last settlement.", value=last.value_per_share / USD
            )
            yield GaugeMetricFamily(
                "plimsoll_loss_level_bps", "Loss charged to the budget.", value=last.loss_level / 10**14
            )
            yield GaugeMetricFamily(
                "plimsoll_turnover_level_bps", "Turnover charged.", value=last.turnover_level / 10**14
            )


class MetricsServer:
    """Serves one keeper's metrics and health on the loopback, unless another address is given.

    Parameters
    ----------
    port
        0 for a free one, see `port`.

    Raises
    ------
    MetricsError
        When something else listens there.
    """

    def __init__(self, journal: Journal, health: Health, port: int, host: str = "127.0.0.1") -> None:
        registry = CollectorRegistry()
        registry.register(KeeperCollector(journal, health))

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path == "/metrics":
                    self._send(200, generate_latest(registry), CONTENT_TYPE_LATEST)
                elif path in ("/healthz", "/readyz"):
                    reasons = health.dead() if path == "/healthz" else health.not_ready()
                    body = json.dumps({"ok": not reasons, "reasons": reasons}).encode()
                    self._send(503 if reasons else 200, body, "application/json")
                else:
                    self._send(404, b"/metrics, /healthz and /readyz are here\n", "text/plain")

            def _send(self, status: int, body: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Requests are not worth a line."""

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except OSError as error:
            raise MetricsError(f"--metrics-port {port}: {error.strerror or error}; choose another port") from None
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        serve = self._server.serve_forever
        threading.Thread(target=serve, kwargs={"poll_interval": 0.1}, name="metrics", daemon=True).start()
        log.info("metrics", url=f"http://{host}:{self.port}/metrics")

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
