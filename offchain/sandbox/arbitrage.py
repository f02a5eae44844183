# SPDX-License-Identifier: Apache-2.0
"""Keeping pools at the market's price: the trading contract and the arbitrage bands."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from offchain.route.leg import Venue
from offchain.sandbox import addresses
from offchain.sandbox.chain import Chain, Transaction
from offchain.sandbox.compiler import sandbox_artifact
from offchain.sandbox.contract import Contract
from offchain.sandbox.tokens import BALANCE_OF, TRANSFER, gift
from offchain.sandbox.uniswap import Pool

Q96 = 2**96

INVENTORY: Mapping[str, int] = {
    "USDC": 10**10, "USDT": 10**10, "DAI": 10**10, "WETH": 5 * 10**6, "WBTC": 10**6, "LINK": 10**8, "wstETH": 5 * 10**6,
}  # fmt: skip
"""Whole tokens that the market's own contract starts with: more than any path can take out of it."""


@dataclass(frozen=True, slots=True)
class Swap:
    """An exact-input swap in one pool.

    Attributes
    ----------
    zero_for_one
        Whether token 0 is paid in.
    amount_in
        Base units of the token paid in.
    """

    pool: Pool
    zero_for_one: bool
    amount_in: int

    def values(self) -> tuple[str, int, bool, int]:
        """As the contract takes it."""
        return self.pool.address, int(self.pool.venue), self.zero_for_one, self.amount_in


@dataclass(frozen=True, slots=True)
class Band:
    """Where a pool's price may stand without an arbitrage: square roots, Q64.96."""

    pool: Pool
    low: int
    high: int

    def values(self) -> tuple[str, int, int, int]:
        """As the contract takes it."""
        return self.pool.address, int(self.pool.venue), self.low, self.high


def fair_root_price(pool: Pool, prices: Mapping[str, float]) -> float:
    """Square root of token 1 base units per token 0 base unit at USD prices by symbol."""
    first, second = pool.symbols
    scale = 10.0 ** (addresses.DECIMALS[second] - addresses.DECIMALS[first])
    return math.sqrt(prices[first] / prices[second] * scale)


def band(pool: Pool, prices: Mapping[str, float]) -> Band:
    """The prices between which the pool's fee leaves an arbitrageur nothing.

    Buying token 0 at a pool price p costs p / (1 - fee), selling it yields p (1 - fee).
    """
    fair, keep = fair_root_price(pool, prices), math.sqrt(1.0 - pool.fee_ppm / 1e6)
    return Band(pool, int(fair * keep * Q96), int(fair / keep * Q96))


class MarketMaker:
    """A trading contract in the sandbox and the account that commands it.

    Parameters
    ----------
    chain
        Where; `owner` must be unlocked there.
    contract
        An instance that `owner` deployed.
    """

    def __init__(self, chain: Chain, contract: Contract, owner: str) -> None:
        self.chain, self.contract, self.owner = chain, contract, owner

    @classmethod
    def of_the_market(cls, chain: Chain) -> MarketMaker:
        """Deploy one for the market, with `INVENTORY`."""
        maker = cls.deploy(chain, chain.sender)
        for symbol, amount in INVENTORY.items():
            chain.send_all(gift(chain, symbol, maker.address, amount * 10 ** addresses.DECIMALS[symbol]))
        return maker

    @classmethod
    def of(cls, chain: Chain, owner: str) -> MarketMaker:
        """Deploy one for an account and move all the account's tokens into it."""
        chain.impersonate(owner)
        maker = cls.deploy(chain, owner)
        for token in addresses.TOKENS.values():
            if balance := chain.call(token, BALANCE_OF, owner):
                chain.send(token, TRANSFER, maker.address, balance, sender=owner)
        return maker

    @classmethod
    def deploy(cls, chain: Chain, owner: str) -> MarketMaker:
        """Deploy an empty one."""
        return cls(chain, chain.deploy(sandbox_artifact("MarketMaker"), sender=owner), owner)

    @property
    def address(self) -> str:
        """The contract's address."""
        return self.contract.address

    def transaction(self, name: str, *arguments: object) -> Transaction:
        """A transaction of the owner that calls the contract."""
        return self.chain.transaction(self.contract, name, *arguments, sender=self.owner)

    def make(self, bands: Sequence[Band], swaps: Sequence[Swap] = ()) -> Transaction:
        """Arbitrage into the bands, do the swaps, arbitrage again: one transaction."""
        return self.transaction("make", [one.values() for one in bands], [one.values() for one in swaps])

    def balance(self, symbol: str) -> int:
        """Base units that the contract holds."""
        return int(self.chain.call(addresses.TOKENS[symbol], BALANCE_OF, self.address))

    def root_prices(self, pools: Sequence[Pool]) -> list[int]:
        """Square roots of token 1 per token 0, Q64.96, in one call."""
        kinds = [int(pool.venue) for pool in pools]
        return list(self.chain.view(self.contract, "root_prices", [pool.address for pool in pools], kinds))


def pool_for(token_in: str, token_out: str, venue: Venue, fee_ppm: int) -> tuple[Pool, bool]:
    """Return the pool of two symbols and whether `token_in` is its token 0."""
    pool = Pool(venue, token_in, token_out, 3000 if venue is Venue.UNISWAP_V2 else fee_ppm, 0.0)
    return pool, pool.symbols[0] == token_in
