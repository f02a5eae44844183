# SPDX-License-Identifier: Apache-2.0
"""Ticks, orders, transactions and every step of theirs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables of the first journals."""
    op.create_table(
        "meta", sa.Column("key", sa.String(32), primary_key=True), sa.Column("value", sa.Text, nullable=False)
    )
    op.create_table(
        "mandates", sa.Column("hash", sa.String(66), primary_key=True), sa.Column("body", sa.Text, nullable=False)
    )
    op.create_table(
        "history_chunks",
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "ticks",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("recorded_at", sa.Float, nullable=False),
        sa.Column("block_number", sa.BigInteger, nullable=False),
        sa.Column("block_hash", sa.String(66), nullable=False),
        sa.Column("block_timestamp", sa.BigInteger, nullable=False),
        sa.Column("mandate", sa.String(66), sa.ForeignKey("mandates.hash"), nullable=False),
        sa.Column("snapshot", sa.LargeBinary, nullable=False),
        sa.Column("history", sa.Text, nullable=False),
        sa.Column("plan", sa.Text),
        sa.Column("decision", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_table(
        "orders",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("tick", _ID, sa.ForeignKey("ticks.id"), nullable=False),
        sa.Column("digest", sa.String(66), nullable=False, index=True),
        sa.Column("vault_nonce", sa.Text, nullable=False),
        sa.Column("deadline", sa.BigInteger, nullable=False),
        sa.Column("signer", sa.String(42), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("signature", sa.Text),
        sa.Column("state", sa.String(12), nullable=False, index=True),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("settlement", sa.Text),
        sa.Column("created_block", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.Float, nullable=False),
    )
    op.create_table(
        "transactions",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("hash", sa.String(66), nullable=False, unique=True),
        sa.Column("purpose", sa.String(8), nullable=False),
        sa.Column("order", _ID, sa.ForeignKey("orders.id")),
        sa.Column("account", sa.String(42), nullable=False),
        sa.Column("account_nonce", sa.BigInteger, nullable=False),
        sa.Column("gas_limit", sa.BigInteger, nullable=False),
        sa.Column("max_fee", sa.Text, nullable=False),
        sa.Column("priority_fee", sa.Text, nullable=False),
        sa.Column("raw", sa.Text, nullable=False),
        sa.Column("state", sa.String(12), nullable=False, index=True),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("sent_block", sa.BigInteger, nullable=False),
        sa.Column("block_number", sa.BigInteger),
        sa.Column("block_hash", sa.String(66)),
        sa.Column("final", sa.Boolean, nullable=False, index=True),
        sa.Column("updated_at", sa.Float, nullable=False),
    )
    op.create_index("ix_transactions_account_nonce", "transactions", ["account", "account_nonce"])
    op.create_table(
        "transitions",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("row", _ID, nullable=False),
        sa.Column("before", sa.String(12)),
        sa.Column("after", sa.String(12), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
