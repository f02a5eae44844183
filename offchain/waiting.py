# SPDX-License-Identifier: Apache-2.0
"""A sign of life for commands that take a while. Only the standard library at the top, see `offchain.cli`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Any

PATIENCE_SECONDS = 1.0


@contextmanager
def waiting(task: str) -> Iterator[None]:
    """Show on a terminal what is being done and for how long, once it has taken a second.

    Nothing is shown where stderr is a file or a pipe, and nothing is left on the terminal afterwards.

    Parameters
    ----------
    task
        A few words, such as ``fitting garch``.
    """
    if not sys.stderr.isatty():
        yield
        return
    shown: list[Any] = []
    timer = Timer(PATIENCE_SECONDS, lambda: shown.append(_start(task)))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        for one in shown:
            one.stop()


def _start(task: str) -> Any:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    line = Progress(*columns, console=Console(stderr=True), transient=True)
    line.add_task(task)
    line.start()
    return line
