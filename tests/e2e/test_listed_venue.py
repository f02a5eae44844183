# SPDX-License-Identifier: Apache-2.0
"""A keeper that trades through a listed venue only: Balancer's real vault, planned to the wei."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog
import yaml

from offchain.demo.simulation import Simulation
from offchain.mandate import load_mandate
from offchain.market.pools import discover_pools
from offchain.market.reader import read_snapshot
from offchain.market.rpc import NodeClient
from offchain.market.snapshot import BalancerV2State
from offchain.route.pool import pool_from_state
from offchain.sandbox import addresses
from offchain.sandbox.balancer import POOL_TOKENS, weighted_pool
from offchain.sandbox.simulator import simulate
from offchain.sandbox.standup import Sandbox
from tests.support.vaults import BLUE_CHIP, deploy_vault


@pytest.fixture
def file(sandbox_node: Sandbox, tmp_path: Path) -> Path:
    """Dollars and ether of the blue-chip mandate, and no pool but Balancer's."""
    mandate = yaml.safe_load(BLUE_CHIP.read_text())
    kept = [asset for asset in mandate["assets"] if asset["symbol"] in ("USDC", "WETH")]
    for asset in kept:
        asset |= {"min_weight_bps": 1000, "max_weight_bps": 9000, "benchmark_weight_bps": 5000}
    pool = weighted_pool(sandbox_node.chain)
    venue = {"kind": "balancer_v2", "vault": addresses.BALANCER_VAULT, "pools": [pool.pool_id]}
    path = tmp_path / "mandate.yaml"
    path.write_text(yaml.safe_dump(mandate | {"assets": kept, "venues": [venue]}))
    return path


def test_keeper_settles_what_it_planned_through_balancer(sandbox_node: Sandbox, file: Path, tmp_path: Path) -> None:
    with sandbox_node.fork() as fork, structlog.testing.capture_logs():
        vault = deploy_vault(fork, file)
        vault.deposit("alice", 1_000_000 * 10**6)
        path, mandate = simulate(5, days=1.0), load_mandate(file)
        with Simulation(fork, vault.address, mandate, path, seed=5, journal=tmp_path / "journal.sqlite") as simulation:
            simulation.market()
            report = simulation.tick()
            assert report.plan is not None
            assert report.settlement is not None, report.reason
            (leg,) = report.plan.legs
            assert (leg.venue, leg.token_in, leg.token_out) == (2, 0, 1)
            assert report.settlement.amounts_in == (leg.amount_in,)
            assert report.settlement.amounts_out == (leg.amount_out,)
            assert simulation.snapshot().weights[1] == pytest.approx(report.plan.weights_after[1], abs=1e-9)
            # The market trades away what the keeper's own swap left.
            simulation.market()
            with NodeClient(fork.rpc_url) as client:
                snapshot = read_snapshot(client, vault.address, mandate, discover_pools(client, mandate))
            pool_id = bytes.fromhex(weighted_pool(fork.chain).pool_id[2:])
            balances = fork.chain.call(addresses.BALANCER_VAULT, POOL_TOKENS, pool_id)[1]
        (state,) = snapshot.pools
        assert isinstance(state, BalancerV2State)
        assert state.balances == tuple(balances)
        assert pool_from_state(state).marginal_price(1) * 1e12 == pytest.approx(
            simulation.driver.prices["WETH"], rel=0.01
        )
