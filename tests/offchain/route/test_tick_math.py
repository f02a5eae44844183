# SPDX-License-Identifier: Apache-2.0
import math
from random import Random

import pytest

from offchain.route.errors import InvalidAmountError
from offchain.route.tick_math import (
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    MIN_TICK,
    sqrt_ratio_at_tick,
    tick_at_sqrt_ratio,
)


def test_the_ends_of_the_range_are_the_contracts_constants() -> None:
    assert sqrt_ratio_at_tick(MIN_TICK) == MIN_SQRT_RATIO
    assert sqrt_ratio_at_tick(MAX_TICK) == MAX_SQRT_RATIO
    assert sqrt_ratio_at_tick(0) == 2**96


def test_a_price_lies_between_its_tick_and_the_next() -> None:
    random = Random(1)
    for _ in range(2000):
        price = int(math.exp(random.uniform(math.log(MIN_SQRT_RATIO), math.log(MAX_SQRT_RATIO - 1))))
        price = min(max(price, MIN_SQRT_RATIO), MAX_SQRT_RATIO - 1)
        tick = tick_at_sqrt_ratio(price)
        assert sqrt_ratio_at_tick(tick) <= price < sqrt_ratio_at_tick(tick + 1)


def test_a_tick_survives_the_round_trip() -> None:
    random = Random(2)
    for tick in (MIN_TICK, -1, 0, 1, MAX_TICK - 1, *(random.randint(MIN_TICK, MAX_TICK - 1) for _ in range(500))):
        assert tick_at_sqrt_ratio(sqrt_ratio_at_tick(tick)) == tick


def test_ticks_agree_with_their_logarithmic_meaning() -> None:
    random = Random(3)
    for _ in range(500):
        tick = random.randint(MIN_TICK, MAX_TICK)
        assert sqrt_ratio_at_tick(tick) / 2**96 == pytest.approx(1.0001 ** (tick / 2), rel=1e-9)


@pytest.mark.parametrize("tick", [MIN_TICK - 1, MAX_TICK + 1])
def test_a_tick_outside_the_range_is_refused(tick: int) -> None:
    with pytest.raises(InvalidAmountError, match=str(tick)):
        sqrt_ratio_at_tick(tick)


@pytest.mark.parametrize("price", [0, MIN_SQRT_RATIO - 1, MAX_SQRT_RATIO])
def test_a_price_outside_the_range_is_refused(price: int) -> None:
    with pytest.raises(InvalidAmountError):
        tick_at_sqrt_ratio(price)
