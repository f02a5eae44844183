# SPDX-License-Identifier: Apache-2.0
"""Portfolios by rule, and the ensemble that learns which of them to follow."""

from offchain.forecast.rules.ensemble import Ensemble, ensemble
from offchain.forecast.rules.portfolio import RuleBook, rule_weights

__all__ = ["Ensemble", "RuleBook", "ensemble", "rule_weights"]
