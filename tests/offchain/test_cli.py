# SPDX-License-Identifier: Apache-2.0
"""The command line as its users meet it: help at once, mistakes in one line."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from offchain import cli
from offchain.keeper.journal import Journal
from offchain.mandate import load_mandate
from offchain.sandbox.anvil import Anvil
from offchain.sandbox.keys import PASSWORD, keyfile
from offchain.settle.development import development_address
from tests.support.contracts import PROJECT
from tests.support.vaults import BLUE_CHIP, deploy_vault

PLIMSOLL = Path(sys.executable).with_name("plimsoll")
COMMANDS = [
    [],
    ["plan"],
    ["replay"],
    ["doctor"],
    ["journal"],
    ["journal", "rebuild"],
    ["mandate"],
    ["mandate", "check"],
    ["keeper"],
    ["keeper", "run"],
    ["keeper", "status"],
    ["sandbox"],
    ["sandbox", "up"],
    ["sandbox", "down"],
    ["sandbox", "status"],
    ["demo"],
]
NOWHERE = "0x00000000000000000000000000000000000000AA"


@pytest.fixture
def plimsoll(monkeypatch, capsys):
    """Run the command in this process; returns exit code, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["plimsoll", *map(str, arguments)])
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        else:
            code = 0
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture(scope="module")
def afloat(sandbox_node):
    """A vault with a million dollars on a fork, and where to find it."""
    with sandbox_node.fork() as fork:
        vault = deploy_vault(fork)
        fork.give("USDC", development_address("alice"), 10**12)
        vault.deposit("alice", 10**12)
        yield fork, vault


@pytest.fixture
def keeper_run(afloat, tmp_path, monkeypatch):
    """Arguments of a `keeper run` that works; options given replace them."""
    fork, vault = afloat
    monkeypatch.setenv("PLIMSOLL_PASSPHRASE", PASSWORD)

    def arguments(**changes):
        options = {
            "rpc": fork.rpc_url,
            "vault": vault.address,
            "mandate": BLUE_CHIP,
            "account": keyfile("keeper"),
            "signer": keyfile("optimizer"),
            "journal": tmp_path / "journal.sqlite",
            **changes,
        }
        return ["keeper", "run", *(text for name, value in options.items() for text in (f"--{name}", str(value)))]

    return arguments


def nonce(fork):
    return int(fork.rpc.call("eth_getTransactionCount", development_address("keeper"), "pending"), 16)


def test_help_answers_in_half_a_second():
    def seconds():
        start = time.monotonic()
        subprocess.run([PLIMSOLL, "--help"], check=True, capture_output=True)
        return time.monotonic() - start

    assert min(seconds() for _ in range(3)) < 0.5


@pytest.mark.parametrize("group", [[], *([one] for one in ("keeper", "sandbox", "forecast", "data", "options"))])
def test_help_says_what_each_command_does_without_breaking_off(plimsoll, group):
    _, out, _ = plimsoll(*group, "--help")
    commands = out.partition("Commands:\n")[2].partition("\n\n")[0]
    assert commands
    assert "..." not in commands


def test_help_imports_nothing_heavy():
    script = (
        "import sys, offchain.cli\n"
        "heavy = {'numpy', 'pandas', 'cvxpy', 'numba', 'scipy', 'web3', 'eth_account', 'sqlalchemy', 'pydantic', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )

    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)

    assert loaded.stdout.strip() == "[]"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_help_has_an_example(plimsoll, command):
    code, out, _ = plimsoll(*command, "--help")

    assert code == 0
    assert "Example: plimsoll" in out


def test_version(plimsoll):
    assert plimsoll("--version") == (0, "plimsoll 0.1.0\n", "")


def test_mandate_check_shows_the_bounds(plimsoll):
    code, out, err = plimsoll("mandate", "check", BLUE_CHIP)

    assert (code, err) == (0, "")
    assert "WETH" in out
    assert "45.00%" in out


def test_mandate_check_as_json_is_the_mandate(plimsoll):
    _, out, _ = plimsoll("mandate", "check", BLUE_CHIP, "--json")

    assert json.loads(out)["symbol"] == "pBLUE"


@pytest.mark.parametrize(
    ("before", "after", "culprit"),
    [
        ("slippage_bps: 30", "slipage_bps: 30", "execution.slipage_bps: unknown key; did you mean 'slippage_bps'?"),
        ("max_weight_bps: 4500", "max_weight_bps: 400", "max_weight_bps"),
    ],
    ids=["unknown key", "impossible bound"],
)
def test_bad_mandate_is_one_line_that_names_the_field(plimsoll, keeper_run, afloat, tmp_path, before, after, culprit):
    path = tmp_path / "mandate.yaml"
    path.write_text(BLUE_CHIP.read_text().replace(before, after, 1))

    for command in (["mandate", "check", path], keeper_run(mandate=path)):
        check_refusal(plimsoll(*command), culprit)
    assert nonce(afloat[0]) == 0


def test_unreachable_node_is_named(plimsoll, keeper_run):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        check_refusal(plimsoll(*keeper_run(rpc=url)), f"{url}: does not answer")


def test_wrong_chain_is_named(plimsoll, keeper_run):
    with Anvil(chain_id=10) as other:
        check_refusal(plimsoll(*keeper_run(rpc=other.rpc_url)), "serves chain 10, but the mandate is for chain 1")


def test_wrong_passphrase_names_the_keyfile(plimsoll, keeper_run, monkeypatch):
    monkeypatch.setenv("PLIMSOLL_PASSPHRASE", "sunk")

    code, out, err = plimsoll(*keeper_run())

    check_refusal((code, out, err), "keeper.json: wrong passphrase")
    assert "sunk" not in err


def test_missing_passphrase_is_asked_for_in_words(plimsoll, keeper_run, monkeypatch):
    monkeypatch.delenv("PLIMSOLL_PASSPHRASE")

    check_refusal(plimsoll(*keeper_run()), "no passphrase; set PLIMSOLL_PASSPHRASE")


def test_passphrase_may_come_from_a_file(plimsoll, keeper_run, monkeypatch, tmp_path):
    monkeypatch.delenv("PLIMSOLL_PASSPHRASE")
    (tmp_path / "passphrase").write_text(f"{PASSWORD}\n")
    (tmp_path / "passphrase").chmod(0o600)

    refusal = plimsoll(*keeper_run(vault=NOWHERE), "--passphrase-file", tmp_path / "passphrase")

    check_refusal(refusal, "there is no contract on chain 1")


def test_mandate_looser_than_the_chain_is_refused_before_anything_is_sent(plimsoll, keeper_run, afloat, tmp_path):
    path = tmp_path / "mandate.yaml"
    path.write_text(BLUE_CHIP.read_text().replace("loss_capacity_bps: 100", "loss_capacity_bps: 150"))

    refusal = plimsoll(*keeper_run(mandate=path))

    check_refusal(refusal, "limits.loss_capacity_bps: the mandate says 150, the chain 100")
    assert nonce(afloat[0]) == 0


def test_signer_without_authority_is_refused(plimsoll, keeper_run):
    check_refusal(plimsoll(*keeper_run(signer=keyfile("bob"))), "does not accept its orders")


@pytest.mark.parametrize(
    ("text", "problem"), [("0x12", "not an address"), (NOWHERE[:-2] + "aA", "its checksum is wrong")]
)
def test_bad_vault_address_names_the_option(plimsoll, keeper_run, text, problem):
    check_refusal(plimsoll(*keeper_run(vault=text)), f"--vault {text}: {problem}")


def test_second_keeper_on_one_journal_is_refused(plimsoll, keeper_run, afloat, tmp_path):
    with Journal.open(tmp_path / "journal.sqlite", chain_id=1, vault=afloat[1].address):
        check_refusal(plimsoll(*keeper_run()), "another keeper is running on it")


def test_journal_that_is_not_there_is_named(plimsoll, tmp_path):
    check_refusal(plimsoll("keeper", "status", "--journal", tmp_path / "none.sqlite"), "none.sqlite: no such file")


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """Prices of 130 days, made up."""
    file = tmp_path_factory.mktemp("prices") / "prices.csv"
    rng, days = np.random.default_rng(1), np.datetime64("2023-01-01") + np.arange(130)
    rows = ["date,symbol,close"]
    for symbol, first in (("BTC", 4e4), ("ETH", 2500.0), ("LINK", 20.0)):
        closes = first * np.exp(np.cumsum(0.03 * rng.standard_normal(len(days))))
        rows += [f"{day},{symbol},{close:.6g}" for day, close in zip(days, closes, strict=True)]
    file.write_text("\n".join(rows))
    return file


def test_backtest_writes_a_sheet_and_prints_one_json(plimsoll, walked, tmp_path):
    command = ("backtest", "--mandate", BLUE_CHIP, "--prices", walked, "--out", tmp_path, "--json")
    code, out, err = plimsoll(*command)

    assert (code, err) == (0, "")
    (run,) = json.loads(out)["runs"]
    assert run["performance"]["settlements"] > 0
    assert json.loads((tmp_path / "backtest.json").read_text()) == json.loads(out)
    assert (tmp_path / "backtest.html").read_text().startswith("<!doctype html>")


def test_backtest_of_a_mandate_that_lends_runs_with_its_loan(plimsoll, walked, tmp_path):
    command = (
        "backtest",
        "--mandate",
        BLUE_CHIP.with_name("leveraged-staking.yaml"),
        "--prices",
        walked,
        "--out",
        tmp_path,
        "--borrow-rate",
        "0.01",
    )
    code, out, _ = plimsoll(*command)

    assert code == 0
    assert "leverage up to 3." in out
    assert "lowest health factor 1." in out
    (run,) = json.loads((tmp_path / "backtest.json").read_text())["runs"]
    assert run["performance"]["costs"]["borrow"] > 0
    assert min(health for health in run["series"]["health_factor"] if health) > 1
    assert "Health factor while something is owed" in (tmp_path / "backtest.html").read_text()


@pytest.mark.parametrize(
    ("options", "culprit"),
    [
        (["--start", "soon"], "--start soon"),
        (["--keeper-stops", "soon"], "--keeper-stops soon"),
        (["--start", "2023-01-05"], "the first start is 2023-"),
        (["--workers", "zero"], "--workers zero"),
        (["--gas", "none.csv"], "none.csv"),
        (["--vary", "objective.risk=1"], "no 'risk' there"),
    ],
)
def test_backtest_that_cannot_be_names_the_culprit(plimsoll, walked, tmp_path, options, culprit):
    command = ("backtest", "--mandate", BLUE_CHIP, "--prices", walked, "--out", tmp_path, "--json", *options)
    check_refusal(plimsoll(*command), culprit)


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        (("mandate", "check"), "argument 'file' (see `plimsoll mandate check --help`)"),
        (("plan", "--mandate", BLUE_CHIP, "--vault", NOWHERE), "--rpc and --vault, or --instance"),
        (("demo", "--days", "some"), "'--days'"),
        (("unfurl",), "'unfurl' (see `plimsoll --help`)"),
        (("sandbox", "give", "alice", "1", "DOGE"), "DOGE: no token of the sandbox"),
        (("sandbox", "give", "alice", "1.0000001", "USDC"), "amount 1.0000001: must be a positive number with at"),
        (("risk", "--prices", "nowhere.csv"), "nowhere.csv: No such file or directory"),
        (("route", "--instance", "nowhere.json"), "nowhere.json: No such file or directory"),
    ],
)
def test_what_is_typed_wrong_is_named_in_one_line(plimsoll, arguments, culprit):
    check_refusal(plimsoll(*arguments), culprit)


@pytest.mark.parametrize("command", ["route", "plan"])
def test_complaint_about_the_inside_of_a_file_names_the_file(plimsoll, tmp_path, command):
    path = tmp_path / "basket.json"
    path.write_text("{}")
    mandate = ("--mandate", BLUE_CHIP) if command == "plan" else ()

    check_refusal(plimsoll(command, "--instance", path, *mandate), f"{path}: tokens: is missing")


def test_mandate_check_names_every_rule_that_is_set(plimsoll):
    file = PROJECT / "mandates" / "leveraged-staking.yaml"
    limits = {name: value for name, value in load_mandate(file).limits if value}

    _, out, _ = plimsoll("mandate", "check", file)

    assert all(str(value) in out for value in limits.values())
    assert "max_leverage_bps 45000" in out


def test_interrupt_is_exit_code_130_and_no_traceback(plimsoll, monkeypatch):
    def interrupted(path):
        raise KeyboardInterrupt

    monkeypatch.setattr("offchain.mandate.load_mandate", interrupted)

    assert plimsoll("mandate", "check", BLUE_CHIP) == (130, "", "")


@pytest.mark.slow
def test_interrupted_demo_ends_without_a_traceback(tmp_path):
    command = [PLIMSOLL, "demo", "--out", tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        while not list(tmp_path.glob("keeper.log")):
            time.sleep(0.02)
        run.send_signal(signal.SIGINT)
        _, err = run.communicate(timeout=60)

    assert run.returncode == 130
    assert "Traceback" not in err


def test_unexpected_error_is_one_line_with_a_hint(plimsoll, monkeypatch):
    def broken(path):
        raise ZeroDivisionError("division\nby zero")

    monkeypatch.setattr("offchain.mandate.load_mandate", broken)

    code, out, err = plimsoll("mandate", "check", BLUE_CHIP)

    assert (code, out) == (1, "")
    assert err.startswith("error: unexpected ZeroDivisionError: division by zero (run again with `plimsoll --debug")
    with pytest.raises(ZeroDivisionError):
        plimsoll("--debug", "mandate", "check", BLUE_CHIP)


def test_no_traceback_reaches_a_user(tmp_path):
    path = tmp_path / "empty.yaml"
    path.write_text("")

    run = subprocess.run([PLIMSOLL, "mandate", "check", path], capture_output=True, text=True, check=False)

    check_refusal((run.returncode, run.stdout, run.stderr), "empty.yaml")


def test_keeper_settles_once_and_the_journal_tells(plimsoll, keeper_run, afloat, tmp_path):
    command = [PLIMSOLL, *keeper_run(), "--once", "--json"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ})

    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert (report["decision"], report["order"]["state"]) == ("settle", "INCLUDED")
    assert all("event" in json.loads(line) for line in run.stderr.splitlines())
    assert PASSWORD not in run.stderr

    _, out, _ = plimsoll("keeper", "status", "--journal", tmp_path / "journal.sqlite", "--json")
    assert json.loads(out)["last_settlement"]["transaction"] == report["settlement"]["transaction"]
    code, out, _ = plimsoll("replay", tmp_path / "journal.sqlite", "--json")
    replayed = json.loads(out)
    assert (code, replayed["ticks"], replayed["identical"], replayed["different"]) == (0, 1, 1, [])
    assert (replayed["settlements"]["replayed"], replayed["settlements"]["refused"]) == (1, 0)

    code, out, _ = plimsoll(*keeper_run(), "--once")
    assert (code, out.count("\n")) == (0, 1)
    assert re.fullmatch(r"Block \d+: hold: no trade pays\n", out)


def test_plan_shows_what_would_be_done_and_sends_nothing(plimsoll, afloat):
    fork, vault = afloat
    before = nonce(fork)

    code, out, _ = plimsoll("plan", "--rpc", fork.rpc_url, "--vault", vault.address, "--mandate", BLUE_CHIP, "--json")

    assert code == 0
    assert json.loads(out)["block_hash"].startswith("0x")
    assert nonce(fork) == before


def test_keeper_ends_quietly_when_it_is_told_to(keeper_run):
    command = [PLIMSOLL, *keeper_run(), "--poll", "0.05"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as keeper:
        line = keeper.stderr.readline()
        while '"started"' not in line:
            assert line, "the keeper ended before it started"
            line = keeper.stderr.readline()
        keeper.send_signal(signal.SIGTERM)
        _, rest = keeper.communicate(timeout=30)

    assert keeper.returncode == 0
    assert '"stopped"' in rest


def check_refusal(result, culprit):
    code, out, err = result
    assert (code, out) == (2, ""), err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert culprit in err
