# SPDX-License-Identifier: Apache-2.0
"""What is believed about the coming horizon: a snapshot and a history in, a `Forecast` out.

The names are loaded when they are asked for, so that the command line starts at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from offchain.forecast.errors import ForecastError
    from offchain.forecast.forecast import Forecast
    from offchain.forecast.model import make_forecast

_HOMES = {"Forecast": "forecast", "ForecastError": "errors", "make_forecast": "model"}

__all__ = ["Forecast", "ForecastError", "make_forecast"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
