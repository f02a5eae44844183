# SPDX-License-Identifier: Apache-2.0
"""Alembic's entry: migrates over the connection it is handed, inside that transaction."""

from __future__ import annotations

from alembic import context

from offchain.keeper import schema

context.configure(
    connection=context.config.attributes["connection"], target_metadata=schema.metadata, render_as_batch=True
)
context.run_migrations()
