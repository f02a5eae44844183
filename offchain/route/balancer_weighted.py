# SPDX-License-Identifier: Apache-2.0
"""Weighted pools of Balancer v2."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from offchain.route.curves import WeightedCurve
from offchain.route.errors import InsufficientLiquidityError, InvalidAmountError, InvalidPoolError
from offchain.route.kind import PoolKind
from offchain.route.log_exp_math import ONE, divide_up, multiply_up, power_up
from offchain.route.swap import Swap, check_tokens, find_pair, find_trade

_MAX_RATIO = 3 * ONE // 10
_MIN_WEIGHT = ONE // 100
_MAX_BALANCE = 2**112 - 1


@dataclass(frozen=True, slots=True)
class BalancerWeightedPool:
    """Constant product of balances to the power of their weights (``WeightedMath.sol``).

    Exact for swaps through the vault, whichever side is given. At most 30 % of a balance goes in
    or out at once.

    Attributes
    ----------
    address
        Of the pool, or its id.
    balances
        In the vault, base units.
    decimals
        Of the tokens; the pool computes with 18.
    weights
        18 decimals, together exactly 1.
    swap_fee
        18 decimals, on the input.
    version
        Of the pool's code. From 2 on whole exponents 1, 2 and 4 are multiplied out, before they go
        through logarithms and pay for the error that these could make.
    """

    address: str
    tokens: tuple[int, ...]
    balances: tuple[int, ...]
    decimals: tuple[int, ...]
    weights: tuple[int, ...]
    swap_fee: int
    version: int = 1

    def __post_init__(self) -> None:
        """Refuse what the factory would not make.

        Raises
        ------
        InvalidPoolError
            Names what is wrong.
        """
        check_tokens(self.address, self.tokens)
        count = len(self.tokens)
        if not len(self.balances) == len(self.decimals) == len(self.weights) == count:
            raise InvalidPoolError(f"pool {self.address}: tokens, balances, decimals and weights differ in number")
        if sum(self.weights) != ONE or min(self.weights) < _MIN_WEIGHT:
            raise InvalidPoolError(
                f"pool {self.address}: weights {self.weights} must be at least 1 % and add up to 1e18"
            )
        if not all(0 <= balance <= _MAX_BALANCE for balance in self.balances):
            raise InvalidPoolError(f"pool {self.address}: a balance does not fit 112 bits")
        if not all(0 <= places <= 18 for places in self.decimals):
            raise InvalidPoolError(f"pool {self.address}: tokens of more than 18 decimals are not supported")
        if not 0 <= self.swap_fee < ONE:
            raise InvalidPoolError(f"pool {self.address}: fee {self.swap_fee} leaves nothing to trade")

    @property
    def kind(self) -> PoolKind:
        """Balancer v2, weighted."""
        return PoolKind.BALANCER_WEIGHTED

    def quote_in(self, token_in: int, amount_in: int, token_out: int | None = None) -> int:
        """What the pool pays for `amount_in`, base units.

        Raises
        ------
        UnknownTokenError, InvalidAmountError
            The pool does not trade the tokens; the amount is negative.
        InsufficientLiquidityError
            The input exceeds 30 % of the balance.
        """
        i, j = find_trade(self.address, self.tokens, amount_in, token_in, token_out)
        kept = amount_in - multiply_up(amount_in, self.swap_fee)
        balance_in, balance_out = self._scaled(i, self.balances[i]), self._scaled(j, self.balances[j])
        given = self._scaled(i, kept)
        if given > balance_in * _MAX_RATIO // ONE:
            raise InsufficientLiquidityError(
                f"pool {self.address} takes at most 30 % of its {self.balances[i]} at once; trade less"
            )
        if not balance_in:
            return 0
        base = divide_up(balance_in, balance_in + given)
        exponent = self.weights[i] * ONE // self.weights[j]
        rest = power_up(base, exponent, self.version >= 2)
        paid = balance_out * max(ONE - rest, 0) // ONE
        return paid // self._unit(j)

    def quote_out(self, token_in: int, amount_out: int, token_out: int | None = None) -> int:
        """What the vault asks for `amount_out`, fee included.

        Raises
        ------
        UnknownTokenError, InvalidAmountError
            As `quote_in`.
        InsufficientLiquidityError
            The output exceeds 30 % of the balance.
        """
        i, j = find_trade(self.address, self.tokens, amount_out, token_in, token_out)
        balance_in, balance_out = self._scaled(i, self.balances[i]), self._scaled(j, self.balances[j])
        wanted = self._scaled(j, amount_out)
        if wanted > balance_out * _MAX_RATIO // ONE or not balance_out:
            raise InsufficientLiquidityError(
                f"pool {self.address} pays at most 30 % of its {self.balances[j]} at once; trade less"
            )
        base = divide_up(balance_out, balance_out - wanted)
        exponent = divide_up(self.weights[j], self.weights[i])
        ratio = power_up(base, exponent, self.version >= 2) - ONE
        if ratio < 0:
            raise InvalidAmountError(f"pool {self.address} cannot price an output of {amount_out}")
        taken = -(-multiply_up(balance_in, ratio) // self._unit(i))
        return divide_up(taken, ONE - self.swap_fee)

    def swap(self, token_in: int, amount_in: int, token_out: int | None = None) -> Swap[BalancerWeightedPool]:
        """Exact-input swap and the pool afterwards. Raises as `quote_in`."""
        amount_out = self.quote_in(token_in, amount_in, token_out)
        return Swap(amount_in, amount_out, self._after(token_in, amount_in, token_out, amount_out))

    def swap_out(self, token_in: int, amount_out: int, token_out: int | None = None) -> Swap[BalancerWeightedPool]:
        """Exact-output swap and the pool afterwards. Raises as `quote_out`."""
        amount_in = self.quote_out(token_in, amount_out, token_out)
        return Swap(amount_in, amount_out, self._after(token_in, amount_in, token_out, amount_out))

    def most_in(self, token_in: int, token_out: int | None = None) -> int:
        """Thirty per cent of the balance, and the fee on top."""
        i, _ = find_pair(self.address, self.tokens, token_in, token_out)
        net = self._scaled(i, self.balances[i]) * _MAX_RATIO // ONE // self._unit(i)
        return min(net * ONE // (ONE - self.swap_fee), _MAX_BALANCE - self.balances[i])

    def marginal_price(self, token_in: int, token_out: int | None = None) -> float:
        """Base units out per base unit in, of an infinitesimal input, after the fee; 0 for an empty pool."""
        i, j = find_pair(self.address, self.tokens, token_in, token_out)
        if not self.balances[i]:
            return 0.0
        keep = 1 - self.swap_fee / ONE
        return keep * (self.balances[j] / self.weights[j]) / (self.balances[i] / self.weights[i])

    def curve(self) -> WeightedCurve:
        """The pool in floats."""
        balances = np.array([float(balance) for balance in self.balances])
        return WeightedCurve(balances, np.array(self.weights, np.float64) / ONE, 1 - self.swap_fee / ONE)

    def _after(self, token_in: int, amount_in: int, token_out: int | None, amount_out: int) -> BalancerWeightedPool:
        i, j = find_pair(self.address, self.tokens, token_in, token_out)
        balances = list(self.balances)
        balances[i] += amount_in
        balances[j] -= amount_out
        if balances[i] > _MAX_BALANCE:
            raise InsufficientLiquidityError(f"pool {self.address} cannot take {amount_in}: its balance would overflow")
        return replace(self, balances=tuple(balances))

    def _unit(self, place: int) -> int:
        return int(10 ** (18 - self.decimals[place]))

    def _scaled(self, place: int, amount: int) -> int:
        return amount * self._unit(place)
