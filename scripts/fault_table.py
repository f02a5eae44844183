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


def table(rows: list[dict[str, object]]) -> str:
    """One line a fault, seconds until the intent was settled after the fault had ended."""
    seconds = {(row["fault"], row["when"]): row["recovery_s"] for row in rows}
    faults = dict.fromkeys(row["fault"] for row in rows)
    lines = [f"| the node … | {MOMENTS[0]} | {MOMENTS[1]} |", "|---|---:|---:|"]
    lines += [
        f"| {fault} | {seconds[fault, MOMENTS[0]]:.1f} s | {seconds[fault, MOMENTS[1]]:.1f} s |" for fault in faults
    ]
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
