# SPDX-License-Identifier: Apache-2.0
"""The mandate's covariance model: returns in, a positive definite matrix per year out."""

from __future__ import annotations

from offchain.forecast.covariance.definite import positive_definite
from offchain.forecast.covariance.ewma import ewma_covariance
from offchain.forecast.covariance.shrunk import ledoit_wolf_covariance, oas_covariance
from offchain.mandate import (
    Covariance,
    DccCovariance,
    DenoisedCovariance,
    EwmaCovariance,
    FactorCovariance,
    LedoitWolfCovariance,
    OasCovariance,
)
from offchain.risk.arrays import FloatArray


def annual_covariance(
    returns: FloatArray, model: Covariance, rows_per_year: float, horizon_days: float = 1.0
) -> FloatArray:
    """Estimate with the mandate's model.

    Parameters
    ----------
    returns
        Shape (T, n), oldest first.
    rows_per_year
        A year has 365 days.
    horizon_days
        Over which a model that expects change (``dcc``) takes the mean; at least one row.

    Returns
    -------
    FloatArray
        Shape (n, n), per year, symmetric and positive definite.
    """
    return positive_definite(_per_row(returns, model, rows_per_year, horizon_days) * rows_per_year)


def _per_row(returns: FloatArray, model: Covariance, rows_per_year: float, horizon_days: float) -> FloatArray:
    match model:
        case EwmaCovariance():
            return ewma_covariance(returns, model.half_life_days * rows_per_year / 365.0)
        case LedoitWolfCovariance():
            return ledoit_wolf_covariance(returns)
        case OasCovariance():
            return oas_covariance(returns)
        case DenoisedCovariance():
            from offchain.forecast.covariance.denoised import denoised_covariance

            return denoised_covariance(returns)
        case FactorCovariance():
            from offchain.forecast.covariance.factor import factor_covariance

            return factor_covariance(returns, model.factors)
        case DccCovariance():
            from offchain.forecast.covariance.dcc import dcc_covariance

            return dcc_covariance(returns, max(1, round(horizon_days * rows_per_year / 365.0)))
