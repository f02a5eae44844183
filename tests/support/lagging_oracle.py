# SPDX-License-Identifier: Apache-2.0
"""A market that moves and feeds that follow it late: what state machines play on, and what they look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from offchain.sandbox.prices import FEED_RULES, PRICES, STAKED_RATIO
from tests.support.evm import Contract
from tests.support.reference import oracle_spread
from tests.support.world import FEED_OF, ONE, World

TOLERATED = {"ETH/USD": 50, "BTC/USD": 50, "LINK/USD": 100, "stETH/ETH": 50, "USDC/USD": 25}
"""Basis points by which the market may leave a feed before it writes a round."""
RANGES = {
    "ETH/USD": (500, 20_000),
    "BTC/USD": (5000, 500_000),
    "LINK/USD": (2, 200),
    "stETH/ETH": (0.7, 1.0),
    "USDC/USD": (0.9, 1.1),
}
"""Where the market stays: inside the oracle's bounds and the pools' liquidity."""
COINS = ("ETH/USD", "BTC/USD", "LINK/USD")
RATIO = round(STAKED_RATIO * ONE)


@dataclass(slots=True)
class LaggingOracle:
    """The true prices of a blue-chip vault's assets, and what its feeds said last."""

    world: World
    true: dict[str, Fraction] = field(
        default_factory=lambda: {name: Fraction(PRICES[name]).limit_denominator(10**6) for name in TOLERATED}
    )
    """By feed."""
    answers: dict[str, Fraction] = field(init=False)
    reporting: bool = True
    """Whether the feeds write rounds at all."""

    def __post_init__(self) -> None:
        self.answers = dict(self.true)

    def move(self, name: str, bps: int) -> None:
        """Move one price; its feed follows when the market has left it too far."""
        low, high = (Fraction(edge).limit_denominator(100) for edge in RANGES[name])
        self.true[name] = min(max(self.true[name] * (1 + Fraction(bps, 10_000)), low), high)
        if self.reporting and abs(self.true[name] / self.answers[name] - 1) > Fraction(TOLERATED[name], 10_000):
            self.report(name)

    def wait(self, seconds: int) -> None:
        """Time passes, with a heartbeat at its end."""
        self.world.evm.mine(seconds)
        if self.reporting:
            self.report_all()

    def report(self, name: str) -> None:
        """A feed writes the market's price."""
        answer = round(self.true[name] * 10 ** FEED_RULES[name].decimals)
        self.world.write_round(name, answer)
        self.answers[name] = Fraction(answer, 10 ** FEED_RULES[name].decimals)

    def report_all(self) -> None:
        """All of them do."""
        for name in TOLERATED:
            self.report(name)

    def arbitrage(self) -> None:
        """Every pool is traded to the market."""
        prices = {symbol: float(self.true[FEED_OF[symbol]]) for symbol in ("USDC", "WETH", "WBTC", "LINK")}
        prices["wstETH"] = float(self.true["stETH/ETH"] * self.true["ETH/USD"]) * STAKED_RATIO
        self.world.trade_market_to(**prices)

    def prices(self) -> list[Fraction]:
        """True prices in the oracle's units."""
        true = self.true
        return [
            true["USDC/USD"] * 10**30,
            true["ETH/USD"] * 10**18,
            true["BTC/USD"] * 10**28,
            true["LINK/USD"] * 10**18,
            true["ETH/USD"] * true["stETH/ETH"] * RATIO,
        ]


class Look:
    """What a vault holds and owes at one moment, by the oracle and in truth.

    Parameters
    ----------
    supplied, owed
        Base units of the shareholders at venues, by asset; nothing by default.

    Attributes
    ----------
    held
        What is held, wallet and venues, by asset: USD at 18 decimals by the oracle, as `debts` is.
    exposed
        What is held in wallet and venues, base units by asset.
    worth
        True net value, USD times 10**36.
    """

    def __init__(
        self, world: World, market: LaggingOracle, supplied: Sequence[int] = (), owed: Sequence[int] = ()
    ) -> None:
        vault: Contract = world.vault
        _, prices = world.oracle.try_prices()
        self.market = market.prices()
        self.holdings: list[int] = list(vault.holdings())
        count = len(self.holdings)
        self.supplied, self.owed = list(supplied) or [0] * count, list(owed) or [0] * count
        self.oracle = [price or int(true) for price, true in zip(prices, self.market, strict=True)]
        self.wallet = [held * price // ONE for held, price in zip(self.holdings, self.oracle, strict=True)]
        self.lent = [held * price // ONE for held, price in zip(self.supplied, self.oracle, strict=True)]
        self.debts = [-(-owe * price // ONE) for owe, price in zip(self.owed, self.oracle, strict=True)]
        self.held = [wallet + lent for wallet, lent in zip(self.wallet, self.lent, strict=True)]
        self.gross_held = sum(self.held)
        self.value = self.gross_held - sum(self.debts)
        self.exposed = [held + lent for held, lent in zip(self.holdings, self.supplied, strict=True)]
        self.worth = sum(
            ((held - owe) * price for held, owe, price in zip(self.exposed, self.owed, self.market, strict=True)),
            start=Fraction(0),
        )
        self.spread = oracle_spread(self.oracle, self.market)
        ratios = [true / price for true, price in zip(self.market, self.oracle, strict=True)]
        self.least, self.error = min(ratios), max(ratios) - min(ratios)
        """Lowest ratio of a true price to the oracle's, and what the ratios differ by."""
        self.per_share = vault.value_per_share() if vault.mark_is_live() else 0

    @property
    def hidden(self) -> Fraction:
        """True value that prices of the oracle may misstate, in the units of `worth`."""
        return self.error * (self.gross_held + sum(self.debts)) * ONE

    def real_loss_bound(self, loss: int, turnover: int) -> Fraction:
        """What a settlement may lose in truth: its loss, and what it turned over times the oracle's error.

        With k the ratios of true prices to the oracle's, and m the least of them, sold S and bought
        B = S - L of value change the truth by at least m B - max k S = -m L - (max k - m) S.
        """
        return Fraction(self.value) * (self.least * loss + self.error * turnover)
