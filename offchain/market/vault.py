# SPDX-License-Identifier: Apache-2.0
"""What a vault and its price oracle answer, decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import structlog

from offchain.mandate import ChainMandate, Mandate, OracleFeed, SecondPrice
from offchain.mandate.universe import ZERO_ADDRESS
from offchain.market import abi
from offchain.market.abi import expect
from offchain.market.errors import SnapshotError
from offchain.market.multicall import Call, aggregate_request
from offchain.market.pools import decode_multicall
from offchain.market.rpc import NodeClient
from offchain.market.snapshot import BreakerState, VaultLimits, VaultState

VAULT_VIEWS = ("tokens()", "holdings()", "order_nonce()", "value_per_share()", "totalSupply()")
MANDATE_VIEWS = (
    "limits()",
    "mandate_hash()",
    "breaker_state()",
    "breaker_reason()",
    "loss_level()",
    "turnover_level()",
    "peak()",
    "settled_at()",
)
"""What a snapshot asks of a vault and of its mandate, in this order."""

MOST_SUCCESSORS = 8
"""Oracles of ours cannot be each other's successors in a circle; others may say anything."""

_LIMIT_ARRAYS = {
    field.name: index
    for index, field in enumerate(fields(VaultLimits))
    if field.name in ("min_weights_bps", "max_weights_bps", "max_venues_bps")
}


@dataclass(frozen=True, slots=True)
class VaultParts:
    """The contracts a vault consists of, fixed when it was deployed."""

    vault: str
    oracle: str
    mandate: str

    @property
    def calls(self) -> list[Call]:
        """What a snapshot asks them; see `VaultAnswers.from_calls`."""
        vault = [Call(self.vault, abi.encode_call(view)) for view in VAULT_VIEWS]
        return vault + [Call(self.mandate, abi.encode_call(view)) for view in MANDATE_VIEWS]


@dataclass(frozen=True, slots=True)
class VaultAnswers:
    """Raw answers of one vault by signature; the accessors raise `SnapshotError` naming the view."""

    vault: str
    answers: Mapping[str, bytes | None]

    @classmethod
    def from_calls(cls, parts: VaultParts, answers: Sequence[bytes | None]) -> VaultAnswers:
        """Name the answers to `VaultParts.calls`."""
        return cls(parts.vault, dict(zip((*VAULT_VIEWS, *MANDATE_VIEWS), answers, strict=True)))

    def integer(self, view: str) -> int:
        """An unsigned integer."""
        try:
            return abi.word(expect(self.answers[view], view), 0)
        except abi.DecodeError as error:
            raise self._nonsense(view, error) from None

    def address(self, view: str) -> str:
        """A checksummed address."""
        try:
            return abi.address(expect(self.answers[view], view), 0)
        except abi.DecodeError as error:
            raise self._nonsense(view, error) from None

    def integers(self, view: str) -> list[int]:
        """A dynamic array of unsigned integers."""
        try:
            return [value for (value,) in abi.array(expect(self.answers[view], view), 0)]
        except abi.DecodeError as error:
            raise self._nonsense(view, error) from None

    def addresses(self, view: str) -> list[str]:
        """A dynamic array of checksummed addresses."""
        try:
            data = expect(self.answers[view], view)
            return [abi.address(abi.encode_word(value), 0) for (value,) in abi.array(data, 0)]
        except abi.DecodeError as error:
            raise self._nonsense(view, error) from None

    def text(self, view: str) -> str:
        """A string."""
        try:
            return abi.text(expect(self.answers[view], view), 0)
        except abi.DecodeError as error:
            raise self._nonsense(view, error) from None

    def limits(self) -> VaultLimits:
        """The mandate in force."""
        try:
            body = expect(self.answers["limits()"], "limits()")[abi.WORD :]
            minimums, maximums, caps = (
                tuple(value for (value,) in abi.array(body, index)) for index in _LIMIT_ARRAYS.values()
            )
            scalars = {
                field.name: abi.word(body, index)
                for index, field in enumerate(fields(VaultLimits))
                if field.name not in _LIMIT_ARRAYS
            }
            return VaultLimits(min_weights_bps=minimums, max_weights_bps=maximums, max_venues_bps=caps, **scalars)
        except abi.DecodeError as error:
            raise self._nonsense("limits()", error) from None

    def state(self, parts: VaultParts) -> VaultState:
        """The vault's own state; all of `VaultParts.calls` must have been asked."""
        breaker = self.integer("breaker_state()")
        if breaker > BreakerState.HALTED:
            raise self._nonsense("breaker_state()", abi.DecodeError(f"state {breaker}"))
        return VaultState(
            address=self.vault,
            oracle=parts.oracle,
            mandate=parts.mandate,
            nonce=self.integer("order_nonce()"),
            breaker=BreakerState(breaker),
            breaker_reason=self.integer("breaker_reason()"),
            total_supply=self.integer("totalSupply()"),
            value_per_share=self.integer("value_per_share()"),
            peak=self.integer("peak()"),
            loss_level=self.integer("loss_level()"),
            turnover_level=self.integer("turnover_level()"),
            mandate_hash=f"0x{self.integer('mandate_hash()'):064x}",
            limits=self.limits(),
            settled_at=self.integer("settled_at()"),
        )

    def _nonsense(self, view: str, error: abi.DecodeError) -> SnapshotError:
        return SnapshotError(f"vault {self.vault}: {view} does not answer ({error}); check the address and the chain")


def part_calls(vault: str) -> list[Call]:
    """The first thing asked of a vault: which contracts it consists of."""
    return [Call(vault, abi.encode_call(view)) for view in ("oracle()", "mandate()")]


def decode_parts(vault: str, answers: Sequence[bytes | None]) -> VaultParts:
    """Decode the answers to `part_calls`; `SnapshotError` when there is no vault."""
    views = VaultAnswers(vault, dict(zip(("oracle()", "mandate()"), answers, strict=True)))
    return VaultParts(vault, views.address("oracle()"), views.address("mandate()"))


def decode_prices(
    oracle: str, try_prices: bytes | None, updated_at: bytes | None, count: int
) -> tuple[bool, list[int], list[int]]:
    """Whether every price is live, the prices, and the time of the oldest round behind each."""
    try:
        live = abi.word(expect(try_prices, "try_prices()"), 0)
        prices = [value for (value,) in abi.array(expect(try_prices, "try_prices()"), 1)]
        times = [value for (value,) in abi.array(expect(updated_at, "updated_at()"), 0)]
        if len(prices) != count or len(times) != count:
            raise abi.DecodeError(f"{len(prices)} prices for {count} assets")
    except abi.DecodeError as error:
        raise SnapshotError(
            f"price oracle {oracle} does not answer ({error}); was the vault deployed with it?"
        ) from None
    return bool(live), prices, times


def read_chain_mandate(client: NodeClient, vault_address: str, mandate: Mandate) -> ChainMandate:
    """Read what `compare_with_chain` compares, in two round trips and one more for each successor of the oracle.

    A token whose ``decimals()`` is missing, zero or not the mandate's is logged; the
    mandate's number is the one used everywhere.

    Raises
    ------
    SnapshotError
        There is no vault at the address, or it answers nonsense.
    NodeError
        The node cannot be used, or serves another chain.
    """
    views = ("tokens()", "name()", "symbol()")
    calls = part_calls(vault_address) + [Call(vault_address, abi.encode_call(view)) for view in views]
    calls += [Call(asset.address, abi.encode_call("decimals()")) for asset in mandate.ordered_assets]
    chain_id, raw = client.batch([("eth_chainId", []), aggregate_request(calls, "latest")])
    served = client.quantity(chain_id, "eth_chainId")
    client.check_chain(served, mandate.chain_id)
    answers = decode_multicall(client, raw, len(calls))
    parts = decode_parts(vault_address, answers[:2])
    vault = VaultAnswers(vault_address, dict(zip(views, answers[2:], strict=False)))
    tokens = vault.addresses("tokens()")
    _log_decimals(mandate, answers[2 + len(views) :])
    limits, feeds, seconds = _read_limits_and_feeds(client, parts, len(tokens))
    return ChainMandate(
        chain_id=served,
        tokens=tuple(tokens),
        limits=limits,
        oracle_feeds=feeds,
        second_prices=seconds,
        name=vault.text("name()"),
        symbol=vault.text("symbol()"),
    )


def _read_limits_and_feeds(
    client: NodeClient, parts: VaultParts, count: int, hops: int = 0
) -> tuple[VaultLimits, tuple[OracleFeed, ...] | None, tuple[SecondPrice, ...] | None]:
    """The limits in force and the table and second sources that answer, or `None` when those are not of our shape.

    An oracle that was replaced still has its own table; its successor's counts.
    """
    views = ("length()", "successor()")
    calls = [Call(parts.mandate, abi.encode_call("limits()"))]
    calls += [Call(parts.oracle, abi.encode_call(view)) for view in views]
    calls += [
        Call(parts.oracle, abi.encode_call(f"{view}(uint256)", index))
        for view in ("feeds", "second_sources")
        for index in range(count)
    ]
    method, params = aggregate_request(calls, "latest")
    limits, length, replaced, *rows = decode_multicall(client, client.call(method, *params), len(calls))
    try:
        successor = abi.address(replaced, 0) if replaced else ZERO_ADDRESS
        if successor != ZERO_ADDRESS and hops == MOST_SUCCESSORS:
            raise abi.DecodeError(f"more than {hops} successors")
        if successor != ZERO_ADDRESS:
            return _read_limits_and_feeds(client, replace(parts, oracle=successor), count, hops + 1)
        if abi.word(expect(length, "length()"), 0) != count:
            raise abi.DecodeError(f"not {count} feeds")
        feeds = tuple(_feed(expect(row, "feeds()")) for row in rows[:count])
        seconds = tuple(_second_price(expect(row, "second_sources()")) for row in rows[count:])
    except abi.DecodeError as error:
        log = structlog.get_logger()
        log.warning("oracle.unreadable", oracle=parts.oracle, reason=str(error), effect="its feeds are not compared")
        return VaultAnswers(parts.vault, {"limits()": limits}).limits(), None, None
    return VaultAnswers(parts.vault, {"limits()": limits}).limits(), feeds, seconds


def _second_price(row: bytes) -> SecondPrice:
    return SecondPrice(abi.address(row, 0), *(abi.word(row, index) for index in range(1, 6)))


def _feed(row: bytes) -> OracleFeed:
    return OracleFeed(
        kind=abi.word(row, 0),
        feed=abi.address(row, 1),
        heartbeat=abi.word(row, 2),
        min_price=abi.word(row, 3),
        max_price=abi.word(row, 4),
        token_decimals=abi.word(row, 5),
        ratio_source=abi.address(row, 6),
        base_feed=abi.address(row, 7),
        base_heartbeat=abi.word(row, 8),
    )


def _log_decimals(mandate: Mandate, answers: list[bytes | None]) -> None:
    for asset, answer in zip(mandate.ordered_assets, answers, strict=True):
        read = abi.word(answer, 0) if answer and len(answer) >= abi.WORD else None
        if read != asset.decimals:
            structlog.get_logger().warning(
                "token.decimals", asset=asset.symbol, token=asset.address, chain=read, used=asset.decimals
            )
