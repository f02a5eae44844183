# SPDX-License-Identifier: Apache-2.0
"""set_successor: only an owner, only a live oracle of as many assets, which then answers everything."""

from __future__ import annotations

import pytest

from tests.contracts.price_oracle.conftest import HEARTBEAT, USD, ZERO, chainlink, deploy_oracle, prices_of
from tests.support.evm import Contract, Evm, reverts
from tests.support.hostile import actor


@pytest.fixture
def oracle(evm: Evm, feed: Contract) -> Contract:
    return deploy_oracle(evm, chainlink(feed), owner="owner")


@pytest.fixture
def successor(evm: Evm) -> Contract:
    """Two hundred dollars, from a feed that lives longer."""
    feed = actor(evm, "HostileFeed", 8, 200 * 10**8)
    return deploy_oracle(evm, chainlink(feed, heartbeat=10 * HEARTBEAT))


def test_a_successor_answers_everything(oracle: Contract, successor: Contract) -> None:
    oracle.set_successor(successor.address, sender="owner")
    assert oracle.event("SuccessorSet") == {"successor": successor.address}
    assert oracle.successor() == successor.address
    assert prices_of(oracle) == (200 * USD,)
    for view in ("try_prices", "statuses", "updated_at"):
        assert getattr(oracle, view)() == getattr(successor, view)()


def test_it_answers_when_the_table_is_dead(evm: Evm, oracle: Contract, successor: Contract) -> None:
    """What it is for: a feed that was discontinued."""
    evm.timestamp += 2 * HEARTBEAT
    with reverts("oracle: stale"):
        oracle.prices()
    oracle.set_successor(successor.address, sender="owner")
    assert prices_of(oracle) == (200 * USD,)
    oracle.set_successor(ZERO, sender="owner")
    with reverts("oracle: stale"):
        oracle.prices()


@pytest.mark.parametrize("role", ["curator", "guardian", "optimizer", "attacker"])
def test_only_the_owner(oracle: Contract, successor: Contract, role: str) -> None:
    with reverts("oracle: not the owner"):
        oracle.set_successor(successor.address, sender=role)


def test_an_oracle_without_an_owner_stays_what_it_is(evm: Evm, feed: Contract, successor: Contract) -> None:
    fixed = deploy_oracle(evm, chainlink(feed))
    for role in ("owner", ZERO):
        with reverts("oracle: not the owner"):
            fixed.set_successor(successor.address, sender=role)


def test_not_one_of_other_assets(evm: Evm, feed: Contract, oracle: Contract) -> None:
    with reverts("oracle: other assets"):
        oracle.set_successor(deploy_oracle(evm, chainlink(feed), chainlink(feed)).address, sender="owner")


def test_not_a_dead_one(evm: Evm, feed: Contract, oracle: Contract) -> None:
    other = deploy_oracle(evm, chainlink(feed))
    evm.timestamp += 2 * HEARTBEAT
    with reverts("oracle: stale"):
        oracle.set_successor(other.address, sender="owner")


def test_no_circle(evm: Evm, feed: Contract, oracle: Contract) -> None:
    """Each asks the other: the second is locked while it is told, and does not answer."""
    other = deploy_oracle(evm, chainlink(feed), owner="owner")
    oracle.set_successor(other.address, sender="owner")
    with reverts(""):
        other.set_successor(oracle.address, sender="owner")


def test_not_itself(oracle: Contract) -> None:
    with reverts("oracle: own successor"):
        oracle.set_successor(oracle.address, sender="owner")
