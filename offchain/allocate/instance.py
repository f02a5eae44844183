# SPDX-License-Identifier: Apache-2.0
"""Planning problems as JSON files: a routing problem's tokens and pools, holdings and moments, under a mandate.

The file has the fields of a routing problem (`offchain.route.instance`); of these ``tokens``, which need
``price_usd``, ``pools`` and ``gas_price_gwei`` count. Holdings stand in ``holdings`` as they do in ``sell``, which is
taken where there are none. ``covariance``, per year, and optionally ``expected_returns``, per year, are in the order
of the tokens; without expected returns those count under which the benchmark would be optimal.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offchain.forecast.expected import implied_returns
from offchain.forecast.forecast import Forecast
from offchain.forecast.model import model_hash
from offchain.mandate import CvarObjective, Mandate
from offchain.market.snapshot import AssetState, Block, BreakerState, PoolState, Snapshot, VaultState
from offchain.route.instance import Token, named, read_document, read_pools, read_token
from offchain.route.json_reader import InstanceError, Node
from offchain.route.uniswap_v2 import UniswapV2Pool
from offchain.route.uniswap_v3 import UniswapV3Pool

FloatArray = NDArray[np.float64]

_HASH = "0x" + "00" * 32
_SCENARIOS = 1_000


@dataclass(frozen=True, slots=True)
class PlanInstance:
    """What `make_plan` takes besides the mandate."""

    snapshot: Snapshot
    forecast: Forecast
    ether_usd: float | None


def load_plan_instance(file: Path, mandate: Mandate) -> PlanInstance:
    """Read a problem; an unspent vault under the mandate's own limits holds what the file says.

    Raises
    ------
    InstanceError
        The file cannot be read, makes no sense, or does not fit the mandate; names the path inside it.
    """
    with named(file):
        return parse_plan_instance(read_document(file), mandate)


def parse_plan_instance(document: Any, mandate: Mandate) -> PlanInstance:
    """Read a problem from parsed JSON. Raises as `load_plan_instance`."""
    root = Node(document, "")
    if not isinstance(document, dict):
        raise InstanceError("the file", "must hold an object with tokens, pools, holdings and covariance")
    nodes = root.field("tokens").items(1)
    tokens = [read_token(node) for node in nodes]
    places = _places(tokens, nodes, mandate)
    held = _holdings(root, len(tokens))
    assets = tuple(
        _asset(tokens[place], held[place], nodes[place], asset.address)
        for place, asset in zip(places, mandate.ordered_assets, strict=True)
    )
    gas, ether = root.optional("gas_price_gwei"), root.optional("eth_price_usd")
    block = Block(0, _HASH, _HASH, 0, 0 if gas is None else round(gas.number() * 1e9))
    pools = _pools(root.field("pools"), tokens, places)
    ether_usd = 1.0 if ether is None and gas is None else None if ether is None else ether.number(positive=True)
    snapshot = Snapshot(mandate.chain_id, block, _vault(mandate), assets, pools)
    return PlanInstance(snapshot, _forecast(root, places, mandate), ether_usd)


def _places(tokens: list[Token], nodes: list[Node], mandate: Mandate) -> tuple[int, ...]:
    """Where each of the mandate's assets stands in the file."""
    where = {token.symbol: place for place, token in enumerate(tokens)}
    for asset in mandate.ordered_assets:
        place = where.get(asset.symbol)
        if place is None:
            raise InstanceError("tokens", f"{asset.symbol} is missing, an asset of the mandate")
        if tokens[place].decimals != asset.decimals:
            raise nodes[place].field("decimals").fail(f"must be {asset.decimals}, as in the mandate")
    return tuple(where[symbol] for symbol in mandate.symbols)


def _holdings(root: Node, count: int) -> list[int]:
    held = [0] * count
    node = root.optional("holdings") or root.field("sell")
    for each in node.items(1):
        held[each.field("token").integer(0, count - 1)] += each.field("amount").integer()
    return held


def _asset(token: Token, balance: int, node: Node, address: str) -> AssetState:
    if token.price_usd is None:
        raise InstanceError(f"{node.path}.price_usd", "is missing: a plan values what it holds")
    price = round(token.price_usd * 10**18) * 10 ** (18 - token.decimals)
    return AssetState(token.symbol, address, token.decimals, balance, price, 0)


def _pools(node: Node, tokens: list[Token], places: tuple[int, ...]) -> tuple[PoolState, ...]:
    """States of the pools between assets of the mandate, tokens in its order."""
    order = {place: index for index, place in enumerate(places)}
    states: list[PoolState] = []
    for pool, each in read_pools(node, tuple(token.decimals for token in tokens)):
        if not isinstance(pool, UniswapV2Pool | UniswapV3Pool) or getattr(pool, "charge_ppm", 3_000) != 3_000:
            raise each.fail("a vault trades with uniswap_v2 at 3000 ppm and uniswap_v3 only; leave this pool out")
        if pool.token0 in order and pool.token1 in order:
            state = pool.state()
            states.append(replace(state, token0=order[pool.token0], token1=order[pool.token1]))
    return tuple(states)


def _forecast(root: Node, places: tuple[int, ...], mandate: Mandate) -> Forecast:
    count = len(root.field("tokens").items())
    rows = root.field("covariance").items(count, count)
    matrix = np.array([[_real(entry) for entry in row.items(count, count)] for row in rows])
    chosen = np.array(places)
    covariance = matrix[np.ix_(chosen, chosen)]
    if not np.allclose(covariance, covariance.T, rtol=1e-9) or np.linalg.eigvalsh(covariance).min() < -1e-9:
        raise root.field("covariance").fail("must be symmetric and have no negative eigenvalue")
    given = root.optional("expected_returns")
    if given is None:
        expected = implied_returns(covariance, np.array(mandate.benchmark_weights), mandate.objective.risk_aversion)
    else:
        expected = np.array([_real(each) for each in given.items(count, count)])[chosen]
    days = mandate.objective.horizon_days
    scenarios = None
    if isinstance(mandate.objective, CvarObjective):
        # Normal ones, the same for the same file: it gives moments and no history.
        values, vectors = np.linalg.eigh(covariance * days / 365)
        root_of = vectors * np.sqrt(np.maximum(values, 0.0))
        normal = np.random.default_rng(0).standard_normal((_SCENARIOS, len(expected)))
        scenarios = np.maximum(expected * days / 365 + normal @ root_of.T, -1.0)
    hashed = model_hash(mandate.symbols, days, expected, covariance, scenarios)
    return Forecast(mandate.symbols, days, expected, covariance, hashed, scenarios)


def _real(node: Node) -> float:
    """A finite number of either sign."""
    value = node.value
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise node.fail(f"must be a finite number, not {json.dumps(value)}")
    return float(value)


def _vault(mandate: Mandate) -> VaultState:
    """A vault whose budgets are unspent and whose value stands at its peak."""
    return VaultState(
        address="0x" + "00" * 20,
        oracle="0x" + "00" * 20,
        mandate="0x" + "00" * 20,
        nonce=0,
        breaker=BreakerState.ACTIVE,
        breaker_reason=0,
        total_supply=10**18,
        value_per_share=10**18,
        peak=10**18,
        loss_level=0,
        turnover_level=0,
        mandate_hash=_HASH,
        limits=mandate.vault_limits,
    )
