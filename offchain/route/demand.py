# SPDX-License-Identifier: Apache-2.0
"""A wish to change holdings, as a concave worth of the change that pools can be asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offchain.route.errors import InvalidAmountError

FloatArray = NDArray[np.float64]

PATIENCE = 0.05
"""How far, relative to its worth, a token may be dear or cheap before its wish turns soft."""
_IMPATIENT_SOFTNESS = 10.0


@dataclass(frozen=True, slots=True)
class Demand:
    """What to trade. All arrays have shape (n,).

    The worth of a net change y of a token, for a miss e = y - wanted, is
    ``marginal * e - stiffness / 2 * e**2`` while the slope stays within `PATIENCE` of `marginal`;
    beyond, the curve bends only slowly. Nobody pays any price to meet a wish, and nobody
    throws away what he got too much of. An infinite stiffness means exactly `wanted`, 0 means
    that any change is welcome at the price `marginal`.

    Attributes
    ----------
    unit_values
        Value of one base unit at reference prices, as a fraction of the portfolio's; positive.
    wanted
        Net change, as a fraction of the portfolio's value.
    marginal
        Worth of a unit relative to its reference price, about 1; positive.
    stiffness
        Per squared fraction of value; not negative.
    """

    unit_values: FloatArray
    wanted: FloatArray
    marginal: FloatArray
    stiffness: FloatArray

    def __post_init__(self) -> None:
        """Refuse what has no meaning.

        Raises
        ------
        InvalidAmountError
            Names the field.
        """
        positive = ("unit_values", "marginal")
        for name in (*positive, "wanted"):
            values = getattr(self, name)
            if not np.all(np.isfinite(values)) or (name in positive and not np.all(values > 0)):
                raise InvalidAmountError(f"{name} {values} must be finite{' and positive' if name in positive else ''}")
        if not np.all(self.stiffness >= 0):
            raise InvalidAmountError(f"stiffness {self.stiffness} must not be negative")

    @property
    def free(self) -> NDArray[np.bool_]:
        """Shape (n,): tokens of which any change is welcome."""
        free: NDArray[np.bool_] = self.stiffness == 0
        return free

    @property
    def exact(self) -> NDArray[np.bool_]:
        """Shape (n,): tokens whose change must be met."""
        exact: NDArray[np.bool_] = np.isinf(self.stiffness)
        return exact

    def change_at(self, prices: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Best change at dual prices, shape (n,), and how fast it falls as its price rises; for tokens not free."""
        soft, loose, turn = self.pieces()
        gap = self.marginal - prices
        beyond = np.abs(gap) > turn
        change = self.wanted + np.where(beyond, np.sign(gap) * (turn * soft + (np.abs(gap) - turn) * loose), gap * soft)
        return change, np.where(beyond, loose, soft)

    def conjugate(self, prices: FloatArray) -> FloatArray:
        """Shape (n,): max over y of its worth less ``prices * y``; for a free token at its own price."""
        soft, loose, turn = self.pieces()
        gap = np.abs(self.marginal - prices)
        near, far = np.minimum(gap, turn), np.maximum(gap - turn, 0)
        conjugate: FloatArray = near**2 * soft / 2 + far * turn * soft + far**2 * loose / 2 - prices * self.wanted
        return conjugate

    def worth(self, change: FloatArray) -> FloatArray:
        """Shape (n,): worth of a change; minus infinity for an exact wish that it misses."""
        soft, loose, turn = self.pieces()
        miss = change - self.wanted
        size = np.abs(miss)
        near, far = np.minimum(size, turn * soft), np.maximum(size - turn * soft, 0)
        cost = np.zeros_like(miss)
        bends = soft > 0
        cost[bends] = (
            near**2 / (2 * np.where(bends, soft, 1)) + far * turn + far**2 / (2 * np.where(bends, loose, 1))
        )[bends]
        cost[self.exact & (size > 1e-9)] = np.inf
        return self.marginal * miss - cost

    def pieces(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Softness near the wish and far from it, and the price gap between the two; shapes (n,)."""
        bends = (self.stiffness > 0) & ~self.exact
        soft = np.where(bends, 1 / np.where(bends, self.stiffness, 1), 0.0)
        loose = np.where(bends, np.maximum(soft, _IMPATIENT_SOFTNESS), 0.0)
        return soft, loose, PATIENCE * self.marginal
