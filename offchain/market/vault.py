# SPDX-License-Identifier: Apache-2.0
"""What a vault and its price oracle answer, decoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from offchain.mandate import ChainMandate, Mandate, OracleFeed
from offchain.market import abi
from offchain.market.errors import SnapshotError
from offchain.market.multicall import Call, aggregate_request
from offchain.market.pools import decode_multicall
from offchain.market.rpc import NodeClient
from offchain.market.snapshot import BreakerState, VaultLimits, VaultState

VAULT_VIEWS: dict[str, bytes] = {
    view: abi.encode_call(view)
    for view in (
        "tokens()",
        "holdings()",
        "oracle()",
        "mandate()",
        "mandate_hash()",
        "order_nonce()",
        "breaker_state()",
        "breaker_reason()",
        "loss_level()",
        "turnover_level()",
        "peak()",
        "value_per_share()",
        "totalSupply()",
    )
}
"""Calldata by signature, in the order in which a snapshot asks."""

_FEED_WORDS = 9


@dataclass(frozen=True, slots=True)
class VaultAnswers:
    """Raw answers of one vault by signature; the accessors raise `SnapshotError` naming the view."""

    vault: str
    answers: Mapping[str, bytes | None]

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
            body = expect(self.answers["mandate()"], "mandate()")[abi.WORD :]
            minimums, maximums = (tuple(value for (value,) in abi.array(body, index)) for index in (0, 1))
            return VaultLimits(minimums, maximums, *(abi.word(body, index) for index in range(2, 10)))
        except abi.DecodeError as error:
            raise self._nonsense("mandate()", error) from None

    def state(self, oracle: str) -> VaultState:
        """The vault's own state; all of `VAULT_VIEWS` must have been asked."""
        breaker = self.integer("breaker_state()")
        if breaker > BreakerState.HALTED:
            raise self._nonsense("breaker_state()", abi.DecodeError(f"state {breaker}"))
        return VaultState(
            address=self.vault,
            oracle=oracle,
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
        )

    def _nonsense(self, view: str, error: abi.DecodeError) -> SnapshotError:
        return SnapshotError(f"vault {self.vault}: {view} does not answer ({error}); check the address and the chain")


def expect(answer: bytes | None, view: str) -> bytes:
    """The bytes of an answer; `abi.DecodeError` when the call reverted or nothing is there."""
    if answer is None:
        raise abi.DecodeError(f"{view} reverts")
    if not answer:
        raise abi.DecodeError("nothing there")
    return answer


def read_oracle_address(vault: str, answer: bytes | None) -> str:
    """Decode ``oracle()``; the first thing asked of a vault, so it also finds out that there is none."""
    return VaultAnswers(vault, {"oracle()": answer}).address("oracle()")


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
    """Read what `compare_with_chain` compares, in two round trips.

    A token whose ``decimals()`` is missing, zero or not the mandate's is logged; the
    mandate's number is the one used everywhere.

    Raises
    ------
    SnapshotError
        There is no vault at the address, or it answers nonsense.
    NodeError
        The node cannot be used, or serves another chain.
    """
    views = {view: abi.encode_call(view) for view in ("tokens()", "oracle()", "mandate()", "name()", "symbol()")}
    calls = [Call(vault_address, data) for data in views.values()]
    calls += [Call(asset.address, abi.encode_call("decimals()")) for asset in mandate.ordered_assets]
    chain_id, raw = client.batch([("eth_chainId", []), aggregate_request(calls, "latest")])
    served = client.quantity(chain_id, "eth_chainId")
    client.check_chain(served, mandate.chain_id)
    answers = decode_multicall(client, raw, len(calls))
    vault = VaultAnswers(vault_address, dict(zip(views, answers, strict=False)))
    tokens = vault.addresses("tokens()")
    _log_decimals(mandate, answers[len(views) :])
    return ChainMandate(
        chain_id=served,
        tokens=tuple(tokens),
        limits=vault.limits(),
        oracle_feeds=_read_feeds(client, vault.address("oracle()"), len(tokens)),
        name=vault.text("name()"),
        symbol=vault.text("symbol()"),
    )


def _read_feeds(client: NodeClient, oracle: str, count: int) -> tuple[OracleFeed, ...] | None:
    """The oracle's table, or `None` when it has none of our shape: another oracle may price the vault."""
    calls = [Call(oracle, abi.encode_call("length()"))]
    calls += [Call(oracle, abi.encode_call("feeds(uint256)", index)) for index in range(count)]
    method, params = aggregate_request(calls, "latest")
    length, *rows = decode_multicall(client, client.call(method, *params), len(calls))
    try:
        if abi.word(expect(length, "length()"), 0) != count:
            raise abi.DecodeError(f"not {count} feeds")
        return tuple(_feed(expect(row, "feeds()")) for row in rows)
    except abi.DecodeError as error:
        log = structlog.get_logger()
        log.warning("oracle.unreadable", oracle=oracle, reason=str(error), effect="its feeds are not compared")
        return None


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
