# SPDX-License-Identifier: Apache-2.0
"""Pools of a stated depth at a mandate's venues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from offchain.backtest.errors import MarketPathError
from offchain.backtest.model_pools import CORRELATED, VOLATILE, PoolSpec, constant
from offchain.mandate import Mandate
from offchain.route.leg import Venue

DEPTH_USD: Final[Mapping[str, float]] = {
    "WETH": 10e6, "ETH": 10e6, "WBTC": 5e6, "BTC": 5e6, "WSTETH": 10e6, "USDT": 20e6, "DAI": 20e6, "USDC": 20e6,
}  # fmt: skip
DEPTH_OTHERS_USD: Final = 1e6
_WRAPPED_STAKE = frozenset({"WSTETH", "STETH", "RETH", "CBETH"})
_DOLLARS = frozenset({"USDC", "USDT", "DAI", "USD"})
_ETHER = frozenset({"WETH", "ETH"})


def default_pools(mandate: Mandate, scale: float = 1.0) -> tuple[PoolSpec, ...]:
    """Pools of a stated depth at the mandate's venues.

    Every asset has pools with the base asset, and with WETH where the mandate has it. Depth (±2 %) is $10M for
    ether and staked ether, $5M for bitcoin, $20M for dollars and $1M for everything else in the cheapest v3 tier
    that fits, 30 % of it in the next tier, 60 % in the v2 pair; pools with WETH have half. Correlated pairs use
    the 1 bp tier where the mandate lists it.

    Parameters
    ----------
    scale
        Multiplies every depth.
    """
    symbols = [symbol.upper() for symbol in mandate.symbols]
    hub = next((index for index, symbol in enumerate(symbols) if symbol in _ETHER and index), None)
    specs: list[PoolSpec] = []
    for index, symbol in enumerate(symbols):
        if not index:
            continue
        depth = DEPTH_USD.get(symbol, DEPTH_OTHERS_USD) * scale
        specs += _pair(mandate, index, 0, depth, symbols)
        if hub is not None and index != hub and symbol not in _DOLLARS:
            specs += _pair(mandate, index, hub, depth / 2, symbols)
    if not specs:
        raise MarketPathError("the mandate's venues trade none of its assets; list uniswap_v2 or uniswap_v3")
    return tuple(specs)


def _pair(mandate: Mandate, a: int, b: int, depth: float, symbols: Sequence[str]) -> list[PoolSpec]:
    kinds = {symbols[a], symbols[b]}
    correlated = kinds <= _DOLLARS or kinds <= _WRAPPED_STAKE | _ETHER
    ranges = CORRELATED if correlated else VOLATILE
    if not correlated and kinds & _WRAPPED_STAKE:
        return []  # staked ether trades against ether
    usual = (100, 500) if correlated else (500, 3_000)
    tiers = [tier for tier in usual if tier in mandate.uniswap_v3_fee_tiers] or sorted(mandate.uniswap_v3_fee_tiers)
    specs = [
        PoolSpec(Venue.UNISWAP_V3, a, b, tier, constant(depth * share), ranges)
        for tier, share in zip(tiers, (1.0, 0.3), strict=False)
    ]
    if mandate.uses_uniswap_v2 and not correlated:
        specs.append(PoolSpec(Venue.UNISWAP_V2, a, b, 0, constant(depth * 0.6)))
    return specs
