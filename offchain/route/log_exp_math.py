# SPDX-License-Identifier: Apache-2.0
"""Powers of 18-decimal fractions, to the last bit of Balancer's ``LogExpMath.sol`` and ``FixedPoint.sol``.

The contracts divide towards zero; magnitudes and signs are kept apart here, so that Python's
floor division does the same.
"""

from __future__ import annotations

from offchain.route.errors import InvalidAmountError

ONE = 10**18
_ONE_20 = 10**20
_ONE_36 = 10**36
_MAX_EXPONENT = 130 * ONE
_MIN_EXPONENT = 41 * ONE
_NEAR_ONE = 10**17
_MAX_POWER_ERROR = 10_000

# e**128 and e**64 as integers; then e**(2**k), k = 5 .. -4, with 20 decimals. As in the contract.
_LARGE = (
    (128 * ONE, 38877084059945950922200000000000000000000000000000000000),
    (64 * ONE, 6235149080811616882910000000),
)
_SMALL = tuple(
    (32 * _ONE_20 >> place, power)
    for place, power in enumerate(
        (
            7896296018268069516100000000000000,
            888611052050787263676000000,
            298095798704172827474000,
            5459815003314423907810,
            738905609893065022723,
            271828182845904523536,
            164872127070012814685,
            128402541668774148407,
            113314845306682631683,
            106449445891785942956,
        )
    )
)
_IN_EXPONENTIAL = 8  # of the small ones


def power(base: int, exponent: int) -> int:
    """Return base ** exponent, all with 18 decimals.

    Raises
    ------
    InvalidAmountError
        The contract would revert: the result does not fit.
    """
    if exponent == 0:
        return ONE
    if base == 0:
        return 0
    if abs(base - ONE) < _NEAR_ONE:
        size, negative = _log_36(base)
        whole, rest = divmod(size, ONE)
        product = whole * exponent + rest * exponent // ONE
    else:
        size, negative = _log(base)
        product = size * exponent
    product //= ONE
    if product > (_MIN_EXPONENT if negative else _MAX_EXPONENT):
        raise InvalidAmountError(f"{base} to the power of {exponent} (18 decimals) does not fit the contract's words")
    return ONE * ONE // _exponential(product) if negative else _exponential(product)


def power_up(base: int, exponent: int, exact_small: bool) -> int:
    """Return base ** exponent, rounded up by more than the error can be.

    Parameters
    ----------
    exact_small
        Multiply for exponents 1, 2 and 4, as pools since version 2 do.
    """
    if exact_small:
        if exponent == ONE:
            return base
        if exponent == 2 * ONE:
            return multiply_up(base, base)
        if exponent == 4 * ONE:
            square = multiply_up(base, base)
            return multiply_up(square, square)
    raw = power(base, exponent)
    return raw + multiply_up(raw, _MAX_POWER_ERROR) + 1


def multiply_up(a: int, b: int) -> int:
    """Product of two 18-decimal numbers, rounded up."""
    return -(-a * b // ONE)


def divide_up(a: int, b: int) -> int:
    """Quotient of two 18-decimal numbers, rounded up."""
    return -(-a * ONE // b)


def _exponential(x: int) -> int:
    """e**x for 0 <= x < 130, 18 decimals."""
    first = 1
    for exponent, value in _LARGE:
        if x >= exponent:
            x -= exponent
            first = value
            break
    x *= 100
    product = _ONE_20
    for exponent, value in _SMALL[:_IN_EXPONENTIAL]:
        if x >= exponent:
            x -= exponent
            product = product * value // _ONE_20
    series, term = _ONE_20 + x, x
    for n in range(2, 13):
        term = term * x // _ONE_20 // n
        series += term
    return product * series // _ONE_20 * first // 100


def _log(x: int) -> tuple[int, bool]:
    """Magnitude of the logarithm, 18 decimals, and whether it is negative."""
    if x < ONE:
        return _log(ONE * ONE // x)[0], True
    total = 0
    for exponent, value in _LARGE:
        if x >= value * ONE:
            x //= value
            total += exponent
    total *= 100
    x *= 100
    for exponent, value in _SMALL:
        if x >= value:
            x = x * _ONE_20 // value
            total += exponent
    # A remainder just below 1 is possible: the divisions round down.
    size, sign = abs(x - _ONE_20) * _ONE_20 // (x + _ONE_20), 1 if x >= _ONE_20 else -1
    return (total + sign * _series(size, _ONE_20, 11)) // 100, False


def _log_36(x: int) -> tuple[int, bool]:
    """Magnitude of the logarithm of a number near 1, 36 decimals, and whether it is negative."""
    x *= ONE
    return _series(abs(x - _ONE_36) * _ONE_36 // (x + _ONE_36), _ONE_36, 15), x < _ONE_36


def _series(z: int, one: int, last: int) -> int:
    """2 (z + z**3 / 3 + ... + z**last / last)."""
    square = z * z // one
    total = term = z
    for n in range(3, last + 1, 2):
        term = term * square // one
        total += term // n
    return 2 * total
