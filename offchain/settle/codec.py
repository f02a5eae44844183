# SPDX-License-Identifier: Apache-2.0
"""Orders and settlements as JSON and back; integers stay exact."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from offchain.route.leg import Venue
from offchain.settle.order import Leg, Order, Settlement


def order_to_json(order: Order) -> str:
    """Encode an order; keys are the field names."""
    return _dump(asdict(order))


def order_from_json(text: str) -> Order:
    """Decode what `order_to_json` wrote."""
    data = json.loads(text)
    legs = tuple(Leg(**{**leg, "venue": Venue(leg["venue"])}) for leg in data.pop("legs"))
    return Order(legs=legs, **data)


def settlement_to_json(settlement: Settlement) -> str:
    """Encode a settlement; keys are the field names."""
    return _dump(asdict(settlement))


def settlement_from_json(text: str) -> Settlement:
    """Decode what `settlement_to_json` wrote."""
    data: dict[str, Any] = json.loads(text)
    for amounts in ("amounts_in", "amounts_out"):
        data[amounts] = tuple(data[amounts])
    return Settlement(**data)


def _dump(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))
