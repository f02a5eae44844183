# SPDX-License-Identifier: Apache-2.0
"""What EIP-4626 demands, on vaults of the base asset alone: with 6 and 18 decimals, with and without fees.

Such a vault without fees is what public property suites are pointed at. Like them, these tests put
four accounts in, let the vault gain or lose any amount, and then ask. A number may be of any size:
half of the gains are beyond 2**128.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from offchain.mandate import parse_mandate
from tests.support.evm import attempt, reverts
from tests.support.hostile import Hostile, hostile_world
from tests.support.world import World, blue_chip, usdc

USERS = ("alice", "bob", "carol", "attacker")
FOREVER = 2**256 - 1
KINDS = [(6, 0, 0), (18, 0, 0), (6, 50, 30)]
VIEWS = ("maxDeposit", "maxMint", "maxWithdraw", "maxRedeem")


def of_any_size(bits: int) -> st.SearchStrategy[int]:
    return st.integers(0, bits).flatmap(lambda most: st.integers(0, 2**most - 1))


@dataclass(frozen=True, slots=True)
class Beginning:
    """What four accounts put in and keep, and what the vault gained or lost since."""

    deposits: tuple[int, ...]
    purses: tuple[int, ...]
    gain: int
    loss_permille: int

    def apply(self, world: World) -> None:
        token, vault = world.tokens[0], world.vault
        for user, assets, purse in zip(USERS, self.deposits, self.purses, strict=True):
            token.mint(user, assets + purse, sender="market")
            token.approve(vault, FOREVER, sender=user)
            vault.deposit(assets, user, sender=user)
        if self.loss_permille:
            token.burn(vault, token.balanceOf(vault) * self.loss_permille // 1000, sender="market")
        else:
            token.mint(vault, self.gain, sender="market")


def beginnings(gain_bits: int = 90) -> st.SearchStrategy[Beginning]:
    return st.builds(
        Beginning,
        deposits=st.tuples(*[of_any_size(80).map(lambda assets: assets + 2)] * 4),
        purses=st.tuples(*[of_any_size(80)] * 4),
        gain=of_any_size(gain_bits),
        # A loss that the breaker answers is another suite's.
        loss_permille=st.sampled_from([0, 0, 1, 50, 190]),
    )


@pytest.fixture(scope="module", params=KINDS, ids=[f"{d}-decimals-{a}-{b}bps" for d, a, b in KINDS])
def plain(request: pytest.FixtureRequest) -> Hostile:
    decimals, entry, leave = request.param
    return hostile_world(decimals=(decimals,), usd=(1.0,), entry_bps=entry, exit_bps=leave)


in_pytest = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
amounts = of_any_size(96)


def state(world: World, *who: str) -> dict[str, Any]:
    """Assets, shares and both allowances of accounts."""
    token, vault = world.tokens[0], world.vault
    return {
        one: (
            token.balanceOf(one),
            vault.balanceOf(one),
            token.allowance(one, vault),
            [vault.allowance(one, other) for other in USERS],
        )
        for one in who
    }


@given(beginning=beginnings(gain_bits=255), lie=st.none() | of_any_size(256))
@in_pytest
def test_what_must_not_revert_does_not(plain: Hostile, beginning: Beginning, lie: int | None) -> None:
    world = plain.world
    with world.evm.rolled_back():
        beginning.apply(world)
        if lie is not None:
            plain.misbehave(0, lie=lie)
        assert world.vault.asset() == world.tokens[0].address
        world.vault.totalAssets()
        for user in USERS:
            for view in VIEWS:
                getattr(world.vault, view)(user)
        assert world.vault.decimals() >= world.file.base.decimals


@given(beginning=beginnings(), first=amounts, more=amounts)
@in_pytest
def test_conversions_depend_on_nobody_and_never_gain(
    plain: Hostile, beginning: Beginning, first: int, more: int
) -> None:
    world, vault = plain.world, plain.world.vault
    with world.evm.rolled_back():
        beginning.apply(world)
        for convert, back in (("convertToShares", "convertToAssets"), ("convertToAssets", "convertToShares")):
            there = getattr(vault, convert)(first)
            assert {getattr(vault, convert)(first, sender=user) for user in USERS} == {there}
            assert getattr(vault, back)(there) <= first
            assert getattr(vault, convert)(first + more) >= there
        assert vault.previewDeposit(first) <= vault.convertToShares(first) <= vault.previewWithdraw(first)
        assert vault.previewRedeem(first) <= vault.convertToAssets(first) <= vault.previewMint(first)


@given(beginning=beginnings(), amount=amounts, gift=amounts)
@in_pytest
def test_previews_and_maxima_depend_on_nobody(plain: Hostile, beginning: Beginning, amount: int, gift: int) -> None:
    """Neither on who asks nor on what he has or allows: maxDeposit and maxMint take anybody to have everything."""
    world, vault, token = plain.world, plain.world.vault, plain.world.tokens[0]
    with world.evm.rolled_back():
        beginning.apply(world)
        previews = [getattr(vault, f"preview{name}") for name in ("Deposit", "Mint", "Withdraw", "Redeem")]
        before = [preview(amount) for preview in previews], vault.maxDeposit("alice"), vault.maxMint("alice")
        token.mint("alice", gift, sender="market")
        token.approve(vault, 0, sender="alice")
        for user in USERS:
            assert [preview(amount, sender=user) for preview in previews] == before[0]
        assert (vault.maxDeposit("alice"), vault.maxMint("alice")) == before[1:]
        assert (vault.maxDeposit("bob"), vault.maxMint("bob")) == before[1:]


@given(beginning=beginnings(), permille=st.integers(0, 1000))
@in_pytest
def test_shares_moved_to_oneself_are_the_same(plain: Hostile, beginning: Beginning, permille: int) -> None:
    """By transfer and by transferFrom with an allowance of everything, which is not used up."""
    world, vault = plain.world, plain.world.vault
    with world.evm.rolled_back():
        beginning.apply(world)
        held = vault.balanceOf("alice")
        before, supply = vault.convertToAssets(held), vault.totalSupply()
        vault.transfer("alice", held * permille // 1000, sender="alice")
        vault.approve("alice", FOREVER, sender="alice")
        vault.transferFrom("alice", "alice", held * permille // 1000, sender="alice")
        assert (vault.balanceOf("alice"), vault.totalSupply()) == (held, supply)
        assert vault.convertToAssets(held) == before
        assert vault.allowance("alice", "alice") == FOREVER


@given(beginning=beginnings())
@in_pytest
def test_nothing_is_free(plain: Hostile, beginning: Beginning) -> None:
    world, vault = plain.world, plain.world.vault
    with world.evm.rolled_back():
        beginning.apply(world)
        for view in ("convertToShares", "convertToAssets", "previewDeposit", "previewRedeem"):
            assert getattr(vault, view)(0) == 0
        assert vault.previewMint(1) > 0
        assert vault.previewWithdraw(1) > 0
        for enter in (vault.deposit, vault.mint):
            assert enter(0, "alice", sender="bob") == 0
        for leave in (vault.withdraw, vault.redeem):
            assert leave(0, "bob", "alice", sender="bob") == 0


@given(beginning=beginnings(), permille=st.integers(0, 1000), exactly_shares=st.booleans())
@in_pytest
def test_entering_moves_what_was_previewed(
    plain: Hostile, beginning: Beginning, permille: int, exactly_shares: bool
) -> None:
    """From the caller's purse and allowance to the receiver's shares, nothing else."""
    world, vault, token = plain.world, plain.world.vault, plain.world.tokens[0]
    name = "mint" if exactly_shares else "deposit"
    with world.evm.rolled_back():
        beginning.apply(world)
        purse = token.balanceOf("alice")
        amount = (vault.previewDeposit(purse) if exactly_shares else purse) * permille // 1000
        other = vault.previewMint(amount) if exactly_shares else vault.previewDeposit(amount)
        assets, shares = (other, amount) if exactly_shares else (amount, other)
        assume(shares > 0)
        with world.evm.rolled_back():
            token.approve(vault, assets - 1, sender="alice")
            assert attempt(lambda: getattr(vault, name)(amount, "bob", sender="alice"))[1] is not None
        token.approve(vault, assets, sender="alice")
        before = state(world, *USERS)
        assert getattr(vault, name)(amount, "bob", sender="alice") == other
        after = state(world, *USERS)
        a, b = before["alice"], before["bob"]
        assert after["alice"] == (a[0] - assets, a[1], 0, a[3])
        assert after["bob"] == (b[0], b[1] + shares, b[2], b[3])
        assert all(after[user] == before[user] for user in USERS[2:])


@given(beginning=beginnings(), permille=st.integers(0, 1000), exactly_assets=st.booleans(), spare=st.booleans())
@in_pytest
def test_leaving_moves_what_was_previewed(
    plain: Hostile, beginning: Beginning, permille: int, exactly_assets: bool, spare: bool
) -> None:
    """Alice's shares by bob's hand to carol's purse: exactly the allowance, and none without."""
    world, vault = plain.world, plain.world.vault
    name = "withdraw" if exactly_assets else "redeem"
    with world.evm.rolled_back():
        beginning.apply(world)
        most = vault.maxWithdraw("alice") if exactly_assets else vault.maxRedeem("alice")
        amount = most * permille // 1000
        other = vault.previewWithdraw(amount) if exactly_assets else vault.previewRedeem(amount)
        assets, shares = (amount, other) if exactly_assets else (other, amount)
        assume(assets > 0)
        vault.approve("bob", shares - 1, sender="alice")
        with reverts("erc20: insufficient allowance"):
            getattr(vault, name)(amount, "carol", "alice", sender="bob")
        allowance = FOREVER if spare else shares
        vault.approve("bob", allowance, sender="alice")
        before = state(world, *USERS)
        assert getattr(vault, name)(amount, "carol", "alice", sender="bob") == other
        after = state(world, *USERS)
        a, c = before["alice"], before["carol"]
        left = [0, FOREVER if spare else 0, 0, 0]
        assert after["alice"] == (a[0], a[1] - shares, a[2], left)
        assert after["carol"] == (c[0] + assets, *c[1:])
        assert all(after[user] == before[user] for user in ("bob", "attacker"))


WAYS = ["deposit redeem", "deposit withdraw", "mint redeem", "mint withdraw"]
WAYS += ["redeem deposit", "redeem mint", "withdraw deposit", "withdraw mint"]


@given(beginning=beginnings(), permille=st.integers(1, 1000), way=st.sampled_from(WAYS))
@in_pytest
def test_no_way_there_and_back_pays(plain: Hostile, beginning: Beginning, permille: int, way: str) -> None:
    """Whoever comes back to the same assets has no more shares, to the same shares no more assets."""
    world, vault = plain.world, plain.world.vault

    def amounts_of(name: str, amount: int) -> tuple[int, int]:
        who = ("alice",) if name in ("deposit", "mint") else ("alice", "alice")
        answer = getattr(vault, name)(amount, *who, sender="alice")
        return (amount, answer) if name in ("deposit", "withdraw") else (answer, amount)

    with world.evm.rolled_back():
        beginning.apply(world)
        there, back = way.split()
        purse = world.tokens[0].balanceOf("alice")
        most = {
            "deposit": purse,
            "mint": vault.previewDeposit(purse),
            "withdraw": vault.maxWithdraw("alice"),
            "redeem": vault.maxRedeem("alice"),
        }[there]
        went, reason = attempt(lambda: amounts_of(there, most * permille // 1000))
        # Too little for one unit of the other side is refused, not given.
        assume(went is not None)
        assert reason is None
        assert went is not None
        assets, shares = went
        came, _ = attempt(lambda: amounts_of(back, assets if back in ("deposit", "withdraw") else shares))
        assume(came is not None)
        assert came is not None
        if there in ("deposit", "mint"):
            assert came[0] <= assets
            assert came[1] >= shares
        else:
            assert came[0] >= assets
            assert came[1] <= shares


@given(beginning=beginnings(), who=st.sampled_from(USERS))
@in_pytest
def test_what_max_allows_goes_through(plain: Hostile, beginning: Beginning, who: str) -> None:
    world, vault, token = plain.world, plain.world.vault, plain.world.tokens[0]
    with world.evm.rolled_back():
        beginning.apply(world)
        for name, view in (("withdraw", "maxWithdraw"), ("redeem", "maxRedeem")):
            most = getattr(vault, view)(who)
            if most > 0:
                with world.evm.rolled_back():
                    getattr(vault, name)(most, who, who, sender=who)
        for name, view in (("deposit", "maxDeposit"), ("mint", "maxMint")):
            most = getattr(vault, view)(who)
            with world.evm.rolled_back():
                token.mint(who, 2**200, sender="market")
                getattr(vault, name)(most, who, sender=who)


def test_numbers_end_far_beyond_any_supply(plain: Hostile) -> None:
    world, vault, token = plain.world, plain.world.vault, plain.world.tokens[0]
    with world.evm.rolled_back():
        token.mint("alice", 2**200, sender="market")
        token.approve(vault, FOREVER, sender="alice")
        assert vault.maxMint("bob") >= 2**118
        assert vault.maxDeposit("bob") >= 2**87
        with reverts("vault: too many shares"):
            vault.mint(2**128, "alice", sender="alice")


def test_a_mandate_file_of_the_base_asset_alone_makes_such_a_vault() -> None:
    document = blue_chip().model_dump(mode="json")
    whole = {"min_weight_bps": 0, "max_weight_bps": 10_000, "benchmark_weight_bps": 10_000}
    document["assets"] = [document["assets"][0] | whole]
    document["fees"] = {"entry_bps": 0, "exit_bps": 0, "oracle_error_bps": 0}
    world = World.deploy(parse_mandate(yaml.safe_dump(document)))
    shares = world.deposit("alice", usdc(1000))
    assert world.vault.totalAssets() == world.vault.maxWithdraw("alice") == usdc(1000)
    assert world.vault.redeem(shares, "alice", "alice", sender="alice") == usdc(1000)
