# SPDX-License-Identifier: Apache-2.0
"""A library of measures that every room may ask: prices, tails, options, leverage, performance, stress."""
