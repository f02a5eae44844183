# SPDX-License-Identifier: Apache-2.0
"""The vault's account at Aave v3: where its parts are, and what a snapshot reads of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from offchain.mandate import Mandate
from offchain.market import abi
from offchain.market.abi import expect
from offchain.market.errors import SnapshotError
from offchain.market.multicall import Call, aggregate_request
from offchain.market.pools import decode_multicall
from offchain.market.rpc import NodeClient
from offchain.market.snapshot import LendingState, ReserveState

_RESERVE_DATA = "getReserveData(address)"
_ACCOUNT_DATA = "getUserAccountData(address)"
_E_MODE_DATA = "getEModeCategoryData(uint8)"
_PER_RESERVE = 7
_RECEIPT_WORD, _DEBT_WORD = 8, 10
_SUPPLY_RATE_WORD, _BORROW_RATE_WORD = 2, 4

# Bits of the configuration word (``ReserveConfiguration``).
_THRESHOLD, _DECIMALS, _ACTIVE, _FROZEN, _BORROWING, _PAUSED, _CATEGORY = 16, 48, 56, 57, 58, 60, 168


@dataclass(frozen=True, slots=True)
class ReserveKey:
    """One asset of the account; addresses never change."""

    asset: int
    """Index into the mandate's ordered assets."""
    token: str
    receipt: str
    debt: str
    """Of the variable rate."""
    may_supply: bool
    may_borrow: bool
    """What the mandate allows."""


@dataclass(frozen=True, slots=True)
class LendingKey:
    """A lending account's identity; its state is in the snapshot."""

    venue: int
    """How a leg names it."""
    pool: str
    oracle: str
    """Aave's own, which decides about liquidations."""
    e_mode: int
    """Category that the mandate wants."""
    reserves: tuple[ReserveKey, ...]


def discover_lending(client: NodeClient, mandate: Mandate) -> LendingKey | None:
    """Find the reserves of the mandate's lending account; `None` for a mandate without one. Two round trips.

    Raises
    ------
    SnapshotError
        There is no Aave pool at the mandate's address, or it does not list an asset.
    NodeError
        The node cannot be used, or has no Multicall3.
    """
    venue = mandate.lending
    if venue is None:
        return None
    symbols = [symbol for symbol in mandate.symbols if symbol in {*venue.supply, *venue.borrow}]
    tokens = [mandate.addresses[mandate.symbols.index(symbol)] for symbol in symbols]
    calls = [Call(venue.pool, abi.encode_call("ADDRESSES_PROVIDER()"))]
    calls += [Call(venue.pool, abi.encode_call(_RESERVE_DATA, token)) for token in tokens]
    try:
        provider, *rows = _ask(client, calls)
        registry = abi.address(expect(provider, "ADDRESSES_PROVIDER()"), 0)
        (answer,) = _ask(client, [Call(registry, abi.encode_call("getPriceOracle()"))])
        oracle = abi.address(expect(answer, "getPriceOracle()"), 0)
        reserves = []
        for symbol, token, row in zip(symbols, tokens, rows, strict=True):
            data = expect(row, _RESERVE_DATA)
            receipt, debt = (abi.address(data, word) for word in (_RECEIPT_WORD, _DEBT_WORD))
            if int(receipt, 16) == 0:
                raise SnapshotError(f"lending pool {venue.pool} does not list {symbol}; take it out of the venue")
            index = mandate.symbols.index(symbol)
            reserves.append(ReserveKey(index, token, receipt, debt, symbol in venue.supply, symbol in venue.borrow))
    except abi.DecodeError as error:
        raise SnapshotError(f"no Aave v3 pool answers at {venue.pool} ({error}); is it the right chain?") from None
    return LendingKey(mandate.leg_number(venue), venue.pool, oracle, venue.e_mode, tuple(reserves))


def lending_calls(key: LendingKey, vault: str) -> list[Call]:
    """What a snapshot asks about the account; see `decode_lending`."""
    calls = [
        Call(key.pool, abi.encode_call("getUserEMode(address)", vault)),
        Call(key.pool, abi.encode_call(_E_MODE_DATA, key.e_mode)),
        Call(key.pool, abi.encode_call(_ACCOUNT_DATA, vault)),
        Call(key.pool, abi.encode_call("getUserConfiguration(address)", vault)),
    ]
    for reserve in key.reserves:
        calls += [
            Call(key.pool, abi.encode_call(_RESERVE_DATA, reserve.token)),
            Call(key.pool, abi.encode_call("getReserveNormalizedIncome(address)", reserve.token)),
            Call(key.pool, abi.encode_call("getReserveNormalizedVariableDebt(address)", reserve.token)),
            Call(reserve.receipt, abi.encode_call("scaledBalanceOf(address)", vault)),
            Call(reserve.debt, abi.encode_call("scaledBalanceOf(address)", vault)),
            Call(reserve.token, abi.encode_call("balanceOf(address)", reserve.receipt)),
            Call(key.oracle, abi.encode_call("getAssetPrice(address)", reserve.token)),
        ]
    return calls


def read_lending(client: NodeClient, key: LendingKey, vault: str) -> LendingState:
    """Read the account at the newest block, in one round trip. Raises as `decode_lending`."""
    return decode_lending(key, _ask(client, lending_calls(key, vault)))


def decode_lending(key: LendingKey, answers: Sequence[bytes | None]) -> LendingState:
    """Decode the answers to `lending_calls`.

    Raises
    ------
    SnapshotError
        Something does not answer as Aave v3 does.
    """
    try:
        words = [expect(answer, "the lending pool") for answer in answers]
        category, account, configuration = words[1], words[2], abi.word(words[3], 0)
        # The category is a tuple with a string, so its fields stand behind an offset.
        terms = tuple(abi.word(category, 1 + field) for field in range(2))
        return LendingState(
            venue=key.venue,
            pool=key.pool,
            e_mode=abi.word(words[0], 0),
            wanted_e_mode=key.e_mode,
            health_factor=abi.word(account, 5),
            reserves=tuple(
                _reserve(reserve, words[4 + place * _PER_RESERVE :][:_PER_RESERVE], key.e_mode, terms, configuration)
                for place, reserve in enumerate(key.reserves)
            ),
        )
    except abi.DecodeError as error:
        raise SnapshotError(f"lending pool {key.pool} answers nonsense ({error}); is it an Aave v3 pool?") from None


def _reserve(
    key: ReserveKey, words: Sequence[bytes], e_mode: int, terms: tuple[int, ...], configuration: int
) -> ReserveState:
    data, income, debt_index, supplied, owed, available, price = words
    bits = abi.word(data, 0)
    own = bits & 0xFFFF, bits >> _THRESHOLD & 0xFFFF
    in_category = e_mode != 0 and bits >> _CATEGORY & 0xFF == e_mode
    decimals = bits >> _DECIMALS & 0xFF
    live = bool(bits >> _ACTIVE & 1) and not bits >> _PAUSED & 1
    open_to_new = live and not bits >> _FROZEN & 1
    identity = abi.word(data, 7)
    return ReserveState(
        asset=key.asset,
        decimals=decimals,
        supply_index=abi.word(income, 0),
        borrow_index=abi.word(debt_index, 0),
        scaled_supplied=abi.word(supplied, 0),
        scaled_owed=abi.word(owed, 0),
        available=abi.word(available, 0),
        price=abi.word(price, 0),
        loan_to_value=own[0],
        liquidation_threshold=own[1],
        e_mode_loan_to_value=terms[0] if in_category else own[0],
        e_mode_liquidation_threshold=terms[1] if in_category else own[1],
        supply_rate=abi.word(data, _SUPPLY_RATE_WORD),
        borrow_rate=abi.word(data, _BORROW_RATE_WORD),
        is_collateral=bool(configuration >> 2 * identity + 1 & 1),
        may_supply=key.may_supply and open_to_new,
        may_borrow=key.may_borrow and open_to_new and bool(bits >> _BORROWING & 1),
        live=live,
    )


def _ask(client: NodeClient, calls: list[Call]) -> list[bytes | None]:
    method, params = aggregate_request(calls, "latest")
    return decode_multicall(client, client.call(method, *params), len(calls))
