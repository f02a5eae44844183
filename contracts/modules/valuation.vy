# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title What a vault is worth, and its shares
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice Wallet and positions at the oracle's prices, less what is owed; USD at 18 decimals inside,
        base asset units outside. Every rounding favours those who stay.
"""


from ethereum.ercs import IERC4626
from snekmate.tokens import erc20
from ..interfaces import IMandate
from ..interfaces import IPriceOracle
from . import custody
from . import fees
from . import state
from . import positions

uses: erc20
uses: custody
uses: state
uses: positions


struct Appraisal:
    # USD at 18 decimals.
    worth: uint256
    # USD at 18 decimals per 10**18 base asset units.
    base_price: uint256
    # In base asset units, rounded down.
    total_assets: uint256
    # 1 where that left something, which who enters pays for and who leaves does not get; otherwise 0.
    inexact: uint256
    # Base asset in the wallet.
    held: uint256
    # As `_supply` counts it.
    supply: uint256
    # Whether every price is; otherwise only total_assets is set, from the last mark.
    live: bool


ONE: constant(uint256) = 10**18
# With the balances that custody counts, no conversion of all shares overflows.
MAX_SHARES: constant(uint256) = 2**128 - 1
# Times any balance that custody counts, it does not overflow.
MAX_PRICE: constant(uint256) = 2**136 - 1


oracle: public(immutable(address))
mandate: public(immutable(address))
_VIRTUAL_SHARES: immutable(uint256)
# Base units behind the virtual shares.
_VIRTUAL_ASSETS: immutable(uint256)


@deploy
def __init__(base_decimals: uint256, oracle_: address, mandate_: address):
    """
    @param base_decimals Decimals of the base asset, at most 18; they only scale the shares.
    @param oracle_ A PriceOracle over the vault's assets in their order.
    @param mandate_ A Mandate over the same.
    """
    oracle = oracle_
    mandate = mandate_
    # A donation made before the first deposit costs its donor at least a million times what the
    # rounding of shares can take from the depositors after him.
    _VIRTUAL_SHARES = 10 ** max(18 - base_decimals, 6)
    _VIRTUAL_ASSETS = 10 ** max(base_decimals, 12) // 10**12


@internal
@view
def _appraise() -> Appraisal:
    """
    @dev Everything held at live prices; reverts without.
    """
    return self._appraise_at(staticcall IPriceOracle(oracle).prices())


@internal
@view
def _try_appraise() -> Appraisal:
    """
    @dev Everything held at live prices, or what the mark says.
    """
    live: bool = False
    each: DynArray[uint256, 16] = []
    live, each = staticcall IPriceOracle(oracle).try_prices()
    if live:
        prices: uint256[16] = empty(uint256[16])
        for i: uint256 in range(custody._COUNT, bound=16):
            prices[i] = each[i]
        return self._appraise_at(prices)
    supply: uint256 = self._supply()
    total: uint256 = state._mark() * supply // (ONE * _VIRTUAL_SHARES)
    total -= min(total, _VIRTUAL_ASSETS)
    return Appraisal(worth=0, base_price=0, total_assets=total, inexact=0, held=0, supply=supply, live=False)


@internal
@view
def _appraise_at(prices: uint256[16]) -> Appraisal:
    due: uint256 = 0
    claimed: uint256 = state._claimed_assets()
    held: uint256 = custody._holding(0, claimed)
    worth: uint256 = unsafe_div(unsafe_mul(held, prices[0]), ONE)
    every: uint256 = prices[0]
    for i: uint256 in range(1, custody._COUNT, bound=15):
        price: uint256 = prices[i]
        every |= price
        worth = unsafe_add(worth, unsafe_div(unsafe_mul(custody._holding(i, claimed), price), ONE))
    # All bits of the greatest price are set, so that none of them is above it.
    assert every <= MAX_PRICE, "vault: price too high"
    # As `_book` counts them, without keeping which asset is what.
    for v: uint256 in range(positions._COUNT, bound=4):
        position: positions.Position = positions._position(v)
        for i: uint256 in range(len(position.held), bound=16):
            worth += position.held[i] * prices[i] // ONE
        for i: uint256 in range(len(position.owed), bound=16):
            due += fees._ceil_div(position.owed[i] * prices[i], ONE)
    worth -= min(worth, due)
    scaled: uint256 = worth * ONE
    return Appraisal(
        worth=worth,
        base_price=prices[0],
        total_assets=scaled // prices[0],
        inexact=convert(scaled % prices[0] > 0, uint256),
        held=held,
        supply=self._supply(),
        live=True,
    )


@internal
@view
def _book(prices: uint256[16]) -> (IMandate.Book, uint256[16]):
    """
    @dev Wallet and positions: what is held, rounded down, and owed, rounded up.
    @return The book; what is owed by asset, USD at 18 decimals.
    """
    book: IMandate.Book = empty(IMandate.Book)
    owed: uint256[16] = empty(uint256[16])
    due: uint256 = 0
    claimed: uint256 = state._claimed_assets()
    for i: uint256 in range(custody._COUNT, bound=16):
        book.held[i] = custody._holding(i, claimed) * prices[i] // ONE
        book.gross += book.held[i]
    book.wallet = book.held[0]
    book.health = max_value(uint256)
    for v: uint256 in range(positions._COUNT, bound=4):
        position: positions.Position = positions._position(v)
        for i: uint256 in range(len(position.held), bound=16):
            value: uint256 = position.held[i] * prices[i] // ONE
            book.held[i] += value
            book.venues[v] += value
        book.gross += book.venues[v]
        for i: uint256 in range(len(position.owed), bound=16):
            value: uint256 = fees._ceil_div(position.owed[i] * prices[i], ONE)
            owed[i] += value
            due += value
    book.net = book.gross - min(book.gross, due)
    if due > 0:
        book.health = positions._health()
    return book, owed


@internal
def _keep_mark(total_assets: uint256, supply: uint256):
    """
    @dev Kept for when prices are not live; `_try_appraise` inverts it.
    @param supply As `_supply` counts it.
    """
    state._set_mark((total_assets + _VIRTUAL_ASSETS) * ONE * _VIRTUAL_SHARES // supply)


@internal
@view
def _supply() -> uint256:
    """
    @dev Shares outstanding and virtual ones.
    """
    return erc20.totalSupply + _VIRTUAL_SHARES


@internal
@view
def _per_share(worth: uint256, base_price: uint256, supply: uint256) -> uint256:
    """
    @dev Rounded down.
    @param supply As `_supply` counts it.
    """
    return (worth + _VIRTUAL_ASSETS * base_price // ONE) * ONE // supply


@internal
@view
def _to_shares(assets: uint256, appraisal: Appraisal, round_up: bool) -> uint256:
    numerator: uint256 = assets * appraisal.supply
    backing: uint256 = appraisal.total_assets + _VIRTUAL_ASSETS
    return fees._ceil_div(numerator, backing) if round_up else numerator // (backing + appraisal.inexact)


@internal
@view
def _to_assets(shares: uint256, appraisal: Appraisal, round_up: bool) -> uint256:
    backing: uint256 = appraisal.total_assets + _VIRTUAL_ASSETS
    if round_up:
        return fees._ceil_div(shares * (backing + appraisal.inexact), appraisal.supply)
    return shares * backing // appraisal.supply


@internal
@view
def _terms() -> IMandate.Terms:
    return staticcall IMandate(mandate).terms()


@internal
def _mint(receiver: address, shares: uint256):
    erc20._mint(receiver, shares)
    assert erc20.totalSupply <= MAX_SHARES, "vault: too many shares"


@internal
def _burn_from(owner: address, shares: uint256):
    if msg.sender != owner:
        erc20._spend_allowance(owner, msg.sender, shares)
    erc20._burn(owner, shares)


@internal
def _enter(appraisal: Appraisal) -> uint256:
    """
    @dev Asks the mandate for a deposit at the present value, and keeps that value. A vault without
         shares starts its peak anew.
    @return The entry fee in basis points.
    """
    self._keep_mark(appraisal.total_assets, appraisal.supply)
    per_share: uint256 = self._per_share(appraisal.worth, appraisal.base_price, appraisal.supply)
    return extcall IMandate(mandate).enter(per_share, appraisal.supply == _VIRTUAL_SHARES)


@internal
def _deposit(assets: uint256, shares: uint256, receiver: address, held: uint256):
    """
    @dev Nothing may be had for nothing, as callers of ERC-4626 expect.
    @param held Base asset in the wallet, as appraised.
    """
    assert shares > 0 or assets == 0, "vault: zero shares"
    self._mint(receiver, shares)
    custody._receive_onto(held, 0, msg.sender, assets)
    log IERC4626.Deposit(sender=msg.sender, owner=receiver, assets=assets, shares=shares)
