# SPDX-License-Identifier: Apache-2.0
"""settle: a signed order, executed exactly or not at all."""

from __future__ import annotations

import pytest

from offchain.mandate import Mandate
from offchain.settle.development import development_address
from tests.support.evm import reverts
from tests.support.hostile import Hostile, actor
from tests.support.world import ONE, World, blue_chip, usdc

SELL = 10**18
"""A little ether."""


def sell(world: World, amount: int = SELL, fee: int = 500, min_out: int = 0):  # type: ignore[no-untyped-def]
    return world.leg("WETH", "USDC", amount, fee, min_out)


# ---------------------------------------------------------------- what it does


@pytest.mark.parametrize("role", ["keeper", "alice", "attacker"])
def test_anyone_may_relay(invested: World, role: str) -> None:
    invested.settle([sell(invested)], relayer=role)
    assert invested.vault.order_nonce() == 2


@pytest.mark.parametrize("fee", [0, 500, 3000], ids=["v2", "v3 0.05 %", "v3 0.3 %"])
def test_swaps_in_the_pool_that_was_named(invested: World, fee: int) -> None:
    before = invested.balances(invested.vault)
    settled = invested.settle([sell(invested, fee=fee)])
    after = invested.balances(invested.vault)
    assert before[1] - after[1] == settled["amounts_in"][0] == SELL
    assert after[0] - before[0] == settled["amounts_out"][0]
    assert 0.98 * 3000 < settled["amounts_out"][0] / 10**6 < 3000


@pytest.mark.parametrize("fee", [0, 500])
def test_both_directions(invested: World, fee: int) -> None:
    """token0 for token1 and back: USDC sorts before WETH."""
    settled = invested.settle([invested.leg("USDC", "WETH", usdc(1000), fee), sell(invested, 10**17, fee)])
    assert all(amount > 0 for amount in settled["amounts_out"])


def test_legs_run_in_order_on_what_the_last_one_left(invested: World) -> None:
    """Two hops: ether to dollars to bitcoin, the second with whatever the first brought."""
    held = invested.vault.holdings()[0]
    first = sell(invested, 10 * SELL)
    settled = invested.settle(
        [first, invested.leg("USDC", "WBTC", held + 10**12, 3000), invested.leg("WBTC", "USDC", 450_000_000, 3000)]
    )
    assert settled["amounts_in"][1] == held + settled["amounts_out"][0]


def test_says_what_happened(invested: World) -> None:
    order = invested.order([sell(invested)], model_hash=b"\7" * 32)
    before = invested.vault.value()
    settled = invested.settle(order)
    after = invested.vault.value()
    assert settled["digest"] == "0x" + invested.vault.hash_order(order).hex()
    assert (settled["nonce"], settled["model_hash"]) == (1, "0x" + "07" * 32)
    assert settled["signer"] == development_address("optimizer")
    assert (settled["value_before"], settled["value_after"]) == (before, after)
    assert settled["loss"] == -(-(before - after) * ONE // before)
    assert settled["loss_level"] == invested.mandate.loss_level()
    assert settled["turnover_level"] == invested.mandate.turnover_level()
    assert settled["turnover"] == -(-SELL * invested.prices()[1] // before)
    assert settled["value_per_share"] == invested.vault.value_per_share()


def test_leaves_no_allowance(invested: World) -> None:
    invested.settle([sell(invested), sell(invested, fee=0)])
    for token in invested.tokens:
        for pool in invested.pools():
            assert token.allowance(invested.vault, pool.address) == 0


def test_an_order_without_legs_settles_nothing(invested: World) -> None:
    settled = invested.settle([])
    assert settled["loss"] == settled["turnover"] == 0
    assert invested.vault.order_nonce() == 2


def test_sixteen_legs(invested: World) -> None:
    settled = invested.settle([sell(invested, 10**15)] * 16)
    assert len(settled["amounts_out"]) == 16


# ---------------------------------------------------------------- clamping


def test_an_amount_clamps_to_what_is_held(hostile: Hostile) -> None:
    world = hostile.world
    world.give(1, world.vault, 10**18)
    settled = world.settle([world.leg(1, 0, 2**128 - 1)])
    assert settled["amounts_in"] == (10**18,)


def test_a_clamped_leg_keeps_its_price(hostile: Hostile) -> None:
    """Half of the amount needs half of the minimum, rounded up."""
    world = hostile.world
    world.give(1, world.vault, 10**18)
    with world.evm.rolled_back():
        out = world.settle([world.leg(1, 0, 2 * 10**18)])["amounts_out"][0]
    with world.evm.rolled_back():
        world.settle([world.leg(1, 0, 2 * 10**18, min_amount_out=2 * out)])
    with world.evm.rolled_back(), reverts("orders: amount out below minimum"):
        world.settle([world.leg(1, 0, 2 * 10**18, min_amount_out=2 * out + 1)])


def test_a_leg_that_can_sell_nothing_is_skipped(hostile: Hostile) -> None:
    world = hostile.world
    settled = world.settle([world.leg(1, 0, 10**18, min_amount_out=10**9), world.leg(0, 1, usdc(10))])
    assert settled["amounts_in"] == (0, usdc(10))
    assert settled["amounts_out"][0] == 0


def test_a_leg_of_nothing_is_skipped(invested: World) -> None:
    settled = invested.settle([sell(invested, 0, min_out=5)])
    assert settled["amounts_in"] == settled["amounts_out"] == (0,)


def test_the_minimum_holds(invested: World) -> None:
    with invested.evm.rolled_back():
        out = invested.settle([sell(invested)])["amounts_out"][0]
    with invested.evm.rolled_back():
        invested.settle([sell(invested, min_out=out)])
    with reverts("orders: amount out below minimum"):
        invested.settle([sell(invested, min_out=out + 1)])


# ---------------------------------------------------------------- what it refuses


@pytest.mark.parametrize("nonce", [0, 2, 2**256 - 1])
def test_wrong_nonce(invested: World, nonce: int) -> None:
    with reverts("orders: wrong nonce"):
        invested.settle(invested.order([sell(invested)], nonce=nonce))


def test_the_last_block_is_the_deadline(invested: World) -> None:
    order = invested.order([sell(invested)], deadline=invested.evm.number)
    with invested.evm.rolled_back():
        invested.settle(order)
    invested.evm.mine()
    with reverts("orders: expired"):
        invested.settle(order)


def test_other_limits_than_it_was_made_for(invested: World) -> None:
    order = invested.order([sell(invested)])
    invested.mandate.set_limits(invested.limits(loss_capacity_bps=99), sender="curator")
    with reverts("orders: wrong mandate"):
        invested.settle(order)


@pytest.mark.parametrize("role", ["owner", "curator", "guardian", "keeper", "attacker"])
def test_signed_by_no_signer(invested: World, role: str) -> None:
    with reverts("orders: unauthorised signer"):
        invested.settle([sell(invested)], signer=role)


def test_signed_by_another_than_is_said(invested: World) -> None:
    order = invested.order([sell(invested)])
    with reverts("orders: invalid signature"):
        invested.vault.settle(order, "optimizer", invested.sign(order, "attacker"), sender="keeper")


@pytest.mark.parametrize("length", [0, 1, 64, 66, 1024])
def test_signatures_of_other_lengths(invested: World, length: int) -> None:
    order = invested.order([sell(invested)])
    signature = (invested.sign(order) + bytes(1024))[:length]
    with reverts("orders: invalid signature"):
        invested.vault.settle(order, "optimizer", signature, sender="keeper")


def test_a_signature_with_high_s(invested: World) -> None:
    order = invested.order([sell(invested)])
    good = invested.sign(order)
    curve = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    s = (curve - int.from_bytes(good[32:64], "big")).to_bytes(32, "big")
    with reverts("orders: invalid signature"):
        invested.vault.settle(order, "optimizer", good[:32] + s + bytes([27 + 28 - good[64]]), sender="keeper")


def test_garbage_recovers_to_nobody(invested: World) -> None:
    with reverts("orders: invalid signature"):
        invested.vault.settle(invested.order([]), "0x" + "00" * 20, bytes(65), sender="attacker")


@pytest.mark.parametrize(("i", "j"), [(5, 0), (0, 5), (255, 0), (1, 1)])
def test_tokens_outside_the_universe(invested: World, i: int, j: int) -> None:
    with reverts("orders: unknown token"):
        invested.settle([invested.leg(i, j, 10**6)])


@pytest.mark.parametrize("venue", [2, 3, 255])
def test_unknown_venues(invested: World, venue: int) -> None:
    with reverts("orders: unknown venue"):
        invested.settle([sell(invested)._replace(venue=venue)])


def test_a_v2_leg_has_no_fee_tier(invested: World) -> None:
    with reverts("uniswap: unknown fee"):
        invested.settle([sell(invested, fee=0)._replace(fee=3000)])


@pytest.mark.parametrize("fee", [100, 10_000, 123])
def test_pools_that_do_not_exist(invested: World, fee: int) -> None:
    with reverts(""):
        invested.settle([sell(invested, fee=fee)])


def test_pairs_that_do_not_exist(invested: World) -> None:
    with reverts(""):
        invested.settle([invested.leg("WBTC", "LINK", 10**6, fee=0)])


def test_minimum_value_per_share(invested: World) -> None:
    with invested.evm.rolled_back():
        reached = invested.settle([sell(invested)])["value_per_share"]
    with invested.evm.rolled_back():
        invested.settle(invested.order([sell(invested)], min_value_per_share=reached))
    with reverts("limits: value per share"):
        invested.settle(invested.order([sell(invested)], min_value_per_share=reached + 1))


def test_a_weight_outside(invested: World) -> None:
    """Ether would fall below its 15 %."""
    with reverts("limits: weight"):
        invested.settle([sell(invested, 60 * 10**18)])


def test_loss_over_the_budget(hostile: Hostile) -> None:
    """Half of the portfolio goes round eight times at 0.6 % each."""
    world = hostile.world
    legs = [world.leg(0, 1, usdc(300_000)), world.leg(1, 0, 2**127)]
    with reverts("loss_budget: exhausted"):
        world.settle(legs * 8)


def test_turnover_over_the_budget(invested: World) -> None:
    """80 % were turned over to invest; a tenth out and a tenth in again is all that is left."""
    invested.settle([invested.leg("WBTC", "USDC", 10**8 * 100_000 // 60_000, 3000)])
    with reverts("turnover: exhausted"):
        invested.settle([invested.leg("USDC", "WBTC", usdc(101_000), 3000)])
    invested.settle([invested.leg("USDC", "WBTC", usdc(99_000), 3000)])


@pytest.mark.parametrize("feed", ["USDC/USD", "ETH/USD", "LINK/USD"])
def test_a_stale_price(invested: World, feed: str) -> None:
    invested.evm.mine(90_001)
    for name in ("USDC/USD", "ETH/USD", "BTC/USD", "LINK/USD", "stETH/ETH"):
        if name != feed:
            invested.write_round(name, invested.feed(name).latestAnswer())
    with reverts("oracle: stale"):
        invested.settle([sell(invested)])


def test_a_price_out_of_bounds(invested: World) -> None:
    invested.set_feed("USDC/USD", 0.79)
    with reverts("oracle: out of bounds"):
        invested.settle([sell(invested)])


def test_a_price_at_which_a_balance_could_overflow() -> None:
    """The oracle's own bounds let it pass here; 2**136 is the least that does not."""
    document = blue_chip().model_dump(mode="json")
    document["assets"][0]["oracle"]["max_price_usd"] = str(10**12 - 1)
    world = World.deploy(Mandate.model_validate(document))
    highest = (2**136 - 1) // 10**12 / ONE
    world.set_feed("USDC/USD", highest * 0.999)
    with reverts("mandate: empty vault"):
        world.settle([])
    world.set_feed("USDC/USD", highest * 1.001)
    with reverts("vault: price too high"):
        world.settle([])


def test_a_value_for_which_the_event_has_no_room(hostile: Hostile) -> None:
    """2**128 USD at 18 decimals, said by a token of 6 decimals at a dollar."""
    most = 2**128 // 10**12
    hostile.misbehave(0, lie=most - usdc(10**7))
    assert hostile.world.settle([])["value_after"] > 2**127
    hostile.misbehave(0, lie=most + 1)
    with reverts("vault: value too large"):
        hostile.world.settle([])


def test_a_vault_without_anything(world: World) -> None:
    with reverts("mandate: empty vault"):
        world.settle([])


# ---------------------------------------------------------------- breaker


def test_halted(invested: World) -> None:
    invested.mandate.guardian_trip(2, sender="guardian")
    with reverts("breaker: halted"):
        invested.settle([sell(invested)])


def test_only_reducing_sells_into_the_base_asset(invested: World) -> None:
    """Below the lower bound too: it would forbid the way out."""
    invested.mandate.guardian_trip(1, sender="guardian")
    settled = invested.settle([sell(invested, 60 * 10**18)])
    assert settled["amounts_in"] == (60 * 10**18,)


def test_only_reducing_buys_nothing(invested: World) -> None:
    invested.mandate.guardian_trip(1, sender="guardian")
    with reverts("limits: risk increased"):
        invested.settle([invested.leg("USDC", "WETH", usdc(1), 500)])


def test_a_drawdown_found_at_a_settlement_latches_first(invested: World) -> None:
    for feed, price in (("ETH/USD", 2100), ("BTC/USD", 42_000)):
        invested.set_feed(feed, price)
    with reverts("limits: risk increased"):
        invested.settle([invested.leg("USDC", "WETH", usdc(1), 500)])
    invested.trade_market_to(WETH=2100, WBTC=42_000, wstETH=2100 * 1.17 * 0.9995)
    invested.settle([sell(invested)])
    assert (invested.mandate.breaker_state(), invested.mandate.breaker_reason()) == (1, 1)
    assert invested.mandate.event("Tripped")["caller"] == invested.vault.address


def test_a_halting_drawdown_found_at_a_settlement_refuses_it(invested: World) -> None:
    for feed, price in (("ETH/USD", 600), ("BTC/USD", 12_000)):
        invested.set_feed(feed, price)
    with reverts("breaker: halted"):
        invested.settle([sell(invested)])


def test_a_settlement_moves_the_peak(invested: World) -> None:
    invested.set_feed("ETH/USD", 3300)
    settled = invested.settle([sell(invested)])
    assert invested.mandate.peak() == settled["value_per_share"]


# ---------------------------------------------------------------- contracts that sign


@pytest.fixture
def wallet(invested: World):  # type: ignore[no-untyped-def]
    """A contract wallet of the optimizer's, authorised after the delay."""
    wallet = actor(invested.evm, "Wallet", development_address("optimizer"))
    invested.owner_does(invested.mandate.add_signer, wallet.address)
    invested.refresh_feeds()
    return wallet


def test_a_contract_signs_by_erc1271(invested: World, wallet) -> None:  # type: ignore[no-untyped-def]
    order = invested.order([sell(invested)])
    invested.vault.settle(order, wallet, invested.sign(order), sender="keeper")
    assert invested.vault.event("Settled")["signer"] == wallet.address


def test_a_contract_that_says_no(invested: World, wallet) -> None:  # type: ignore[no-untyped-def]
    order = invested.order([sell(invested)])
    with reverts("orders: invalid signature"):
        invested.vault.settle(order, wallet, invested.sign(order, "attacker"), sender="keeper")


@pytest.mark.parametrize("mode", [1, 2, 3], ids=["four bytes", "true", "reverts"])
def test_a_contract_that_does_not_answer_by_the_standard(invested: World, wallet, mode: int) -> None:  # type: ignore[no-untyped-def]
    wallet.set_mode(mode, sender="optimizer")
    order = invested.order([sell(invested)])
    with reverts("orders: invalid signature"):
        invested.vault.settle(order, wallet, b"\1" * 100, sender="keeper")


def test_what_a_contract_signed_dies_with_its_owners_key(invested: World, wallet) -> None:  # type: ignore[no-untyped-def]
    order = invested.order([sell(invested)])
    signature = invested.sign(order)
    wallet.set_owner("alice", sender="optimizer")
    with reverts("orders: invalid signature"):
        invested.vault.settle(order, wallet, signature, sender="keeper")


def test_an_account_with_code_may_still_sign_itself(invested: World) -> None:
    """EIP-7702: the signer's account delegates to code that knows nothing of ERC-1271."""
    invested.evm.set_code(development_address("optimizer"), bytes.fromhex("5f5ffd"))
    invested.settle([sell(invested)])


def test_a_contract_nobody_authorised(invested: World) -> None:
    mine = actor(invested.evm, "Wallet", development_address("attacker"))
    order = invested.order([sell(invested)])
    with reverts("orders: unauthorised signer"):
        invested.vault.settle(order, mine, invested.sign(order, "attacker"), sender="attacker")
