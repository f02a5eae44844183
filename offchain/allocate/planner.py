# SPDX-License-Identifier: Apache-2.0
"""From a snapshot and a forecast to a plan the vault will accept, or the reason not to trade."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from offchain.allocate.borrowing import Borrowing, compile_borrowing, kept_fraction
from offchain.allocate.bounds import Frame, compile_frame, limits_in_force
from offchain.allocate.errors import MismatchError
from offchain.allocate.explain import BUDGETS, binding_limits, in_words, violations
from offchain.allocate.joint import best_target, pool_table
from offchain.allocate.judge import Portfolio, Refusal, cooled_at, refusals
from offchain.allocate.limits import FULL_BPS, ONE, owed_values, settlement_state, values
from offchain.allocate.objective import REPAIR_WORTH, mandated, mean_variance, reducing
from offchain.allocate.plan import Plan, PlanReason
from offchain.allocate.program import Objective
from offchain.allocate.realise import Realised, realise
from offchain.allocate.sharpe import best_ratio
from offchain.allocate.target import Target, TargetProblem
from offchain.allocate.terms import VolatilityCost
from offchain.forecast.forecast import Forecast
from offchain.mandate import Mandate, MaximumSharpeObjective
from offchain.market.snapshot import NO_DEBT, BreakerState, Snapshot, VaultLimits
from offchain.route.errors import RouteError, RouteNotFoundError
from offchain.route.gas import LEG_GAS, SETTLE_GAS, GasPrice, gas_price
from offchain.route.leg import Venue
from offchain.route.pool import Pool, pool_from_state
from offchain.route.rates import market_prices

if TYPE_CHECKING:
    from offchain.route.kernels import PoolTable

FloatArray = NDArray[np.float64]

_BACK_OFF = (1.0, 0.97, 0.9, 0.75, 0.5, 0.25)
_SMALL = 400.0  # times the gas of a leg: smaller trades are tried without


def make_plan(snapshot: Snapshot, forecast: Forecast, mandate: Mandate, ether_usd: float | None = None) -> Plan:
    """Decide what to hold and how to get there. The same arguments give the same plan, to the bit.

    Limits and budgets are counted at the oracle's prices, as the vault does. What a plan is
    worth is counted at the pools' prices while they lie within the error that the mandate
    grants the feeds: a feed that lags is no reason to trade.
    The target maximises the mandate's utility inside its limits and what the pools allow;
    it is routed with exact integer quotes, and traded only when the utility gained over the
    horizon, less slippage and gas, exceeds ``execution.min_improvement_bps``. Holdings outside
    the mandate are brought inside as far as the budgets allow, all violations by the same
    part; what is worth less than its gas is left. While the breaker only allows reducing, risky
    assets are sold into the base asset until what is left is worth less than the gas of
    selling it.

    Parameters
    ----------
    snapshot
        Everything at one block.
    forecast
        Of the snapshot's assets, in its order.
    mandate
        Risk aversion, execution, venues, and limits where they are tighter than the snapshot's.
    ether_usd
        Prices gas for a vault without WETH.

    Raises
    ------
    MismatchError, ForecastInvalidError
        The three do not fit together, or the forecast is no forecast.
    InfeasibleError
        File and chain together allow no portfolio; names the limits.
    SolverError
        The program was not solved within its tolerance.
    RouteError, EtherPriceUnknownError
        The pools cannot fill any part of the target; gas has no price.
    """
    return _Planner(snapshot, forecast, mandate, ether_usd).plan()


@dataclass(frozen=True)
class _Planner:
    snapshot: Snapshot
    forecast: Forecast
    mandate: Mandate
    ether_usd: float | None

    def plan(self) -> Plan:
        symbols = tuple(asset.symbol for asset in self.snapshot.assets)
        if not symbols == self.forecast.symbols == self.mandate.symbols:
            raise MismatchError(
                f"snapshot of {', '.join(symbols)}, forecast of {', '.join(self.forecast.symbols)}, "
                f"mandate of {', '.join(self.mandate.symbols)}: use the ones that belong together"
            )
        if self.snapshot.value <= 0:
            return self._without_trade(PlanReason.EMPTY)
        if settlement_state(self.snapshot.vault) is BreakerState.HALTED:
            return self._without_trade(PlanReason.HALTED)
        if self.snapshot.block.timestamp < cooled_at(self.snapshot.vault, self.limits):
            return self._without_trade(PlanReason.WAITS, note="limits: cooling down")
        threshold = self._threshold
        target = self._target(self.frame, self._enough(threshold))
        if target.change is None:
            return self._not_worth_it(target)
        realised, refused = self._realise(target)
        if realised is None:
            return self._without_trade(PlanReason.WAITS, target, in_words(refused, symbols))
        target, realised = self._without_small_trades(target, realised)
        gain = self._score(realised) - self._idle
        if not realised.legs or gain <= threshold:
            return self._not_worth_it(target)
        return self._trade(target, realised, gain)

    # What the decision depends on.

    @cached_property
    def limits(self) -> VaultLimits:
        return limits_in_force(self.snapshot, self.mandate)

    @cached_property
    def pools(self) -> tuple[Pool, ...]:
        """The snapshot's pools at the mandate's venues."""
        with_v2, fee_tiers = self.mandate.uses_uniswap_v2, self.mandate.uniswap_v3_fee_tiers

        def listed(pool: Pool) -> bool:
            if pool.venue is Venue.UNISWAP_V2:
                return with_v2
            # Pools of listed venues were found by the mandate's own list.
            return pool.venue.is_listed or pool.fee_ppm in fee_tiers

        return tuple(filter(listed, map(pool_from_state, self.snapshot.pools)))

    @cached_property
    def traded(self) -> tuple[bool, ...]:
        tokens = {token for pool in self.pools for token in (pool.token0, pool.token1)}
        return tuple(index in tokens for index in range(len(self.snapshot.assets)))

    @cached_property
    def frame(self) -> Frame:
        return compile_frame(self.snapshot, self.limits, self.traded, self.mandate.constraints, self.borrowing)

    @cached_property
    def borrowing(self) -> Borrowing | None:
        return compile_borrowing(self.snapshot, self.forecast, self.mandate, self.limits)

    @cached_property
    def gas(self) -> GasPrice:
        return gas_price(self.snapshot, self.ether_usd)

    @cached_property
    def value_usd(self) -> float:
        return self.snapshot.value / 10**18

    @cached_property
    def unit_values(self) -> FloatArray:
        value = self.snapshot.value
        return np.array([asset.price / 10**18 / value for asset in self.snapshot.assets])

    @cached_property
    def fair_prices(self) -> FloatArray:
        """What the assets are worth relative to the oracle: the pools' answer, as far as the feeds may lag."""
        error = np.array(self.mandate.oracle_errors)
        return np.clip(market_prices(self.pools, self.unit_values), 1 - error, 1 + error)

    @cached_property
    def utility(self) -> Objective:
        """The mandate's, whatever the breaker allows."""
        return self._preferences.repriced(self.fair_prices)

    @cached_property
    def objective(self) -> Objective:
        """What this plan is judged by."""
        chosen = reducing(self._preferences) if self.reducing else self._preferences
        return replace(chosen.repriced(self.fair_prices), penalty=REPAIR_WORTH * self.frame.excess)

    @cached_property
    def _preferences(self) -> Objective:
        """At the oracle's prices."""
        wanted = mandated(self.forecast, self.mandate, self.borrowing)
        if self.reducing:
            return replace(mean_variance(self.forecast, self.mandate.objective.risk_aversion), terms=())
        if not isinstance(self.mandate.objective, MaximumSharpeObjective):
            return wanted
        root = mean_variance(self.forecast, 1.0).factor
        priced = replace(wanted.repriced(self.fair_prices), penalty=REPAIR_WORTH * self.frame.excess)
        ratio = best_ratio(
            TargetProblem(self.pools, self.unit_values, self.frame, priced),
            float(self.fair_prices @ self.frame.weights),
            self.fair_prices[:, None] * root,
        )
        return replace(wanted, terms=(VolatilityCost(root, ratio),))

    @property
    def reducing(self) -> bool:
        return settlement_state(self.snapshot.vault) is BreakerState.REDUCE_ONLY

    @property
    def _threshold(self) -> float:
        if self.reducing or self.frame.violated:
            return 0.0
        return self.mandate.execution.min_improvement_bps / 10_000

    @cached_property
    def _idle(self) -> float:
        """Objective of doing nothing."""
        return self.objective.value(self.frame.weights) - self.objective.penalty * self.frame.violated

    def _enough(self, threshold: float) -> float:
        least_gas = (SETTLE_GAS + min(LEG_GAS.values())) * self.gas.usd
        return self._idle + threshold + least_gas / self.value_usd

    def _target(self, frame: Frame, enough: float) -> Target:
        problem = TargetProblem(self.pools, self.unit_values, frame, self.objective, enough)
        return self._clearing(best_target(problem, self._table))

    def _clearing(self, target: Target) -> Target:
        """The target, and the sale of what may not be held for base asset along with it."""
        if target.change is None or not self.frame.cleared.any():
            return target
        sold = np.where(self.frame.cleared, self.frame.weights, 0.0)
        change = target.change - sold
        change[0] += sold.sum()
        return replace(target, change=change)

    @cached_property
    def _table(self) -> PoolTable:
        return pool_table(self.pools, self.unit_values)

    @cached_property
    def _kept(self) -> int:
        """Base units of the base asset that stay in the wallet."""
        return (
            int(kept_fraction(self.snapshot, self.limits) * self.snapshot.value * ONE) // self.snapshot.assets[0].price
        )

    # How a target becomes legs.

    def _realise(self, target: Target) -> tuple[Realised | None, Sequence[Refusal]]:
        """Route the target, or as much of it as the vault accepts.

        Returns
        -------
        The legs, or `None` and the rules that refuse even the smallest part.
        """
        failure: RouteError | None = None
        refused: Sequence[Refusal] = ()
        for part in _BACK_OFF:
            try:
                realised = self._route(target, part)
            except RouteError as error:
                failure = error
                continue
            refused = ()
            for limits in (self.limits, self.snapshot.vault.limits):
                refused = refused or refusals(self.snapshot, realised.after, limits)
            if not refused:
                return realised, ()
        if failure is not None and not refused:
            raise failure
        return None, refused

    def _route(self, target: Target, part: float) -> Realised:
        """Legs for a part of the target that keep to the caps on venues.

        Where too much goes through one, its pool that trades least is left out, and what that leaves is routed anew.
        """
        pools = list(self.pools)
        assert target.change is not None
        wanted = replace(target, change=np.where(self.frame.cleared, target.change, part * target.change))
        for _ in range(len(pools)):
            realised = realise(self.snapshot, pools, wanted, self.gas, self.mandate, self.reducing, self._kept)
            left_out = self._beyond_cap(realised)
            if left_out is None:
                return realised
            pools = [pool for pool in pools if pool.address != left_out]
        raise RouteNotFoundError(0, "no venue may trade any of it; raise constraints.venue_caps_bps")

    def _beyond_cap(self, realised: Realised) -> str | None:
        """The pool that trades least at a venue that trades too much."""
        for kind, cap_bps in self.mandate.constraints.venue_caps_bps.items():
            traded: dict[str, float] = {}
            for leg in realised.legs:
                if leg.venue.name.lower() == kind:
                    value = leg.amount_in * self.unit_values[leg.token_in]
                    traded[leg.pool] = traded.get(leg.pool, 0.0) + float(value)
            if sum(traded.values()) > cap_bps / FULL_BPS:
                return min(traded, key=lambda pool: (traded[pool], pool))
        return None

    def _without_small_trades(self, target: Target, realised: Realised) -> tuple[Target, Realised]:
        """Leave assets alone whose trade does not pay for its gas, the smallest first."""
        frame_now = self.frame
        small = _SMALL * min(LEG_GAS.values()) * self.gas.usd / self.value_usd
        for _ in range(len(self.snapshot.assets)):
            assert target.change is not None
            sizes = {
                index: size
                for index, size in enumerate(np.abs(target.change).tolist())
                if index and 0 < size < small and not self.frame.cleared[index]
            }
            if not sizes:
                return target, realised
            index = min(sizes, key=lambda i: (sizes[i], i))
            frame_now = frame_now.holding_still(index)
            other = self._target(frame_now, -np.inf)
            other_realised, _ = self._realise(other)
            if other_realised is None or self._score(other_realised) < self._score(realised):
                return target, realised
            target, realised = replace(other, bound=target.bound, answer=target.answer), other_realised
        return target, realised

    def _score(self, realised: Realised) -> float:
        after = self._fractions(realised)
        standing = self.frame.standing(after - self.frame.weights)
        gas = realised.gas_cost_usd / self.value_usd
        return self.objective.value(after) - self.objective.penalty * standing - gas

    def _fractions(self, realised: Realised) -> FloatArray:
        """Values of what is held less what is owed, as fractions of the value before."""
        return np.array([value / self.snapshot.value for value in self._net_values(realised)])

    def _net_values(self, realised: Realised) -> list[int]:
        """USD at 18 decimals."""
        prices = [asset.price for asset in self.snapshot.assets]
        held, owed = values(realised.after.held, prices), self._owed_values(realised)
        return [value - debt for value, debt in zip_longest(held, owed, fillvalue=0)]

    def _owed_values(self, realised: Realised) -> tuple[int, ...]:
        """USD at 18 decimals; empty without an account."""
        owed = realised.after.owed
        return owed_values(owed, [asset.price for asset in self.snapshot.assets[: len(owed)]])

    # What comes out.

    def _trade(self, target: Target, realised: Realised, gain: float) -> Plan:
        after = self._fractions(realised)
        value_after = sum(self._net_values(realised))
        owed_after = sum(self._owed_values(realised))
        reason = PlanReason.IMPROVES
        if self.reducing:
            reason = PlanReason.REDUCES
        elif self.frame.violated:
            reason = PlanReason.REPAIRS
        assert target.change is not None
        plan = replace(
            self._without_trade(reason, target),
            legs=realised.legs,
            weights_after=_normalised(after),
            target_weights=_normalised(self.frame.weights + target.change),
            utility_after=self.utility.value(after),
            slippage_cost_usd=(self.snapshot.value - value_after) / 10**18,
            gas_cost_usd=realised.gas_cost_usd,
            value_after=value_after,
            gain=gain,
            gain_bound=max(gain, target.bound - self._idle),
            leverage_after=(value_after + owed_after) / value_after,
            health_after=None if realised.after.health == NO_DEBT else realised.after.health / ONE,
        )
        return self._with_violations(plan, realised.after) if reason is PlanReason.REPAIRS else plan

    def _not_worth_it(self, target: Target) -> Plan:
        plan = self._without_trade(PlanReason.NO_TRADE_PAYS, target)
        if not self.frame.violated or self.reducing:
            return plan
        held_back = [limit.name for limit in plan.binding_limits if limit.name in BUDGETS]
        note = f"outside the mandate, held back by the {' and the '.join(held_back) or 'gas that a repair costs'}"
        return self._with_violations(replace(plan, reason=PlanReason.WAITS, note=note), Portfolio.of(self.snapshot))

    def _with_violations(self, plan: Plan, after: Portfolio) -> Plan:
        return replace(plan, violations=tuple(violations(plan, after, self.frame, self.snapshot, self.limits)))

    def _without_trade(self, reason: PlanReason, target: Target | None = None, note: str = "") -> Plan:
        weights = self.snapshot.weights
        utility = self.utility.value(np.array(weights)) if self.snapshot.value > 0 else 0.0
        plan = Plan(
            block_hash=self.snapshot.block.hash,
            reason=reason,
            legs=(),
            weights_before=weights,
            weights_after=weights,
            target_weights=weights,
            utility_before=utility,
            utility_after=utility,
            slippage_cost_usd=0.0,
            gas_cost_usd=0.0,
            value_after=self.snapshot.value,
            binding_limits=(),
            model_hash=self.forecast.model_hash,
            leverage_after=self.snapshot.leverage,
            health_after=self.snapshot.health_factor,
            note=note,
        )
        if target is None:
            return plan
        symbols = tuple(asset.symbol for asset in self.snapshot.assets)
        return replace(
            plan,
            binding_limits=binding_limits(target.answer, self.frame, symbols, self.traded),
            gain_bound=max(0.0, target.bound - self._idle),
            solver=target.solver,
        )


def _normalised(values: FloatArray) -> tuple[float, ...]:
    total = values.sum()
    return tuple((values / total).tolist())
