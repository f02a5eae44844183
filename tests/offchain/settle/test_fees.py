# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st

from offchain.settle.fees import FeePolicy, Fees
from offchain.settle.node import FeeHistory

GWEI = 10**9
POLICY = FeePolicy(max_base_fee=100 * GWEI, max_priority_fee=2 * GWEI, min_priority_fee=GWEI // 10)

wei = st.integers(0, 200 * GWEI)
histories = st.builds(FeeHistory, wei, st.lists(wei, max_size=10).map(tuple))


def test_quote_covers_twice_the_base_fee_and_the_usual_tip():
    fees = POLICY.quote(FeeHistory(20 * GWEI, (GWEI, 3 * GWEI, GWEI // 2)))

    assert fees == Fees(max_fee=41 * GWEI, priority_fee=GWEI)


def test_tip_has_a_floor_when_nobody_pays_any():
    assert POLICY.quote(FeeHistory(20 * GWEI, ())).priority_fee == GWEI // 10


def test_nothing_is_quoted_above_the_ceiling():
    assert POLICY.quote(FeeHistory(101 * GWEI, (GWEI,))) is None


@given(histories)
def test_quote_never_exceeds_the_ceiling(history):
    fees = POLICY.quote(history)

    if fees is not None:
        assert fees.max_fee <= POLICY.max_fee
        assert fees.priority_fee <= min(POLICY.max_priority_fee, fees.max_fee)


@given(histories, st.integers(0, 100 * GWEI), st.integers(0, 2 * GWEI))
def test_replacement_pays_an_eighth_more_on_both_fees_or_is_not_made(history, max_fee, priority_fee):
    fees = POLICY.replacement(Fees(max_fee, priority_fee), history)

    if fees is not None:
        assert fees.max_fee * 1000 >= max_fee * 1125
        assert fees.priority_fee * 1000 >= priority_fee * 1125
        assert (fees.max_fee, fees.priority_fee) > (max_fee, priority_fee)
        assert fees.max_fee <= POLICY.max_fee
