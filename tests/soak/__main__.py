# SPDX-License-Identifier: Apache-2.0
"""`make keeper-soak`: one keeper process through a simulated year; writes out/keeper_soak.json."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

FORGETFUL = ("--transaction-block-keeper", "256")
"""Options of an anvil that forgets old transactions: its memory is not what is measured, but it is the machine's."""


def main() -> int:
    from offchain.sandbox.standup import launch
    from tests.soak.harness import as_json, run_soak
    from tests.support.moving_market import FINAL_AFTER_TWO

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--keep-days", type=float, default=90.0)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("out/keeper_soak.json"))
    options = parser.parse_args()
    with (
        TemporaryDirectory(prefix="plimsoll-soak-") as folder,
        launch() as base,
        base.fork(options=(*FINAL_AFTER_TWO, *FORGETFUL)) as sandbox,
    ):
        options.out.parent.mkdir(parents=True, exist_ok=True)
        result = run_soak(
            sandbox,
            Path(folder),
            intervals=options.days * 6,
            keep_days=options.keep_days,
            seed=options.seed,
            note=lambda so_far: options.out.write_text(json.dumps(as_json(so_far), indent=1) + "\n"),
        )
    print(json.dumps({key: value for key, value in as_json(result).items() if key != "samples"}, indent=2))
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
