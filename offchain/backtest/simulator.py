# SPDX-License-Identifier: Apache-2.0
"""One vault on one market path, step by step.

Each step: the market moves pools and feeds; the keeper trips the breaker where its condition holds and the owner
resumes it after the delay; capital enters and leaves; when the mandate's interval has passed, forecast and plan
are made from the very `Snapshot` the keeper would have read, and the order is executed on exact pools and judged
by the vault's own integer rules. Nothing later than the step enters it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from eth_utils.crypto import keccak

from offchain.allocate import Plan
from offchain.backtest import lending
from offchain.backtest.alarms import WORDS, Sight
from offchain.backtest.books import Books
from offchain.backtest.errors import MarketPathError, Refused
from offchain.backtest.feeds import Oracle, Reading
from offchain.backtest.ledger import Ledger
from offchain.backtest.lending import lending_market
from offchain.backtest.liquidity import Liquidity
from offchain.backtest.path import GWEI, MarketPath
from offchain.backtest.records import BacktestRun, Event, EventKind, Row, SettlementRecord, Track
from offchain.backtest.settings import BacktestSettings, CapitalFlow, FlowKind, Moment
from offchain.backtest.trading import settle, settlement_gas, settlement_record
from offchain.errors import PlimsollError
from offchain.forecast import make_forecast
from offchain.keeper.breaker_watch import RECORDED_LIMITS
from offchain.keeper.pipeline import deliberate
from offchain.mandate import Mandate
from offchain.market.history import PriceHistory
from offchain.market.snapshot import NO_DEBT, AssetState, Block, BreakerState, LendingState, Snapshot
from offchain.route.pool import pools_from_states
from offchain.settle.compile import compile_order
from offchain.settle.order import Order

BLOCK_SECONDS = 12
DAY = 86_400
TRIP_GAS, POKE_GAS = 160_000, 120_000
"""Units of gas; a record, or a heartbeat, reads the oracle."""
ONE = 10**18
WETH = "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"

Observer = Callable[[Snapshot, PriceHistory, Plan], None]


def _ignore(snapshot: Snapshot, history: PriceHistory, plan: Plan) -> None:
    """Observe nothing."""


class Simulator:
    """See the module. `open` once, then `step` row by row, then `result`.

    Parameters
    ----------
    liquidity
        Fresh: it is moved along.
    oracle
        By default the mandate's feeds with their own rules.
    observe
        Called with what every decision that was reached was made from, and the plan.
    """

    def __init__(
        self,
        mandate: Mandate,
        path: MarketPath,
        liquidity: Liquidity,
        settings: BacktestSettings,
        oracle: Oracle | None = None,
        observe: Observer = _ignore,
    ) -> None:
        if path.symbols != mandate.symbols:
            raise MarketPathError(f"a path of {', '.join(path.symbols)} for a mandate of {', '.join(mandate.symbols)}")
        self.mandate, self.path, self.settings = mandate, path, settings
        self.oracle = oracle or Oracle(mandate, path)
        self._lending = lending_market(mandate, settings.rates)
        self.ledger = _empty_vault(mandate, None if self._lending is None else self._lending.account)
        self._liquidity, self._observe = liquidity, observe
        self._assets = mandate.ordered_assets
        self._prices_ether = any(asset.symbol == "WETH" or asset.address.lower() == WETH for asset in self._assets)
        self._times = [int(time) for time in path.timestamps]
        self._truth, self._ratios = path.prices.tolist(), path.ratios.tolist()
        self._units = [10.0**asset.decimals for asset in self._assets]
        self._books = Books(self._units)
        self._flows = sorted(settings.flows, key=lambda flow: flow.time)
        self._marks = [0.0] * len(self._assets)
        self._nothing = (0,) * len(self._assets)
        self._seen: list[int | None] = [None] * len(self._assets)
        self._scheduled: tuple[BreakerState, int, int] | None = None
        self._last_tick: int | None = None
        self._last_problem = ""
        self._was_live = True
        self._prices: tuple[int, ...] = ()
        self._rows: list[Row] = []
        self._settlements: list[SettlementRecord] = []
        self._events: list[Event] = []
        self._decisions: Counter[str] = Counter()

    # The run.

    def unready(self, row: int) -> str:
        """Why no forecast can be made at a row; empty when one can."""
        reading = self.oracle.reading(row)
        if not reading.live:
            return f"no live price: {self._dead(reading)}"
        if not self.path.ether[row] > 0:
            return "no price of ether"
        try:
            self._prices = reading.prices
            make_forecast(self._snapshot(row), self._history(row), self.mandate)
        except PlimsollError as error:
            return str(error)
        return ""

    def open(self, row: int) -> None:
        """The first deposit and the first decision, at a row; the decision's costs belong to the next step."""
        now = self._times[row]
        self._move_market(row)
        self._books.row.timestamps = now
        self._move_capital(CapitalFlow(now, FlowKind.DEPOSIT, usd=self.settings.deposit_usd), now)
        self._flows = [flow for flow in self._flows if flow.time > now]
        self._close(row)
        self._decide(row)

    def step(self, row: int) -> None:
        """Let the market move to a row, and do what keeper and depositors do there."""
        now = self._times[row]
        self._books.row.timestamps = now
        self._accrue(row)
        self._move_market(row)
        self._service(row)
        self._guard(row)
        while self._flows and self._flows[0].time <= now:
            self._move_capital(self._flows.pop(0), now)
        if self._is_due(now):
            self._decide(row)
        self._close(row)

    def result(self) -> BacktestRun:
        """Everything written down."""
        return BacktestRun(
            mandate=self.mandate,
            track=Track.of(self._rows),
            settlements=tuple(self._settlements),
            events=tuple(self._events),
            decisions=dict(self._decisions.most_common()),
            notes=self.path.notes,
        )

    # The market.

    def _move_market(self, row: int) -> None:
        """New marks, pools and oracle prices; what they do to the holdings is booked."""
        now, truth = self._times[row], self._truth[row]
        for index, price in enumerate(truth):
            self._mark(index, price, now)
        self._liquidity.advance(row, now, truth)
        reading = self.oracle.reading(row)
        if reading.live or not self._prices:
            self._prices = reading.prices
            if self.ledger.lending is not None:
                self.ledger = replace(self.ledger, lending=lending.repriced(self.ledger.lending, self._prices))
        if reading.live is not self._was_live:
            kind = EventKind.ORACLE_LIVE if reading.live else EventKind.ORACLE_DEAD
            self._tell(now, kind, self._dead(reading))
            self._was_live = reading.live
        before = self._ratios[row - 1] if row else self._ratios[row]
        grown = [1.0 - old / new for old, new in zip(before, self._ratios[row], strict=True)]
        self._books.reprice(self.ledger.exposure, self._marks, self._prices, grown)

    def _mark(self, index: int, price: float, now: int) -> None:
        """The market's price of an asset: the last one seen, and nothing once it has been gone for long."""
        seen = self._seen[index]
        if price == price:
            if seen is not None and not self._marks[index]:
                self._tell(now, EventKind.PRICE_BACK, self._assets[index].symbol)
            self._marks[index], self._seen[index] = price, now
        elif seen is not None and self._marks[index] and now - seen > self.settings.write_off_days * DAY:
            self._marks[index] = 0.0
            text = f"{self._assets[index].symbol}: no price for {self.settings.write_off_days:g} days"
            self._tell(now, EventKind.WRITTEN_OFF, text)

    def _accrue(self, row: int) -> None:
        truth = zip(self._truth[row], self._marks, strict=True)
        then = Moment(self._times[row - 1], tuple(self._marks))
        now = Moment(self._times[row], tuple(price if price == price else mark for price, mark in truth))
        for carry in self.settings.carries:
            holdings = self.ledger.holdings
            changes = carry.accrue(holdings, then, now)
            held = tuple(held + change for held, change in zip(holdings, changes, strict=True))
            self.ledger = replace(self.ledger, holdings=held)
            self._books.accrue(changes)
        if self.ledger.lending is not None:
            self._owe(now.time - then.time)

    def _owe(self, seconds: int) -> None:
        """Interest earned is carry, interest due the price of the loan."""
        assert self.ledger.lending is not None
        before = self.ledger.portfolio
        self.ledger = replace(self.ledger, lending=lending.accrued(self.ledger.lending, seconds))
        after = self.ledger.portfolio
        self._books.accrue(_changes(before.supplied, after.supplied))
        self._books.owe(_changes(after.owed, before.owed))

    # The lending account.

    def _service(self, row: int) -> None:
        """Liquidators are faster than anybody who would deleverage; both go by the oracle's prices."""
        state, market = self.ledger.lending, self._lending
        if state is None or market is None or not self._was_live:
            return
        now, before = self._times[row], self.ledger.exposure
        self._books.row.health_factor = _known_health(state.health_factor)
        seized = lending.liquidated(state, market)
        if seized is not None:
            state, result = seized
            self.ledger = replace(self.ledger, lending=state)
            self._books.seize(_changes(before, self.ledger.exposure))
            lost = f"{len(result.calls)} calls took ${result.penalty:,.0f}"
            self._tell(now, EventKind.LIQUIDATED, lost + f", ${result.bad_debt:,.0f} of debt is left uncovered")
        if self.settings.deleveraged:
            self._deleverage(state, row)

    def _deleverage(self, state: LendingState, row: int) -> None:
        """Somebody repays debt for collateral where the mandate allows it."""
        ledger, before = self.ledger, self.ledger.exposure
        halted = ledger.breaker is BreakerState.HALTED
        # As though it had been low since the step before.
        discount = lending.auctioned_bps(ledger.limits, self._times[row] - self._times[row - 1])
        done = lending.deleveraged(state, ledger.holdings, self._prices, ledger.limits, halted, discount)
        if done is None:
            return
        holdings = list(ledger.holdings)
        for asset, repaid in done.from_wallet.items():
            holdings[asset] -= repaid
        self.ledger = replace(ledger, holdings=tuple(holdings), lending=done.state)
        self._books.seize(_changes(before, self.ledger.exposure))
        healths = (one.health_factor / ONE for one in (state, done.state))
        text = "health factor {:.3f} -> {:.3f}".format(*healths)
        usd = self._books.worth_of(done.debt, done.taken)
        self._tell(self._times[row], EventKind.DELEVERAGED, f"{text}, ${usd:,.0f} repaid for collateral")

    # The breaker.

    def _guard(self, row: int) -> None:
        """Anyone records and trips what the table asks for; the owner resumes after the delay."""
        if not self.ledger.supply:
            return
        now, limits = self._times[row], self.ledger.limits
        sight = Sight.of(self.oracle.reading(row), limits)
        self._show_life(row)
        if any(getattr(limits, name) for name in RECORDED_LIMITS):
            self._record(self.ledger.poked(sight, self._prices, now), row)
        try:
            self.ledger = self.ledger.trip(sight, self._prices, now)
        except Refused:
            pass
        else:
            self._tell(now, EventKind.TRIPPED, f"{self.ledger.breaker.name} {self._trip_reason(now)}")
            self._books.row.gas += self._gas_usd(row, TRIP_GAS)
        if self._was_live:
            self._recover(now)

    def _trip_reason(self, now: int) -> str:
        words = WORDS.get(self.ledger.breaker_reason)
        if words is not None:
            return f"for {words}"
        drawdown = 1 - self.ledger.value_per_share(self._prices) / self.ledger.peak_at(now)
        return f"at {drawdown:.1%} below the peak"

    def _record(self, after: Ledger, row: int) -> None:
        if after.alarms != self.ledger.alarms:
            self.ledger = after
            self._books.row.gas += self._gas_usd(row, POKE_GAS)

    def _show_life(self, row: int) -> None:
        """A keeper's heartbeat, once half of the time in which there must be one is over."""
        now, alarms = self._times[row], self.ledger.alarms
        silence = self.ledger.limits.heartbeat_minutes * 60
        if silence and self._keeper_lives(now) and now >= max(alarms.beat, self.ledger.settled_at) + silence // 2:
            self._record(replace(self.ledger, alarms=replace(alarms, beat=now)), row)

    def _keeper_lives(self, now: int) -> bool:
        return self.settings.keeper_stops is None or now < self.settings.keeper_stops

    def _recover(self, now: int) -> None:
        if self.ledger.breaker is BreakerState.ACTIVE or self.settings.recovery_days is None:
            self._scheduled = None
            return
        seen = self.ledger.breaker, self.ledger.breaker_reason
        if self._scheduled is None or self._scheduled[:2] != seen:
            # The owner echoes the state that was seen: another one starts the delay anew.
            self._scheduled = (*seen, now + round(self.settings.recovery_days * DAY))
        if now >= self._scheduled[2]:
            self.ledger = self.ledger.resume(self._prices, now)
            self._scheduled = None
            self._tell(now, EventKind.RESUMED, f"from {seen[0].name}, peak rebased")

    # Depositors.

    def _move_capital(self, flow: CapitalFlow, now: int) -> None:
        try:
            self._enter(flow, now) if flow.kind is FlowKind.DEPOSIT else self._leave(flow, now)
        except Refused as refused:
            self._tell(now, EventKind.FLOW_REFUSED, f"{flow.kind}: {refused.reason}")

    def _enter(self, flow: CapitalFlow, now: int) -> None:
        self._require_live()
        base = self._prices[0] / 10 ** (36 - self._assets[0].decimals)
        assets = round(flow.usd / base * 10 ** self._assets[0].decimals)
        self.ledger, _ = self.ledger.deposit(assets, self._prices, now)
        usd = self._books.enter([assets, *[0] * (len(self._assets) - 1)])
        self._tell(now, EventKind.DEPOSIT, f"${usd:,.0f}")

    def _leave(self, flow: CapitalFlow, now: int) -> None:
        shares, before = int(self.ledger.supply * flow.part), self.ledger.exposure
        if flow.kind is FlowKind.REDEEM:
            self._require_live()
            self.ledger, _ = self.ledger.redeem(shares, self._prices, now)
        else:
            self.ledger, _ = self.ledger.redeem_in_kind(shares)
        # With a loan the lending pool's own rounding goes with him.
        usd = self._books.leave(_changes(self.ledger.exposure, before))
        self._tell(now, EventKind.REDEMPTION, f"{flow.kind}: {flow.part:.1%} of the shares for ${usd:,.0f}")

    def _require_live(self) -> None:
        if not self._was_live:
            raise Refused("oracle: not live")

    # The keeper.

    def _is_due(self, now: int) -> bool:
        """Whether an interval has begun, or the health factor slipped below what a plan lets be."""
        if not self._keeper_lives(now):
            return False
        interval = self.mandate.execution.interval_minutes * 60
        return self._last_tick is None or now // interval > self._last_tick // interval or self._has_slipped

    @property
    def _has_slipped(self) -> bool:
        state, venue = self.ledger.lending, self.mandate.lending
        if state is None or venue is None:
            return False
        return state.health_factor < int(self.mandate.repair_health(venue.target_health_factor) * ONE)

    def _decide(self, row: int) -> None:
        now = self._times[row]
        self._last_tick = now
        reading = self.oracle.reading(row)
        if not reading.live:
            self._refuse(now, EventKind.PLAN_REFUSED, f"{reading.revert}: {self._dead(reading)}")
            return
        snapshot, history = self._snapshot(row), self._history(row)
        try:
            plan = deliberate(snapshot, history, self.mandate, self._ether_usd(row))
            self._observe(snapshot, history, plan)
            order = compile_order(plan, snapshot, self.mandate) if plan.trades else None
        except PlimsollError as error:
            self._refuse(now, EventKind.PLAN_REFUSED, str(error))
            return
        if order is None:
            self._decisions[f"{plan.reason}: {plan.note}" if plan.note else str(plan.reason)] += 1
            self._last_problem = ""
            return
        try:
            self._trade(row, snapshot, plan, order)
        except Refused as refused:
            self._refuse(now, EventKind.ORDER_REFUSED, refused.reason)

    def _trade(self, row: int, snapshot: Snapshot, plan: Plan, order: Order) -> None:
        gas_usd = self._gas_usd(row, 1)
        traded = settle(
            order,
            self.ledger,
            snapshot,
            pools_from_states(snapshot.pools),
            self._books.unit_prices,
            attack_gas_usd=gas_usd if self.settings.attacked else None,
        )
        before = self.ledger.exposure
        value = self._books.worth(before)
        self.ledger = traded.ledger
        self._liquidity.settle(traded.pools)
        swapped = self._books.trade(order.legs, traded.amounts_in, traded.amounts_out, traded.costs)
        if self.ledger.lending is not None:
            # The pool's rounding of what was moved there and back.
            self._books.owe(_changes(swapped, _changes(before, self.ledger.exposure)))
        gas = gas_usd * settlement_gas(order)
        self._books.row.gas += gas
        self._books.row.turnover += traded.turnover / ONE
        self._decisions[str(plan.reason)] += 1
        self._last_problem = ""
        self._settlements.append(settlement_record(self._times[row], plan, traded, value, gas))

    def _history(self, row: int) -> PriceHistory:
        window = self.mandate.objective.covariance.window_days
        return self.oracle.history(row - self.settings.lag_rows, self.mandate.execution.grid_minutes, window)

    def _ether_usd(self, row: int) -> float | None:
        """Asked for only where the vault's own assets do not tell it."""
        return None if self._prices_ether else float(self.path.ether[row])

    def _snapshot(self, row: int) -> Snapshot:
        """What the keeper would read in the block at a row's time."""
        now, reading, ledger = self._times[row], self.oracle.reading(row), self.ledger
        number = now // BLOCK_SECONDS
        portfolio = ledger.portfolio
        there = portfolio.supplied or self._nothing, portfolio.owed or self._nothing
        assets = tuple(
            AssetState(asset.symbol, asset.address, asset.decimals, *amounts)
            for asset, *amounts in zip(
                self._assets, ledger.holdings, self._prices, reading.updated_at, *there, strict=True
            )
        )
        block = Block(number, f"0x{number:064x}", f"0x{number - 1:064x}", now, int(self.path.base_fees[row]))
        vault = ledger.vault_state(self._prices, now)
        return Snapshot(self.mandate.chain_id, block, vault, assets, self._liquidity.states(), ledger.lending)

    # Writing down.

    def _close(self, row: int) -> None:
        book, ledger, now = self._books.row, self.ledger, self._times[row]
        unit = 10 ** self._assets[0].decimals
        book.base_fee_gwei = float(self.path.base_fees[row]) / GWEI
        book.oracle_value_per_share = ledger.value_per_share(self._prices) / ONE
        book.peak, book.supply = ledger.peak_at(now) / ONE, ledger.supply / ONE
        book.breaker = int(ledger.breaker)
        if ledger.lending is not None:
            shown = ledger.book(self._prices)
            book.leverage = shown.gross / shown.net if shown.net > 0 else math.inf
            book.health_factor = min(book.health_factor, _known_health(shown.health))
        book.loss_level, book.turnover_level = (level / ONE for level in ledger.levels(now))
        closed = self._books.close(ledger.exposure)
        closed.value_per_share = (closed.value + ledger.virtual_assets * self._marks[0] / unit) / (
            (ledger.supply + ledger.virtual_shares) / ONE
        )
        parts = [self._books.worth_of(index, held) for index, held in enumerate(ledger.exposure)]
        closed.weights = tuple(part / closed.value if closed.value else 0.0 for part in parts)
        self._rows.append(closed)

    def _gas_usd(self, row: int, gas: int) -> float:
        fee = float(self.path.base_fees[row]) + self.settings.priority_fee_gwei * GWEI
        return gas * fee * float(self.path.ether[row]) / ONE

    def _refuse(self, now: int, kind: EventKind, why: str) -> None:
        self._decisions[f"{kind}: {why}"] += 1
        if why != self._last_problem:
            self._tell(now, kind, why)
        self._last_problem = why

    def _tell(self, now: int, kind: EventKind, text: str) -> None:
        self._events.append(Event(now, kind, text))

    def _dead(self, reading: Reading) -> str:
        pairs = zip(self._assets, reading.statuses, strict=True)
        return ", ".join(f"{asset.symbol} {status.words}" for asset, status in pairs if status)


def _known_health(health: int) -> float:
    return math.inf if health == NO_DEBT else health / ONE


def _changes(before: Sequence[int], after: Sequence[int]) -> list[int]:
    return [new - old for old, new in zip(before, after, strict=True)]


def _empty_vault(mandate: Mandate, account: LendingState | None) -> Ledger:
    limits = mandate.vault_limits
    return Ledger(
        address="0x" + keccak(f"plimsoll backtest vault {mandate.name}".encode())[-20:].hex(),
        limits=limits,
        mandate_hash="0x" + keccak(repr(limits.as_struct()).encode()).hex(),
        base_decimals=mandate.base.decimals,
        holdings=(0,) * len(mandate.assets),
        lending=account,
    )
