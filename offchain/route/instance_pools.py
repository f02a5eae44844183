# SPDX-License-Identifier: Apache-2.0
"""Pools of every kind from the JSON of a routing problem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from offchain.market.snapshot import UniswapV3State
from offchain.route.aave_v3 import AaveV3Reserve
from offchain.route.balancer_weighted import BalancerWeightedPool
from offchain.route.curve_stable import CurveStablePool
from offchain.route.erc4626 import Erc4626Pool
from offchain.route.json_reader import Node
from offchain.route.kind import PoolKind
from offchain.route.log_exp_math import ONE
from offchain.route.pool import AnyPool
from offchain.route.tick_math import MAX_SQRT_RATIO, MAX_TICK, MIN_SQRT_RATIO, MIN_TICK
from offchain.route.uniswap_v2 import UniswapV2Pool
from offchain.route.uniswap_v3 import UniswapV3Pool
from offchain.route.uniswap_v4 import DYNAMIC_FEE_FLAG, UniswapV4Pool

PPM = 1_000_000
_MOST_TOKENS = 8
_UINT112 = 2**112 - 1
_UINT128 = 2**128 - 1
_INT128 = 2**127 - 1


@dataclass(frozen=True, slots=True)
class Tokens:
    """What pools must know of the tokens."""

    decimals: tuple[int, ...]

    def members(self, node: Node, least: int = 2, most: int = _MOST_TOKENS) -> tuple[int, ...]:
        """The different tokens of a pool."""
        places = node.field("tokens").items(least, most)
        members = tuple(place.integer(0, len(self.decimals) - 1) for place in places)
        for index, member in enumerate(members):
            if member in members[:index]:
                raise places[index].fail(f"token {member} is there twice")
        return members

    def pair(self, node: Node) -> tuple[int, int]:
        """The two tokens of a pool."""
        first, second = self.members(node, 2, 2)
        return first, second


def _uniswap_v2(node: Node, name: str, tokens: Tokens) -> AnyPool:
    token0, token1 = tokens.pair(node)
    reserves = [each.integer(0, _UINT112) for each in node.field("reserves").items(2, 2)]
    return UniswapV2Pool(name, token0, token1, reserves[0], reserves[1], charge_ppm=_fee(node))


def _uniswap_v3(node: Node, name: str, tokens: Tokens) -> AnyPool | None:
    token0, token1 = tokens.pair(node)
    fee, spacing = _fee(node), node.field("tick_spacing").integer(1, MAX_TICK)
    price, tick, liquidity, ticks = _range_state(node, spacing)
    if price == 0:
        return None
    words = MIN_TICK // spacing >> 8, MAX_TICK // spacing >> 8
    return UniswapV3Pool.from_state(
        UniswapV3State(name, token0, token1, fee, spacing, price, tick, liquidity, ticks, *words)
    )


def _uniswap_v4(node: Node, name: str, tokens: Tokens) -> AnyPool | None:
    token0, token1 = tokens.pair(node)
    fee, spacing = node.field("fee_ppm").integer(0, DYNAMIC_FEE_FLAG), node.field("tick_spacing").integer(1, 32767)
    price, tick, liquidity, ticks = _range_state(node, spacing)
    protocol, hooks = node.optional("protocol_fees_ppm"), node.optional("hooks")
    fees = [0, 0] if protocol is None else [each.integer(0, PPM) for each in protocol.items(2, 2)]
    if price == 0:
        return None
    return UniswapV4Pool.build(
        name,
        token0,
        token1,
        lp_fee_ppm=fee,
        tick_spacing=spacing,
        sqrt_price_x96=price,
        tick=tick,
        liquidity=liquidity,
        ticks=ticks,
        protocol_fees_ppm=(fees[0], fees[1]),
        hooks="0x0" if hooks is None else hex(_address(hooks)),
    )


def _range_state(node: Node, spacing: int) -> tuple[int, int, int, tuple[tuple[int, int], ...]]:
    """Square-root price, 0 where the pool was never initialised, tick, liquidity and sorted ticks."""
    price = node.field("sqrt_price_x96")
    if price.integer() and not MIN_SQRT_RATIO <= price.integer() < MAX_SQRT_RATIO:
        raise price.fail("lies outside the range of Uniswap's prices")
    tick = node.field("tick").integer(MIN_TICK - 1, MAX_TICK)
    liquidity = node.field("liquidity").integer(0, _UINT128)
    nets: dict[int, int] = {}
    for each in node.field("ticks").items():
        place, net = each.items(2, 2)
        at = place.integer(MIN_TICK, MAX_TICK)
        if at % spacing:
            raise place.fail(f"tick {at} is no multiple of the spacing {spacing}")
        if at in nets:
            raise place.fail(f"tick {at} is there twice")
        nets[at] = net.integer(-_INT128, _INT128)
    return price.integer(), tick, liquidity, tuple(sorted(nets.items()))


def _balancer_weighted(node: Node, name: str, tokens: Tokens) -> AnyPool:
    members = tokens.members(node)
    count = len(members)
    version = node.optional("pow_version")
    if version is not None and version.value not in ("v1", "v2", 1, 2):
        raise version.fail("must be v1, or v2 for pools that multiply out exponents 1, 2 and 4")
    return BalancerWeightedPool(
        name,
        members,
        tuple(each.integer(0, _UINT112) for each in node.field("balances").items(count, count)),
        tuple(tokens.decimals[member] for member in members),
        _weights(node.field("weights"), count),
        _fee(node) * (ONE // PPM),
        1 if version is None or version.value in ("v1", 1) else 2,
    )


def _weights(node: Node, count: int) -> tuple[int, ...]:
    """Weights in whatever unit, as 18-decimal fractions that add up to 1."""
    parts = []
    for each in node.items(count, count):
        each.number(positive=True)
        try:
            parts.append(Fraction(str(each.value)))
        except ValueError:
            raise each.fail("must be a plain number") from None
    weights = [int(part * ONE / sum(parts)) for part in parts]
    weights[0] += ONE - sum(weights)
    return tuple(weights)


def _curve_stable(node: Node, name: str, tokens: Tokens) -> AnyPool:
    members = tokens.members(node)
    count = len(members)
    rates, precision = node.optional("rates"), node.optional("a_precision")
    rounding, admin = node.optional("fee_rounding"), node.optional("admin_fee_ppm")
    if rounding is not None and rounding.value not in ("get_dy", "exchange"):
        raise rounding.fail("must be get_dy or exchange")
    return CurveStablePool(
        name,
        members,
        tuple(each.integer(0, _UINT128) for each in node.field("balances").items(count, count)),
        tuple(int(10 ** (36 - tokens.decimals[member])) for member in members)
        if rates is None
        else tuple(each.integer(1, 10**60) for each in rates.items(count, count)),
        node.field("amplification").integer(1, 10**9),
        _fee(node) * 10_000,
        1 if precision is None else precision.integer(1, 10_000),
        0 if admin is None else admin.integer(0, PPM) * 10_000,
        rounding is not None and rounding.value == "exchange",
    )


def _erc4626(node: Node, name: str, tokens: Tokens) -> AnyPool:
    virtual = [node.optional(field) for field in ("virtual_assets", "virtual_shares")]
    most = [node.optional(field) for field in ("most_deposited", "most_redeemed")]
    return Erc4626Pool(
        name,
        tokens.pair(node),
        node.field("total_assets").integer(0, _UINT128),
        node.field("total_supply").integer(0, _UINT128),
        *(1 if each is None else each.integer(0, 10**36) for each in virtual),
        *(None if each is None else each.integer() for each in most),
    )


def _aave_v3(node: Node, name: str, tokens: Tokens) -> AnyPool:
    scaled, room = node.optional("scaled_balance"), node.optional("room")
    return AaveV3Reserve(
        name,
        tokens.pair(node),
        node.field("index").integer(0, 10**36),
        node.field("available").integer(0, _UINT128),
        0 if scaled is None else scaled.integer(0, _UINT128),
        None if room is None else room.integer(),
    )


def _fee(node: Node) -> int:
    return node.field("fee_ppm").integer(0, PPM - 1)


def _address(node: Node) -> int:
    try:
        value = int(node.text(), 16)
    except ValueError:
        value = -1
    if not 0 <= value < 2**160:
        raise node.fail("must be an address")
    return value


Reader = Callable[[Node, str, Tokens], AnyPool | None]

READERS: dict[str, Reader] = {
    PoolKind.UNISWAP_V2.value: _uniswap_v2,
    PoolKind.UNISWAP_V3.value: _uniswap_v3,
    PoolKind.UNISWAP_V4.value: _uniswap_v4,
    PoolKind.BALANCER_WEIGHTED.value: _balancer_weighted,
    PoolKind.CURVE_STABLE.value: _curve_stable,
    PoolKind.ERC4626.value: _erc4626,
    PoolKind.AAVE_V3.value: _aave_v3,
}
"""By the ``kind`` that a file names."""
