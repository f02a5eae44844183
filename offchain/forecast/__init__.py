# SPDX-License-Identifier: Apache-2.0
"""What is believed about the coming horizon: a snapshot and a history in, a `Forecast` out."""

from offchain.forecast.errors import ForecastError
from offchain.forecast.forecast import Forecast
from offchain.forecast.model import make_forecast

__all__ = ["Forecast", "ForecastError", "make_forecast"]
