# SPDX-License-Identifier: Apache-2.0
"""Run the benchmarks and merge their rows into out/bench.json."""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
from pathlib import Path

import bench

OUT = Path("out/bench.json")


def main(wanted: list[str]) -> None:
    """Run the modules named, all by default; rows of modules that did not run stay in the file."""
    names = [one.name for one in pkgutil.iter_modules(bench.__path__) if not one.name.startswith("_")]
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        sys.exit(f"error: no benchmark {', '.join(unknown)}; there are {', '.join(names)}")
    old = json.loads(OUT.read_text())["rows"] if wanted and OUT.exists() else []
    fresh = []
    for name in wanted or names:
        module = importlib.import_module(f"bench.{name}")
        if not hasattr(module, "rows"):
            continue
        for row in module.rows():
            fresh.append(row)
            peer = f"{row['peer']} {row['peer_s'] * 1e3:.3f} ms, ratio {row['ratio']:.2f}" if "peer_s" in row else ""
            size = " ".join(f"{key}={value}" for key, value in row.get("size", {}).items())
            ours = f"{row['ours_s'] * 1e3:.3f} ms" if "ours_s" in row else ""
            print(f"{row['name']:<16} {size:<24} {ours:>12}   {peer}", flush=True)
    done = {row["name"] for row in fresh}
    rows = [row for row in old if row["name"] not in done] + fresh
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({"rows": rows}, indent=1) + "\n")
    print(f"{len(rows)} rows in {OUT}")


if __name__ == "__main__":
    main(sys.argv[1:])
