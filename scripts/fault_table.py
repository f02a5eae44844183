# SPDX-License-Identifier: Apache-2.0
"""Write what `make faults` measured, out/faults.json, into the table of docs/operations.md."""

from __future__ import annotations

import json
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
FIGURES = PROJECT / "out" / "faults.json"
PAGE = PROJECT / "docs" / "operations.md"
BEGIN, END = "<!-- faults: make faults -->", "<!-- /faults -->"
MOMENTS = ("before the decision", "order on its way")
TRANSPORTS = {"http": "HTTP", "ws": "WebSocket", "ipc": "IPC"}


def table(rows: list[dict[str, object]]) -> str:
    """One line a fault, seconds until the intent was settled after the fault had ended."""
    seconds = {(row["fault"], row["transport"], row["when"]): row["recovery_s"] for row in rows}
    faults = dict.fromkeys(row["fault"] for row in rows)
    columns = [(transport, moment) for moment in MOMENTS for transport in TRANSPORTS]
    heads = [f"{moment}, {TRANSPORTS[transport]}" for transport, moment in columns]
    lines = [f"| the node … | {' | '.join(heads)} |", "|---|" + "---:|" * len(columns)]
    for fault in faults:
        cells = [f"{seconds[fault, transport, moment]:.1f} s" for transport, moment in columns]
        lines.append(f"| {fault} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    if not FIGURES.exists():
        print(f"fault_table: {FIGURES.name} is missing; run `make faults`", file=sys.stderr)
        return 2
    head, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text(f"{head}{BEGIN}\n\n{table(json.loads(FIGURES.read_text()))}\n\n{END}{tail}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
