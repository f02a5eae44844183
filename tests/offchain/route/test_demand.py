# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from offchain.route.demand import PATIENCE, Demand
from offchain.route.errors import InvalidAmountError


def _demand(stiffness: float, wanted: float = 0.1, marginal: float = 1.02) -> Demand:
    return Demand(np.ones(1), np.array([wanted]), np.array([marginal]), np.array([stiffness]))


@pytest.mark.parametrize("stiffness", [0.05, 1.0, 100.0])
@pytest.mark.parametrize("price", [0.5, 0.95, 1.0, 1.02, 1.03, 1.5])
def test_the_conjugate_is_the_best_worth_net_of_the_price(stiffness: float, price: float) -> None:
    demand = _demand(stiffness)
    changes = np.linspace(-15, 15, 300_001)
    net = np.array([demand.worth(np.array([change]))[0] - price * change for change in changes[::1000]])
    best = float(demand.change_at(np.array([price]))[0][0])
    value = demand.conjugate(np.array([price]))[0]
    assert value == pytest.approx(demand.worth(np.array([best]))[0] - price * best, abs=1e-12)
    assert value >= net.max() - 1e-12


def test_its_slope_is_the_change_it_asks_for() -> None:
    demand = _demand(100.0)
    for price in (0.7, 0.96, 1.0, 1.05, 1.2):
        up, down = (demand.conjugate(np.array([price + h]))[0] for h in (1e-7, -1e-7))
        assert (up - down) / 2e-7 == pytest.approx(-demand.change_at(np.array([price]))[0][0], abs=1e-5)


def test_a_stiff_wish_stays_close_while_prices_are_fair() -> None:
    demand = _demand(100.0)
    change = demand.change_at(np.array([1.02 * (1 - PATIENCE / 2)]))[0][0]
    assert change == pytest.approx(0.1, abs=1e-3)


def test_nobody_pays_any_price_to_meet_a_wish() -> None:
    assert _demand(100.0).change_at(np.array([1.1]))[0][0] < 0


def test_missing_an_exact_wish_is_worth_nothing_at_all() -> None:
    assert _demand(np.inf).worth(np.array([0.2]))[0] == -np.inf
    assert _demand(np.inf).worth(np.array([0.1]))[0] == 0


@pytest.mark.parametrize(
    "change",
    [
        {"wanted": np.array([np.nan, 0.0])},
        {"unit_values": np.array([0.0, 1.0])},
        {"marginal": np.array([1.0, -1.0])},
        {"stiffness": np.array([-1.0, 1.0])},
    ],
)
def test_a_wish_without_meaning_is_refused(change: dict[str, np.ndarray]) -> None:
    fields = {"unit_values": np.ones(2), "wanted": np.zeros(2), "marginal": np.ones(2), "stiffness": np.ones(2)}
    with pytest.raises(InvalidAmountError, match=next(iter(change))):
        Demand(**(fields | change))
