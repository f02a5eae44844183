# SPDX-License-Identifier: Apache-2.0
"""What the vault relies on of every venue."""

from __future__ import annotations

import pytest

from offchain.route.leg import LendingAction
from tests.support.evm import Contract, reverts
from tests.support.lending import AAVE, BALANCER, Lending
from tests.support.world import Leg, product_abi

VENUES = {AAVE: "AaveV3", BALANCER: "BalancerV2"}
LEGS = {
    AAVE: Leg(AAVE, 1, 1, int(LendingAction.SUPPLY), 10**18, 0),
    BALANCER: Leg(BALANCER, 1, 0, 0, 10**18, 0),
}
"""A leg that spends one WETH at each."""


@pytest.fixture(params=VENUES, ids=VENUES.values())
def number(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def venue(lending: Lending, number: int) -> Contract:
    world = lending.world
    return Contract(world.evm, world.vault.venues()[number - 2], product_abi(VENUES[number]))


def test_is_for_the_vaults_assets_and_calls_none_of_its_own(lending: Lending, venue: Contract) -> None:
    vault = lending.world.vault
    assert venue.tokens() == vault.tokens()
    receipts = {venue.receipt(i) for i in range(len(vault.tokens()))}
    assert venue.target() not in {vault.address, vault.oracle(), vault.mandate(), *vault.tokens(), *receipts}


def test_spends_no_more_than_there_is(lending: Lending, venue: Contract, number: int) -> None:
    for available in (0, 1, 10**17, 10**18, 10**20):
        data, spend = venue.prepare(lending.world.vault, LEGS[number], available, 0, 0)
        assert spend == min(available, 10**18)
        assert bool(data) is (available > 0)


def test_a_leg_leaves_no_allowance_and_takes_what_it_says(lending: Lending, venue: Contract, number: int) -> None:
    world = lending.world
    held = world.vault.holdings()[1]
    settled = world.settle([LEGS[number]])
    assert settled["amounts_in"] == (10**18,)
    assert world.vault.holdings()[1] == held - 10**18
    for token in world.tokens:
        assert token.allowance(world.vault, venue.target()) == 0


def test_says_what_is_held_in_the_vaults_order(lending: Lending, venue: Contract, number: int) -> None:
    world = lending.world
    before = world.vault.value()
    world.settle([LEGS[number]])
    held, owed = venue.position(world.vault)
    assert len(held) == len(owed)
    assert sum(owed) == 0
    assert venue.health(world.vault) == 2**256 - 1
    if held:
        assert abs(held[1] - 10**18) <= 1
        assert abs(world.vault.value() - before) <= 10**4
    assert not venue.impaired(world.vault)


def test_a_minimum_that_is_not_reached(lending: Lending, number: int) -> None:
    with reverts("orders: amount out below minimum"):
        lending.world.settle([LEGS[number]._replace(min_amount_out=10**30)])


def test_a_vault_is_not_built_with_a_venue_for_other_assets(lending: Lending, venue: Contract) -> None:
    from tests.contracts.vault.test_deployment import create

    world = lending.world
    tokens = list(world.vault.tokens())[:2]
    arguments = [tokens, 6, world.oracle.address, world.mandate.address, [venue.address]]
    with reverts("positions: other assets"):
        create(world.evm, "VaultExtension", "Name", *arguments)


def test_a_vault_is_not_built_that_counts_a_receipt_token_twice(lending: Lending) -> None:
    """Neither as a position at two venues, of which a leaver would be paid twice, nor as an asset and a position."""
    from tests.contracts.vault.test_deployment import create

    world = lending.world
    first = world.vault.venues()[0]
    tokens = list(world.vault.tokens())
    venues = {(first, first): tokens, (receipt_as_asset(lending),): [*tokens, lending.token("WETH").address]}
    for listed, assets in venues.items():
        with reverts("positions: held twice"):
            arguments = [assets, 6, world.oracle.address, world.mandate.address, list(listed)]
            create(world.evm, "VaultExtension", "Name", *arguments)


def receipt_as_asset(lending: Lending) -> str:
    """A venue at Aave for the vault's assets and for the receipt token of its ether."""
    from tests.contracts.vault.test_deployment import create

    world = lending.world
    tokens = [*world.vault.tokens(), lending.token("WETH").address]
    supplied = lending.venue.suppliable()
    return create(world.evm, "AaveV3", lending.pool.address, tokens, supplied, 0).address
