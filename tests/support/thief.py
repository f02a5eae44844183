# SPDX-License-Identifier: Apache-2.0
"""A thief with the optimizer's key: signs orders that sell to himself as badly as the mandate lets him."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from offchain.route.leg import Venue
from offchain.sandbox import addresses
from offchain.sandbox.arbitrage import fair_root_price
from offchain.sandbox.uniswap import Pool
from offchain.settle.development import development_address
from tests.support.evm import Contract, attempt
from tests.support.hostile import FOREVER, POSITIONS_ABI
from tests.support.world import ONE, World

FEE = 10_000
"""Tier of his pool: nobody else trades in it, and what it charges is his."""
KEEP = 1 - FEE / 1e6
RANGE = 200 * 300
"""Ticks to each side: a factor of 400."""
DEPTH = 2e10
"""Dollars on each side, so that his own price is what the vault gets."""
PURSE = 10 * DEPTH
"""Dollars of each asset with which he moves it."""


class Thief:
    """Owns a pool of two assets of the vault and sets its price at will, at no cost to himself.

    Parameters
    ----------
    first, second
        Symbols of the pool's assets.

    Attributes
    ----------
    refusal
        Why the vault refused the last settlement; None when it did not.
    """

    def __init__(self, world: World, first: str, second: str) -> None:
        self.world = world
        self.pool = Pool(Venue.UNISWAP_V3, first, second, FEE, 0.0)
        usd = {symbol: world.usd(symbol) for symbol in (first, second)}
        self.maker = world.deploy_maker("attacker", {symbol: PURSE / price for symbol, price in usd.items()})
        self.refusal: str | None = None
        self._open_pool(usd)

    def settle(self, sell: str, buy: str, fraction: float, loss: float) -> dict[str, Any] | None:
        """Have the vault sell a fraction of its value in one asset for the other, losing at oracle prices.

        Parameters
        ----------
        fraction
            Of the vault's value.
        loss
            Fraction of the vault's value that the oracle is to see vanish; negative for a gain.
            He pays at least half and at most twice the oracle's price.

        Returns
        -------
        The Settled event, None when the vault refused.
        """
        world = self.world
        value, prices = world.vault.value(), world.prices()
        i = world.index(sell)
        amount = min(int(fraction * value) * ONE // prices[i], world.vault.holdings()[i])
        if amount == 0:
            return None
        moved = amount * prices[i] / ONE / value
        self.set_price(sell, buy, min(max(1 - loss / moved, 0.5), 2.0))
        settled, self.refusal = attempt(lambda: world.settle([world.leg(sell, buy, amount, FEE)], relayer="attacker"))
        return settled

    def set_price(self, sell: str, buy: str, quality: float) -> None:
        """Make the pool pay this part of the oracle's value, after its fee, for what the vault sells."""
        usd = {symbol: self.world.usd(symbol) for symbol in (sell, buy)}
        usd[sell] *= quality / KEEP
        root = int(fair_root_price(self.pool, usd) * 2**96)
        self.maker.make([(self.pool.address, int(self.pool.venue), root, root)], [], sender="attacker")

    def _open_pool(self, usd: Mapping[str, float]) -> None:
        world = self.world
        positions = Contract(world.evm, addresses.UNISWAP_V3_POSITIONS, POSITIONS_ABI)
        amounts = []
        for symbol in self.pool.symbols:
            amounts.append(int(DEPTH / usd[symbol] * 10 ** addresses.DECIMALS[symbol]))
            world.give(symbol, "attacker", amounts[-1])
            world.token(symbol).approve(positions, 2**256 - 1, sender="attacker")
        root = fair_root_price(self.pool, usd)
        create = positions.createAndInitializePoolIfNecessary
        create(*self.pool.tokens, FEE, int(root * 2**96), sender="attacker")
        middle = math.floor(2 * math.log(root, 1.0001) / 200) * 200
        owner = development_address("attacker")
        place = (*self.pool.tokens, FEE, middle - RANGE, middle + RANGE, *amounts, 0, 0, owner, FOREVER)
        positions.mint(place, sender="attacker")


def worth(holdings: list[int] | tuple[int, ...], world: World, market: Mapping[str, float]) -> float:
    """Dollars that holdings of the vault's assets bring at market prices by symbol."""
    return sum(
        held * market[asset.symbol] / 10**asset.decimals
        for held, asset in zip(holdings, world.file.ordered_assets, strict=True)
    )
