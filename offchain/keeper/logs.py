# SPDX-License-Identifier: Apache-2.0
"""Structured logs on stderr: readable on a terminal, one JSON object a line otherwise."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import TextIO

import structlog


def configure_logs(
    stream: TextIO | None = None, *, verbose: bool = False, also: Sequence[structlog.typing.Processor] = ()
) -> None:
    """Set up structlog for a keeper process; stdout stays free for results.

    Parameters
    ----------
    also
        Processors that see every event before it is written.
    """
    out = stream or sys.stderr
    readable = out.isatty()
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if readable else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if readable else "iso", utc=not readable),
            structlog.processors.format_exc_info,
            *also,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.INFO),
        # Looked up at each line: who replaces sys.stderr, and closes it later, must not break logging.
        logger_factory=lambda *_: structlog.PrintLogger(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
