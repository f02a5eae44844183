# SPDX-License-Identifier: Apache-2.0
"""Terms of a lending market: thresholds of each asset, and interest as a function of utilisation (Aave v3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from offchain.risk.arrays import YEAR_SECONDS, FloatArray, RiskError


class LeverageError(RiskError):
    """A lending account or market that cannot be."""


@dataclass(frozen=True, slots=True)
class Reserve:
    """Terms of one asset as collateral.

    Attributes
    ----------
    symbol
        The asset.
    loan_to_value
        Most that may be borrowed against it, as a fraction of its value.
    liquidation_threshold
        Fraction of its value that counts in the health factor.
    liquidation_bonus
        What a liquidator gets on top, as a fraction: 0.05 for Aave's 10500 basis points.
    protocol_fee
        Fraction of the bonus that the protocol keeps.
    """

    symbol: str
    loan_to_value: float
    liquidation_threshold: float
    liquidation_bonus: float
    protocol_fee: float = 0.0

    def __post_init__(self) -> None:
        """Refuse terms out of order.

        Raises
        ------
        LeverageError
            Unless 0 <= loan to value <= threshold, and threshold with bonus does not exceed the collateral.
        """
        if not 0.0 <= self.loan_to_value <= self.liquidation_threshold <= 1.0:
            raise LeverageError(f"{self}: needs 0 <= loan to value <= threshold <= 1")
        if not (self.liquidation_bonus >= 0.0 and 0.0 <= self.protocol_fee <= 1.0):
            raise LeverageError(f"{self}: bonus must not be negative, and the fee be a fraction of it")

    @property
    def highest_leverage(self) -> float:
        """Value of collateral over own money when as much as allowed is borrowed against it, again and again."""
        return float("inf") if self.loan_to_value == 1.0 else 1.0 / (1.0 - self.loan_to_value)


@dataclass(frozen=True, slots=True)
class RateCurve:
    r"""Interest as a function of utilisation, in two straight pieces.

    .. math::
        r(U) = r_0 + s_1 \frac{U}{U^*} \; (U \le U^*), \quad
        r(U) = r_0 + s_1 + s_2 \frac{U - U^*}{1 - U^*} \; (U > U^*)

    Aave v3's ``DefaultReserveInterestRateStrategy`` for variable debt.

    Attributes
    ----------
    base, slope, steep_slope
        Per year of 365 days.
    optimal
        Utilisation at the kink, inside (0, 1).
    reserve_factor
        Fraction of the interest the protocol keeps.
    """

    base: float
    slope: float
    steep_slope: float
    optimal: float
    reserve_factor: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a curve without a kink or with negative rates.

        Raises
        ------
        LeverageError
            Naming the parameters.
        """
        if not (0.0 < self.optimal < 1.0 and 0.0 <= self.reserve_factor <= 1.0):
            raise LeverageError(f"{self}: the kink must lie inside (0, 1) and the reserve factor be a fraction")
        if min(self.base, self.slope, self.steep_slope) < 0.0:
            raise LeverageError(f"{self}: rates must not be negative")

    def borrow_rate(self, utilisation: ArrayLike) -> FloatArray:
        """Return what borrowers pay per year at utilisations in [0, 1]."""
        used = _utilisation(utilisation)
        below = self.slope * np.minimum(used / self.optimal, 1.0)
        above = self.steep_slope * np.maximum(used - self.optimal, 0.0) / (1.0 - self.optimal)
        rate: FloatArray = self.base + below + above
        return rate

    def supply_rate(self, utilisation: ArrayLike) -> FloatArray:
        """Return what lenders get per year: the borrow rate on what is lent out, less the protocol's part."""
        used = _utilisation(utilisation)
        rate: FloatArray = self.borrow_rate(used) * used * (1.0 - self.reserve_factor)
        return rate

    def rate_after(self, supplied: float, borrowed: float, more: float) -> float:
        """Return the borrow rate once somebody borrows more, in units of the asset.

        Raises
        ------
        LeverageError
            When there is not that much to borrow.
        """
        if borrowed + more > supplied:
            raise LeverageError(f"{more:g} more cannot be borrowed: {supplied - borrowed:g} of {supplied:g} is left")
        return float(self.borrow_rate((borrowed + more) / supplied))


def debt_growth(rate: float, seconds: float) -> float:
    r"""Growth of a variable debt, as Aave compounds it every second to the third order.

    .. math:: 1 + n \rho + \frac{n (n - 1)}{2} \rho^2 + \frac{n (n - 1) (n - 2)}{6} \rho^3, \quad \rho = r / 31536000
    """
    n, per_second = seconds, rate / YEAR_SECONDS
    second = n * (n - 1.0) / 2.0 * per_second**2 if n > 1.0 else 0.0
    third = n * (n - 1.0) * (n - 2.0) / 6.0 * per_second**3 if n > 2.0 else 0.0
    return 1.0 + n * per_second + second + third


def _utilisation(utilisation: ArrayLike) -> FloatArray:
    used = np.asarray(utilisation, dtype=np.float64)
    if not np.all((used >= 0.0) & (used <= 1.0)):
        raise LeverageError("utilisation must lie in [0, 1]: it is what is borrowed over what is supplied")
    return used
