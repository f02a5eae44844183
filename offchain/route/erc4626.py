# SPDX-License-Identifier: Apache-2.0
"""Depositing into an ERC-4626 vault and redeeming from it, as a pool of its asset and its shares."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from offchain.route.curves import LinearCurve
from offchain.route.errors import InsufficientLiquidityError, InvalidPoolError
from offchain.route.kind import PoolKind
from offchain.route.swap import Swap, check_amount, is_zero_for_one


@dataclass(frozen=True, slots=True)
class Erc4626Pool:
    """Conversion between an asset and a vault's shares at the vault's own rate.

    Exact for vaults that convert by ``amount * (supply + virtual) / (assets + virtual)``, rounded
    against whoever acts, and charge nothing: OpenZeppelin's, Solady's and snekmate's. A vault that
    charges fees or converts otherwise needs a class of its own. Shares that were sold at once
    change the totals, as in the contract.

    Attributes
    ----------
    tokens
        The asset and the share.
    total_assets, total_supply
        As the vault answers.
    virtual_assets, virtual_shares
        What the vault adds to them: 1 and 10**offset at OpenZeppelin's; 0 and 0 without an offset,
        where the first deposit converts one to one.
    most_deposited, most_redeemed
        ``maxDeposit`` in assets and ``maxRedeem`` in shares; None where there is no limit but what is there.
    """

    address: str
    tokens: tuple[int, int]
    total_assets: int
    total_supply: int
    virtual_assets: int = 1
    virtual_shares: int = 1
    most_deposited: int | None = None
    most_redeemed: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises
        ------
        InvalidPoolError
            Names what is wrong.
        """
        if min(self.total_assets, self.total_supply, self.virtual_assets, self.virtual_shares) < 0:
            raise InvalidPoolError(f"vault {self.address}: assets and supply must not be negative")
        if self.tokens[0] == self.tokens[1]:
            raise InvalidPoolError(f"vault {self.address}: asset and share are the same token")
        if self.total_supply and not self.total_assets + self.virtual_assets:
            raise InvalidPoolError(f"vault {self.address}: shares without assets have no rate")

    @property
    def kind(self) -> PoolKind:
        """ERC-4626."""
        return PoolKind.ERC4626

    def quote_in(self, token_in: int, amount_in: int, token_out: int | None = None) -> int:
        """Shares for assets (``previewDeposit``) or assets for shares (``previewRedeem``), rounded down.

        Raises
        ------
        UnknownTokenError, InvalidAmountError
            The vault does not trade the tokens; the amount is negative.
        InsufficientLiquidityError
            Beyond what the vault takes or holds.
        """
        check_amount(amount_in)
        top, bottom = self._rate(deposits := self._deposits(token_in, token_out))
        amount_out = amount_in * top // bottom
        self._check_limits(deposits, amount_in, amount_out)
        return amount_out

    def quote_out(self, token_in: int, amount_out: int, token_out: int | None = None) -> int:
        """Assets for shares to mint (``previewMint``) or shares to withdraw (``previewWithdraw``), rounded up.

        Raises as `quote_in`.
        """
        check_amount(amount_out)
        top, bottom = self._rate(deposits := self._deposits(token_in, token_out))
        amount_in = -(-amount_out * bottom // top)
        self._check_limits(deposits, amount_in, amount_out)
        return amount_in

    def swap(self, token_in: int, amount_in: int, token_out: int | None = None) -> Swap[Erc4626Pool]:
        """Deposit or redeem, and the vault afterwards. Raises as `quote_in`."""
        amount_out = self.quote_in(token_in, amount_in, token_out)
        if self._deposits(token_in, token_out):
            assets, shares = amount_in, amount_out
            left = None if self.most_deposited is None else self.most_deposited - amount_in
            after = replace(self, most_deposited=left)
        else:
            assets, shares = -amount_out, -amount_in
            left = None if self.most_redeemed is None else self.most_redeemed - amount_in
            after = replace(self, most_redeemed=left)
        after = replace(after, total_assets=self.total_assets + assets, total_supply=self.total_supply + shares)
        return Swap(amount_in, amount_out, after)

    def most_in(self, token_in: int, token_out: int | None = None) -> int | None:
        """What the vault takes or can redeem at once."""
        if self._deposits(token_in, token_out):
            return self.most_deposited
        return self.total_supply if self.most_redeemed is None else min(self.most_redeemed, self.total_supply)

    def marginal_price(self, token_in: int, token_out: int | None = None) -> float:
        """Base units out per base unit in."""
        top, bottom = self._rate(self._deposits(token_in, token_out))
        return top / bottom

    def curve(self) -> LinearCurve:
        """The vault in floats."""
        top, bottom = self._rate(True)
        redeemed = self.total_supply if self.most_redeemed is None else min(self.most_redeemed, self.total_supply)
        deposited = math.inf if self.most_deposited is None else float(self.most_deposited)
        return LinearCurve(top / bottom, deposited, float(redeemed))

    def _deposits(self, token_in: int, token_out: int | None) -> bool:
        return is_zero_for_one(self.address, *self.tokens, token_in, token_out)

    def _rate(self, deposits: bool) -> tuple[int, int]:
        shares, assets = self.total_supply + self.virtual_shares, self.total_assets + self.virtual_assets
        if not shares or not assets:
            return 1, 1
        return (shares, assets) if deposits else (assets, shares)

    def _check_limits(self, deposits: bool, amount_in: int, amount_out: int) -> None:
        limit = self.most_deposited if deposits else self.most_redeemed
        if limit is not None and amount_in > limit:
            raise InsufficientLiquidityError(f"vault {self.address} takes at most {limit}, not {amount_in}; trade less")
        if not deposits and (amount_out > self.total_assets or amount_in > self.total_supply):
            raise InsufficientLiquidityError(f"vault {self.address} cannot redeem {amount_in} shares; trade less")
