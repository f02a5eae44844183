# SPDX-License-Identifier: Apache-2.0
"""OpenTelemetry spans of a tick: nothing, unless somebody set a tracer up.

Whoever embeds the keeper sets up OpenTelemetry as usual; the command line writes the spans
to a file, one JSON object a line.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from offchain.errors import PlimsollError

Attribute = str | int | float | bool


@contextmanager
def span(name: str, **attributes: Attribute) -> Iterator[None]:
    """Time what is done inside under a name."""
    # Importing it costs more than most steps take; without it nobody can have set a tracer up.
    if "opentelemetry" not in sys.modules:
        yield
        return
    from opentelemetry import trace

    with trace.get_tracer("plimsoll.keeper").start_as_current_span(name, attributes=attributes):
        yield


def trace_to_file(path: Path) -> None:
    """Append every span of this process to a file.

    Raises
    ------
    PlimsollError
        When the file cannot be written.
    """
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

    try:
        out = path.open("a", buffering=1)
    except OSError as error:
        raise PlimsollError(f"--traces {path}: {error.strerror or error}; name a file that can be written") from None
    exporter = ConsoleSpanExporter(out=out, formatter=lambda one: one.to_json(indent=None) + "\n")
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
