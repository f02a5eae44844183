# SPDX-License-Identifier: Apache-2.0
"""Refuses contracts without the documentation that an auditor relies on, or too large to deploy."""

from __future__ import annotations

import re
import sys
from pathlib import Path

CONTRACTS = Path(__file__).parents[1] / "contracts"
LICENCE = "# SPDX-License-Identifier: AGPL-3.0-only"
EXTERNAL = re.compile(r'^@external\n(?:@\w+.*\n)*def (\w+)\([^)]*\)[^\n]*:\n    ("""[^\0]*?""")?', re.MULTILINE)


def problems(path: Path) -> list[str]:
    source = path.read_text()
    found = []
    if not source.startswith(LICENCE):
        found.append("first line is not the licence")
    if "# pragma version ==0.4.3" not in source:
        found.append("pragma does not pin vyper 0.4.3")
    if path.suffix == ".vy" and "# pragma nonreentrancy on" not in source:
        found.append("nonreentrancy is not on")
    if path.suffix == ".vy" and path.parent == CONTRACTS and "@custom:kill" not in source:
        found.append("does not say how it can be disabled")
    for name, docstring in EXTERNAL.findall(source):
        if "@notice" not in docstring:
            found.append(f"{name}: no @notice")
    return found


def main() -> int:
    failures = [
        f"{path.relative_to(CONTRACTS.parent)}: {problem}"
        for path in sorted([*CONTRACTS.rglob("*.vy"), *CONTRACTS.rglob("*.vyi")])
        if "sandbox" not in path.parts
        for problem in problems(path)
    ]
    print("\n".join(failures) or "contracts: documented")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
