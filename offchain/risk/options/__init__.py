# SPDX-License-Identifier: Apache-2.0
"""European options: prices, Greeks, implied volatility, surfaces."""
