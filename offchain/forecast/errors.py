# SPDX-License-Identifier: Apache-2.0
"""Why a forecast could not be made."""

from __future__ import annotations

from offchain.errors import PlimsollError


class ForecastError(PlimsollError):
    """Data or settings that no forecast can be made from; says which, and what would do."""
