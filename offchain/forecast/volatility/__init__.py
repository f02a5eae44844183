# SPDX-License-Identifier: Apache-2.0
"""Volatility of one asset: measures of what it was, models of what it will be."""

from offchain.forecast.volatility.bars import Bars
from offchain.forecast.volatility.capped import capped
from offchain.forecast.volatility.close_to_close import close_to_close
from offchain.forecast.volatility.combination import Combination, learn_weights
from offchain.forecast.volatility.egarch import Egarch
from offchain.forecast.volatility.ewma import Ewma
from offchain.forecast.volatility.garch import Garch
from offchain.forecast.volatility.garch_family import Errors, ErrorsOf, GarchFit, Start
from offchain.forecast.volatility.garman_klass import garman_klass
from offchain.forecast.volatility.gjr import Gjr
from offchain.forecast.volatility.har import Har
from offchain.forecast.volatility.implied import ImpliedTerm, variance_premium
from offchain.forecast.volatility.parkinson import parkinson
from offchain.forecast.volatility.realised import RealisedVariance, realised_variance
from offchain.forecast.volatility.registry import recommended, sample_of_bars, volatility_model
from offchain.forecast.volatility.rogers_satchell import rogers_satchell
from offchain.forecast.volatility.rolling import Rolling
from offchain.forecast.volatility.sample import Sample, VolatilityFit, VolatilityModel
from offchain.forecast.volatility.walk import WalkBlock, forecast_walk, walk_forward
from offchain.forecast.volatility.yang_zhang import windowed_yang_zhang, yang_zhang

__all__ = [
    "Bars",
    "Combination",
    "Egarch",
    "Errors",
    "ErrorsOf",
    "Ewma",
    "Garch",
    "GarchFit",
    "Gjr",
    "Har",
    "ImpliedTerm",
    "RealisedVariance",
    "Rolling",
    "Sample",
    "Start",
    "VolatilityFit",
    "VolatilityModel",
    "WalkBlock",
    "capped",
    "close_to_close",
    "forecast_walk",
    "garman_klass",
    "learn_weights",
    "parkinson",
    "realised_variance",
    "recommended",
    "rogers_satchell",
    "sample_of_bars",
    "variance_premium",
    "volatility_model",
    "walk_forward",
    "windowed_yang_zhang",
    "yang_zhang",
]
