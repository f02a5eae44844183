# SPDX-License-Identifier: Apache-2.0
"""Smiles and surfaces: published numbers, recovery of what was put in, and no arbitrage anywhere."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from offchain.risk.arrays import RiskError
from offchain.risk.options.black import black_76
from offchain.risk.options.errors import OptionError
from offchain.risk.options.ssvi import SsviSlice, SsviSurface, calendar_free, power_law
from offchain.risk.options.ssvi_fit import Smile, fit_surface
from offchain.risk.options.svi import JumpWings, RawSvi, from_jump_wings, lowest_calendar
from offchain.risk.options.svi_fit import fit_svi
from offchain.risk.options.svi_surface import SviSurface, fit_svi_surface

PLAIN = RawSvi(0.04, 0.4, -0.4, 0.05, 0.1)
# Axel Vogt's slice, which looks harmless and is not: Gatheral and Jacquier (2014), section 3.
VOGT = RawSvi(-0.041, 0.1331, 0.306, 0.3586, 0.4153)
WIDE = np.linspace(-6, 6, 2_401)


def random_slices(count: int, seed: int) -> list[SsviSlice]:
    """Slices without butterfly arbitrage, some at its very edge."""
    rng = np.random.default_rng(seed)
    slices = []
    for _ in range(count):
        theta, rho = float(np.exp(rng.uniform(-7, 1))), float(rng.uniform(-0.98, 0.98))
        most = min(4 / (1 + abs(rho)), 2 * math.sqrt(theta / (1 + abs(rho))))
        slices.append(SsviSlice(theta, rho, most * float(rng.choice([0.1, 0.5, 0.9, 1.0]))))
    return slices


def test_total_variance_and_slopes() -> None:
    assert PLAIN.total_variance([-0.3, 0, 0.25]) == pytest.approx(
        [0.2416021977856104, 0.0927213595499958, 0.0974427190999916], rel=1e-14
    )
    first, second = PLAIN.slopes(0.25)
    assert (float(first), float(second)) == pytest.approx((0.1977708763999664, 0.3577708763999664), rel=1e-13)


def test_butterfly_function() -> None:
    assert PLAIN.butterfly([0, 0.25]) == pytest.approx([2.1142593982569315, 0.6330528570546797], rel=1e-13)
    assert VOGT.butterfly([-0.5, 0.9]) == pytest.approx([0.3568535725377074, -0.0326851307090229], rel=1e-12)


def test_lowest_point_of_vogts_slice() -> None:
    lowest, where = VOGT.lowest_butterfly()
    assert lowest == pytest.approx(-0.0328635729, abs=1e-9)
    assert where == pytest.approx(0.8793, abs=1e-4)


def test_negative_g_is_negative_density() -> None:
    strikes = np.exp(np.linspace(-1.5, 1.5, 601))
    k = np.log(strikes)
    price = black_76(1.0, strikes, 1.0, VOGT.volatility(k, 1.0)).price
    density = np.diff(np.diff(price) / np.diff(strikes))
    g = VOGT.butterfly(k[1:-1])
    clear = np.abs(g) > 2e-3
    assert np.array_equal(np.sign(density[clear]), np.sign(g[clear]))


def test_jump_wings_of_vogts_slice_and_back() -> None:
    wings = VOGT.jump_wings(1.0)
    assert (wings.v, wings.psi, wings.p, wings.c, wings.v_low) == pytest.approx(
        (0.01742625, -0.1752111, 0.6997381, 1.316798, 0.0116249), rel=1e-6
    )
    back = from_jump_wings(wings, 1.0)
    assert (back.a, back.b, back.rho, back.m, back.sigma) == pytest.approx(
        (VOGT.a, VOGT.b, VOGT.rho, VOGT.m, VOGT.sigma), rel=1e-9
    )


def test_gatheral_and_jacquiers_repair() -> None:
    repaired = VOGT.jump_wings(1.0).repaired()
    assert (repaired.c, repaired.v_low) == pytest.approx((0.3493158, 0.01548182), rel=1e-6)
    assert from_jump_wings(repaired, 1.0).lowest_butterfly()[0] >= 0


def test_jump_wings_without_skew() -> None:
    centred = RawSvi(0.01, 0.3, -0.3, 0.0, 0.2)
    back = from_jump_wings(centred.jump_wings(0.5), 0.5)
    assert (back.a, back.rho, back.m, back.sigma) == pytest.approx((0.01, -0.3, 0.0, 0.2), abs=1e-9)


@pytest.mark.parametrize(
    "wings",
    [JumpWings(0.09, 0, 0.5, 0.5, 0.08), JumpWings(0.09, -2, 0.5, 0.5, 0.08), JumpWings(0.09, 0, 0, 0, 0.08)],
)
def test_jump_wings_of_no_slice_are_refused(wings: JumpWings) -> None:
    with pytest.raises(OptionError):
        from_jump_wings(wings, 0.5)


@pytest.mark.parametrize(
    "parameters", [(0.04, -0.1, 0, 0, 0.1), (0.04, 0.1, 1, 0, 0.1), (0.04, 0.1, 0, 0, 0), (-0.2, 0.1, 0, 0, 0.1)]
)
def test_parameters_of_no_smile_are_refused(parameters: tuple[float, ...]) -> None:
    with pytest.raises(OptionError):
        RawSvi(*parameters)


def test_fit_finds_the_slice_behind_the_quotes() -> None:
    k = np.linspace(-0.6, 0.6, 25)
    fit = fit_svi(k, PLAIN.volatility(k, 0.5), 0.5)
    assert fit.error < 1e-8
    assert (fit.slice.a, fit.slice.rho, fit.slice.m) == pytest.approx((PLAIN.a, PLAIN.rho, PLAIN.m), abs=1e-5)
    assert not fit.repaired


def test_fit_to_vogts_quotes_has_no_arbitrage_and_stays_near() -> None:
    k = np.linspace(-1.5, 1.5, 61)
    fit = fit_svi(k, VOGT.volatility(k, 1.0), 1.0)
    assert fit.repaired
    assert fit.lowest_butterfly >= 0
    assert np.all(fit.slice.butterfly(WIDE) >= -1e-12)
    simple = from_jump_wings(VOGT.jump_wings(1.0).repaired(), 1.0).volatility(k, 1.0)
    assert fit.error < 0.25 * float(np.sqrt(np.mean((simple - VOGT.volatility(k, 1.0)) ** 2)))


@pytest.mark.parametrize("seed", range(6))
def test_fit_to_noise_never_admits_arbitrage(seed: int) -> None:
    rng = np.random.default_rng(seed)
    k = np.sort(rng.normal(0, 0.3, 12))
    fit = fit_svi(k, 0.6 + 0.3 * np.abs(rng.standard_normal(12)), float(rng.uniform(0.02, 1)))
    assert fit.lowest_butterfly >= 0


def test_fit_wants_five_quotes() -> None:
    with pytest.raises(RiskError, match="at least 5"):
        fit_svi([0.0, 0.1, 0.2, 0.3], [0.5, 0.5, 0.5, 0.5], 1.0)


def test_ssvi_slice_is_a_raw_slice() -> None:
    one = SsviSlice(0.09, -0.3, 0.4)
    k = np.linspace(-1, 1, 5)
    x = one.psi * k
    direct = 0.5 * (one.theta + one.rho * x + np.sqrt((x + one.theta * one.rho) ** 2 + one.theta**2 * (1 - one.rho**2)))
    assert np.allclose(one.raw().total_variance(k), direct, rtol=1e-14)
    assert float(one.raw().total_variance(0.0)) == pytest.approx(one.theta)


def test_condition_against_butterflies_is_sufficient() -> None:
    for one in random_slices(60, 3):
        assert one.butterfly_free()
        assert one.raw().lowest_butterfly()[0] >= -1e-9, one


def test_condition_against_calendars_is_sufficient() -> None:
    slices = random_slices(120, 4)
    pairs = [(a, b) for a in slices for b in slices if a is not b and calendar_free(a, b)]
    assert len(pairs) > 100
    for earlier, later in pairs:
        assert np.all(later.raw().total_variance(WIDE) >= earlier.raw().total_variance(WIDE) - 1e-12)


def test_surface_refuses_arbitrage() -> None:
    low, high = SsviSlice(0.04, -0.2, 0.3), SsviSlice(0.09, -0.2, 0.4)
    SsviSurface((0.1, 0.2), (low, high))
    with pytest.raises(OptionError, match="calendar arbitrage"):
        SsviSurface((0.1, 0.2), (high, low))
    with pytest.raises(OptionError, match="butterfly arbitrage"):
        SsviSurface((0.1,), (SsviSlice(0.04, -0.2, 1.0),))
    with pytest.raises(OptionError, match="increase"):
        SsviSurface((0.2, 0.1), (low, high))


def test_between_and_beyond_expiries_there_is_no_arbitrage() -> None:
    slices = (SsviSlice(0.01, -0.5, 0.15), SsviSlice(0.04, -0.3, 0.25), SsviSlice(0.2, 0.1, 0.5))
    surface = SsviSurface((0.05, 0.25, 1.0), slices)
    times = np.concatenate([np.geomspace(0.001, 0.05, 8), np.linspace(0.06, 1, 25), [1.5, 3.0, 10.0]])
    for one, other in pairwise(times):
        earlier, later = surface.slice_at(float(one)), surface.slice_at(float(other))
        assert later.butterfly_free()
        assert np.all(later.raw().total_variance(WIDE) >= earlier.raw().total_variance(WIDE) - 1e-13)
    assert surface.slice_at(0.25) == slices[1]
    assert float(surface.volatility(0.0, 0.25)) == pytest.approx(math.sqrt(0.04 / 0.25))


def test_power_law_surface() -> None:
    surface = power_law([0.1, 0.5, 1.0], [0.02, 0.1, 0.15], rho=-0.4, eta=1.4)
    assert surface.slices[1].psi == pytest.approx(1.4 * math.sqrt(0.1 / 1.1))
    with pytest.raises(OptionError, match="butterfly"):
        power_law([0.1, 0.5], [0.02, 0.1], rho=-0.4, eta=2.0)


def smiles_of(surface: SsviSurface, noise: float = 0.0, seed: int = 0) -> list[Smile]:
    """Quotes of a surface."""
    rng = np.random.default_rng(seed)
    smiles = []
    for time in surface.expiries:
        k = np.linspace(-3, 3, 21) * math.sqrt(surface.slice_at(time).theta)
        sigma = surface.volatility(k, time) * np.exp(noise * rng.standard_normal(k.size))
        smiles.append(Smile(time, k, sigma, np.ones(k.size)))
    return smiles


def test_surface_fit_finds_the_surface_behind_the_quotes() -> None:
    truth = SsviSurface(
        (0.02, 0.1, 0.5), (SsviSlice(0.01, -0.4, 0.15), SsviSlice(0.04, -0.3, 0.28), SsviSlice(0.2, -0.1, 0.6))
    )
    fit = fit_surface(smiles_of(truth)[::-1])
    assert max(fit.errors) < 1e-4
    assert [one.rho for one in fit.surface.slices] == pytest.approx([-0.4, -0.3, -0.1], abs=5e-3)


@pytest.mark.parametrize("seed", range(3))
def test_surface_fit_to_noise_has_no_arbitrage(seed: int) -> None:
    truth = power_law([0.02, 0.05, 0.2, 1.0], [0.02, 0.022, 0.08, 0.3], rho=-0.6, eta=1.2)
    fit = fit_surface(smiles_of(truth, noise=0.3, seed=seed))
    for one, other in pairwise(fit.surface.slices):
        assert np.all(other.raw().total_variance(WIDE) >= one.raw().total_variance(WIDE) - 1e-12)
    for one in fit.surface.slices:
        assert one.raw().lowest_butterfly()[0] >= -1e-9


def test_surface_fit_through_quotes_that_cross_in_time() -> None:
    k = np.linspace(-0.3, 0.3, 9)
    flat = [Smile(0.1, k, np.full(9, 1.0), np.ones(9)), Smile(0.2, k, np.full(9, 0.6), np.ones(9))]
    fit = fit_surface(flat)
    assert fit.surface.slices[1].theta >= fit.surface.slices[0].theta
    assert max(fit.errors) < 0.2


def test_surface_fit_refuses_bad_smiles() -> None:
    good = Smile(0.1, np.zeros(3), np.full(3, 0.5), np.ones(3))
    with pytest.raises(OptionError, match="no expiry"):
        fit_surface([])
    with pytest.raises(OptionError, match="differ"):
        fit_surface([good, good])
    with pytest.raises(OptionError, match="out of range"):
        fit_surface([Smile(0.1, np.zeros(3), np.array([0.5, -0.5, 0.5]), np.ones(3))])


def test_crossing_of_two_slices_is_found_wherever_it_is() -> None:
    low, high = RawSvi(0.02, 0.1, -0.2, 0.0, 0.1), RawSvi(0.05, 0.12, -0.2, 0.0, 0.1)
    assert lowest_calendar(low, high) > 0
    assert lowest_calendar(high, low) == -math.inf
    steep = RawSvi(0.05, 0.1, 0.2, 0.0, 0.1)
    assert lowest_calendar(low, steep) == -math.inf, "its left wing is flatter and crosses far out"
    touching = RawSvi(0.0, 0.2, -0.2, 0.0, 0.1)
    grid = touching.total_variance(WIDE) - low.total_variance(WIDE)
    assert grid.min() - 1e-5 < lowest_calendar(low, touching) <= grid.min()


def test_slice_after_another_does_not_cross_it() -> None:
    k = np.linspace(-0.4, 0.4, 15)
    floor = RawSvi(0.05, 0.2, -0.3, 0.0, 0.15)
    below = fit_svi(k, np.full(15, 0.2), 0.5, floor=floor)
    assert lowest_calendar(floor, below.slice) >= 0
    assert below.lowest_butterfly >= 0
    assert below.repaired
    above = fit_svi(k, np.full(15, 0.9), 0.5, floor=floor)
    assert above.error < 0.02


@pytest.mark.parametrize("seed", range(3))
def test_svi_surface_of_noise_has_no_arbitrage(seed: int) -> None:
    truth = power_law([0.02, 0.05, 0.2, 1.0], [0.02, 0.022, 0.08, 0.3], rho=-0.6, eta=1.2)
    fit = fit_svi_surface(smiles_of(truth, noise=0.2, seed=seed))
    for one in fit.surface.slices:
        assert np.all(one.butterfly(WIDE) >= -1e-9)
    for one, other in pairwise(fit.surface.slices):
        assert np.all(other.total_variance(WIDE) >= one.total_variance(WIDE) - 1e-12)


def test_svi_surface_is_closer_than_ssvi_where_the_smile_is_not_of_that_shape() -> None:
    slices = (RawSvi(0.005, 0.03, -0.5, 0.02, 0.05), RawSvi(0.02, 0.08, -0.2, -0.05, 0.15))
    smiles = []
    for time, one in zip((0.05, 0.25), slices, strict=True):
        k = np.linspace(-0.3, 0.3, 25)
        smiles.append(Smile(time, k, one.volatility(k, time), np.ones(25)))
    fit = fit_svi_surface(smiles)
    assert max(one.error for one in fit.fits) < 0.2 * max(fit_surface(smiles).errors)


def test_svi_surface_between_its_expiries() -> None:
    surface = SviSurface((0.1, 0.4), (RawSvi(0.01, 0.1, -0.3, 0.0, 0.1), RawSvi(0.05, 0.15, -0.2, 0.0, 0.2)))
    k = np.linspace(-1, 1, 401)
    strike = np.exp(k)
    before = surface.total_variance(k, 0.1)
    for time in (0.15, 0.2, 0.3, 0.4):
        now = surface.total_variance(k, time)
        assert np.all(now >= before - 1e-12)
        price = black_76(1.0, strike, 1.0, np.sqrt(now)).price
        assert np.all(np.diff(np.diff(price) / np.diff(strike)) > -1e-9)
        before = now
    assert surface.total_variance(0.0, 0.25) == pytest.approx(
        0.5 * surface.total_variance(0.0, 0.1) + 0.5 * surface.total_variance(0.0, 0.4), rel=1e-9
    )
    assert float(surface.volatility(0.0, 0.1)) == pytest.approx(math.sqrt(0.02 / 0.1))
    with pytest.raises(OptionError, match="outside the surface"):
        surface.volatility(0.0, 0.5)


def test_svi_surface_refuses_arbitrage() -> None:
    good = RawSvi(0.05, 0.12, -0.2, 0.0, 0.1)
    with pytest.raises(OptionError, match="crosses"):
        SviSurface((0.1, 0.2), (good, RawSvi(0.02, 0.1, -0.2, 0.0, 0.1)))
    with pytest.raises(OptionError, match="butterfly"):
        SviSurface((0.1,), (VOGT,))
    with pytest.raises(OptionError, match="increase"):
        SviSurface((0.2, 0.1), (good, good))
