# SPDX-License-Identifier: Apache-2.0
"""Pool addresses by computation, and which of them exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from offchain.mandate import Mandate, load_mandate
from offchain.market.pools import candidate_pools, discover_pools, uniswap_v2_address, uniswap_v3_address
from offchain.market.rpc import NodeClient, NodeError, WrongChain
from offchain.sandbox.anvil import Anvil
from offchain.sandbox.standup import Sandbox

USDC = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
WETH = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"
WBTC = "0x2260FAC5E5542a773Aa44fBCfeDf7C193bc2C599"


@pytest.fixture(scope="module")
def mandate() -> Mandate:
    return load_mandate(Path(__file__).parents[3] / "mandates" / "blue-chip.yaml")


@pytest.mark.parametrize(
    ("pair", "fee", "mainnet"),
    [
        ((USDC, WETH), 500, "0x88e6A0c2dDD26FEEb64F039a2c41296FcB3f5640"),
        ((WETH, USDC), 3000, "0x8ad599c3A0ff1De082011EFDDc58f1908eb6e6D8"),
        ((WBTC, WETH), 3000, "0xCBCdF9626bC03E24f779434178A73a0B4bad62eD"),
    ],
)
def test_v3_addresses_are_mainnets(pair: tuple[str, str], fee: int, mainnet: str) -> None:
    assert uniswap_v3_address(*pair, fee) == mainnet


def test_v2_address_is_mainnets() -> None:
    assert uniswap_v2_address(WETH, USDC) == "0xB4e16d0168e52d35CaCD2c6185b44281Ec28C9Dc"


def test_token0_has_the_lower_address(mandate: Mandate) -> None:
    for pool in candidate_pools(mandate):
        assert int(mandate.addresses[pool.token0], 16) < int(mandate.addresses[pool.token1], 16)


def test_every_pair_and_tier_is_a_candidate_once(mandate: Mandate) -> None:
    candidates = candidate_pools(mandate)
    assert len({pool.address for pool in candidates}) == len(candidates) == 10 * 5


def test_the_sandboxes_pools_of_the_universe_are_found(sandbox: Sandbox, mandate: Mandate) -> None:
    tokens = set(mandate.addresses)
    there = {pool.address for pool in sandbox.pools.values() if set(pool.tokens) <= tokens}
    with NodeClient(sandbox.rpc_url) as client:
        found = discover_pools(client, mandate)
        assert client.round_trips == 1
    assert {pool.address for pool in found} == there


def test_another_chain_is_refused(sandbox: Sandbox, mandate: Mandate) -> None:
    with NodeClient(sandbox.rpc_url) as client, pytest.raises(WrongChain):
        discover_pools(client, mandate.model_copy(update={"chain_id": 5}))


def test_a_chain_without_multicall_is_said_so(mandate: Mandate) -> None:
    with (
        Anvil(chain_id=1) as anvil,
        NodeClient(anvil.rpc_url) as client,
        pytest.raises(NodeError, match="no Multicall3"),
    ):
        discover_pools(client, mandate)
