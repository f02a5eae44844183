# SPDX-License-Identifier: Apache-2.0
"""Which limits hold the optimum back, in words."""

from __future__ import annotations

from collections.abc import Sequence

from offchain.allocate.bounds import Frame
from offchain.allocate.judge import Refusal
from offchain.allocate.plan import BindingLimit
from offchain.allocate.program import Answer

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
        found.append(BindingLimit(f"selling only ({symbol})", float(prices["ceiling"][index])))
    for index, band in enumerate(frame.bands):
        found.append(BindingLimit(f"minimum weight of the group {band.name}", float(prices["band_lower"][index])))
        found.append(BindingLimit(f"maximum weight of the group {band.name}", float(prices["band_upper"][index])))
    binding = [limit for limit in found if limit.shadow_price > _LEAST]
    return tuple(sorted(binding, key=lambda limit: (-limit.shadow_price, limit.name)))


def in_words(refusals: Sequence[Refusal], symbols: Sequence[str]) -> str:
    """The rules that refuse a plan, as the vault would put it."""
    return "; ".join(
        refusal.rule if refusal.asset is None else f"{refusal.rule} of {symbols[refusal.asset]}" for refusal in refusals
    )
