# SPDX-License-Identifier: Apache-2.0
"""What somebody who watches the mempool learns from a transaction before it is mined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from eth_abi.abi import decode

from offchain.route.leg import Venue
from offchain.sandbox import addresses
from offchain.sandbox.arbitrage import Swap, pool_for
from offchain.sandbox.blocks import PendingTransaction
from offchain.sandbox.chain import Chain
from offchain.sandbox.contract import function
from offchain.settle.calls import SETTLE, decode_settle, selector

TOKENS_OF = function("tokens()", "address[]")
EXACT_INPUT_SINGLE = function("exactInputSingle((address,address,uint24,address,uint256,uint256,uint256,uint160))")

_SYMBOLS = {address.lower(): symbol for symbol, address in addresses.TOKENS.items()}


@dataclass(frozen=True, slots=True)
class VisibleSwap:
    """A swap that a pending transaction is going to make, and how bad a price it accepts."""

    transaction: PendingTransaction
    swap: Swap
    token_in: str
    """Symbol."""
    token_out: str
    min_amount_out: int


class Watch:
    """Reads the swaps of one vault's settlements, and of single-pool swaps through the v3 router.

    Parameters
    ----------
    chain
        Where the vault is.
    vault
        Its address; None to watch the router only.
    """

    def __init__(self, chain: Chain, vault: str | None) -> None:
        self._vault = vault.lower() if vault is not None else None
        tokens: Iterable[str] = chain.call(vault, TOKENS_OF) if vault is not None else ()
        self._tokens = [_SYMBOLS[token.lower()] for token in tokens]

    def swaps(self, pending: Sequence[PendingTransaction]) -> list[tuple[VisibleSwap, ...]]:
        """Return the swaps of each transaction that has any, in the order of their execution."""
        found = []
        for transaction in pending:
            to = (transaction.to or "").lower()
            if to == self._vault and transaction.data[:4] == selector(SETTLE):
                found.append(tuple(self._settlement(transaction)))
            elif to == addresses.UNISWAP_V3_ROUTER.lower() and transaction.data[:4] == EXACT_INPUT_SINGLE.selector:
                found.append((_router_swap(transaction),))
        return [swaps for swaps in found if swaps]

    def _settlement(self, transaction: PendingTransaction) -> Iterator[VisibleSwap]:
        order, _, _ = decode_settle(transaction.data)
        for leg in order.legs:
            if leg.venue.is_listed:
                continue
            token_in, token_out = self._tokens[leg.token_in], self._tokens[leg.token_out]
            pool, zero_for_one = pool_for(token_in, token_out, leg.venue, leg.fee)
            yield VisibleSwap(
                transaction, Swap(pool, zero_for_one, leg.amount_in), token_in, token_out, leg.min_amount_out
            )


def _router_swap(transaction: PendingTransaction) -> VisibleSwap:
    (values,) = decode(EXACT_INPUT_SINGLE.inputs, transaction.data[4:])
    token_in, token_out = _SYMBOLS[values[0].lower()], _SYMBOLS[values[1].lower()]
    pool, zero_for_one = pool_for(token_in, token_out, Venue.UNISWAP_V3, values[2])
    return VisibleSwap(transaction, Swap(pool, zero_for_one, values[5]), token_in, token_out, values[6])
