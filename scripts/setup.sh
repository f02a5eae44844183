#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs everything inside the project folder. Needs Python 3.11 or 3.12, Node 20 or later, npm and git.
set -euo pipefail
cd "$(dirname "$0")/.."

missing() { printf 'setup: %s\n' "$1" >&2; exit 2; }

[ -n "${PYTHON:-}" ] || missing "Python 3.11 or 3.12 is needed and none was found; install one, or say which: make PYTHON=/path/to/python3.12"
command -v node >/dev/null || missing "Node 20 or later is needed (it brings anvil and the protocols' bytecode); install nodejs"
command -v npm >/dev/null || missing "npm is needed beside Node; install npm"
[ "$(node -p 'Number(process.versions.node.split(".")[0]) >= 20')" = true ] \
  || missing "Node $(node --version) is too old; version 20 or later is needed"
"$PYTHON" -c 'import venv, ensurepip' 2>/dev/null \
  || missing "$PYTHON has no venv module; install the package that brings it (on Debian and Ubuntu: python3-venv)"

if [ ! -x .tools/bin/uv ]; then
  echo "setup: uv"
  "$PYTHON" -m venv .tools
  .tools/bin/python -m pip install --quiet --disable-pip-version-check --no-input "uv==0.9.30"
fi
if [ ! -x .venv/bin/python ]; then
  .tools/bin/uv venv --quiet --python "$PYTHON" .venv
fi
echo "setup: Python packages"
.tools/bin/uv pip sync --quiet --python .venv/bin/python --require-hashes requirements.lock
.tools/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
echo "setup: anvil and protocol packages"
npm ci --loglevel=error --ignore-scripts --no-audit --no-fund
echo "setup: done"
