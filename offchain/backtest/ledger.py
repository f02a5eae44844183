# SPDX-License-Identifier: Apache-2.0
"""The vault's own books, in its own integers: shares, fees, budgets, breaker.

Mirrors ``contracts/Vault.vy`` and ``contracts/Mandate.vy`` method by method; what reverts there raises
`Refused` here with the same reason. A state is a plain value, so that a copy is a snapshot to go back to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from offchain.allocate.judge import Book, Portfolio, judge
from offchain.allocate.limits import FULL_BPS, ONE, settlement_state, values
from offchain.backtest.alarms import DRAWDOWN, NO_REASON, Alarms, Peak, Sight
from offchain.backtest.errors import Refused
from offchain.backtest.lending import with_account
from offchain.market.snapshot import BreakerState, LendingState, Snapshot, VaultLimits, VaultState
from offchain.route.lending import LendingAccount

BPS = 10**14
DAY = 86_400
LEVEL_UNIT = 10**7
"""What the buckets' levels are kept in, rounded up."""
DUST = 1
"""Base units that a lending protocol's own rounding may move a balance by."""
NO_PEAK, NO_ALARMS = Peak(), Alarms()


@dataclass(frozen=True, slots=True)
class Ledger:
    """A vault at a moment. Methods return the vault afterwards.

    Attributes
    ----------
    holdings
        Base units, an asset each; asset 0 is the base asset.
    supply
        Share base units, without the virtual ones.
    lending
        The account at a lending market, at the prices and with the interest of the moment; None without one.
    loss_level, turnover_level
        Fractions at 1e18 in the buckets at `levels_at`, Unix seconds.
    settled_at
        Unix seconds of the last settlement; 0 before the first.
    """

    address: str
    limits: VaultLimits
    mandate_hash: str
    base_decimals: int
    holdings: tuple[int, ...]
    supply: int = 0
    nonce: int = 0
    breaker: BreakerState = BreakerState.ACTIVE
    breaker_reason: int = NO_REASON
    peak: Peak = NO_PEAK
    alarms: Alarms = NO_ALARMS
    loss_level: int = 0
    turnover_level: int = 0
    levels_at: int = 0
    settled_at: int = 0
    lending: LendingState | None = None

    @classmethod
    def of(cls, snapshot: Snapshot) -> Ledger:
        """The vault that a snapshot shows."""
        vault = snapshot.vault
        return cls(
            address=vault.address,
            limits=vault.limits,
            mandate_hash=vault.mandate_hash,
            base_decimals=snapshot.assets[0].decimals,
            holdings=tuple(asset.balance for asset in snapshot.assets),
            supply=vault.total_supply,
            nonce=vault.nonce,
            breaker=vault.breaker,
            breaker_reason=vault.breaker_reason,
            peak=Peak(vault.peak, 0, snapshot.block.timestamp),
            loss_level=vault.loss_level,
            turnover_level=vault.turnover_level,
            levels_at=snapshot.block.timestamp,
            settled_at=vault.settled_at,
            lending=snapshot.lending,
        )

    # Valuation.

    @property
    def virtual_shares(self) -> int:
        """Shares nobody holds, against inflation by donation."""
        return int(10 ** max(18 - self.base_decimals, 6))

    @property
    def virtual_assets(self) -> int:
        """Base units behind the virtual shares."""
        return int(10 ** max(self.base_decimals, 12) // 10**12)

    @property
    def portfolio(self) -> Portfolio:
        """Wallet and account, as a settlement is judged by."""
        if self.lending is None:
            return Portfolio(self.holdings)
        supplied, owed = [0] * len(self.holdings), [0] * len(self.holdings)
        for one in self.lending.reserves:
            supplied[one.asset], owed[one.asset] = one.supplied, one.owed
        return Portfolio(self.holdings, tuple(supplied), tuple(owed), self.lending.health_factor)

    @property
    def exposure(self) -> tuple[int, ...]:
        """Base units of the wallet and the lending account together, an asset each; negative for a net debt."""
        if self.lending is None:
            return self.holdings
        portfolio = self.portfolio
        return tuple(held - owed for held, owed in zip(portfolio.held, portfolio.owed, strict=True))

    def worth(self, prices: Sequence[int]) -> int:
        """USD at 18 decimals, each asset rounded down and each debt up."""
        if self.lending is None:
            return sum(values(self.holdings, prices))
        return max(0, self.book(prices).net)

    def book(self, prices: Sequence[int]) -> Book:
        """What the vault reports to its mandate."""
        return self.portfolio.book(prices, None if self.lending is None else self.lending.venue)

    def per_share(self, worth: int, base_price: int) -> int:
        """USD at 18 decimals per 10**18 share units, rounded down."""
        return (worth + self.virtual_assets * base_price // ONE) * ONE // (self.supply + self.virtual_shares)

    def value_per_share(self, prices: Sequence[int]) -> int:
        """`per_share` of everything held."""
        return self.per_share(self.worth(prices), prices[0])

    def to_shares(self, assets: int, prices: Sequence[int], round_up: bool = False) -> int:
        """Share units for base units, without fees."""
        numerator = assets * (self.supply + self.virtual_shares)
        return _divide(numerator, self._backing(prices, not round_up), round_up)

    def to_assets(self, shares: int, prices: Sequence[int], round_up: bool = False) -> int:
        """Base units for share units, without fees."""
        numerator = shares * self._backing(prices, round_up)
        return _divide(numerator, self.supply + self.virtual_shares, round_up)

    def levels(self, now: int) -> tuple[int, int]:
        """What stands in the loss and the turnover bucket at a time."""
        elapsed = now - self.levels_at
        return (
            _leaked(self.loss_level, elapsed, self.limits.loss_refill_bps_per_day),
            _leaked(self.turnover_level, elapsed, self.limits.turnover_refill_bps_per_day),
        )

    def peak_at(self, now: int) -> int:
        """What the drawdown counts from, USD at 18 decimals per 10**18 share units."""
        return self.peak.at(now, self.limits.peak_window_hours)

    def condition(self, per_share: int, now: int) -> BreakerState:
        """State that the drawdown from the peak asks for."""
        peak = self.peak_at(now)
        if per_share * FULL_BPS <= peak * (FULL_BPS - self.limits.drawdown_halt_bps):
            return BreakerState.HALTED
        if per_share * FULL_BPS <= peak * (FULL_BPS - self.limits.drawdown_reduce_bps):
            return BreakerState.REDUCE_ONLY
        return BreakerState.ACTIVE

    def vault_state(self, prices: Sequence[int], now: int, oracle: str = "", mandate: str = "") -> VaultState:
        """What a snapshot holds of the vault."""
        loss_level, turnover_level = self.levels(now)
        return VaultState(
            address=self.address,
            oracle=oracle,
            mandate=mandate,
            nonce=self.nonce,
            breaker=self.breaker,
            breaker_reason=self.breaker_reason,
            total_supply=self.supply,
            value_per_share=self.value_per_share(prices),
            peak=self.peak_at(now),
            loss_level=loss_level,
            turnover_level=turnover_level,
            mandate_hash=self.mandate_hash,
            limits=self.limits,
            settled_at=self.settled_at,
        )

    # Entering and leaving.

    def deposit(self, assets: int, prices: Sequence[int], now: int) -> tuple[Ledger, int]:
        """Take base units for shares, less the entry fee; the vault afterwards and the shares.

        Raises
        ------
        Refused
            Not ACTIVE, a drawdown standing, or too little for a share.
        """
        shares = self.to_shares(_net(assets, self.limits.entry_fee_bps), prices)
        if assets > 0 and shares <= 0:
            raise Refused("vault: zero shares")
        before = self.per_share(self.worth(prices), prices[0])
        ledger = self
        if not self.supply:
            ledger = replace(self, peak=Peak(before, 0, now), alarms=self.alarms.reset(now))
        if max(ledger.breaker, ledger.condition(before, now)) is not BreakerState.ACTIVE:
            raise Refused("breaker: not active")
        holdings = (self.holdings[0] + assets, *self.holdings[1:])
        # What the fee adds is no peak to measure a drawdown from.
        ledger = ledger._observed(before, now)
        return replace(ledger, holdings=holdings, supply=self.supply + shares), shares

    def redeem(self, shares: int, prices: Sequence[int], now: int) -> tuple[Ledger, int]:
        """Burn shares for base units in the wallet, less the exit fee; the vault afterwards and the base units.

        Raises
        ------
        Refused
            HALTED, nothing to pay, or not enough base asset held.
        """
        assets = _net(self.to_assets(shares, prices), self.limits.exit_fee_bps)
        if shares > 0 and assets <= 0:
            raise Refused("vault: zero assets")
        if assets > self.holdings[0]:
            raise Refused("vault: not enough base asset")
        if shares > self.supply:
            raise Refused("erc20: insufficient balance")
        if self.breaker is BreakerState.HALTED:
            raise Refused("breaker: halted")
        worth = self.worth(prices) - assets * prices[0] // ONE
        holdings = (self.holdings[0] - assets, *self.holdings[1:])
        ledger = replace(self, holdings=holdings, supply=self.supply - shares)
        return ledger._observed(ledger.per_share(worth, prices[0]), now), assets

    def redeem_in_kind(self, shares: int) -> tuple[Ledger, tuple[int, ...]]:
        """Burn shares for their part of every token, less the exit fee; asks no oracle and no breaker.

        Of a lending account the leaver takes the collateral and brings the debt: his amounts may be negative.
        """
        if shares <= 0:
            raise Refused("vault: zero shares")
        if shares > self.supply:
            raise Refused("erc20: insufficient balance")
        kept = shares if shares == self.supply else _net(shares, self.limits.exit_fee_bps)
        whole = self.supply + self.virtual_shares
        amounts = tuple(held * kept // whole for held in self.holdings)
        holdings = tuple(held - amount for held, amount in zip(self.holdings, amounts, strict=True))
        ledger = replace(self, holdings=holdings, supply=self.supply - shares)
        if self.lending is None:
            return ledger, amounts
        account, moved = LendingAccount.from_state(self.lending), list(amounts)
        for one in self.lending.reserves:
            # Each rounding is a base unit to the favour of those who stay, beyond the pool's own.
            part = -(-one.owed * kept // whole)
            brought = min(part + DUST, one.owed) if part else 0
            taken = max(0, one.supplied * kept // whole - DUST)
            account = account.repay(one.asset, brought).withdraw(one.asset, taken)
            moved[one.asset] += taken - brought
        return replace(ledger, lending=with_account(self.lending, account)), tuple(moved)

    # Settling.

    def judged(
        self, snapshot: Snapshot, holdings: Sequence[int], lending: LendingState | None = None
    ) -> tuple[Ledger, int, int]:
        """Settle into other holdings on a snapshot of this vault; afterwards, with loss and turnover charged.

        Parameters
        ----------
        lending
            The account afterwards, where there is one.

        Raises
        ------
        Refused
            The first rule that the outcome breaks.
        """
        prices = [asset.price for asset in snapshot.assets]
        moved = replace(self, holdings=tuple(holdings), lending=lending)
        books = self.book(prices), moved.book(prices)
        verdict = judge(snapshot.vault, snapshot.block.timestamp, *books, prices, self.limits)
        if verdict.refusals:
            raise Refused(verdict.refusals[0].rule)
        state = settlement_state(snapshot.vault)
        tripped = state is not self.breaker
        ledger = replace(
            moved,
            nonce=self.nonce + 1,
            breaker=state,
            breaker_reason=DRAWDOWN if tripped else self.breaker_reason,
            loss_level=_kept(snapshot.vault.loss_level + verdict.loss),
            turnover_level=_kept(snapshot.vault.turnover_level + verdict.turnover),
            levels_at=snapshot.block.timestamp,
            settled_at=snapshot.block.timestamp,
        )
        now = snapshot.block.timestamp
        return ledger._observed(ledger.value_per_share(prices), now), verdict.loss, verdict.turnover

    # The breaker.

    def poked(self, sight: Sight, prices: Sequence[int], now: int) -> Ledger:
        """With what anyone may record for the breaker's table; the same where there is nothing new."""
        per_share = self.value_per_share(prices)
        return replace(self, alarms=self.alarms.poked(sight, self.limits, self.base_decimals, per_share, now))

    def trip(self, sight: Sight, prices: Sequence[int], now: int) -> Ledger:
        """Apply the breaker's table.

        Parameters
        ----------
        sight
            What the alarms see; the drawdown is only looked at while the value per share can be read.

        Raises
        ------
        Refused
            No condition asks for a higher state, or only the value per share could, which cannot be read.
        """
        health = self.portfolio.health
        state, reason = self.alarms.condition(sight, self.limits, self.base_decimals, self.settled_at, health, now)
        if sight.live and not sight.priced and state is BreakerState.ACTIVE:
            raise Refused("oracle: stale")
        if sight.priced:
            drawdown = self.condition(self.value_per_share(prices), now)
            if drawdown > state:
                state, reason = drawdown, DRAWDOWN
        if state <= self.breaker:
            raise Refused("breaker: no condition")
        return replace(self, breaker=state, breaker_reason=reason)

    def resume(self, prices: Sequence[int], now: int) -> Ledger:
        """Back to ACTIVE with the peak rebased and the clocks stopped; the owner, after the delay.

        Raises
        ------
        Refused
            It is ACTIVE.
        """
        if self.breaker is BreakerState.ACTIVE:
            raise Refused("breaker: active")
        return replace(
            self,
            breaker=BreakerState.ACTIVE,
            breaker_reason=NO_REASON,
            peak=Peak(self.value_per_share(prices), 0, now),
            alarms=self.alarms.reset(now),
        )

    def _observed(self, per_share: int, now: int) -> Ledger:
        peak = self.peak.observed(per_share, now, self.limits.peak_window_hours)
        return self if peak is self.peak else replace(self, peak=peak)

    def _backing(self, prices: Sequence[int], round_up: bool) -> int:
        """Base units behind all shares: rounded up for who enters, down for who leaves."""
        return _divide(self.worth(prices) * ONE, prices[0], round_up) + self.virtual_assets


def _leaked(level: int, elapsed: int, refill_bps: int) -> int:
    return level - min(level, elapsed * refill_bps * BPS // DAY)


def _kept(level: int) -> int:
    return -(-level // LEVEL_UNIT) * LEVEL_UNIT


def _net(gross: int, fee_bps: int) -> int:
    return gross - _divide(gross * fee_bps, FULL_BPS, round_up=True)


def _divide(numerator: int, denominator: int, round_up: bool) -> int:
    return -(-numerator // denominator) if round_up else numerator // denominator
