# SPDX-License-Identifier: Apache-2.0
"""Reasons to decide between two intervals: drift, risk, prices, flows and the chain's own changes.

Everything is measured against what the last decision left behind, which is in the journal: a
keeper that starts again measures against the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from offchain.mandate.triggers import Triggers
from offchain.market.snapshot import BreakerState, Snapshot, VaultLimits

ONE_BPS = 10_000


@dataclass(frozen=True, slots=True)
class Mark:
    """What a decision left behind."""

    weights: tuple[float, ...]
    """What it wanted to hold."""
    prices: tuple[int, ...]
    supply: int
    breaker: BreakerState
    limits: VaultLimits
    volatility: float
    """Of that, a year; 0 where that is not watched."""

    @classmethod
    def of(cls, snapshot: Snapshot, wanted: Sequence[float], volatility: float) -> Mark:
        """Mark what a decision saw and wanted."""
        return cls(
            weights=tuple(wanted),
            prices=tuple(asset.price for asset in snapshot.assets),
            supply=snapshot.vault.total_supply,
            breaker=snapshot.vault.breaker,
            limits=snapshot.vault.limits,
            volatility=volatility,
        )


class Hysteresis:
    """Fires when a level reaches a threshold, and not again for the same reason.

    Parameters
    ----------
    threshold
        Greater than 0.
    rearm
        Fraction of it that the level must fall to before the threshold itself counts again.
    """

    def __init__(self, threshold: float, rearm: float) -> None:
        self._threshold = threshold
        self._low = threshold * rearm
        self._next = threshold

    def fires(self, level: float) -> bool:
        """Whether a level is a reason now; having fired, only `threshold` more is another."""
        fired = level >= self._next
        if fired:
            self._next = level + self._threshold
        elif level <= self._low:
            self._next = self._threshold
        return fired


class TriggerWatch:
    """Looks at snapshots between decisions.

    Parameters
    ----------
    volatility_of
        Volatility a year of weights at a snapshot, fraction of value; asked only when it is watched.
    """

    def __init__(self, triggers: Triggers, volatility_of: Callable[[Snapshot, Sequence[float]], float]) -> None:
        self._triggers = triggers
        self._volatility_of = volatility_of
        self._mark: Mark | None = None
        on = {
            "drift": triggers.drift_bps / ONE_BPS,
            "price": triggers.price_move_bps / ONE_BPS,
            "flow": triggers.flow_bps / ONE_BPS,
            "volatility": max(triggers.volatility_ratio - 1, 0.0),
        }
        self._hystereses = {name: Hysteresis(level, triggers.rearm) for name, level in on.items() if level > 0}

    @property
    def ready(self) -> bool:
        """Whether something is watched, and there is a decision to measure against."""
        return self._triggers.any and self._mark is not None

    def decided(self, snapshot: Snapshot, wanted: Sequence[float], volatility: float | None = None) -> None:
        """Measure from here on against a decision that wanted these weights.

        Parameters
        ----------
        volatility
            Where it is known already; asked for otherwise.
        """
        if not self._triggers.any:
            return
        if volatility is None:
            volatility = self._volatility_of(snapshot, wanted) if self._triggers.volatility_ratio else 0.0
        self._mark = Mark.of(snapshot, wanted, volatility)

    def fired(self, snapshot: Snapshot) -> str:
        """Why to decide now; empty when there is no reason."""
        mark = self._mark
        if mark is None:
            return ""
        reasons = [
            f"{name} {level:.2%}"
            for name, level in self._levels(snapshot, mark).items()
            if self._hystereses[name].fires(level)
        ]
        if self._triggers.breaker and snapshot.vault.breaker is not mark.breaker:
            reasons.append(f"breaker {snapshot.vault.breaker.name}")
        if self._triggers.breaker and snapshot.vault.limits != mark.limits:
            reasons.append("limits changed")
        # A state is a reason once; the levels go on being measured against the decision.
        self._mark = replace(mark, breaker=snapshot.vault.breaker, limits=snapshot.vault.limits)
        return ", ".join(reasons)

    def _levels(self, snapshot: Snapshot, mark: Mark) -> dict[str, float]:
        found: dict[str, float] = {}
        if "drift" in self._hystereses and snapshot.value:
            found["drift"] = max(abs(now - was) for now, was in zip(snapshot.weights, mark.weights, strict=True))
        if "price" in self._hystereses:
            pairs = zip(snapshot.assets, mark.prices, strict=True)
            found["price"] = max(abs(asset.price / was - 1) for asset, was in pairs if was)
        if "flow" in self._hystereses:
            found["flow"] = abs(snapshot.vault.total_supply - mark.supply) / max(mark.supply, 1)
        if "volatility" in self._hystereses and mark.volatility:
            found["volatility"] = self._volatility_of(snapshot, snapshot.weights) / mark.volatility - 1
        return found
