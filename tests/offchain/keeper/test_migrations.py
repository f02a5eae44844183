# SPDX-License-Identifier: Apache-2.0
"""Journals of every version, brought to this one."""

import sqlite3

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from offchain.keeper import schema
from offchain.keeper.journal import Journal, JournalError

VAULT = "0x00000000000000000000000000000000000000AA"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite"


def opened(path):
    return Journal.open(path, chain_id=1, vault=VAULT)


def make_first_version(path):
    """A journal as the version before migrations wrote it."""
    engine = schema.sqlite_engine(path)
    with engine.begin() as connection:
        schema.metadata.create_all(
            connection, tables=[one for one in schema.metadata.sorted_tables if one.name != "lease"]
        )
        for key, value in {"schema_version": "1", "chain_id": "1", "vault": VAULT}.items():
            connection.execute(schema.meta.insert().values(key=key, value=value))
        connection.execute(schema.mandates.insert().values(hash="h", body="{}"))
    engine.dispose()


def tables(path):
    with sqlite3.connect(path) as database:
        return {name for (name,) in database.execute("select name from sqlite_master where type='table'")}


def test_migrations_make_the_tables_that_the_code_uses(path):
    with opened(path) as journal, journal._engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []


def test_first_version_is_migrated_and_keeps_what_it_holds(path):
    make_first_version(path)
    with opened(path) as journal:
        assert journal.meta()["schema_version"] == str(schema.SCHEMA_VERSION)

    assert "lease" in tables(path)
    with sqlite3.connect(path) as database:
        assert database.execute("select hash from mandates").fetchall() == [("h",)]


def test_first_version_can_be_read_as_it_is(path):
    make_first_version(path)
    with Journal.read(path) as journal:
        assert journal.tick_counts() == {}
    assert "lease" not in tables(path)


def test_journal_of_a_later_version_is_left_alone(path):
    opened(path).close()
    with sqlite3.connect(path) as database:
        database.execute("update meta set value='99' where key='schema_version'")

    with pytest.raises(JournalError, match="schema 99"):
        opened(path)


@pytest.mark.parametrize("url", ["mysql://u@h/d", "postgresql+none://h/d", "nothing://"])
def test_database_that_is_not_supported_is_named_without_its_password(url):
    with pytest.raises(JournalError, match=r"plimsoll\[postgres\]|cannot be"):
        Journal.open(url.replace("u@", "u:secret@"), chain_id=1, vault=VAULT)


def test_server_that_does_not_answer_is_named_without_its_password():
    with pytest.raises(JournalError) as refusal:
        Journal.open("postgresql://keeper:secret@127.0.0.1:9/journal", chain_id=1, vault=VAULT)

    assert "postgresql://127.0.0.1/journal" in str(refusal.value)
    assert "secret" not in str(refusal.value)
