#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the test suite and ends with a short summary. --all adds what is marked slow.
set -euo pipefail
cd "$(dirname "$0")/.."

select=(-m "not slow")
[ "${1:-}" = "--all" ] && select=()
mkdir -p out
status=0
pytest -n "${PLIMSOLL_TEST_WORKERS:-2}" --dist loadgroup --junitxml out/tests.xml "${select[@]}" || status=$?
python - <<'PY'
import xml.etree.ElementTree as tree

suites = tree.parse("out/tests.xml").getroot().iter("testsuite")
total = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
seconds = 0.0
for suite in suites:
    seconds += float(suite.get("time", 0))
    for key in total:
        total[key] += int(suite.get(key, 0))
failed = total["failures"] + total["errors"]
passed = total["tests"] - failed - total["skipped"]
print(f"{passed} passed, {failed} failed, {total['skipped']} skipped in {seconds:.0f} s; details in out/tests.xml")
PY
exit $status
