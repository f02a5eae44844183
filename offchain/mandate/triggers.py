# SPDX-License-Identifier: Apache-2.0
"""When the keeper decides before its interval has passed."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from offchain.mandate.universe import FULL_BPS, Section

TriggerBps = Annotated[int, Field(ge=0, le=FULL_BPS)]


class Triggers(Section):
    """Levels at which the keeper decides at once; 0 turns one off, and all are off unless given.

    Each has hysteresis: once it fired it fires again only after its level fell to `rearm` of the
    threshold, or rose by another threshold above where it fired.
    """

    drift_bps: TriggerBps = 0
    """Furthest that a weight may be from what the last decision wanted."""
    price_move_bps: TriggerBps = 0
    """Furthest that an oracle's price may be from what it was at the last decision."""
    flow_bps: TriggerBps = 0
    """Change of the share supply since the last decision, by deposits and redemptions."""
    volatility_ratio: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] = 0.0
    """The holdings' forecast volatility over that of what the last decision wanted; above 1, or 0."""
    breaker: bool = False
    """Whether a change of the breaker's state, or of the chain's limits, is a reason."""
    rearm: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.5
    """Fraction of a threshold that its level must fall to before it counts again."""

    @property
    def any(self) -> bool:
        """Whether one of them is on."""
        return bool(self.drift_bps or self.price_move_bps or self.flow_bps or self.volatility_ratio or self.breaker)
