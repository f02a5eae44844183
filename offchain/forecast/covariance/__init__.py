# SPDX-License-Identifier: Apache-2.0
"""Covariance and correlation: estimators one a file, and what they say about diversification.

Only what the live keeper's default models need is imported here; the others are imported where they are used.
"""

from offchain.forecast.covariance.annual import annual_covariance
from offchain.forecast.covariance.definite import correlation_of, covariance_of, nearest_psd, positive_definite
from offchain.forecast.covariance.ewma import ewma_covariance
from offchain.forecast.covariance.shrunk import ledoit_wolf_covariance, oas_covariance

__all__ = [
    "annual_covariance",
    "correlation_of",
    "covariance_of",
    "ewma_covariance",
    "ledoit_wolf_covariance",
    "nearest_psd",
    "oas_covariance",
    "positive_definite",
]
