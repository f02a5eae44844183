# SPDX-License-Identifier: Apache-2.0
"""The message a signer authorises and what the chain made of it."""

from __future__ import annotations

from dataclasses import dataclass

from offchain.route.leg import Venue


@dataclass(frozen=True, slots=True)
class Leg:
    """One swap as the vault takes it; amounts clamp to what the vault holds."""

    venue: Venue
    token_in: int
    token_out: int
    fee: int
    amount_in: int
    min_amount_out: int


@dataclass(frozen=True, slots=True)
class Order:
    """The EIP-712 message; its domain binds the chain and the vault."""

    nonce: int
    deadline: int
    """Last block number at which it may settle."""
    mandate_hash: str
    model_hash: str
    legs: tuple[Leg, ...]
    min_value_per_share: int
    """USD at 18 decimals per 10**18 share units."""
    max_base_fee: int
    """Wei per gas."""


@dataclass(frozen=True, slots=True)
class SignedOrder:
    """An order, who signs for it, and the signature the vault will verify."""

    order: Order
    vault: str
    chain_id: int
    digest: str
    signer: str
    signature: str
    """0x-prefixed; 65 bytes for ECDSA, anything for ERC-1271."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What really happened, decoded from the receipt."""

    transaction: str
    block_number: int
    block_hash: str
    digest: str
    nonce: int
    value_before: int
    value_after: int
    """USD at 18 decimals, at the settlement's own oracle prices."""
    loss: int
    """Fraction at 1e18 charged to the loss budget."""
    turnover: int
    """Fraction at 1e18 charged to the turnover budget."""
    loss_level: int
    """Fraction at 1e18 that stands in the loss bucket afterwards."""
    turnover_level: int
    """Fraction at 1e18 that stands in the turnover bucket afterwards."""
    value_per_share: int
    """USD at 18 decimals per 10**18 share units."""
    amounts_in: tuple[int, ...]
    amounts_out: tuple[int, ...]
    gas_used: int
    effective_gas_price: int
