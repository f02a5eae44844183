# SPDX-License-Identifier: Apache-2.0
"""Pools of a stated depth at a mandate's venues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from offchain.backtest.errors import MarketPathError
from offchain.backtest.model_pools import CORRELATED, VOLATILE, PoolSpec, constant
from offchain.mandate import Mandate
from offchain.route.leg import Venue

DEPTH_USD: Final[Mapping[str, float]] = {"WETH": 10e6, "WBTC": 5e6, "WSTETH": 10e6, "USDT": 20e6, "DAI": 20e6}
"""USD that move the price of an asset's deepest pool by 2 %; `DEPTH_OTHERS_USD` for what is not listed."""
DEPTH_OTHERS_USD: Final = 1e6
_STAKED = frozenset({"WSTETH", "STETH", "RETH", "CBETH"})
_DOLLARS = frozenset({"USDC", "USDT", "DAI", "USD"})
_ETHER = frozenset({"WETH", "ETH"})
_MAJORS = _ETHER | {"WBTC", "BTC"}


def default_pools(mandate: Mandate, scale: float = 1.0) -> tuple[PoolSpec, ...]:
    """Pools of a stated depth, where such assets trade on mainnet and as far as the mandate lists the venues.

    Depth d is $10M for ether and staked ether, $5M for bitcoin, $20M for other dollars, $1M for all else.

    =================== ==========================================================================
    ether, bitcoin      with the base asset: v3 5 bps d, v3 30 bps 0.3 d, v2 0.6 d
    bitcoin             with ether: v3 30 bps d, v3 5 bps 0.6 d
    staked ether        with ether: v3 1 bp d
    other dollars       with the base asset: v3 1 bp d
    everything else     with ether: v3 30 bps d, v2 0.4 d; with the base asset: v3 30 bps 0.5 d
    =================== ==========================================================================

    A v3 tier that the mandate does not list becomes the nearest one it does; a pair left without any pool gets
    the v2 one. Without ether in the mandate everything trades with the base asset.

    Parameters
    ----------
    scale
        Multiplies every depth.

    Raises
    ------
    MarketPathError
        The mandate lists no venue at all.
    """
    symbols = [symbol.upper() for symbol in mandate.symbols]
    ether = next((index for index, symbol in enumerate(symbols) if symbol in _ETHER and index), 0)
    specs: list[PoolSpec] = []
    for index, symbol in enumerate(symbols):
        if not index:
            continue
        depth = DEPTH_USD.get("WETH" if symbol == "ETH" else "WBTC" if symbol == "BTC" else symbol, DEPTH_OTHERS_USD)
        specs += _pools_of(mandate, index, ether, symbol, depth * scale)
    if not specs:
        raise MarketPathError("the mandate's venues trade none of its assets; list uniswap_v2 or uniswap_v3")
    return tuple(specs)


def _pools_of(mandate: Mandate, index: int, ether: int, symbol: str, depth: float) -> list[PoolSpec]:
    if symbol in _MAJORS:
        found = _pair(mandate, index, 0, depth, ((500, 1.0), (3_000, 0.3)), 0.6)
        if ether and index != ether:
            found += _pair(mandate, index, ether, depth, ((3_000, 1.0), (500, 0.6)), 0.0)
        return found
    if symbol in _DOLLARS or (symbol in _STAKED and (ether or mandate.base.symbol.upper() in _ETHER)):
        return _pair(mandate, index, 0 if symbol in _DOLLARS else ether, depth, ((100, 1.0),), 0.0, correlated=True)
    if not ether:
        return _pair(mandate, index, 0, depth, ((3_000, 1.0),), 0.4)
    return [
        *_pair(mandate, index, ether, depth, ((3_000, 1.0),), 0.4),
        *_pair(mandate, index, 0, depth, ((3_000, 0.5),), 0.0),
    ]


def _pair(
    mandate: Mandate,
    a: int,
    b: int,
    depth: float,
    tiers: Sequence[tuple[int, float]],
    v2_share: float,
    correlated: bool = False,
) -> list[PoolSpec]:
    listed = mandate.uniswap_v3_fee_tiers
    found: dict[int, PoolSpec] = {}
    for wanted, share in tiers if listed else ():
        tier = min(listed, key=lambda one: (abs(one - wanted), one))
        spec = PoolSpec(Venue.UNISWAP_V3, a, b, tier, constant(depth * share), CORRELATED if correlated else VOLATILE)
        found.setdefault(tier, spec)
    pools = list(found.values())
    if mandate.uses_uniswap_v2 and (v2_share or not pools):
        pools.append(PoolSpec(Venue.UNISWAP_V2, a, b, 0, constant(depth * (v2_share or 0.5))))
    return pools
