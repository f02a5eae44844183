# SPDX-License-Identifier: Apache-2.0
"""Regimes: hidden states by filtered probabilities, change points in volatility and liquidity."""

from offchain.forecast.regimes.changes import ChangeProbabilities, change_points, change_probabilities
from offchain.forecast.regimes.hamilton import Hamilton, HamiltonFit
from offchain.forecast.regimes.hmm import Hmm, HmmFit, regime_summary

__all__ = [
    "ChangeProbabilities",
    "Hamilton",
    "HamiltonFit",
    "Hmm",
    "HmmFit",
    "change_points",
    "change_probabilities",
    "regime_summary",
]
