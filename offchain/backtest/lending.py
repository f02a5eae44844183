# SPDX-License-Identifier: Apache-2.0
"""The lending market of a simulated vault: its terms, interest, liquidators, and deleveraging by anyone.

The account is the one that a snapshot holds, in the pool's own integers (`offchain.route.lending`). Terms are those of
Aave v3 on Ethereum as the sandbox deploys it; rates stay as they are told. Collateral and debt are valued by the
vault's oracle, which reads the feeds that the pool's oracle reads; where a feed is dead, at its last live price.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from offchain.backtest.errors import BacktestError, Refused
from offchain.mandate import Mandate
from offchain.market.ray import RAY, ray_multiply
from offchain.market.snapshot import NO_DEBT, LendingState, ReserveState, VaultLimits
from offchain.risk.leverage import LendingAccount as Holdings
from offchain.risk.leverage import LiquidationResult, RateCurve, Reserve, liquidate
from offchain.route.errors import InsufficientLiquidityError
from offchain.route.leg import LendingAction
from offchain.route.lending import LendingAccount

ONE = 10**18
BPS = 10**14
FULL_BPS = 10_000
YEAR_SECONDS = 365 * 86_400
AUCTION_SECONDS = 1_800
"""In which what deleveraging pays grows from nothing to the mandate's limit."""

VOLATILE: Final = RateCurve(base=0.01, slope=0.038, steep_slope=0.8, optimal=0.8, reserve_factor=0.1)
STABLE: Final = RateCurve(base=0.0, slope=0.04, steep_slope=0.6, optimal=0.9, reserve_factor=0.1)
"""Interest of the sandbox's reserves; at their utilisation ether costs 1.71 % a year, dollars 1.78 %."""


@dataclass(frozen=True, slots=True)
class LendingRates:
    """Interest a year of 365 days, the same all along; None for what the market's curves say at its utilisation.

    Attributes
    ----------
    borrow
        Of variable debt, compounded every second.
    supply
        Of collateral, credited every step.
    """

    borrow: float | None = None
    supply: float | None = None


CURVES: Final = LendingRates()
"""What the market's curves say."""


@dataclass(frozen=True, slots=True)
class LendingMarket:
    """A mandate's lending market.

    Attributes
    ----------
    account
        The vault's, with nothing in it.
    bonuses
        By asset: what a liquidator gets for a unit repaid, basis points, outside and inside the efficiency mode.
    """

    account: LendingState
    bonuses: dict[int, tuple[int, int]]


def lending_market(mandate: Mandate, rates: LendingRates) -> LendingMarket | None:
    """The market that a mandate lends at; None for a mandate that does not.

    Raises
    ------
    BacktestError
        The terms of an asset or of an efficiency mode are not known.
    """
    venue = mandate.lending
    if venue is None:
        return None
    from offchain.sandbox.aave import ETH_CORRELATED, RESERVES

    category, *terms = ETH_CORRELATED[:4]
    if venue.e_mode not in (0, category):
        raise BacktestError(f"efficiency mode {venue.e_mode} has no known terms; the simulated market has {category}")
    known = {one.symbol: one for one in RESERVES}
    reserves, bonuses = [], {}
    for asset, symbol in enumerate(mandate.symbols):
        if symbol not in {*venue.supply, *venue.borrow}:
            continue
        if symbol not in known:
            raise BacktestError(f"the simulated lending market has no {symbol}; it has {', '.join(known)}")
        found = known[symbol]
        own = (found.loan_to_value, found.liquidation_threshold, found.liquidation_bonus)
        in_mode = tuple(terms) if venue.e_mode and found.e_mode == venue.e_mode else own
        curve, used = STABLE if found.stable else VOLATILE, found.borrow / found.supply
        borrow = float(curve.borrow_rate(used)) if rates.borrow is None else rates.borrow
        supply = float(curve.supply_rate(used)) if rates.supply is None else rates.supply
        decimals = mandate.ordered_assets[asset].decimals
        bonuses[asset] = own[2], in_mode[2]
        reserves.append(
            ReserveState(
                asset=asset,
                decimals=decimals,
                supply_index=RAY,
                borrow_index=RAY,
                scaled_supplied=0,
                scaled_owed=0,
                available=int((found.supply - found.borrow) * 10**decimals),
                price=0,
                loan_to_value=own[0],
                liquidation_threshold=own[1],
                e_mode_loan_to_value=in_mode[0],
                e_mode_liquidation_threshold=in_mode[1],
                supply_rate=int(supply * RAY),
                borrow_rate=int(borrow * RAY),
                is_collateral=False,
                may_supply=symbol in venue.supply,
                may_borrow=symbol in venue.borrow,
                live=True,
            )
        )
    account = LendingState(mandate.leg_number(venue), venue.pool, 0, venue.e_mode, NO_DEBT, tuple(reserves))
    return LendingMarket(account, bonuses)


def with_account(state: LendingState, account: LendingAccount) -> LendingState:
    """The state that an account leaves."""
    reserves = tuple(account.reserves[one.asset] for one in state.reserves)
    return replace(state, e_mode=account.e_mode, health_factor=account.health_factor, reserves=reserves)


def repriced(state: LendingState, prices: Sequence[int]) -> LendingState:
    """At the oracle's prices, USD at 18 decimals per 10**18 base units; the pool's oracle has eight decimals."""
    reserves = tuple(
        replace(one, price=prices[one.asset] * 10**one.decimals // 10**28, is_collateral=one.scaled_supplied > 0)
        for one in state.reserves
    )
    fresh = replace(state, reserves=reserves)
    return replace(fresh, health_factor=LendingAccount.from_state(fresh).health_factor)


def accrued(state: LendingState, seconds: int) -> LendingState:
    """With the interest of some seconds: linear on what is supplied, compounded on what is owed (``MathUtils``)."""
    reserves = tuple(
        replace(
            one,
            supply_index=ray_multiply(one.supply_index, RAY + one.supply_rate * seconds // YEAR_SECONDS),
            borrow_index=ray_multiply(one.borrow_index, _compounded(one.borrow_rate, seconds)),
        )
        for one in state.reserves
    )
    return replace(state, reserves=reserves)


def _compounded(rate: int, seconds: int) -> int:
    """Growth in rays, to the third order of the binomial series (``calculateCompoundedInterest``)."""
    if seconds == 0:
        return RAY
    squared = ray_multiply(rate, rate) // YEAR_SECONDS**2
    cubed = ray_multiply(squared, rate) // YEAR_SECONDS
    second = seconds * (seconds - 1) * squared // 2
    third = seconds * (seconds - 1) * max(seconds - 2, 0) * cubed // 6
    return RAY + rate * seconds // YEAR_SECONDS + second + third


# What a leg does.


def act(state: LendingState, action: LendingAction, asset: int, amount: int, wallet: int) -> tuple[LendingState, int]:
    """Run a lending leg as ``AaveV3.prepare`` and the pool do.

    Parameters
    ----------
    amount
        Clamps to what is in the wallet, supplied or owed; a borrowing is taken as it is.
    wallet
        Base units of the asset in the vault.

    Returns
    -------
    The account afterwards, and by how much the wallet changes.

    Raises
    ------
    Refused
        The venue or the pool reverts.
    """
    account = LendingAccount.from_state(state)
    if action is LendingAction.SET_E_MODE:
        return _healthy(with_account(state, replace(account, e_mode=amount))), 0
    reserve = account.reserves.get(asset)
    if action is LendingAction.SUPPLY and not (reserve is not None and reserve.may_supply):
        raise Refused("aave: may not be supplied")
    if action is LendingAction.BORROW and not (reserve is not None and reserve.may_borrow):
        raise Refused("aave: may not be borrowed")
    if reserve is None:
        raise Refused("aave: not listed")
    try:
        match action:
            case LendingAction.SUPPLY:
                moved = -min(amount, wallet)
                account = account.supply(asset, -moved)
            case LendingAction.REPAY:
                moved = -min(amount, wallet, reserve.owed)
                account = account.repay(asset, -moved)
            case LendingAction.WITHDRAW:
                moved = min(amount, reserve.supplied)
                account = account.withdraw(asset, moved)
            case _:
                if amount > account.borrowable(asset, ONE):
                    raise Refused("aave: collateral cannot cover new borrow")
                moved = amount
                account = account.borrow(asset, amount)
    except InsufficientLiquidityError:
        raise Refused("aave: not enough liquidity") from None
    after = with_account(state, account)
    return (_healthy(after) if action is LendingAction.WITHDRAW else after), moved


def _healthy(state: LendingState) -> LendingState:
    if state.health_factor < ONE:
        raise Refused("aave: health factor below one")
    return state


# What others do to the account.


def liquidated(state: LendingState, market: LendingMarket) -> tuple[LendingState, LiquidationResult] | None:
    """What liquidators take at the pool's prices; None while the account is healthy.

    Debt that no collateral is left for stays owed.
    """
    if state.health_factor >= ONE:
        return None
    in_mode = state.e_mode != 0 and state.e_mode == state.wanted_e_mode
    named = {str(one.asset): one for one in state.reserves}
    result = liquidate(
        Holdings(
            {name: one.supplied / 10**one.decimals for name, one in named.items() if one.scaled_supplied},
            {name: one.owed / 10**one.decimals for name, one in named.items() if one.scaled_owed},
            {name: _terms(one, market, in_mode) for name, one in named.items()},
        ),
        {name: one.price / 1e8 for name, one in named.items()},
    )
    account = LendingAccount.from_state(state)
    for call in result.calls:
        debt, collateral = named[call.debt], named[call.collateral]
        paid = min(int(call.repaid * 10**debt.decimals), account.owed(debt.asset))
        seized = min(-int(-call.seized * 10**collateral.decimals), account.supplied(collateral.asset))
        account = account.repay(debt.asset, paid).withdraw(collateral.asset, seized)
    return with_account(state, account), result


def _terms(reserve: ReserveState, market: LendingMarket, in_mode: bool) -> Reserve:
    own, category = market.bonuses[reserve.asset]
    ratios = (
        (reserve.e_mode_loan_to_value, reserve.e_mode_liquidation_threshold, category)
        if in_mode
        else (reserve.loan_to_value, reserve.liquidation_threshold, own)
    )
    lent, threshold, bonus = (ratio / FULL_BPS for ratio in ratios)
    return Reserve(str(reserve.asset), lent, threshold, bonus - 1.0)


@dataclass(frozen=True, slots=True)
class Deleveraged:
    """What one call of ``deleverage`` did; base units.

    Attributes
    ----------
    from_wallet
        Repaid with what the vault held of each debt, by the vault's asset index.
    taken, paid
        Debt that the caller repaid, collateral that he got for it.
    """

    state: LendingState
    debt: int
    collateral: int
    from_wallet: Mapping[int, int]
    taken: int
    paid: int


def auctioned_bps(limits: VaultLimits, waited: int) -> int:
    """Discount that deleveraging pays after so many seconds below the trigger, or since the halt."""
    return limits.deleverage_discount_bps * min(waited, AUCTION_SECONDS) // AUCTION_SECONDS


def deleveraged(
    state: LendingState,
    wallet: Sequence[int],
    prices: Sequence[int],
    limits: VaultLimits,
    halted: bool,
    discount_bps: int,
) -> Deleveraged | None:
    """``VaultExtension.deleverage``, by somebody who has enough of the debt; None where it would revert.

    What the wallet has of any debt repays it, of the largest first; then the largest is repaid for the largest
    collateral at the oracle's prices and a discount, all up to the target health factor.
    """
    trigger, target = limits.deleverage_trigger_bps * BPS, limits.deleverage_target_bps * BPS
    health = state.health_factor
    if not trigger or not (health < trigger or (halted and health < target)):
        return None
    debt = max(state.reserves, key=lambda one: one.owed * prices[one.asset]).asset
    collateral = max(state.reserves, key=lambda one: one.supplied * prices[one.asset]).asset
    account = LendingAccount.from_state(state)
    from_wallet = {}
    for asset in [debt, *sorted(one.asset for one in state.reserves if one.owed and one.asset != debt)]:
        repaid = min(_needed(account, asset, prices, target, 0), wallet[asset])
        if repaid:
            account = account.repay(asset, repaid)
            from_wallet[asset] = repaid
    price = (FULL_BPS + discount_bps) * ONE // FULL_BPS
    lost = price * account.threshold(collateral) * BPS // ONE
    if target <= lost:
        return None
    taken = _needed(account, debt, prices, target, lost)
    taken = min(taken, account.supplied(collateral) * prices[collateral] // price * ONE // prices[debt])
    paid = taken * prices[debt] // ONE * price // prices[collateral]
    if taken:
        account = account.repay(debt, taken).withdraw(collateral, paid)
    after = with_account(state, account)
    if not (from_wallet or taken) or after.health_factor <= health:
        return None
    return Deleveraged(after, debt, collateral, from_wallet, taken, paid)


def _needed(account: LendingAccount, debt: int, prices: Sequence[int], target: int, lost: int) -> int:
    """Base units of one debt that bring the health factor to the target; at most what is owed of it."""
    health = account.health_factor
    if health >= target:
        return 0
    total = sum(one.owed * prices[asset] // ONE for asset, one in account.reserves.items())
    value = total * (target - health) // (target - lost)
    return min(value * ONE // prices[debt] + 1, account.owed(debt))
