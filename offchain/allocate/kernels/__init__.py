# SPDX-License-Identifier: Apache-2.0
"""Compiled allocation on the shared pool tables. Importing it imports numba: do it where it is used."""
