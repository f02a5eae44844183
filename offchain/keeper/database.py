# SPDX-License-Identifier: Apache-2.0
"""Where a journal is kept: opening it, who may write it, and commits that are on disk before they return."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, Row, delete, insert, select
from sqlalchemy.exc import DBAPIError

from offchain.errors import PlimsollError
from offchain.keeper import schema
from offchain.keeper.lease import Lease
from offchain.keeper.places import JournalError, JournalLocked, open_server, shown_url


class Database:
    """The database of one vault on one chain; `open` for the keeper, `read` for everyone else.

    Methods raise `JournalError` when the database fails (disk full, file gone) and
    `IllegalTransition` for a step that makes no sense; in both cases nothing changed.
    """

    def __init__(self, path: Path | str, engine: Engine, lock: FileLock | None, lease: Lease | None = None) -> None:
        self.path = path
        """The file; of a database server its URL, without user and password."""
        self._engine = engine
        self._lock = lock
        self._lease = lease
        self._file: int | None = None

    @classmethod
    def open(cls, place: Path | str, *, chain_id: int, vault: str, lease: Lease | None = None) -> Self:
        """Open the journal for writing, creating it where there is none.

        Parameters
        ----------
        place
            A file, or the SQLAlchemy URL of a PostgreSQL database that holds nothing else.
        lease
            Held by this process while it writes to a server; where it is not free `JournalLocked`
            is raised, and one may try again.

        Raises
        ------
        JournalLocked
            When another process has it open.
        JournalError
            When it belongs to another vault or chain, or was written by another version.
        """
        if isinstance(place, str) and "://" in place:
            return cls._lead(place, lease or Lease(), {"chain_id": str(chain_id), "vault": vault})
        path = Path(place)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path.with_name(path.name + ".lock"))
            lock.acquire(timeout=0)
        except Timeout:
            raise JournalLocked(
                f"journal {path}: another keeper is running on it; stop that one first, or give --journal another file"
            ) from None
        except OSError as error:
            raise JournalError(f"journal {path}: {error.strerror or error}; give --journal a writable place") from None
        journal = cls(path, schema.sqlite_engine(path), lock)
        try:
            journal._prepare({"chain_id": str(chain_id), "vault": vault})
        except BaseException:
            journal.close()
            raise
        return journal

    @classmethod
    def _lead(cls, url: str, lease: Lease, identity: dict[str, str]) -> Self:
        journal = cls(shown_url(url), open_server(url), None)
        try:
            journal._prepare(identity)
            with journal._write() as connection:
                holder = lease.acquire(connection)
            if holder is not None:
                raise JournalLocked(f"journal {journal.path}: {holder} leads; this keeper stands by")
            journal._lease = lease
        except BaseException:
            journal.close()
            raise
        return journal

    @classmethod
    def read(cls, place: Path | str) -> Self:
        """Open an existing journal for reading; works while a keeper writes it.

        Raises
        ------
        JournalError
            When there is none, or it was written by another version.
        """
        if isinstance(place, str) and "://" in place:
            journal = cls(shown_url(place), open_server(place), None)
        else:
            path = Path(place)
            if not path.is_file():
                raise JournalError(f"journal {path}: no such file; `plimsoll keeper run --journal` writes it")
            journal = cls(path, schema.sqlite_engine(path, read_only=True), None)
        try:
            version = journal.meta().get("schema_version")
        except JournalError:
            journal.close()
            raise JournalError(f"journal {journal.path}: not a journal; give the one that the keeper wrote") from None
        if version not in schema.READABLE:
            journal.close()
            raise JournalError(f"journal {journal.path}: schema {version}, this version reads {schema.SCHEMA_VERSION}")
        return journal

    def renew(self) -> None:
        """Go on leading; nothing where the journal is a file.

        Raises
        ------
        LeaseLost
            When another keeper took over.
        """
        if self._lease is not None:
            with self._write():
                pass

    def close(self) -> None:
        """Close the database and let go of lock and lease."""
        if self._lease is not None:
            lease, self._lease = self._lease, None
            with suppress(PlimsollError), self._write() as connection:
                lease.release(connection)
        self._engine.dispose()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def meta(self) -> dict[str, str]:
        """Schema version, chain id and vault the journal belongs to."""
        return {row.key: row.value for row in self._all(select(schema.meta))}

    def _prepare(self, identity: dict[str, str]) -> None:
        """Make sure of the tables and of whose journal it is."""
        try:
            known = self.meta()
        except JournalError:
            known = {}
        for key, value in identity.items():
            if known and known.get(key, "").lower() != value.lower():
                raise JournalError(
                    f"journal {self.path}: its {key} is {known.get(key)}, not {value}; give --journal another file"
                )
        version = str(schema.SCHEMA_VERSION)
        if known.get("schema_version") == version:
            return
        if known and known.get("schema_version") not in schema.READABLE:
            raise JournalError(
                f"journal {self.path}: schema {known.get('schema_version')}, this version writes {version}; "
                "run the version that wrote it"
            )
        with self._write() as connection:
            schema.migrate(connection)
            connection.execute(delete(schema.meta))
            rows = {**identity, **known, "schema_version": version}
            connection.execute(insert(schema.meta), [{"key": k, "value": v} for k, v in rows.items()])

    def _inode(self) -> int | None:
        if isinstance(self.path, str):
            return None
        try:
            return self.path.stat().st_ino
        except OSError:
            return None

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        # SQLite goes on writing to a file that was moved or deleted; nobody would find that again.
        self._file = self._file or self._inode()
        if self._file is not None and self._inode() != self._file:
            raise JournalError(f"journal {self.path}: the file is gone; put it back, nothing more is sent until then")
        try:
            with self._engine.begin() as connection:
                if self._lease is not None:
                    self._lease.check(connection)
                yield connection
        except DBAPIError as error:
            raise JournalError(
                f"journal {self.path}: cannot be written ({error.orig}); nothing more is sent until it can"
            ) from error

    def _all(self, statement: Any) -> Sequence[Row[Any]]:
        try:
            with self._engine.connect() as connection:
                return connection.execute(statement).all()
        except DBAPIError as error:
            raise JournalError(f"journal {self.path}: cannot be read ({error.orig})") from error

    def _scalars(self, statement: Any) -> list[Any]:
        return [row[0] for row in self._all(statement)]
