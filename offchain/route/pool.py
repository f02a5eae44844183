# SPDX-License-Identifier: Apache-2.0
"""What a pool must be able to do, and which class trades which state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self

from offchain.market.snapshot import BalancerV2State, PoolState, UniswapV2State
from offchain.route.balancer_v2 import BalancerV2Pool
from offchain.route.curves import Curve
from offchain.route.kind import PoolKind
from offchain.route.leg import Venue
from offchain.route.swap import Response, Swap
from offchain.route.uniswap_v2 import UniswapV2Pool
from offchain.route.uniswap_v3 import UniswapV3Pool


class AnyPool(Protocol):
    """One immutable state of a pool of two or more tokens, exact to the wei.

    A new kind of pool is one class with these members. Tokens are indices into the asker's list,
    amounts are base units; `token_out` may be left out where the pool has two tokens.
    """

    @property
    def kind(self) -> PoolKind:
        """What it is."""

    @property
    def address(self) -> str:
        """Where it lives, or what identifies it."""

    @property
    def tokens(self) -> tuple[int, ...]:
        """What it trades, each for each."""

    def quote_in(self, token_in: int, amount_in: int, token_out: int | None = None) -> int:
        """Output of an exact input."""

    def quote_out(self, token_in: int, amount_out: int, token_out: int | None = None) -> int:
        """Input of an exact output."""

    def swap(self, token_in: int, amount_in: int, token_out: int | None = None) -> Swap[Self]:
        """Exact-input swap and the state it leaves behind."""

    def most_in(self, token_in: int, token_out: int | None = None) -> int | None:
        """Largest input of one swap; None where nothing but the liquidity limits it."""

    def marginal_price(self, token_in: int, token_out: int | None = None) -> float:
        """Base units out per base unit in of an infinitesimal input, after the fee."""

    def curve(self) -> Curve:
        """The pool in floats: vectorised quotes, best trades at given prices, a row of the searches' tables."""


class Pool(AnyPool, Protocol):
    """A pool of two tokens that the vault itself can call.

    A new one needs a line in `pool_from_state`; tokens are indices into the snapshot's assets.
    """

    @property
    def venue(self) -> Venue:
        """How the vault calls it."""

    @property
    def token0(self) -> int:
        """Token with the lower address."""

    @property
    def token1(self) -> int:
        """Token with the higher address."""

    @property
    def fee_ppm(self) -> int:
        """What a leg carries: the fee tier, 0 where the venue has one fee only; a listed pool's index."""

    def respond(self, price0: float, price1: float) -> Response:
        """Best trade at the given prices per base unit, in floats."""


def pool_from_state(state: PoolState) -> Pool:
    """Give a pool state, as the market room read it, its exact mathematics.

    Raises
    ------
    InvalidPoolError
        The state contradicts itself.
    """
    if isinstance(state, UniswapV2State):
        return UniswapV2Pool.from_state(state)
    if isinstance(state, BalancerV2State):
        return BalancerV2Pool.from_state(state)
    return UniswapV3Pool.from_state(state)


def pools_from_states(states: Sequence[PoolState]) -> tuple[Pool, ...]:
    """All of a snapshot's pools, in its order. Raises as `pool_from_state`."""
    return tuple(pool_from_state(state) for state in states)
