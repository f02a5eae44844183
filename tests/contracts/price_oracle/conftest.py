# SPDX-License-Identifier: Apache-2.0
"""Oracles over feeds that answer what they are told to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pytest

from offchain.sandbox.contract import constructor_arguments
from tests.support.contracts import compiled
from tests.support.evm import Contract, Evm, address_of
from tests.support.hostile import actor
from tests.support.world import product_abi

USD = 10**18
ZERO = "0x" + "00" * 20
HEARTBEAT = 3600


class Row(NamedTuple):
    """The contract's Feed."""

    kind: int
    feed: str
    heartbeat: int
    min_price: int
    max_price: int
    token_decimals: int
    ratio_source: str = ZERO
    base_feed: str = ZERO
    base_heartbeat: int = 0


def chainlink(feed: Contract, token_decimals: int = 18, **changes: Any) -> Row:
    return Row(0, feed.address, HEARTBEAT, USD, 10_000 * USD, token_decimals)._replace(**changes)


def staked(market: Contract, base: Contract, ratio: Contract, **changes: Any) -> Row:
    row = Row(1, market.address, HEARTBEAT, USD, 10_000 * USD, 18, ratio.address, base.address, HEARTBEAT)
    return row._replace(**changes)


class Second(NamedTuple):
    """The contract's SecondSource."""

    pool: str = ZERO
    quote: int = 0
    window: int = 0
    min_liquidity: int = 0
    min_cardinality: int = 0
    max_deviation_bps: int = 0


def deploy_oracle(
    evm: Evm,
    *rows: Row,
    seconds: Sequence[Second] = (),
    tokens: Sequence[str] = (),
    sequencer: tuple[str, int] = (ZERO, 0),
    owner: str = ZERO,
) -> Contract:
    code = bytes.fromhex(compiled("PriceOracle").bytecode.removeprefix("0x"))
    abi = product_abi("PriceOracle")
    arguments = [list(rows), list(seconds), list(tokens), sequencer, address_of(owner)]
    return Contract(evm, evm.deploy(code + constructor_arguments(abi, arguments)), abi)


def prices_of(oracle: Contract) -> tuple[int, ...]:
    """What an oracle answers for its assets; nothing beyond them."""
    table, count = oracle.prices(), oracle.length()
    assert not any(table[count:])
    return tuple(table[:count])


@pytest.fixture(scope="session")
def _evm() -> Evm:
    return Evm.sandbox()


@pytest.fixture
def evm(_evm: Evm) -> Iterator[Evm]:
    with _evm.rolled_back():
        yield _evm


@pytest.fixture
def feed(evm: Evm) -> Contract:
    """8 decimals, 100 dollars."""
    return actor(evm, "HostileFeed", 8, 100 * 10**8)


@pytest.fixture
def base(evm: Evm) -> Contract:
    """Ether in dollars."""
    return actor(evm, "HostileFeed", 8, 3000 * 10**8)


@pytest.fixture
def market(evm: Evm) -> Contract:
    """Staked ether in ether, 18 decimals; its ratio is 1."""
    return actor(evm, "HostileFeed", 18, 10**18)
