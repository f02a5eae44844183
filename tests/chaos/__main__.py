# SPDX-License-Identifier: Apache-2.0
"""`make chaos`: a month in which the keeper is killed at least 200 times; writes out/chaos.json."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory


def main() -> int:
    from offchain.sandbox.standup import launch
    from tests.chaos.harness import as_json, run_chaos
    from tests.support.moving_market import FINAL_AFTER_TWO

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--kills", type=int, default=240)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--warm", action="store_true", help="fork processes that have imported everything: quicker")
    parser.add_argument("--out", type=Path, default=Path("out/chaos.json"))
    options = parser.parse_args()
    with (
        TemporaryDirectory(prefix="plimsoll-chaos-") as folder,
        launch() as base,
        base.fork(options=FINAL_AFTER_TWO) as sandbox,
    ):
        length = options.days * 6
        result = run_chaos(
            sandbox, Path(folder), intervals=length, kills=options.kills, seed=options.seed, cold=not options.warm
        )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(as_json(result), indent=2) + "\n")
    print(json.dumps(as_json(result), indent=2))
    return 1 if result.settled_twice or result.lost or result.journal_mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
