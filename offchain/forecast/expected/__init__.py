# SPDX-License-Identifier: Apache-2.0
"""Expected returns: implied by a benchmark unless there is a reason to differ."""

from offchain.forecast.expected.implied import implied_returns
from offchain.forecast.expected.model import expected_returns

__all__ = ["expected_returns", "implied_returns"]
