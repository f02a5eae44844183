# SPDX-License-Identifier: Apache-2.0
"""A weighted pool of Balancer v2 as a vault's listed venue calls it: two tokens, named by its index there."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from offchain.market.snapshot import BalancerV2State
from offchain.route.balancer_weighted import BalancerWeightedPool
from offchain.route.curves import WeightedCurve
from offchain.route.kind import PoolKind
from offchain.route.leg import Venue
from offchain.route.swap import Response, Swap


@dataclass(frozen=True, slots=True)
class BalancerV2Pool:
    """One pool of two tokens, with the exact mathematics of `BalancerWeightedPool`.

    Attributes
    ----------
    weighted
        The pool; its tokens are the two, in its own order.
    venue
        How the vault calls it.
    index
        Its place in the venue's list, which a leg carries where other pools have their fee tier.
    """

    weighted: BalancerWeightedPool
    venue: Venue
    index: int

    @classmethod
    def from_state(cls, state: BalancerV2State) -> BalancerV2Pool:
        """Pool in the state that the market room read.

        Raises
        ------
        InvalidPoolError
            The state contradicts itself.
        """
        weighted = BalancerWeightedPool(
            address=state.address,
            tokens=(state.token0, state.token1),
            balances=state.balances,
            decimals=state.decimals,
            weights=state.weights,
            swap_fee=state.swap_fee,
            version=state.version,
        )
        return cls(weighted, Venue(state.venue), state.index)

    @property
    def kind(self) -> PoolKind:
        """Balancer v2, weighted."""
        return self.weighted.kind

    @property
    def address(self) -> str:
        """Of the pool."""
        return self.weighted.address

    @property
    def token0(self) -> int:
        """First of its tokens."""
        return self.weighted.tokens[0]

    @property
    def token1(self) -> int:
        """Second of its tokens."""
        return self.weighted.tokens[1]

    @property
    def tokens(self) -> tuple[int, int]:
        """Both."""
        return self.token0, self.token1

    @property
    def fee_ppm(self) -> int:
        """The index, see `index`."""
        return self.index

    def quote_in(self, token_in: int, amount_in: int, token_out: int | None = None) -> int:
        """What the pool pays. Raises as `BalancerWeightedPool.quote_in`."""
        return self.weighted.quote_in(token_in, amount_in, token_out)

    def quote_out(self, token_in: int, amount_out: int, token_out: int | None = None) -> int:
        """What the pool asks for. Raises as `BalancerWeightedPool.quote_out`."""
        return self.weighted.quote_out(token_in, amount_out, token_out)

    def swap(self, token_in: int, amount_in: int, token_out: int | None = None) -> Swap[BalancerV2Pool]:
        """Exact-input swap and the pool afterwards. Raises as `quote_in`."""
        done = self.weighted.swap(token_in, amount_in, token_out)
        return Swap(done.amount_in, done.amount_out, replace(self, weighted=done.after))

    def most_in(self, token_in: int, token_out: int | None = None) -> int:
        """Thirty per cent of the balance, and the fee on top."""
        return self.weighted.most_in(token_in, token_out)

    def marginal_price(self, token_in: int, token_out: int | None = None) -> float:
        """Base units out per base unit in, of an infinitesimal input, after the fee."""
        return self.weighted.marginal_price(token_in, token_out)

    def curve(self) -> WeightedCurve:
        """The pool in floats."""
        return self.weighted.curve()

    def respond(self, price0: float, price1: float) -> Response:
        """Best trade at outside prices; the curvature inside the fee band is that of the nearest trade."""
        curve = self.curve()
        response = curve.respond((price0, price1))
        if any(response.amounts) or not curve.tradable:
            return response
        worth = math.sqrt(price0 * curve.balances[0] / curve.weights[0] * price1 * curve.balances[1] / curve.weights[1])
        return replace(response, curvature=worth * (1 - float(curve.weights @ curve.weights)) / 2)
