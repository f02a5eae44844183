# SPDX-License-Identifier: Apache-2.0
"""Value at risk, expected shortfall and entropic value at risk of a sample.

All are losses as fractions, positive where money is lost, over the period of the returns.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from offchain.risk.arrays import as_level, as_series
from offchain.risk.measures.drawdown import worst_mean


def value_at_risk(returns: ArrayLike, level: float = 0.95) -> float:
    """Smallest loss that is exceeded with probability at most ``1 - level`` in the sample.

    The lower empirical quantile: it is one of the losses, and together with `expected_shortfall` it satisfies
    Rockafellar and Uryasev's equation exactly.

    Parameters
    ----------
    returns
        Shape (T,), or scenarios.
    level
        0 < level < 1.
    """
    losses = np.sort(-as_series(returns))
    # The count of losses at or below it is at least level times T; rounding must not ask for one more.
    return float(losses[max(math.ceil(round(as_level(level) * losses.size, 9)) - 1, 0)])


def expected_shortfall(returns: ArrayLike, level: float = 0.95) -> float:
    """Mean of the worst ``(1 - level) T`` losses, also called CVaR (Rockafellar and Uryasev 2002).

    Where the count is not whole the last loss counts in part.
    """
    return worst_mean(-as_series(returns), as_level(level))


def entropic_value_at_risk(returns: ArrayLike, level: float = 0.95) -> float:
    r"""Tightest Chernoff bound on value at risk and expected shortfall (Ahmadi-Javid 2012).

    .. math:: \inf_{t > 0} \frac1t \ln \frac{E[e^{t L}]}{1 - \alpha}

    At least the expected shortfall and at most the largest loss.
    """
    from scipy.optimize import minimize_scalar

    losses = -as_series(returns)
    worst = float(losses.max())
    below = losses - worst
    spread = -float(below.min())
    if spread == 0.0:
        return worst
    shift = math.log(losses.size * (1.0 - as_level(level)))

    # Measured from the largest loss, no exponential can overflow and their sum is at least one.
    def bound(log_t: float) -> float:
        t = math.exp(log_t) / spread
        return (math.log(float(np.exp(t * below).sum())) - shift) / t + worst

    # Where the largest loss alone has more than the tail's probability, the bound falls for ever towards it.
    found = minimize_scalar(bound, bounds=(-12.0, 30.0), method="bounded", options={"xatol": 1e-9})
    return min(float(found.fun), worst)
