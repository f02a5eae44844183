# SPDX-License-Identifier: Apache-2.0
"""Errors of the option code."""

from __future__ import annotations

from offchain.risk.arrays import RiskError


class OptionError(RiskError):
    """Option terms or market data from which nothing can be computed."""
