# SPDX-License-Identifier: Apache-2.0
"""Expected returns that make a benchmark optimal."""

from __future__ import annotations

from offchain.risk.arrays import FloatArray


def implied_returns(covariance: FloatArray, benchmark: FloatArray, risk_aversion: float) -> FloatArray:
    r"""Expected returns under which the benchmark is the mean-variance optimum.

    .. math:: \mu = \gamma \Sigma w_b

    the reverse optimisation of Black and Litterman, "Global portfolio optimization" (1992).

    Parameters
    ----------
    covariance
        Shape (n, n), per year.
    benchmark
        Shape (n,), fractions of value.
    risk_aversion
        The mandate's.

    Returns
    -------
    FloatArray
        Shape (n,), per year.
    """
    returns: FloatArray = risk_aversion * covariance @ benchmark
    return returns
