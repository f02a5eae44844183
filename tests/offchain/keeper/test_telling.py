# SPDX-License-Identifier: Apache-2.0
"""What a keeper tells of itself, and what it never tells."""

import time
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from offchain.keeper.alerts import Alerts, webhooks
from offchain.keeper.doctor import Patient, Verdict, examine
from offchain.keeper.health import Health
from offchain.keeper.metrics import MetricsError, MetricsServer
from offchain.market.rpc import NodeClient
from offchain.sandbox.anvil import Anvil
from offchain.sandbox.keys import keyfile
from tests.support.proxy import Fault, FaultProxy

TOKEN = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
SLACK_PATH = "T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"


@pytest.fixture
def journal(stage):
    with stage.journal() as journal:
        yield journal


@pytest.fixture
def keeper(stage, journal):
    keeper = stage.keeper(journal)
    keeper.recover()
    return keeper


@pytest.fixture
def server(journal, keeper):
    server = MetricsServer(journal, keeper.health, 0)
    yield server
    server.close()


def get(server, path):
    try:
        with urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=5) as response:
            return response.status, response.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def samples(text):
    return {
        (one.name, *one.labels.values()): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def test_metrics_count_what_the_journal_holds(stage, keeper, server):
    report = keeper.tick()
    found = samples(get(server, "/metrics")[1])

    assert found["plimsoll_ticks", "settle"] == 1
    assert found["plimsoll_orders", "INCLUDED"] == 1
    assert found["plimsoll_vault_value_usd",] == pytest.approx(report.settlement.value_after / 1e18)
    assert found["plimsoll_tick_seconds_count",] == 1
    assert found["plimsoll_journal_readable",] == 1


def test_ready_only_once_the_journal_is_reconciled(stage, journal):
    keeper = stage.keeper(journal)
    server = MetricsServer(journal, keeper.health, 0)
    assert get(server, "/readyz")[0] == 503
    keeper.recover()
    assert get(server, "/readyz") == (200, '{"ok": true, "reasons": []}')
    server.close()


def test_not_ready_while_the_node_fails_but_alive(keeper, server):
    keeper.health.failed("node", "http://node: does not answer")

    assert get(server, "/readyz") == (503, '{"ok": false, "reasons": ["http://node: does not answer"]}')
    assert get(server, "/healthz")[0] == 200
    assert samples(get(server, "/metrics")[1])["plimsoll_failures_total", "node"] == 1


def test_loop_that_hangs_is_dead():
    health = Health()
    assert health.dead() == []
    health.turned_at -= 1000

    assert "has not turned" in health.dead()[0]


def test_port_in_use_is_named(journal, server):
    with pytest.raises(MetricsError, match=f"--metrics-port {server.port}"):
        MetricsServer(journal, Health(), server.port)


def test_warnings_go_to_slack_and_telegram_in_their_forms(mailbox):
    url, got = mailbox
    environment = {
        "PLIMSOLL_SLACK_WEBHOOK": f"{url}/services/{SLACK_PATH}",
        "PLIMSOLL_TELEGRAM_TOKEN": TOKEN,
        "PLIMSOLL_TELEGRAM_CHAT": "42",
        "PLIMSOLL_TELEGRAM_API": url,
    }
    alerts = Alerts(webhooks(environment))
    alerts(None, "warning", {"event": "tripping the breaker", "block": 7})
    alerts(None, "info", {"event": "decided"})
    alerts.close()

    text = "[plimsoll keeper] warning: tripping the breaker (block 7)"
    assert got == [
        (f"/services/{SLACK_PATH}", {"text": text}),
        (f"/bot{TOKEN}/sendMessage", {"chat_id": "42", "text": text}),
    ]


def test_same_warning_is_sent_once_in_a_quarter_of_an_hour(mailbox):
    url, got = mailbox
    alerts = Alerts(webhooks({"PLIMSOLL_SLACK_WEBHOOK": url}))
    for _ in range(5):
        alerts(None, "warning", {"event": "node failed", "error": "gone"})
    alerts(None, "warning", {"event": "node failed", "error": "another"})
    alerts.close()

    assert len(got) == 2


def test_webhook_that_nobody_answers_holds_nobody_up():
    alerts = Alerts(webhooks({"PLIMSOLL_SLACK_WEBHOOK": "http://127.0.0.1:9/"}))
    began = time.monotonic()
    alerts(None, "warning", {"event": "reorganisation"})

    assert time.monotonic() - began < 0.1
    alerts.close()


def patient(stage, **changes):
    given = {
        "client": stage.node.client,
        "vault": stage.vault.address,
        "mandate": stage.vault.file_mandate,
        "account": keyfile("keeper"),
        "signer": keyfile("optimizer"),
        "journal": stage.path,
    }
    return Patient(**{**given, **changes})


def verdicts(findings, check):
    return {one.verdict for one in findings if one.check == check}


def test_doctor_finds_a_healthy_keeper_fit(stage, keeper):
    findings = examine(patient(stage))

    assert all(one.verdict is not Verdict.FAILED for one in findings), findings
    assert {
        "rpc",
        "clock",
        "vault",
        "breaker",
        "mandate",
        "feeds",
        "pools",
        "keys",
        "balance",
        "database",
        "alerts",
    } == {one.check for one in findings}


def test_doctor_says_what_to_do_about_everything_wrong(stage, tmp_path):
    readable = tmp_path / "key.json"
    readable.write_text(keyfile("alice").read_text())
    readable.chmod(0o644)
    stage.sandbox.rpc.call("anvil_setBalance", stage.role("bob").address, "0x0")
    mandate = stage.vault.file_mandate
    looser = mandate.model_copy(update={"limits": mandate.limits.model_copy(update={"loss_capacity_bps": 200})})
    stage.path.write_text("not a journal")
    findings = examine(patient(stage, account=keyfile("bob"), signer=readable, mandate=looser))

    for check in ("mandate", "keys", "balance", "database"):
        assert Verdict.FAILED in verdicts(findings, check), check
    assert any("chmod 600" in one.advice for one in findings)
    assert all(one.advice or ";" in one.found for one in findings if one.verdict is Verdict.FAILED)


def test_doctor_says_in_which_state_the_breaker_latched(stage):
    assert any(one.found == "ACTIVE, no condition holds" for one in examine(patient(stage)))
    stage.automine()
    stage.vault.send("guardian", stage.vault.mandate.functions.guardian_trip(2))
    stage.automine(False)
    (found,) = [one for one in examine(patient(stage)) if one.check == "breaker"]

    assert (found.verdict, found.found) == (Verdict.WARNING, "HALTED: nothing is settled, deposits are closed")
    assert "ape run resume" in found.advice


def test_doctor_warns_of_one_key_for_both(stage):
    findings = examine(patient(stage, account=keyfile("optimizer"), signer=None))

    assert any("one key pays and signs" in one.found for one in findings)


def test_doctor_without_a_node_says_so_once(stage):
    with NodeClient("http://127.0.0.1:9", retries=0) as client:
        findings = examine(patient(stage, client=client))

    assert [one.check for one in findings if one.verdict is Verdict.FAILED] == ["rpc"]


def test_doctor_names_another_chain(stage):
    with Anvil(chain_id=10) as other, NodeClient(other.rpc_url) as client:
        findings = examine(patient(stage, client=client))

    assert "serves chain 10" in findings[0].found


def test_doctor_notices_a_slow_node(stage):
    proxy = FaultProxy(stage.sandbox.rpc_url)
    with proxy.failing(Fault("slow", delay=1.1, methods=("eth_chainId",))), NodeClient(proxy.url) as client:
        findings = examine(patient(stage, client=client))
    proxy.stop()

    assert findings[0].verdict is Verdict.WARNING
