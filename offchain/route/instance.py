# SPDX-License-Identifier: Apache-2.0
"""Routing problems as JSON files: tokens, pools, what to sell for what, and the price of gas.

Integers are decimal strings (or JSON integers), tokens are named by their index, amounts are base
units. ``docs/engine.md`` lists the fields of every kind of pool.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offchain.route.errors import RouteError
from offchain.route.instance_pools import READERS, Tokens
from offchain.route.json_reader import InstanceError, Node
from offchain.route.pool import AnyPool

MOST_DECIMALS = 36


@dataclass(frozen=True, slots=True)
class Token:
    """A token of the problem; `price_usd` is for a whole one, None where the file gives none."""

    symbol: str
    decimals: int
    price_usd: float | None


@dataclass(frozen=True, slots=True)
class Instance:
    """A routing problem.

    Attributes
    ----------
    pools
        Those that can ever trade: pools that were never initialised are left out.
    sold
        Base units to sell, by token.
    buy
        Index of the token wanted.
    gas_price_gwei, ether_usd
        None where the file gives none; gas costs nothing then.
    """

    tokens: tuple[Token, ...]
    pools: tuple[AnyPool, ...]
    sold: tuple[int, ...]
    buy: int
    gas_price_gwei: float | None
    ether_usd: float | None


def load_instance(file: Path) -> Instance:
    """Read a problem.

    Raises
    ------
    InstanceError
        The file cannot be read, is no JSON, or makes no sense; names the path inside it.
    """
    with named(file):
        return parse_instance(read_document(file))


@contextmanager
def named(file: Path) -> Iterator[None]:
    """Name the file in complaints about what is inside it."""
    try:
        yield
    except InstanceError as error:
        if error.path == str(file):
            raise
        raise InstanceError(f"{file}: {error.path}", error.why) from None


def read_document(file: Path) -> Any:
    """Parse a problem file. Raises as `load_instance`."""
    try:
        return json.loads(file.read_bytes())
    except OSError as error:
        raise InstanceError(str(file), error.strerror or "cannot be read") from None
    except json.JSONDecodeError as error:
        raise InstanceError(str(file), f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise InstanceError(str(file), f"is no JSON: {error}") from None


def parse_instance(document: Any) -> Instance:
    """Read a problem from parsed JSON. Raises as `load_instance`."""
    root = Node(document, "")
    if not isinstance(document, dict):
        raise InstanceError("the file", "must hold an object with tokens, pools, sell and buy")
    tokens = tuple(read_token(node) for node in root.field("tokens").items(1))
    buy = root.field("buy").integer(0, len(tokens) - 1)
    gas, ether = root.optional("gas_price_gwei"), root.optional("eth_price_usd")
    return Instance(
        tokens,
        tuple(pool for pool, _ in read_pools(root.field("pools"), tuple(token.decimals for token in tokens))),
        _sold(root.field("sell"), len(tokens), buy),
        buy,
        None if gas is None else gas.number(),
        None if ether is None else ether.number(positive=True),
    )


def read_token(node: Node) -> Token:
    """One entry of ``tokens``."""
    price = node.optional("price_usd")
    return Token(
        node.field("symbol").text(),
        node.field("decimals").integer(0, MOST_DECIMALS),
        None if price is None else price.number(positive=True),
    )


def read_pools(node: Node, decimals: tuple[int, ...]) -> list[tuple[AnyPool, Node]]:
    """Pools that were initialised, each with its place in the file; `decimals` are the tokens'."""
    tokens = Tokens(decimals)
    pools: list[tuple[AnyPool, Node]] = []
    seen: dict[str, str] = {}
    for each in node.items():
        name, kind = each.field("id").text(), each.field("kind")
        if name in seen:
            raise each.field("id").fail(f"{name!r} is the id of {seen[name]} too")
        seen[name] = each.path
        reader = READERS.get(kind.text())
        if reader is None:
            raise kind.fail(f"{kind.value!r} is unknown; known are {', '.join(READERS)}")
        try:
            pool = reader(each, name, tokens)
            if pool is not None:
                pool.curve()  # the last check of a state: its parts must fit each other
                pools.append((pool, each))
        except InstanceError:
            raise
        except RouteError as error:
            raise each.fail(str(error)) from None
    return pools


def _sold(node: Node, count: int, buy: int) -> tuple[int, ...]:
    sold = [0] * count
    for each in node.items(1):
        token = each.field("token")
        index = token.integer(0, count - 1)
        if index == buy:
            raise token.fail(f"token {index} is what is bought")
        sold[index] += each.field("amount").integer()
    if not any(sold):
        raise node.fail("nothing is to be sold: every amount is 0")
    return tuple(sold)
