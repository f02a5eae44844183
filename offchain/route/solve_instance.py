# SPDX-License-Identifier: Apache-2.0
"""Answers routing problems: what `plimsoll route` prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from offchain.route.gas import LEG_GAS
from offchain.route.instance import Instance
from offchain.route.json_reader import InstanceError
from offchain.route.kind import PoolKind
from offchain.route.leg import Venue
from offchain.route.reference import reference_values
from offchain.route.sale import SaleRoute, sell_basket

SWAP_GAS = {
    PoolKind.UNISWAP_V2: LEG_GAS[Venue.UNISWAP_V2],
    PoolKind.UNISWAP_V3: LEG_GAS[Venue.UNISWAP_V3],
    PoolKind.UNISWAP_V4: 110_000,
    PoolKind.BALANCER_WEIGHTED: 110_000,
    PoolKind.CURVE_STABLE: 140_000,
    PoolKind.ERC4626: 100_000,
    PoolKind.AAVE_V3: 200_000,
}
"""Gas of one swap; estimates where no leg of the vault's was measured."""


@dataclass(frozen=True, slots=True)
class InstanceAnswer:
    """A route and what it refers to."""

    instance: Instance
    route: SaleRoute
    gas_usd: float | None
    """Of all swaps; None where gas costs nothing."""

    @property
    def dual_prices(self) -> tuple[float, ...]:
        """Whole tokens bought for one more whole token of each; 0 for tokens without a path to it."""
        tokens, buy = self.instance.tokens, self.instance.buy
        return tuple(
            float(price * 10.0 ** (token.decimals - tokens[buy].decimals))
            for price, token in zip(self.route.prices, tokens, strict=True)
        )

    def as_json(self) -> dict[str, Any]:
        """The answer, integers as decimal strings."""
        pools = self.instance.pools
        answer: dict[str, Any] = {
            "out": str(self.route.out),
            "legs": [
                {
                    "pool": pools[swap.pool].address,
                    "token_in": swap.token_in,
                    "token_out": swap.token_out,
                    "amount_in": str(swap.amount_in),
                    "amount_out": str(swap.amount_out),
                }
                for swap in self.route.swaps
            ],
            "gap": self.route.gap,
            "dual_prices": list(self.dual_prices),
            "seconds": self.route.seconds,
            "unsold": [
                {"token": token, "amount": str(amount)} for token, amount in enumerate(self.route.left) if amount
            ],
        }
        if self.gas_usd is not None:
            answer["gas_usd"] = self.gas_usd
        return answer


def solve_instance(instance: Instance) -> InstanceAnswer:
    """Route a problem.

    Raises
    ------
    InstanceError
        Gas is to be paid and nothing says what it is worth in the token bought; names the field.
    RouteNotFoundError
        No pools lead from a token sold to the one bought.
    """
    prices = gas_prices(instance)
    if prices is None:
        return InstanceAnswer(instance, sell_basket(instance.pools, instance.sold, instance.buy), None)
    usd, usd_per_unit = prices
    costs = [SWAP_GAS[pool.kind] * usd / usd_per_unit for pool in instance.pools]
    route = sell_basket(instance.pools, instance.sold, instance.buy, costs)
    gas = sum(SWAP_GAS[instance.pools[swap.pool].kind] for swap in route.swaps)
    return InstanceAnswer(instance, route, gas * usd)


def gas_prices(instance: Instance) -> tuple[float, float] | None:
    """USD for a unit of gas and for a base unit of the token bought; None where gas costs nothing."""
    if not instance.gas_price_gwei:
        return None
    ether = instance.ether_usd
    if ether is None:
        named = [token.price_usd for token in instance.tokens if token.symbol in ("WETH", "ETH") and token.price_usd]
        if not named:
            raise InstanceError("eth_price_usd", "is missing: gas_price_gwei needs the price of ether")
        ether = named[0]
    gas = instance.gas_price_gwei * 1e-9 * ether
    bought = instance.tokens[instance.buy]
    if bought.price_usd is not None:
        return gas, bought.price_usd / 10.0**bought.decimals
    # Any token with a price will do, by way of the pools.
    curves, members = [pool.curve() for pool in instance.pools], [pool.tokens for pool in instance.pools]
    values = reference_values(curves, members, instance.buy, len(instance.tokens))
    for token, value in zip(instance.tokens, values, strict=True):
        if token.price_usd is not None and value > 0:
            return gas, token.price_usd / 10.0**token.decimals / float(value)
    raise InstanceError(
        f"tokens[{instance.buy}].price_usd", "is missing: without it nobody knows what gas is worth in that token"
    )
