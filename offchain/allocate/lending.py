# SPDX-License-Identifier: Apache-2.0
"""Swaps of net exposures as legs that a vault with a lending account can execute, in an order that is safe.

A sale of what is not in the wallet is paid for by what can be withdrawn, then by what can be borrowed,
a part at a time: what comes in repays debt or becomes collateral before the next part is taken. So the
health factor never falls below a level on the way, and each round frees more than the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from offchain.allocate.judge import Portfolio
from offchain.market.snapshot import NO_DEBT, Snapshot
from offchain.route.leg import LendingAction, PlannedLeg, Venue
from offchain.route.lending import ONE, LendingAccount
from offchain.route.pool import Pool

MAX_LEGS = 16
_ROUND = 3
"""Legs of a round: take out or borrow, swap, put back."""
_FLOOR_MARGIN = 1.002
_DUST = 1e-7
"""Of the vault's value: less than that is not worth a round."""


@dataclass(frozen=True, slots=True)
class Scheduled:
    """Legs in order and what they leave, to the wei at the snapshot's block.

    Attributes
    ----------
    legs
        Swaps and lending actions.
    wallet
        Base units of each asset in the vault afterwards.
    account
        The lending account afterwards.
    lowest_health
        Lowest health factor on the way, at 1e18.
    """

    legs: tuple[PlannedLeg, ...]
    wallet: tuple[int, ...]
    account: LendingAccount
    lowest_health: int

    @property
    def after(self) -> Portfolio:
        """What the vault then has."""
        places = range(len(self.wallet))
        supplied = tuple(self.account.supplied(index) for index in places)
        owed = tuple(self.account.owed(index) for index in places)
        return Portfolio(self.wallet, supplied, owed, self.account.health_factor)


def schedule(
    snapshot: Snapshot, pools: Sequence[Pool], swaps: Sequence[PlannedLeg], min_health: float, kept: int = 0
) -> Scheduled:
    """Weave lending actions between swaps.

    Parameters
    ----------
    snapshot
        With a lending account.
    pools
        That the swaps name.
    swaps
        Sales of what is in the wallet, can be withdrawn or can be borrowed, in order.
    min_health
        The chain's floor. The way down stays above it; a health factor that is below it, or nearly, falls
        at most halfway to one, inside one transaction.
    kept
        Base units of the base asset that stay in the wallet, and are borrowed where they are missing.

    Returns
    -------
    As many of the swaps, in part where need be, as `MAX_LEGS` legs can carry.

    Raises
    ------
    RouteError
        A pool cannot fill its swap.
    """
    run = _Run(snapshot, {pool.address: pool for pool in pools}, min_health, kept)
    run.fill_buffer()
    for swap in swaps:
        run.sell(swap)
    run.tidy_up()
    run.fill_buffer()
    return Scheduled(tuple(run.legs), tuple(run.wallet), run.account, run.lowest)


@dataclass
class _Run:
    snapshot: Snapshot
    pools: dict[str, Pool]
    min_health: float
    kept: int
    legs: list[PlannedLeg] = field(default_factory=list)

    def __post_init__(self) -> None:
        assert self.snapshot.lending is not None
        self.lending = self.snapshot.lending
        self.venue = Venue(self.lending.venue)
        self.account = LendingAccount.from_state(self.lending)
        self.wallet = [asset.balance for asset in self.snapshot.assets]
        self.lowest = self.account.health_factor
        unit = [asset.price / 10**18 for asset in self.snapshot.assets]
        value = self.snapshot.value * _DUST
        self.dust = [max(1, int(value / price)) for price in unit]

    @property
    def room(self) -> int:
        return MAX_LEGS - len(self.legs)

    def sell(self, swap: PlannedLeg) -> None:
        """Sell a token for another, round by round."""
        left = swap.amount_in
        while left > 0 and self.room >= _ROUND:
            source, target = swap.token_in, swap.token_out
            if 0 < left - self._free(source) <= self.dust[source]:
                left = self._free(source)
            if self._free(source) < left:
                # Where nothing can be had before something is put in, what is in the wallet goes first.
                self._take(source, left - self._free(source))
            amount = min(left, self._free(source))
            if amount <= 0 or amount < min(left, self.dust[source]):
                return
            left -= self._swap(swap, amount)
            self._put(target)

    def tidy_up(self) -> None:
        """Pay debts from the wallet, and make collateral of what is meant to be."""
        for asset in range(len(self.wallet)):
            if self._free(asset) >= self.dust[asset]:
                self._put(asset)

    def fill_buffer(self) -> None:
        """Bring what the base asset's wallet lacks of what is kept."""
        missing = self.kept - self.wallet[0]
        if missing >= self.dust[0] and self.room:
            self._take(0, missing)

    def _free(self, asset: int) -> int:
        """What may leave the wallet."""
        return max(0, self.wallet[asset] - self.kept) if asset == 0 else self.wallet[asset]

    def _take(self, asset: int, wanted: int) -> None:
        """Bring a token into the wallet, as much of it as is safe."""
        floor = self._way_floor()
        came = min(wanted, self.account.withdrawable(asset, floor))
        if came >= min(wanted, self.dust[asset]):
            self._act(LendingAction.WITHDRAW, asset, came)
            return
        if self.room <= _ROUND and not self._in_mode():
            return
        entered = self.account if self._in_mode() else self.account.in_wanted_mode()
        came = min(wanted, entered.borrowable(asset, floor))
        if came < min(wanted, self.dust[asset]):
            return
        if not self._in_mode():
            self._enter_mode()
        self._act(LendingAction.BORROW, asset, came)

    def _put(self, asset: int) -> None:
        """Repay with what is in the wallet, else supply it where it counts; the base asset stays."""
        if self.room == 0 or not self._free(asset):
            return
        owed = self.account.owed(asset)
        if owed > 0:
            self._act(LendingAction.REPAY, asset, min(self._free(asset), owed))
            return
        reserve = self.account.reserves.get(asset)
        if asset != 0 and reserve is not None and reserve.may_supply and self.wallet[asset] > 0:
            self._act(LendingAction.SUPPLY, asset, self.wallet[asset])

    def _swap(self, swap: PlannedLeg, amount: int) -> int:
        done = self.pools[swap.pool].swap(swap.token_in, amount)
        self.pools[swap.pool] = done.after
        self.wallet[swap.token_in] -= done.amount_in
        self.wallet[swap.token_out] += done.amount_out
        self.legs.append(replace(swap, amount_in=done.amount_in, amount_out=done.amount_out))
        return done.amount_in

    def _act(self, action: LendingAction, asset: int, amount: int) -> None:
        acts = {
            LendingAction.SUPPLY: (LendingAccount.supply, -1),
            LendingAction.WITHDRAW: (LendingAccount.withdraw, 1),
            LendingAction.BORROW: (LendingAccount.borrow, 1),
            LendingAction.REPAY: (LendingAccount.repay, -1),
        }
        change, sign = acts[action]
        self.account = change(self.account, asset, amount)
        self.wallet[asset] += sign * amount
        self.lowest = min(self.lowest, self.account.health_factor)
        self._add(action, asset, amount)

    def _enter_mode(self) -> None:
        self.account = self.account.in_wanted_mode()
        self._add(LendingAction.SET_E_MODE, 0, self.lending.wanted_e_mode)

    def _in_mode(self) -> bool:
        return self.account.e_mode == self.lending.wanted_e_mode

    def _add(self, action: LendingAction, asset: int, amount: int) -> None:
        self.legs.append(PlannedLeg(self.venue, self.lending.pool, asset, asset, int(action), amount, 0))

    def _way_floor(self) -> int:
        floor = int(max(self.min_health, 1.0) * _FLOOR_MARGIN * ONE)
        health = self.account.health_factor
        return floor if health == NO_DEBT else min(floor, (ONE + health) // 2) if health < floor * 1.02 else floor
