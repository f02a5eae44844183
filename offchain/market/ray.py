# SPDX-License-Identifier: Apache-2.0
"""Fixed-point numbers with 27 decimals, as Aave reckons with them (``WadRayMath.sol``)."""

from __future__ import annotations

RAY = 10**27


def ray_multiply(a: int, b: int) -> int:
    """Product with 27 decimals, rounded to the nearest, halves up (``WadRayMath.rayMul``)."""
    return (a * b + RAY // 2) // RAY


def ray_divide(a: int, b: int) -> int:
    """Quotient with 27 decimals, rounded to the nearest, halves up (``WadRayMath.rayDiv``)."""
    return (a * RAY + b // 2) // b
