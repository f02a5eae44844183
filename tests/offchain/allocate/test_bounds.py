# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from offchain.allocate.bounds import DRIFT_MARGIN, LOSS_SHARE, TURNOVER_SHARE, compile_frame, limits_in_force
from offchain.allocate.errors import InfeasibleError
from offchain.market.snapshot import BreakerState, Snapshot

ALL = (True,) * 5


def _with_limits(snapshot: Snapshot, **limits: Any) -> Snapshot:
    return replace(snapshot, vault=replace(snapshot.vault, limits=replace(snapshot.vault.limits, **limits)))


def test_bounds_keep_a_margin_inside_the_limits(vaults: Any, mandate: Any) -> None:
    compiled = compile_frame(vaults.snapshot(), mandate.vault_limits, ALL)
    low, high = (
        np.array(b) / 1e4 for b in (mandate.vault_limits.min_weights_bps, mandate.vault_limits.max_weights_bps)
    )
    assert compiled.lower == pytest.approx(low + DRIFT_MARGIN)
    assert compiled.upper == pytest.approx(high - DRIFT_MARGIN)
    assert not compiled.violated


def test_a_weight_between_margin_and_limit_may_stay(vaults: Any, mandate: Any) -> None:
    compiled = compile_frame(vaults.snapshot((0.15, 0.4495, 0.2505, 0.05, 0.1)), mandate.vault_limits, ALL)
    assert compiled.weights[1] < compiled.upper[1] < 0.45


def test_narrow_bands_keep_room(vaults: Any, mandate: Any) -> None:
    limits = replace(
        mandate.vault_limits,
        min_weights_bps=(2000, 3000, 2700, 800, 1499),
        max_weights_bps=(2001, 3000, 2700, 800, 1500),
    )
    compiled = compile_frame(vaults.snapshot(), limits, ALL)
    assert np.all(compiled.lower <= compiled.upper)
    assert compiled.lower.sum() <= 1 <= compiled.upper.sum() + 1e-12


def test_the_excess_measures_todays_violations(vaults: Any, mandate: Any) -> None:
    compiled = compile_frame(vaults.snapshot((1, 0, 0, 0, 0)), mandate.vault_limits, ALL)
    assert compiled.violated
    assert compiled.excess_upper[0] == pytest.approx(0.5 + DRIFT_MARGIN)
    assert compiled.excess_lower[1] == pytest.approx(0.15 + DRIFT_MARGIN)
    assert compiled.standing(np.zeros(5)) == pytest.approx(1)
    assert compiled.standing(np.array([-0.8, 0.3, 0.27, 0.08, 0.15])) == 0
    assert 0 < compiled.standing(np.array([-0.3, 0.1, 0.1, 0.05, 0.05])) < 1


def test_budgets_are_what_is_left_with_a_margin(vaults: Any, mandate: Any) -> None:
    snapshot = vaults.snapshot(loss_level=60 * 10**14, turnover_level=3 * 10**17)
    compiled = compile_frame(snapshot, mandate.vault_limits, ALL)
    assert compiled.loss == pytest.approx(0.004 * LOSS_SHARE)
    assert compiled.turnover == pytest.approx(0.7 * TURNOVER_SHARE)
    overfull = compile_frame(vaults.snapshot(turnover_level=2 * 10**18), mandate.vault_limits, ALL)
    assert overfull.turnover == 0


def test_while_reducing_nothing_but_the_base_asset_may_rise(vaults: Any, mandate: Any) -> None:
    compiled = compile_frame(vaults.snapshot(breaker=BreakerState.REDUCE_ONLY), mandate.vault_limits, ALL)
    assert compiled.ceiling.tolist() == [1, 0, 0, 0, 0]
    assert compiled.lower[1:].tolist() == [0, 0, 0, 0]
    assert compiled.upper[0] == 1


def test_what_no_pool_trades_stands_still(vaults: Any, mandate: Any) -> None:
    compiled = compile_frame(
        vaults.snapshot((0.5, 0.3, 0.2, 0, 0)), mandate.vault_limits, (True, True, True, True, False)
    )
    assert (compiled.floor[4], compiled.ceiling[4], compiled.lower[4]) == (0, 0, 0)


def test_the_tighter_of_file_and_chain_is_obeyed(vaults: Any, mandate: Any) -> None:
    snapshot = _with_limits(vaults.snapshot(), max_weights_bps=(5000, 4000, 6000, 1500, 3000), loss_capacity_bps=40)
    limits = limits_in_force(snapshot, mandate)
    assert limits.max_weights_bps == (5000, 4000, 4500, 1500, 3000)
    assert limits.loss_capacity_bps == 40


def test_contradictory_bounds_name_both(vaults: Any, mandate: Any) -> None:
    snapshot = _with_limits(vaults.snapshot(), max_weights_bps=(5000, 1000, 4500, 1500, 3000))
    with pytest.raises(InfeasibleError, match=r"minimum weight of WETH.*maximum weight of WETH") as caught:
        limits_in_force(snapshot, mandate)
    assert len(caught.value.limits) == 2


def test_minimum_weights_that_add_up_to_too_much_are_named(vaults: Any, mandate: Any) -> None:
    snapshot = _with_limits(vaults.snapshot(), min_weights_bps=(500, 4000, 4000, 200, 2000))
    with pytest.raises(InfeasibleError, match=r"minimum weight of WBTC .4000 bps.*10700"):
        limits_in_force(snapshot, mandate)


def test_maximum_weights_that_leave_a_rest_are_named(vaults: Any, mandate: Any) -> None:
    snapshot = _with_limits(vaults.snapshot(), max_weights_bps=(2000, 2000, 2000, 1000, 2000))
    with pytest.raises(InfeasibleError, match="maximum weight of USDC"):
        limits_in_force(snapshot, mandate)
