# SPDX-License-Identifier: Apache-2.0
"""One decision of the line: what the keeper does with a snapshot, called the same way."""

from __future__ import annotations

from offchain.allocate import Plan, make_plan
from offchain.forecast import Forecast, make_forecast
from offchain.mandate import Mandate
from offchain.market.history import PriceHistory
from offchain.market.snapshot import Snapshot


def decide(
    snapshot: Snapshot, history: PriceHistory, mandate: Mandate, ether_usd: float | None = None
) -> tuple[Forecast, Plan]:
    """Forecast and plan; the same arguments give the keeper's own plan, to the bit.

    Parameters
    ----------
    ether_usd
        Prices gas for a vault without ether.

    Raises
    ------
    PlimsollError
        What makes planning impossible, as the keeper would refuse with.
    """
    forecast = make_forecast(snapshot, history, mandate)
    return forecast, make_plan(snapshot, forecast, mandate, ether_usd)
