# SPDX-License-Identifier: Apache-2.0
"""Which limits hold the optimum back and which are broken, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from offchain.allocate.bounds import Frame
from offchain.allocate.judge import Portfolio, Refusal
from offchain.allocate.limits import FULL_BPS, ONE
from offchain.allocate.plan import BindingLimit, Plan, Violation
from offchain.allocate.program import Answer
from offchain.market.snapshot import Snapshot, VaultLimits

BUDGETS = ("turnover budget", "loss budget")
_LEAST = 1e-6  # utility per unit of weight


def binding_limits(
    answer: Answer, frame: Frame, symbols: Sequence[str], traded: Sequence[bool]
) -> tuple[BindingLimit, ...]:
    """Limits with a shadow price, dearest first. Bounds that nothing can pass (0 and 1) are none."""
    prices = answer.shadow_prices
    found = [BindingLimit(name, float(prices[key][0])) for name, key in zip(BUDGETS, ("turnover", "loss"), strict=True)]
    if frame.borrowing is not None:
        found.append(BindingLimit(f"health factor of {frame.borrowing.health:.3g}", float(prices["health"][0])))
        found.append(BindingLimit(f"leverage of {frame.borrowing.leverage:.3g}", float(prices["leverage"][0])))
    for index, symbol in enumerate(symbols):
        if not traded[index]:
            found.append(BindingLimit(f"no pool trades {symbol}", float(prices["ceiling"][index])))
            continue
        if frame.lower[index] > 0:
            found.append(BindingLimit(f"minimum weight of {symbol}", float(prices["lower"][index])))
        if frame.upper[index] < frame.whole:
            found.append(BindingLimit(f"maximum weight of {symbol}", float(prices["upper"][index])))
        if frame.most[index] > 0:
            found.append(BindingLimit(f"selling only ({symbol})", float(prices["ceiling"][index])))
    for index, band in enumerate(frame.bands):
        found.append(BindingLimit(f"minimum weight of the group {band.name}", float(prices["band_lower"][index])))
        found.append(BindingLimit(f"maximum weight of the group {band.name}", float(prices["band_upper"][index])))
    binding = [limit for limit in found if limit.shadow_price > _LEAST]
    return tuple(sorted(binding, key=lambda limit: (-limit.shadow_price, limit.name)))


def violations(
    plan: Plan, after: Portfolio, frame: Frame, snapshot: Snapshot, limits: VaultLimits
) -> Iterator[Violation]:
    """What stands outside the mandate today and is to be brought inside, and where a plan leaves it.

    Parameters
    ----------
    after
        What the plan leaves.
    frame, limits
        That the plan was made under.
    """
    pairs = list(zip(plan.weights_before, plan.weights_after, strict=True))
    for index, (asset, (now, then)) in enumerate(zip(snapshot.assets, pairs, strict=True)):
        if frame.excess_lower[index] > 0:
            yield Violation(f"minimum weight of {asset.symbol}", float(frame.least[index]), now, then)
        if frame.excess_upper[index] > 0:
            yield Violation(f"maximum weight of {asset.symbol}", float(frame.most[index]), now, then)
    for band in frame.bands:
        now, then = (float(band.members @ np.array(weights)) for weights in zip(*pairs, strict=True))
        if band.excess_lower > 0:
            yield Violation(f"minimum weight of the group {band.name}", band.least, now, then)
        if band.excess_upper > 0:
            yield Violation(f"maximum weight of the group {band.name}", band.most, now, then)
    if frame.borrowing is None:
        return
    if frame.borrowing.excess_leverage > 0:
        yield Violation("leverage", frame.borrowing.leverage, snapshot.leverage, plan.leverage_after, False)
    if frame.borrowing.excess_health > 0 and snapshot.health_factor is not None:
        then = frame.borrowing.health if plan.health_after is None else plan.health_after
        yield Violation("health factor", frame.borrowing.health, snapshot.health_factor, then, False)
    if frame.borrowing.excess_buffer > 0:
        base = snapshot.assets[0]
        now, then = (amount * base.price / ONE for amount in (base.balance, after.wallet[0]))
        buffer = limits.min_buffer_bps / FULL_BPS
        yield Violation("buffer of base asset", buffer, now / snapshot.value, then / plan.value_after)


def in_words(refusals: Sequence[Refusal], symbols: Sequence[str]) -> str:
    """The rules that refuse a plan, as the vault would put it."""
    return "; ".join(
        refusal.rule if refusal.asset is None else f"{refusal.rule} of {symbols[refusal.asset]}" for refusal in refusals
    )
