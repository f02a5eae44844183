# SPDX-License-Identifier: Apache-2.0
"""Where a journal may be, and what can be wrong with that."""

from __future__ import annotations

from sqlalchemy import Engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from offchain.errors import PlimsollError
from offchain.keeper import schema


class JournalError(PlimsollError):
    """The journal cannot be opened, belongs to something else, or cannot be written."""


class JournalLocked(JournalError):
    """Another keeper has the journal open."""


def open_server(url: str) -> Engine:
    """Engine of a database server; `JournalError` when the URL is none or its driver is missing."""
    try:
        return schema.server_engine(url)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise JournalError(
            f"journal {shown_url(url)}: {error}; give a file, or postgresql://user@host/database with the extra "
            "plimsoll[postgres] installed"
        ) from None


def shown_url(url: str) -> str:
    """Scheme, host and database of a URL."""
    try:
        parts = make_url(url)
    except ArgumentError:
        return "the database URL"
    return f"{parts.get_backend_name()}://{parts.host or ''}/{parts.database or ''}"
