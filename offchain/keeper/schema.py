# SPDX-License-Identifier: Apache-2.0
"""Tables of the journal, and how its database is opened.

Amounts that exceed 64 bits (wei, vault nonces) are text: SQLite's integers end there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    inspect,
    make_url,
)

SCHEMA_VERSION = 2
READABLE = frozenset({"1", "2"})
"""Versions whose tables a reader understands."""

metadata = MetaData()
_ID = BigInteger().with_variant(Integer, "sqlite")

meta = Table("meta", metadata, Column("key", String(32), primary_key=True), Column("value", Text, nullable=False))

mandates = Table(
    "mandates",
    metadata,
    Column("hash", String(66), primary_key=True),
    Column("body", Text, nullable=False),
)

history_chunks = Table(
    "history_chunks",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

ticks = Table(
    "ticks",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("recorded_at", Float, nullable=False),
    Column("block_number", BigInteger, nullable=False),
    Column("block_hash", String(66), nullable=False),
    Column("block_timestamp", BigInteger, nullable=False),
    Column("mandate", String(66), ForeignKey("mandates.hash"), nullable=False),
    Column("snapshot", LargeBinary, nullable=False),
    Column("history", Text, nullable=False),
    Column("plan", Text),
    Column("decision", String(16), nullable=False),
    Column("reason", Text, nullable=False),
)

orders = Table(
    "orders",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("tick", _ID, ForeignKey("ticks.id"), nullable=False),
    Column("digest", String(66), nullable=False, index=True),
    Column("vault_nonce", Text, nullable=False),
    Column("deadline", BigInteger, nullable=False),
    Column("signer", String(42), nullable=False),
    Column("body", Text, nullable=False),
    Column("signature", Text),
    Column("state", String(12), nullable=False, index=True),
    Column("detail", Text, nullable=False),
    Column("settlement", Text),
    Column("created_block", BigInteger, nullable=False),
    Column("updated_at", Float, nullable=False),
)

transactions = Table(
    "transactions",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("hash", String(66), nullable=False, unique=True),
    Column("purpose", String(8), nullable=False),
    Column("order", _ID, ForeignKey("orders.id")),
    Column("account", String(42), nullable=False),
    Column("account_nonce", BigInteger, nullable=False),
    Column("gas_limit", BigInteger, nullable=False),
    Column("max_fee", Text, nullable=False),
    Column("priority_fee", Text, nullable=False),
    Column("raw", Text, nullable=False),
    Column("state", String(12), nullable=False, index=True),
    Column("detail", Text, nullable=False),
    Column("sent_block", BigInteger, nullable=False),
    Column("block_number", BigInteger),
    Column("block_hash", String(66)),
    Column("final", Boolean, nullable=False, index=True),
    Column("updated_at", Float, nullable=False),
    Index("ix_transactions_account_nonce", "account", "account_nonce"),
)

transitions = Table(
    "transitions",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("kind", String(12), nullable=False),
    Column("row", _ID, nullable=False),
    Column("before", String(12)),
    Column("after", String(12), nullable=False),
    Column("detail", Text, nullable=False),
)

lease = Table(
    "lease",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("holder", Text, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
)


def sqlite_engine(path: Path, *, read_only: bool = False) -> Engine:
    """Engine on a SQLite file: WAL, and every commit on disk before it returns."""
    mode = "ro" if read_only else "rwc"
    engine = create_engine(f"sqlite+pysqlite:///file:{quote(str(path.absolute()))}?mode={mode}&uri=true")

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        if not read_only:
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA busy_timeout=5000")
        cursor.close()

    return engine


def server_engine(url: str) -> Engine:
    """Engine on a database server; a commit is on its disk before it returns.

    Raises
    ------
    ArgumentError, NoSuchModuleError, ImportError
        When the URL is none, or its driver is not installed.
    """
    parts = make_url(url)
    if parts.drivername in ("postgresql", "postgres"):
        parts = parts.set(drivername="postgresql+psycopg")
    # A connection that a restarted server closed is noticed before it is used.
    return create_engine(parts, pool_pre_ping=True, connect_args={"connect_timeout": 5})


def migrate(connection: Connection) -> None:
    """Bring the tables to this version; those of a journal that knows no migrations yet are taken as its first."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    tables = inspect(connection).get_table_names()
    if "meta" in tables and "alembic_version" not in tables:
        command.stamp(config, "0001")
    command.upgrade(config, "head")
