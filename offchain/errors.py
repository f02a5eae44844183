# SPDX-License-Identifier: Apache-2.0
"""The one base class of every error that a person is meant to read, and words for what the system says."""

from __future__ import annotations


class PlimsollError(Exception):
    """A failure that names the culprit and the next step.

    The command line prints it as a single line and exits with code 2; every
    room derives its own typed errors from it.
    """


def why_unreadable(error: Exception, kind: str) -> str:
    """Why a file could not be read as what it should be: the system's own words where there is no such file."""
    reason = error.strerror if isinstance(error, OSError) else None
    return reason or f"cannot be read as {kind} ({error})"
