# SPDX-License-Identifier: Apache-2.0
"""The ape scripts, run as a user runs them, on a sandbox and on a fork of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_account import Account
from web3 import HTTPProvider, Web3

from offchain.abi import contract_abi
from offchain.demo import loan
from offchain.mandate import load_mandate
from offchain.sandbox.addresses import WETH
from offchain.sandbox.anvil import Anvil
from offchain.sandbox.keys import PASSWORD, keyfile
from offchain.sandbox.prices import PRICES
from offchain.sandbox.standup import Sandbox, launch
from offchain.sandbox.tokens import TRANSFER
from offchain.settle.deployment import Deployment, load_deployments
from offchain.settle.development import deployment_name, development_address
from tests.support.contracts import PROJECT, compiled
from tests.support.scripts import ApeScripts, refusal
from tests.support.vaults import BLUE_CHIP, ERC20_ABI, DeployedVault, send_data

CREATED = ["Timelock", "PriceOracle", "Alarms", "Mandate", "VaultExtension", "VaultClaims", "Vault"]
"""Contracts of a vault without listed venues, in the order of their creation."""

pytestmark = pytest.mark.xdist_group("scripts")

DOLLAR_RESERVE = PROJECT / "mandates" / "dollar-reserve.yaml"
USDC = 10**6
SHARE = 10**18


@pytest.fixture(scope="module")
def node() -> Iterator[Sandbox]:
    with launch() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def scripts(node: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> ApeScripts:
    folder = tmp_path_factory.mktemp("scripts")
    return ApeScripts(folder / "deployments", host=node.rpc_url, ape_data=folder / "ape")


@pytest.fixture(scope="module")
def recorded(node: Sandbox, scripts: ApeScripts) -> Deployment:
    scripts.answer("deploy", "--mandate", str(BLUE_CHIP), "--account", "owner")
    [deployment] = load_deployments(scripts.deployments / f"{deployment_name(node.rpc)}.json")
    return deployment


@pytest.fixture
def vault(node: Sandbox, recorded: Deployment) -> Iterator[DeployedVault]:
    mark = node.rpc.call("evm_snapshot")
    yield on_node(node.rpc_url, recorded)
    node.rpc.call("evm_revert", mark)


def on_node(url: str, recorded: Deployment) -> DeployedVault:
    web3 = Web3(HTTPProvider(url))
    parts = [
        web3.eth.contract(address=web3.to_checksum_address(address), abi=contract_abi(name))
        for name, address in (
            ("Vault", recorded.vault),
            ("Mandate", recorded.mandate),
            ("PriceOracle", recorded.oracle),
        )
    ]
    return DeployedVault(web3, BLUE_CHIP, load_mandate(BLUE_CHIP), *parts)


def test_deploy_records_what_stands_on_the_chain(recorded: Deployment, vault: DeployedVault) -> None:
    code = vault.web3.eth.get_code(vault.address)
    assert recorded.code_hashes["Vault"] == Web3.keccak(code).to_0x_hex()
    assert vault.vault.functions.mandate().call() == recorded.mandate
    assert vault.vault.functions.oracle().call() == recorded.oracle
    assert recorded.arguments["Vault"][:2] == ["Plimsoll Blue Chip", "pBLUE"]
    assert recorded.mandate_file == "mandates/blue-chip.yaml"
    assert vault.web3.eth.get_code(vault.address, recorded.block - 1) == b""


def test_deploy_creates_what_the_compiler_makes(vault: DeployedVault, recorded: Deployment) -> None:
    runtime = compiled("Vault").runtime_size
    # Vyper appends the immutables to the code.
    assert len(vault.web3.eth.get_code(vault.address)) > runtime
    assert set(recorded.code_hashes) == set(CREATED)


def test_second_deploy_sends_nothing(scripts: ApeScripts, vault: DeployedVault, recorded: Deployment) -> None:
    head = vault.web3.eth.block_number
    again = scripts.answer("deploy", "--mandate", str(BLUE_CHIP), "--account", "owner")
    assert again["vault"] == recorded.vault
    assert again["created"] == []
    assert vault.web3.eth.block_number == head


def test_deposit_pays_exactly_and_says_what_it_cost(scripts: ApeScripts, vault: DeployedVault) -> None:
    alice = development_address("alice")
    answer = scripts.answer("deposit", "--amount", "1000.5", "--account", "alice")
    assert int(answer["assets"]) == 1000.5 * USDC
    assert int(answer["shares"]) == vault.vault.functions.balanceOf(alice).call()
    assert int(answer["fee"]) == pytest.approx(1000.5 * USDC * 50 / 10_000, abs=2)
    assert vault.token(0).functions.allowance(alice, vault.address).call() == 0
    assert vault.token(0).functions.balanceOf(vault.address).call() == 1000.5 * USDC


def test_status_tells_value_weights_breaker_and_roles(scripts: ApeScripts, vault: DeployedVault) -> None:
    vault.deposit("bob", 2000 * USDC)
    status = scripts.answer("status")
    assert int(status["value"]) == vault.vault.functions.value().call()
    assert int(status["value_per_share"]) == vault.vault.functions.value_per_share().call()
    assert [one["symbol"] for one in status["assets"]] == ["USDC", "WETH", "WBTC", "LINK", "wstETH"]
    assert [one["weight_bps"] for one in status["assets"]] == [10_000, 0, 0, 0, 0]
    assert (status["breaker"], status["breaker_reason"]) == ("ACTIVE", "none")
    assert status["signers"] == [development_address("optimizer")]
    assert status["guardian"] == development_address("guardian")


def test_redeems_for_the_base_asset(scripts: ApeScripts, vault: DeployedVault) -> None:
    vault.deposit("alice", 1000 * USDC)
    before = vault.token(0).functions.balanceOf(development_address("alice")).call()
    # This time by a keyfile among ape's accounts.
    accounts = scripts.ape_data / "accounts"
    accounts.mkdir(parents=True, exist_ok=True)
    (accounts / "depositor.json").write_text(keyfile("alice").read_text())
    (accounts / "depositor.json").chmod(0o600)
    answer = scripts.answer("redeem", "--shares", "100", "--account", "depositor", passphrase=PASSWORD)
    after = vault.token(0).functions.balanceOf(development_address("alice")).call()
    assert int(answer["shares"]) == 100 * SHARE
    assert int(answer["paid"]["USDC"]) == after - before > 0
    assert answer["exit_fee_bps"] == vault.mandate.functions.limits().call()[9]


def test_leaves_in_kind_with_a_claim_to_what_it_skips(scripts: ApeScripts, vault: DeployedVault) -> None:
    vault.deposit("alice", 1000 * USDC)
    vault.deposit("bob", 1000 * USDC)
    answer = scripts.answer("redeem", "--shares", "all", "--in-kind", "--skip", "USDC", "--account", "bob")
    assert answer["shares_left"] == "0"
    assert answer["claims"] == ["USDC"]
    claim = vault.vault.functions.claims(development_address("bob"), 0).call()
    assert claim == int(answer["paid"]["USDC"]) > 980 * USDC


def with_loss_capacity(bps: int, folder: Path) -> str:
    file = folder / "mandate.yaml"
    file.write_text(BLUE_CHIP.read_text().replace("loss_capacity_bps: 100", f"loss_capacity_bps: {bps}"))
    return str(file)


def test_tightens_at_once(scripts: ApeScripts, vault: DeployedVault, tmp_path: Path) -> None:
    mandate = with_loss_capacity(80, tmp_path)
    assert scripts.answer("set_limits", "--mandate", mandate, "--account", "curator")["outcome"] == "set"
    assert vault.mandate.functions.limits().call()[2] == 80


@pytest.mark.slow
def test_loosens_after_the_delay(scripts: ApeScripts, vault: DeployedVault, node: Sandbox, tmp_path: Path) -> None:
    arguments = ("--mandate", with_loss_capacity(120, tmp_path), "--account")
    refused = refusal(scripts.run("set_limits", *arguments, "curator"))
    owner = vault.mandate.functions.owner().call()
    assert refused == f"error: the limits loosen something, which only a proposer of the owner {owner} may schedule"
    waits = scripts.answer("set_limits", *arguments, "owner")
    assert waits["ready_at"] == pytest.approx(node.chain.timestamp() + 2 * 86_400, abs=60)
    node.chain.mine(waits["ready_at"])
    assert scripts.answer("set_limits", *arguments, "owner")["outcome"] == "set"
    assert vault.mandate.functions.limits().call()[2] == 120


@pytest.mark.slow
def test_the_guardian_removes_a_signer_at_once(scripts: ApeScripts, vault: DeployedVault) -> None:
    signer = development_address("optimizer")
    removed = scripts.answer("appoint", "--remove-signer", signer, "--account", "guardian")
    assert removed["outcome"] == "done"
    assert not vault.mandate.functions.is_signer(signer).call()


@pytest.mark.slow
def test_appoints_after_the_delay(scripts: ApeScripts, vault: DeployedVault, node: Sandbox) -> None:
    bob = development_address("bob")
    appoint = ("appoint", "--add-signer", bob, "--account")
    owner = vault.mandate.functions.owner().call()
    assert refusal(scripts.run(*appoint, "curator")) == (
        f"error: this is the owner's decision, which only a proposer of the owner {owner} may schedule"
    )
    scheduled = scripts.answer(*appoint, "owner")
    assert scheduled["outcome"] == "scheduled"
    assert scheduled["ready_at"] == pytest.approx(node.chain.timestamp() + 2 * 86_400, abs=60)
    assert scripts.answer(*appoint, "owner")["outcome"] == "waiting for the delay"
    node.chain.mine(scheduled["ready_at"])
    assert scripts.answer(*appoint, "owner")["outcome"] == "done"
    assert vault.mandate.functions.is_signer(bob).call()
    assert scripts.answer(*appoint, "owner")["outcome"] == "so already"
    assert refusal(scripts.run("appoint", "--account", "owner")).startswith("error: give one of --add-signer")


def signs(vault: DeployedVault, batch: Path, role: str) -> None:
    """A Safe that a role plays executes a batch."""
    [transaction] = json.loads(batch.read_text())["transactions"]
    send_data(vault.web3, role, {"to": transaction["to"], "data": transaction["data"]})


@pytest.mark.slow
@pytest.mark.parametrize(("option", "office"), [("--curator", "curator"), ("--guardian", "guardian")])
def test_a_safe_appoints_by_two_batches(
    scripts: ApeScripts, vault: DeployedVault, node: Sandbox, tmp_path: Path, option: str, office: str
) -> None:
    carol, batch = development_address("carol"), tmp_path / "batch.json"
    appoint = ("appoint", option, carol, "--safe-batch", str(batch))
    written = scripts.answer(*appoint)
    assert (written["outcome"], written["batch"]) == ("scheduled when the Safe has signed", str(batch))
    signs(vault, batch, "owner")
    waiting = scripts.answer(*appoint)
    assert waiting["outcome"] == "waiting for the delay"
    node.chain.mine(waiting["ready_at"])
    assert scripts.answer(*appoint)["outcome"] == "done when the Safe has signed"
    signs(vault, batch, "owner")
    assert getattr(vault.mandate.functions, office)().call() == carol


@pytest.mark.slow
def test_who_no_longer_guards_cancels_nothing(scripts: ApeScripts, vault: DeployedVault, node: Sandbox) -> None:
    appoint = ("appoint", "--guardian", development_address("bob"), "--account", "owner")
    scheduled = scripts.answer(*appoint)
    calls = [pending["call"].partition("(")[0] for pending in scripts.answer("status")["pending"]]
    assert calls == ["Mandate.set_guardian", "Timelock.revokeRole", "Timelock.grantRole"]
    node.chain.mine(scheduled["ready_at"])
    assert scripts.answer(*appoint)["outcome"] == "done"
    timelock = vault.web3.eth.contract(vault.mandate.functions.owner().call(), abi=contract_abi("Timelock")).functions
    canceller = timelock.CANCELLER_ROLE().call()
    cancels = [timelock.hasRole(canceller, development_address(name)).call() for name in ("guardian", "bob")]
    assert cancels == [False, True]


@pytest.mark.slow
def test_a_safe_that_guards_removes_a_signer(scripts: ApeScripts, vault: DeployedVault, tmp_path: Path) -> None:
    signer, batch = development_address("optimizer"), tmp_path / "batch.json"
    scripts.answer("appoint", "--remove-signer", signer, "--safe-batch", str(batch))
    signs(vault, batch, "guardian")
    assert not vault.mandate.functions.is_signer(signer).call()


@pytest.mark.slow
def test_resumes_from_the_trip_that_stands(
    scripts: ApeScripts, vault: DeployedVault, node: Sandbox, tmp_path: Path
) -> None:
    resume = ("resume", "--account", "owner")
    assert refusal(scripts.run(*resume)) == "error: the breaker is ACTIVE; there is nothing to resume from"
    vault.deposit("alice", 1000 * USDC)
    vault.send("guardian", vault.mandate.functions.guardian_trip(1))
    first = scripts.answer(*resume)
    assert (first["outcome"], first["state"], first["reason"]) == ("scheduled", "REDUCE_ONLY", "guardian")
    (pending,) = scripts.answer("status")["pending"]
    tripped_at = vault.mandate.functions.tripped_at().call()
    assert (pending["call"], pending["ready_at"]) == (f"Mandate.resume(1, 2, {tripped_at})", first["ready_at"])
    # Another trip since: what was scheduled is of the first, and a new recovery waits its own delay.
    node.chain.mine(first["ready_at"])
    vault.send("guardian", vault.mandate.functions.guardian_trip(2))
    batch = tmp_path / "batch.json"
    again = scripts.answer("resume", "--safe-batch", str(batch))
    assert (again["outcome"], again["state"]) == ("scheduled when the Safe has signed", "HALTED")
    signs(vault, batch, "owner")
    node.chain.mine(scripts.answer(*resume)["ready_at"])
    for feed, price in PRICES.items():
        node.push(feed, price)
    assert scripts.answer(*resume)["outcome"] == "done"
    assert vault.mandate.functions.breaker_state().call() == 0
    # The recovery from the first trip can still be executed, and reverts.
    assert [one["call"] for one in scripts.answer("status")["pending"]] == [pending["call"]]


@pytest.mark.slow
def test_names_a_successor_after_the_delay(
    scripts: ApeScripts, vault: DeployedVault, node: Sandbox, tmp_path: Path
) -> None:
    stays = refusal(scripts.run("set_successor", "--oracle", vault.oracle.address, "--account", "owner"))
    assert stays.startswith("error: this vault's oracle has no owner and stays what it is")
    texts = {"mine": BLUE_CHIP.read_text() + "oracle: {replaceable: true}\n"}
    texts["other"] = texts["mine"].replace("heartbeat_s: 18000", "heartbeat_s: 900000")
    deployed = {}
    for salt, text in texts.items():
        file = tmp_path / f"{salt}.yaml"
        file.write_text(text)
        deployed[salt] = scripts.answer("deploy", "--mandate", str(file), "--salt", salt, "--account", "owner")["vault"]
    contract, abi = vault.web3.eth.contract, contract_abi("PriceOracle")
    oracles = {
        salt: contract(contract(address, abi=contract_abi("Vault")).functions.oracle().call(), abi=abi)
        for salt, address in deployed.items()
    }
    successor = oracles["other"].address
    name = ("set_successor", "--vault", deployed["mine"], "--account", "owner", "--oracle")
    assert refusal(scripts.run(*name, development_address("bob"))).endswith(
        "there is no contract; deploy the oracle first"
    )
    ready_at = scripts.answer(*name, successor)["ready_at"]
    node.chain.mine(ready_at)
    for feed, price in PRICES.items():
        node.push(feed, price)
    assert scripts.answer(*name, successor)["outcome"] == "done"
    assert oracles["mine"].functions.successor().call() == successor


@pytest.mark.slow
def test_stops_it_at_once_only_for_those_who_may(scripts: ApeScripts, vault: DeployedVault) -> None:
    assert refusal(scripts.run("trip", "--account", "alice")) == "error: the chain refuses: breaker: no condition"
    assert refusal(scripts.run("trip", "--to", "halted", "--account", "alice")).endswith(
        "roles: not owner, curator or guardian"
    )
    stopped = scripts.answer("trip", "--to", "halted", "--account", "guardian")
    assert (stopped["breaker"], stopped["breaker_reason"]) == ("HALTED", "guardian")


@pytest.mark.slow
def test_voids_an_order(scripts: ApeScripts, vault: DeployedVault) -> None:
    assert scripts.answer("cancel", "--account", "curator")["order_nonce"] == 1
    assert refusal(scripts.run("cancel", "--nonce", "9", "--account", "guardian")).endswith("orders: wrong nonce")


@pytest.mark.slow
def test_claims_what_was_skipped(scripts: ApeScripts, vault: DeployedVault) -> None:
    vault.deposit("bob", 1000 * USDC)
    left = scripts.answer("redeem", "--shares", "all", "--in-kind", "--skip", "USDC", "--account", "bob")
    assert scripts.answer("claim", "--asset", "USDC", "--account", "bob")["paid"] == {
        vault.token(0).address: left["paid"]["USDC"]
    }
    assert refusal(scripts.run("claim", "--asset", "USDC", "--account", "bob")).endswith("custody: no claim")


@pytest.mark.slow
def test_leaves_a_vault_that_somebody_else_deployed(scripts: ApeScripts, vault: DeployedVault, tmp_path: Path) -> None:
    """All that a depositor has is the vault's address."""
    vault.deposit("bob", 1000 * USDC)
    held = vault.token(0).functions.balanceOf(development_address("bob")).call
    before, recorded = held(), scripts.answer("status")
    there = ApeScripts(tmp_path / "none", host=scripts.host, ape_data=scripts.ape_data)
    assert there.answer("status", "--vault", vault.address) == recorded
    left = there.answer("redeem", "--vault", vault.address, "--shares", "all", "--in-kind", "--account", "bob")
    assert list(left["paid"]) == ["USDC", "WETH", "WBTC", "LINK", "wstETH"]
    assert held() - before == int(left["paid"]["USDC"]) > 0
    for wrong in (vault.mandate.address, development_address("bob")):
        assert "no vault of Plimsoll's stands there" in refusal(there.run("status", "--vault", wrong))


@pytest.mark.slow
def test_leaves_a_vault_that_owes(node: Sandbox, scripts: ApeScripts, tmp_path: Path) -> None:
    with node.fork() as fork:
        there = ApeScripts(tmp_path / "deployments", host=fork.rpc_url, ape_data=scripts.ape_data)
        deployed = there.answer("deploy", "--mandate", str(loan.MANDATE), "--account", "owner")["vault"]
        fork.give("WETH", development_address("alice"), 2 * loan.STAKE * 10**18)
        there.answer("deposit", "--amount", str(loan.STAKE), "--account", "alice")
        loan.open_position(fork, deployed, load_mandate(loan.MANDATE), tmp_path / "journal.sqlite")
        fork.rpc.call("evm_setAutomine", True)
        before = there.answer("status")
        assert 3 < before["leverage"] <= 4.5
        owed = int(before["assets"][0]["owed"])
        assert owed > 200 * 10**18

        skipped = there.answer("redeem", "--shares", "10", "--in-kind", "--skip", "position", "--account", "alice")
        assert skipped["claims"] == ["position"]
        claimed = there.answer("claim", "--asset", "position", "--account", "alice")["paid"]
        receipts = int(skipped["receipts"]["wstETH"])
        assert sum(int(one) for one in claimed.values()) == pytest.approx(receipts, rel=1e-6)

        brought = there.answer("redeem", "--shares", "10", "--in-kind", "--account", "alice")
        assert int(brought["debt_brought"]["WETH"]) == pytest.approx(owed * 10 / 98.85, rel=0.02)
        base = Web3(HTTPProvider(fork.rpc_url)).eth.contract(address=WETH, abi=ERC20_ABI)
        assert base.functions.allowance(development_address("alice"), deployed).call() == 0
        assert there.answer("status")["health_factor"] >= before["health_factor"] - 1e-4

        # A claim that is left alone while the collateral falls is taken over by whoever comes.
        alice = development_address("alice")
        left = there.answer("redeem", "--shares", "10", "--in-kind", "--skip", "position", "--account", "alice")
        refused = there.run("foreclose", "--of", alice, "--account", "bob")
        assert refusal(refused).endswith("foreclose: healthy")
        fork.push("stETH/ETH", 1.09 / before["health_factor"])
        taken = there.answer("foreclose", "--of", alice, "--account", "bob")["foreclosed"]
        assert [one["venue"] for one in taken] == [0]
        assert 1 < taken[0]["health_factor"] < 1.1
        assert int(taken[0]["debt"]["WETH"]) == pytest.approx(int(left["debt_brought"]["WETH"]), rel=1e-3)
        kept = int(taken[0]["left"]["wstETH"])
        assert kept + int(taken[0]["collateral"]["wstETH"]) == pytest.approx(int(left["receipts"]["wstETH"]), rel=1e-6)
        assert kept > 0
        refused = there.run("foreclose", "--of", alice, "--account", "bob")
        assert "has no claim to a position" in refusal(refused)

        alice = impersonated(fork, "alice")
        left = base.functions.balanceOf(alice).call()
        fork.chain.send(WETH, TRANSFER, fork.chain.sender, left, sender=alice)
        assert "have to be repaid" in refusal(there.run("redeem", "--shares", "10", "--in-kind", "--account", "alice"))


def impersonated(sandbox: Sandbox, role: str) -> str:
    sandbox.chain.impersonate(development_address(role))
    return development_address(role)


def test_says_why_deposits_are_closed(scripts: ApeScripts, vault: DeployedVault) -> None:
    vault.send("guardian", vault.mandate.functions.guardian_trip(1))
    refused = scripts.run("deposit", "--amount", "1000", "--account", "alice")
    assert refusal(refused) == (
        "error: deposits are closed: the breaker stands at REDUCE_ONLY; `ape run status` shows more"
    )


def test_refuses_a_key_that_may_own_something_elsewhere(
    scripts: ApeScripts, vault: DeployedVault, tmp_path: Path
) -> None:
    stranger = Account.create("not a development key")
    own = tmp_path / "stranger.json"
    own.write_text(json.dumps(Account.encrypt(stranger.key, "secret", kdf="scrypt", iterations=2**10)))
    own.chmod(0o600)
    refused = scripts.run("deposit", "--amount", "1", "--keyfile", str(own), passphrase="secret")
    assert refusal(refused).startswith(f"error: {stranger.address} is not a development account")


def test_a_fork_of_the_sandbox_is_a_chain_like_it(scripts: ApeScripts, node: Sandbox, vault: DeployedVault) -> None:
    with node.fork() as fork:
        there = ApeScripts(
            scripts.deployments, "ethereum:mainnet-fork:foundry", fork.rpc_url, node.rpc_url, scripts.ape_data
        )
        forked = DeployedVault(Web3(HTTPProvider(fork.rpc_url)), *list(vars(vault).values())[1:])
        deposited = there.answer("deposit", "--amount", "700", "--account", "carol")
        assert int(deposited["shares"]) == pytest.approx(700 * SHARE * 0.995, rel=1e-9)
        assert forked.web3.eth.block_number > vault.web3.eth.block_number
    assert vault.token(0).functions.balanceOf(vault.address).call() == 0


def test_rehearses_a_deployment_on_a_fork_of_its_own(scripts: ApeScripts, node: Sandbox) -> None:
    rehearsal = ApeScripts(
        scripts.deployments, "ethereum:mainnet-fork:foundry", upstream=node.rpc_url, ape_data=scripts.ape_data
    ).answer("deploy", "--mandate", str(DOLLAR_RESERVE), "--account", "owner")
    # The owner's timelock and the alarms stand there since the other vault.
    assert rehearsal["created"] == ["PriceOracle", "Mandate", "VaultExtension", "VaultClaims", "Vault"]
    assert rehearsal["record"] is None
    assert node.chain.code(rehearsal["vault"]) == "0x"


def test_rehearses_a_deployment_on_a_local_chain_of_its_own(scripts: ApeScripts) -> None:
    rehearsal = ApeScripts(scripts.deployments, host="auto", ape_data=scripts.ape_data).answer(
        "deploy", "--mandate", str(DOLLAR_RESERVE), "--account", "owner"
    )
    assert rehearsal["created"] == CREATED
    assert rehearsal["record"] is None


def test_refuses_a_chain_that_is_not_the_mandates(scripts: ApeScripts) -> None:
    with Anvil(chain_id=31337, accounts=1).start() as bare:
        there = ApeScripts(scripts.deployments, host=bare.rpc_url, ape_data=scripts.ape_data)
        refused = there.run("deploy", "--mandate", str(BLUE_CHIP), "--account", "owner")
    assert refusal(refused).startswith("error: --network: the node serves chain 31337, the mandate is for 1")


@pytest.mark.skipif(
    "PLIMSOLL_MAINNET_RPC" not in os.environ, reason="needs a mainnet node: set PLIMSOLL_MAINNET_RPC to its URL"
)
def test_rehearses_a_deployment_on_a_fork_of_mainnet(tmp_path: Path) -> None:
    own = tmp_path / "deployer.json"
    deployer = Account.create("anybody")
    own.write_text(json.dumps(Account.encrypt(deployer.key, "secret", kdf="scrypt", iterations=2**10)))
    own.chmod(0o600)
    upstream = os.environ["PLIMSOLL_MAINNET_RPC"]
    with Anvil(fork_url=upstream, chain_id=None).start() as fork:
        fork.rpc.call("anvil_setBalance", deployer.address, hex(10**19))
        scripts = ApeScripts(
            tmp_path / "deployments", "ethereum:mainnet-fork:foundry", fork.rpc_url, upstream, tmp_path / "ape"
        )
        roles = [
            part for role in ("owner", "curator", "guardian", "signer") for part in (f"--{role}", deployer.address)
        ]
        outcome = scripts.run(
            "deploy", "--json", "--mandate", str(BLUE_CHIP), "--keyfile", str(own), *roles, passphrase="secret"
        )
    assert json.loads(outcome.stdout)["created"] == [
        "Timelock",
        "PriceOracle",
        "Alarms",
        "Mandate",
        "VaultExtension",
        "VaultClaims",
        "Vault",
    ]
    assert json.loads(outcome.stdout)["record"] == str(tmp_path / "deployments" / "1-fork.json")
