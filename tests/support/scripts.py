# SPDX-License-Identifier: Apache-2.0
"""What tests ask of an ape script that ran."""

from __future__ import annotations

from offchain.demo.ape import ApeScripts, Outcome


def refusal(outcome: Outcome) -> str:
    """The one line with which a script refused."""
    assert outcome.code == 2, (outcome.code, outcome.stdout[-2000:], outcome.stderr[-2000:])
    assert "Traceback" not in outcome.stderr
    [line] = [line for line in outcome.stderr.splitlines() if line.startswith("error: ")]
    return line


__all__ = ["ApeScripts", "refusal"]
