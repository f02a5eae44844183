# SPDX-License-Identifier: Apache-2.0
"""How many steps the state machines take in `make test`: about ninety seconds of one core."""

from __future__ import annotations

import os

ALL_STEPS = int(os.environ.get("PLIMSOLL_INVARIANT_STEPS", "24000"))
"""Of the vault's machine; the others take a part of as many."""
