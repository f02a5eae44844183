# SPDX-License-Identifier: Apache-2.0
"""How a pool is best traded with at given prices, in floats."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Response:
    """What trades best against one pool at given token prices.

    Attributes
    ----------
    amounts
        The trader's net changes in base units, in the order of the pool's tokens; all zero when
        the prices lie inside the pool's fee band.
    curvature
        Value moved per unit of log price, in the numeraire of the prices: for two tokens the
        weight of their edge in the Hessian, a graph Laplacian; for more, half its trace.
    """

    amounts: tuple[float, ...]
    curvature: float

    @property
    def amount0(self) -> float:
        """Change of the first token."""
        return self.amounts[0]

    @property
    def amount1(self) -> float:
        """Change of the second token."""
        return self.amounts[1]
