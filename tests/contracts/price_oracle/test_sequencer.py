# SPDX-License-Identifier: Apache-2.0
"""sequencer: on a rollup nothing is live while its sequencer is down, nor for the grace after."""

from __future__ import annotations

import pytest

from tests.contracts.price_oracle.conftest import USD, ZERO, chainlink, deploy_oracle, prices_of
from tests.support.evm import Contract, Evm, reverts
from tests.support.hostile import actor

GRACE = 600
DOWN = 4


@pytest.fixture
def uptime(evm: Evm) -> Contract:
    """Up for an hour."""
    uptime = actor(evm, "HostileFeed", 0, 0)
    uptime.set_started_at(evm.timestamp - 3600, sender="market")
    return uptime


@pytest.fixture
def oracle(evm: Evm, feed: Contract, uptime: Contract) -> Contract:
    return deploy_oracle(evm, chainlink(feed), chainlink(feed), sequencer=(uptime.address, GRACE))


def test_it_is_what_was_given(evm: Evm, feed: Contract, uptime: Contract, oracle: Contract) -> None:
    assert oracle.sequencer() == (uptime.address.lower(), GRACE)
    assert deploy_oracle(evm, chainlink(feed)).sequencer() == (ZERO, 0)


def test_while_it_is_up_prices_are_live(oracle: Contract) -> None:
    assert prices_of(oracle) == (100 * USD, 100 * USD)


def test_while_it_is_down_nothing_is(evm: Evm, uptime: Contract, oracle: Contract) -> None:
    uptime.set(1, evm.timestamp, sender="market")
    with reverts("oracle: sequencer down"):
        oracle.prices()
    assert oracle.try_prices() == (False, (0, 0))
    assert oracle.statuses() == (DOWN, DOWN)


def test_after_a_restart_the_grace_has_to_pass(evm: Evm, uptime: Contract, oracle: Contract) -> None:
    """Orders queued up while the feeds could not move must not meet the prices of before."""
    uptime.set_started_at(evm.timestamp, sender="market")
    evm.timestamp += GRACE
    assert oracle.statuses() == (DOWN, DOWN)
    evm.timestamp += 1
    assert oracle.statuses() == (0, 0)


@pytest.mark.parametrize("mode", [1, 2, 3], ids=["reverts", "one word", "nothing"])
def test_an_uptime_feed_that_is_broken_counts_as_down(uptime: Contract, oracle: Contract, mode: int) -> None:
    uptime.set_mode(mode, sender="market")
    assert oracle.statuses() == (DOWN, DOWN)


def test_a_restart_dated_ahead_counts_as_down(evm: Evm, uptime: Contract, oracle: Contract) -> None:
    uptime.set_started_at(evm.timestamp + 10, sender="market")
    assert oracle.statuses() == (DOWN, DOWN)
