# SPDX-License-Identifier: Apache-2.0
"""feeds, length and updated_at: the table that deployment fixed; which tables it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contracts.price_oracle.conftest import ZERO, chainlink, deploy_oracle, staked
from tests.support.evm import Contract, Evm, Reverted, reverts


def test_the_table_is_what_was_given(evm: Evm, feed: Contract, market: Contract, base: Contract) -> None:
    rows = chainlink(feed, 6), staked(market, base, feed)
    oracle = deploy_oracle(evm, *rows)
    assert oracle.length() == 2
    for i, row in enumerate(rows):
        assert tuple(str(value).lower() for value in oracle.feeds(i)) == tuple(str(value).lower() for value in row)


def test_there_is_nothing_beyond_it(evm: Evm, feed: Contract) -> None:
    with reverts("oracle: no such asset"):
        deploy_oracle(evm, chainlink(feed)).feeds(1)


def test_sixteen_feeds_fit(evm: Evm, feed: Contract) -> None:
    assert all(deploy_oracle(evm, *[chainlink(feed)] * 16).prices())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": 2}, "oracle: unknown kind"),
        ({"heartbeat": 0}, "oracle: zero heartbeat"),
        ({"min_price": 0}, "oracle: bounds"),
        ({"min_price": 10**22}, "oracle: bounds"),
        ({"max_price": 2**128 - 1}, "oracle: bounds"),
        ({"token_decimals": 19}, "oracle: token decimals"),
    ],
)
def test_rows_that_contradict_themselves(evm: Evm, feed: Contract, changes: dict[str, Any], reason: str) -> None:
    with reverts(reason):
        deploy_oracle(evm, chainlink(feed, **changes))


def test_a_staked_row_needs_a_base_heartbeat(evm: Evm, market: Contract, base: Contract) -> None:
    with reverts("oracle: zero heartbeat"):
        deploy_oracle(evm, staked(market, base, market, base_heartbeat=0))


@pytest.mark.parametrize("field", ["feed", "base_feed"])
def test_a_feed_must_be_a_contract(evm: Evm, market: Contract, base: Contract, field: str) -> None:
    with pytest.raises(Reverted):
        deploy_oracle(evm, staked(market, base, market, **{field: ZERO}))


def test_updated_at_is_the_oldest_round_behind_a_price(
    evm: Evm, feed: Contract, market: Contract, base: Contract
) -> None:
    oracle = deploy_oracle(evm, chainlink(feed), staked(market, base, market))
    now = evm.timestamp
    feed.set(1, now - 5, sender="market")
    market.set(10**18, now - 10, sender="market")
    base.set(10**8, now - 20, sender="market")
    assert oracle.updated_at() == (now - 5, now - 20)


def test_updated_at_tells_the_date_of_a_stale_round_too(evm: Evm, feed: Contract) -> None:
    oracle = deploy_oracle(evm, chainlink(feed))
    date = feed.updated_at()
    evm.mine(10**7)
    assert oracle.updated_at() == (date,)
