# SPDX-License-Identifier: Apache-2.0
"""A keeper that is never restarted takes no more of the machine as days go by; `make keeper-soak` follows it for a year."""

import pytest

from tests.soak.harness import run_soak
from tests.support.moving_market import FINAL_AFTER_TWO

KEEP_DAYS = 0.4
INTERVALS = 8


@pytest.mark.xdist_group("chaos")
def test_keeper_that_runs_on_neither_grows_nor_keeps_what_is_old(sandbox_node, tmp_path):
    with sandbox_node.fork(options=FINAL_AFTER_TWO) as sandbox:
        result = run_soak(
            sandbox,
            tmp_path,
            intervals=INTERVALS,
            keep_days=KEEP_DAYS,
            trade_every=INTERVALS,
            sample_every=4,
            cold=False,
        )
    first, last = result.samples[0], result.samples[-1]

    assert last.ticks >= INTERVALS - result.intervals_without_decision
    assert last.rows["ticks"] < last.ticks
    assert last.oldest_days <= KEEP_DAYS + 1.1
    assert last.descriptors <= first.descriptors + 1
    assert last.rss_mb < 1.1 * first.rss_mb
    assert result.settlements >= 1
    assert result.other_transactions >= 1
    assert result.connections_broken >= 2
