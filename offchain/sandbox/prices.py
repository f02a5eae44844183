# SPDX-License-Identifier: Apache-2.0
"""What things cost at the sandbox's head, and on the days before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HEAD_TIMESTAMP: Final = 1_767_225_600
"""Time of the head block, 2026-01-01 00:00 UTC. Late enough that a fork of chain id 1,
for which anvil picks the rules by the clock, gets mainnet's newest."""

HISTORY_DAYS: Final = 100
HOUR: Final = 3600

PRICES: Final = MappingProxyType(
    {
        "ETH/USD": 3000.0,
        "BTC/USD": 60000.0,
        "LINK/USD": 15.0,
        "stETH/ETH": 0.9995,
        "USDC/USD": 1.0,
        "USDT/USD": 1.0,
        "DAI/USD": 1.0,
    }
)
"""Feed answers at the head, in units of the quote currency."""

STAKED_RATIO: Final = 1.17
"""stETH per wstETH at the head."""


@dataclass(frozen=True, slots=True)
class FeedRule:
    """When an oracle writes a new round."""

    heartbeat: int
    """Seconds after which it writes whatever the price did."""
    deviation: float
    """Relative move at which it writes at once."""
    decimals: int


FEED_RULES: Final = MappingProxyType(
    {
        "ETH/USD": FeedRule(4 * HOUR, 0.005, 8),
        "BTC/USD": FeedRule(4 * HOUR, 0.005, 8),
        "LINK/USD": FeedRule(4 * HOUR, 0.01, 8),
        "stETH/ETH": FeedRule(24 * HOUR, 0.005, 18),
        "USDC/USD": FeedRule(24 * HOUR, 0.0025, 8),
        "USDT/USD": FeedRule(24 * HOUR, 0.0025, 8),
        "DAI/USD": FeedRule(24 * HOUR, 0.0025, 8),
    }
)
"""The sandbox's feeds, with mainnet's deviations. The heartbeat of the volatile ones is stretched
for speed: mainnet's is 1 h; DAI's is 1 h, the others' 24 h."""


def token_prices(answers: Mapping[str, float] = PRICES, ratio: float = STAKED_RATIO) -> dict[str, float]:
    """USD per whole token of every sandbox token, from feed answers and the staking ratio."""
    ether = answers["ETH/USD"]
    return {
        "USDC": answers["USDC/USD"],
        "WETH": ether,
        "WBTC": answers["BTC/USD"],
        "LINK": answers["LINK/USD"],
        "wstETH": ratio * answers["stETH/ETH"] * ether,
        "USDT": answers["USDT/USD"],
        "DAI": answers["DAI/USD"],
    }


def history(seed: int = 1876) -> dict[str, NDArray[np.float64]]:
    """Hourly prices of the days before the head, ending exactly at `PRICES`.

    Volatile assets: correlated Student-t innovations whose scale switches between a quiet and
    a stormy regime; the others revert to their mean.

    Returns
    -------
    dict
        By feed, shape ``(HISTORY_DAYS * 24 + 1,)``; the last element is the head's.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    hours = HISTORY_DAYS * 24
    stormy = np.empty(hours, dtype=bool)
    state = False
    for i, draw in enumerate(rng.random(hours)):
        state = draw < (0.97 if state else 0.006)
        stormy[i] = state
    names = ("ETH/USD", "BTC/USD", "LINK/USD")
    annual = np.array([0.62, 0.45, 0.80])
    correlation = np.array([[1.0, 0.82, 0.74], [0.82, 1.0, 0.66], [0.74, 0.66, 1.0]])
    degrees = 5.0
    normal = rng.standard_normal((hours, 3)) @ np.linalg.cholesky(correlation).T
    # One chi-square for the three: storms hit all of them at once.
    fat = np.sqrt((degrees - 2) / rng.chisquare(degrees, (hours, 1)))
    scale = np.where(stormy, 1.8, 0.8)[:, None] / np.sqrt(365 * 24)
    returns = normal * fat * scale * annual
    # A drift that is nowhere in particular: nothing is to be learnt from the mean.
    returns -= returns.mean(axis=0) * 0.8
    paths: dict[str, NDArray[np.float64]] = {}
    for column, name in enumerate(names):
        log_price = np.concatenate([[0.0], np.cumsum(returns[:, column])])
        paths[name] = PRICES[name] * np.exp(log_price - log_price[-1])
    for name, deviation in (("stETH/ETH", 4e-4), ("USDC/USD", 1e-4), ("USDT/USD", 2e-4), ("DAI/USD", 1.5e-4)):
        noise = rng.standard_normal(hours + 1) * deviation * np.sqrt(1 - 0.98**2)
        level = np.zeros(hours + 1)
        for i in range(1, hours + 1):
            level[i] = 0.98 * level[i - 1] + noise[i]
        paths[name] = PRICES[name] * np.exp(level - level[-1] * np.linspace(0, 1, hours + 1))
    return paths
