# SPDX-License-Identifier: Apache-2.0
"""A keeper killed at every step of its journal and at random; `make chaos` does it for a month."""

import pytest

from tests.chaos.harness import run_chaos
from tests.chaos.worker import MOMENTS, STEPS
from tests.support.moving_market import FINAL_AFTER_TWO

KILLS = len(STEPS) * len(MOMENTS) + 2


@pytest.mark.xdist_group("chaos")
def test_keeper_that_keeps_dying_settles_every_intent_once(sandbox_node, tmp_path):
    with sandbox_node.fork(options=FINAL_AFTER_TWO) as sandbox:
        result = run_chaos(sandbox, tmp_path, intervals=4, kills=KILLS, cold=False)

    assert (result.settled_twice, result.lost, result.journal_mismatches) == (0, 0, 0), result.problems
    assert result.kills >= 20
    assert result.settlements >= 3
    assert len(result.kills_at) >= len(STEPS)
