# SPDX-License-Identifier: Apache-2.0
"""SSVI surfaces: slices of three parameters, and the conditions under which they admit no arbitrage at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from offchain.risk.arrays import FloatArray
from offchain.risk.options.errors import OptionError
from offchain.risk.options.svi import RawSvi

ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class SsviSlice:
    r"""One expiry of an SSVI surface.

    .. math:: w(k) = \frac12 [\theta + \rho \psi k + \sqrt{(\psi k + \theta \rho)^2 + \theta^2 (1 - \rho^2)}]

    Attributes
    ----------
    theta
        Total variance at the money.
    rho
        Correlation, inside (-1, 1).
    psi
        Curvature times theta: :math:`\theta \varphi` in Gatheral and Jacquier's notation.
    """

    theta: float
    rho: float
    psi: float

    def butterfly_free(self) -> bool:
        r"""Return whether :math:`\psi (1 + |\rho|) \le 4` and :math:`\psi^2 (1 + |\rho|) \le 4 \theta`.

        Gatheral and Jacquier (2014), theorem 4.2: then the slice has no butterfly arbitrage.
        """
        wing = 1.0 + abs(self.rho)
        slack = 1.0 + ROUNDING
        return self.psi * wing <= 4.0 * slack and self.psi**2 * wing <= 4.0 * self.theta * slack

    def raw(self) -> RawSvi:
        """Return the same smile in raw SVI parameters."""
        curvature = self.psi / self.theta
        root = math.sqrt(1.0 - self.rho**2)
        return RawSvi(
            0.5 * self.theta * (1.0 - self.rho**2), 0.5 * self.psi, self.rho, -self.rho / curvature, root / curvature
        )


def calendar_free(earlier: SsviSlice, later: SsviSlice) -> bool:
    r"""Return whether the later slice lies nowhere below the earlier one, by a sufficient condition.

    .. math::
        \psi_2 (1 \pm \rho_2) \ge \psi_1 (1 \pm \rho_1), \quad \theta_2 \ge \theta_1, \quad
        \frac{\psi_2}{\theta_2} \le \frac{\psi_1}{\theta_1}

    Hendriks and Martini, "The extended SSVI volatility surface" (2019), proposition 3.1.
    """
    slack = 1.0 + ROUNDING
    return (
        later.theta * slack >= earlier.theta
        and later.psi * (1.0 + later.rho) * slack >= earlier.psi * (1.0 + earlier.rho)
        and later.psi * (1.0 - later.rho) * slack >= earlier.psi * (1.0 - earlier.rho)
        and later.psi * earlier.theta <= earlier.psi * later.theta * slack
    )


@dataclass(frozen=True)
class SsviSurface:
    """Slices in order of expiry, and what lies between them.

    Between two expiries theta, psi and rho times psi run along straight lines in time (Corbetta, Cohort, Laachir and
    Martini 2019), which keeps the surface free of both arbitrages. Before the first expiry theta and psi shrink in
    proportion to time; after the last theta goes on at its last pace, and psi and rho stand.

    Attributes
    ----------
    expiries
        Years, strictly increasing.
    slices
        One for each.

    Raises
    ------
    OptionError
        When a slice admits a butterfly arbitrage or two neighbours a calendar arbitrage.
    """

    expiries: tuple[float, ...]
    slices: tuple[SsviSlice, ...]

    def __post_init__(self) -> None:
        """Refuse a surface that admits arbitrage."""
        if not self.expiries or len(self.expiries) != len(self.slices):
            raise OptionError(f"{len(self.expiries)} expiries and {len(self.slices)} slices do not make a surface")
        if self.expiries[0] <= 0.0 or np.any(np.diff(self.expiries) <= 0.0):
            raise OptionError(f"expiries must be positive and increase, not {self.expiries}")
        for time, one in zip(self.expiries, self.slices, strict=True):
            if not one.butterfly_free():
                raise OptionError(f"the slice at {time:.6g} years admits a butterfly arbitrage: {one}")
        for number, (earlier, later) in enumerate(zip(self.slices[:-1], self.slices[1:], strict=True)):
            if not calendar_free(earlier, later):
                raise OptionError(
                    f"the slices at {self.expiries[number]:.6g} and {self.expiries[number + 1]:.6g} years admit a "
                    f"calendar arbitrage: {earlier}, {later}"
                )

    def slice_at(self, expiry_years: float) -> SsviSlice:
        """Return the slice of any expiry.

        Raises
        ------
        OptionError
            When the expiry is not positive.
        """
        if not expiry_years > 0.0:
            raise OptionError(f"expiry {expiry_years} must be positive")
        times, slices = self.expiries, self.slices
        if expiry_years <= times[0]:
            share = expiry_years / times[0]
            return SsviSlice(share * slices[0].theta, slices[0].rho, share * slices[0].psi)
        if expiry_years >= times[-1]:
            last = slices[-1]
            start, before = (times[-2], slices[-2].theta) if len(times) > 1 else (0.0, 0.0)
            pace = (last.theta - before) / (times[-1] - start)
            return SsviSlice(last.theta + pace * (expiry_years - times[-1]), last.rho, last.psi)
        right = int(np.searchsorted(times, expiry_years))
        one, other = slices[right - 1], slices[right]
        share = (expiry_years - times[right - 1]) / (times[right] - times[right - 1])
        psi = (1.0 - share) * one.psi + share * other.psi
        skew = (1.0 - share) * one.rho * one.psi + share * other.rho * other.psi
        return SsviSlice((1.0 - share) * one.theta + share * other.theta, skew / psi, psi)

    def total_variance(self, log_moneyness: ArrayLike, expiry_years: float) -> FloatArray:
        """Return total variances at one expiry, of the log-moneynesses' shape."""
        return self.slice_at(expiry_years).raw().total_variance(log_moneyness)

    def volatility(self, log_moneyness: ArrayLike, expiry_years: float) -> FloatArray:
        """Return implied volatilities per year at one expiry, of the log-moneynesses' shape."""
        return self.slice_at(expiry_years).raw().volatility(log_moneyness, expiry_years)


def power_law(
    expiries: Sequence[float], thetas: Sequence[float], rho: float, eta: float, gamma: float = 0.5
) -> SsviSurface:
    r"""Return the SSVI surface with :math:`\psi = \eta \theta^{1-\gamma} (1 + \theta)^{\gamma-1}`.

    Gatheral and Jacquier (2014), equation 4.5. With 0 < gamma <= 1/2 and ``eta (1 + |rho|) <= 2`` it is free of
    arbitrage as long as the thetas do not fall.

    Raises
    ------
    OptionError
        When the surface admits arbitrage.
    """
    slices = tuple(
        SsviSlice(theta, rho, eta * theta ** (1.0 - gamma) * (1.0 + theta) ** (gamma - 1.0)) for theta in thetas
    )
    return SsviSurface(tuple(expiries), slices)
