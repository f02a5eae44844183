# SPDX-License-Identifier: Apache-2.0
"""Price files: read strictly (`read_series`) or mended by stated rules onto one grid (`load_prices`)."""

from offchain.risk.prices.problems import RULES, PriceFileError, PriceProblem, ProblemKind
from offchain.risk.prices.rows import CLOSING, OPENING, read_rows
from offchain.risk.prices.series import PriceSeries, read_series
from offchain.risk.prices.table import PriceTable, load_prices

__all__ = [
    "CLOSING",
    "OPENING",
    "RULES",
    "PriceFileError",
    "PriceProblem",
    "PriceSeries",
    "PriceTable",
    "ProblemKind",
    "load_prices",
    "read_rows",
    "read_series",
]
