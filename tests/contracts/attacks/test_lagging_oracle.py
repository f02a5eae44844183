# SPDX-License-Identifier: Apache-2.0
"""Depositors who know the market while the oracle lags: in every direction that the feeds tolerate, at every size.

A feed writes a round when the market moved by its deviation; until then the oracle is wrong by up to that.
The fees must make entering at wrong prices and leaving in kind, which asks no price, a loss. Where a price is
asked twice, at different times, two errors can be had: that is measured and bounded, not prevented.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import pytest

from offchain.mandate.universe import StakedRatioOracle
from tests.support.thief import worth
from tests.support.world import World, blue_chip, head_prices, usdc

SYMBOLS = ("USDC", "WETH", "WBTC", "LINK", "wstETH")
BENCHMARK = {"USDC": 0.20, "WETH": 0.30, "WBTC": 0.27, "LINK": 0.08, "wstETH": 0.15}
WORST = {"USDC": 0.05, "WETH": 0.15, "WBTC": 0.35, "LINK": 0.15, "wstETH": 0.30}
"""What the mandate allows with most in the assets whose feeds tolerate most."""
SIZES = (1_000, 100_000, 1_000_000, 30_000_000)
FEES = 0.005 + 0.005


def deviations() -> dict[str, float]:
    """How far the market may stand from the oracle, by symbol; ether's own feed moves wstETH too."""
    found = {}
    for asset in blue_chip().ordered_assets:
        oracle = asset.oracle
        found[asset.symbol] = oracle.deviation_bps / 10_000
        if isinstance(oracle, StakedRatioOracle):
            found["ether in wstETH"] = oracle.base_deviation_bps / 10_000
    return found


def markets() -> Iterator[dict[str, float]]:
    """Market prices with each feed at one edge or the other of what it tolerates; the oracle stays at the head's."""
    edges, head = deviations(), head_prices()
    for signs in product((-1, 1), repeat=5):
        error = {symbol: sign * edges[symbol] for symbol, sign in zip(SYMBOLS, signs, strict=True)}
        market = {symbol: head[symbol] * (1 + error[symbol]) for symbol in SYMBOLS}
        market["wstETH"] *= 1 + error["WETH"]
        yield market


def vault_at(weights: Mapping[str, float]) -> World:
    """A million dollars of alice's at these weights."""
    world = World.deploy()
    world.deposit("alice", usdc(1_000_000 * weights["USDC"]))
    for symbol in SYMBOLS[1:]:
        asset = world.file.ordered_assets[world.index(symbol)]
        world.give(symbol, world.vault, int(1e6 * weights[symbol] / world.usd(symbol) * 10**asset.decimals))
    return world


@pytest.fixture(scope="module", params=[BENCHMARK, WORST], ids=["benchmark weights", "worst weights"])
def vault(request: pytest.FixtureRequest) -> World:
    return vault_at(request.param)


def test_deposit_then_leave_in_kind(vault: World, record_property: Any) -> None:
    """No profit at market prices, whichever way each feed lags, however large the deposit."""
    best = -1.0
    for size in SIZES:
        with vault.evm.rolled_back():
            paid = usdc(size)
            before = vault.balances("attacker")
            vault.deposit("attacker", paid)
            vault.leave_in_kind("attacker")
            taken = [now - was for now, was in zip(vault.balances("attacker"), before, strict=True)]
            for market in markets():
                profit = worth(taken, vault, market) / (size * market["USDC"]) - 1
                best = max(best, profit)
    record_property("best round trip", best)
    print(f"deposit, leave in kind: at best {best:.4%} of the deposit")
    assert best < 0


def test_mint_then_leave_in_kind(vault: World) -> None:
    with vault.evm.rolled_back():
        shares = 10**23
        cost = vault.vault.previewMint(shares)
        vault.give(0, "attacker", cost)
        vault.approve("attacker")
        before = vault.balances("attacker")
        vault.vault.mint(shares, "attacker", sender="attacker")
        vault.leave_in_kind("attacker", shares)
        moved = [now - was for now, was in zip(vault.balances("attacker"), before, strict=True)]
        assert all(worth(moved, vault, market) < 0 for market in markets())


def test_in_many_small_pieces(vault: World) -> None:
    """The fees round up: pieces pay no less than the whole."""
    with vault.evm.rolled_back():
        before = vault.balances("attacker")
        for _ in range(50):
            vault.deposit("attacker", 2000)
            vault.leave_in_kind("attacker")
        taken = [now - was for now, was in zip(vault.balances("attacker"), before, strict=True)]
        assert all(worth(taken, vault, market) < 0.1 for market in markets())


def test_through_another_account_that_holds_nearly_everything(vault: World) -> None:
    """The whole supply leaves free of the fee: two accounts of one attacker cannot use that against a third."""
    with vault.evm.rolled_back():
        before = vault.balances("attacker")
        for _ in range(3):
            vault.deposit("attacker", usdc(5_000_000))
            vault.deposit("attacker", usdc(5_000_000), receiver="bob")
            vault.leave_in_kind("attacker")
            vault.vault.redeem_in_kind(vault.vault.balanceOf("bob"), "attacker", "bob", 0, sender="bob")
        taken = [now - was for now, was in zip(vault.balances("attacker"), before, strict=True)]
        spent = 30_000_000
        assert all(worth(taken, vault, market) < spent * market["USDC"] for market in markets())


def test_deposit_then_redeem_at_the_same_prices(vault: World) -> None:
    """Priced both ways by one oracle: its error cancels and the fees remain."""
    with vault.evm.rolled_back():
        vault.deposit("attacker", usdc(40_000))
        out = vault.vault.redeem(vault.vault.balanceOf("attacker"), "attacker", "attacker", sender="attacker")
        assert out < usdc(40_000 * (1 - 0.9 * FEES))


def test_the_fees_are_what_stands_in_the_way(record_property: Any) -> None:
    """Without them it pays: the attack is real."""
    world = vault_at(WORST)
    world.loosen(world.limits(entry_fee_bps=0, exit_fee_bps=0))
    world.refresh_feeds()
    world.deposit("attacker", usdc(1_000_000))
    before = world.balances("attacker")
    world.leave_in_kind("attacker")
    taken = [now - was for now, was in zip(world.balances("attacker"), before, strict=True)]
    best = max(worth(taken, world, market) / (1_000_000 * market["USDC"]) - 1 for market in markets())
    record_property("without fees", best)
    print(f"without fees: {best:.4%} of the deposit")
    assert best > 0.003


def test_an_error_above_the_mandates_pays_by_the_difference_at_most(vault: World) -> None:
    """A crash faster than the feeds: every coin a tenth dearer than the oracle says."""
    with vault.evm.rolled_back():
        vault.deposit("attacker", usdc(100_000))
        before = vault.balances("attacker")
        vault.leave_in_kind("attacker")
        taken = [now - was for now, was in zip(vault.balances("attacker"), before, strict=True)]
        market = {symbol: price * (1 if symbol == "USDC" else 1.1) for symbol, price in head_prices().items()}
        assert worth(taken, vault, market) <= 100_000 * (1 + 0.1 - 0.9 * FEES)


def test_two_lags_are_two_errors_less_both_fees(record_property: Any) -> None:
    """Entering while the oracle is low and redeeming for dollars while it is high: bounded, but not free.

    In kind there is one price to be wrong; here there are two, at two times. Between them he hedges the coins
    at the market. What he takes is at most both errors less both fees.
    """
    world = vault_at(WORST)
    edges, head = deviations(), head_prices()
    edges["wstETH"] = (1 + edges["wstETH"]) * (1 + edges["ether in wstETH"]) - 1
    coins = SYMBOLS[1:]
    high = {symbol: head[symbol] * (1 + edges[symbol]) for symbol in coins}
    world.deposit("attacker", usdc(20_000))
    part = world.vault.balanceOf("attacker") / world.vault.totalSupply()
    short = {symbol: part * world.vault.holdings()[world.index(symbol)] for symbol in coins}
    # The oracle catches up with the market, which then falls until just before the next round.
    for feed, symbol in (("ETH/USD", "WETH"), ("BTC/USD", "WBTC"), ("LINK/USD", "LINK")):
        world.set_feed(feed, high[symbol])
    world.set_feed("stETH/ETH", 0.9995 * (1 + deviations()["wstETH"]))
    hedge = sum(
        short[symbol] * (high[symbol] - high[symbol] / (1 + edges[symbol])) / 10 ** _decimals(world, symbol)
        for symbol in coins
    )
    out = world.vault.redeem(world.vault.balanceOf("attacker"), "attacker", "attacker", sender="attacker")
    gain = (out / 10**6 + hedge) / (20_000 * (1 - edges["USDC"])) - 1
    error = blue_chip().implied_oracle_error_bps / 10_000
    record_property("two lags", gain)
    print(f"two lags, hedged: {gain:.4%} of the deposit, bound {2 * error - 0.99 * FEES:.4%}")
    assert 0 < gain <= 2 * error - 0.99 * FEES


def _decimals(world: World, symbol: str) -> int:
    return world.file.ordered_assets[world.index(symbol)].decimals
