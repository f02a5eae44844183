# SPDX-License-Identifier: Apache-2.0
"""A mandate with its table, over a vault that answers what it is told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from offchain.settle.development import development_address
from tests.contracts.mandate.conftest import DELAY, loose_limits
from tests.support.evm import Contract, Evm
from tests.support.hostile import actor
from tests.support.world import deploy_product, deploy_timelock, product_abi, scheduled

REDUCE_ONLY, HALTED = 1, 2
DEAD, APART = 1, 6


@dataclass(frozen=True, slots=True)
class Watched:
    """A mandate, its table and what it looks at."""

    evm: Evm
    vault: Contract
    mandate: Contract
    alarms: Contract
    timelock: Contract

    def poke(self) -> None:
        """Anyone records what holds."""
        self.alarms.poke(self.mandate, sender="attacker")

    def trip(self) -> tuple[int, int]:
        """Anyone trips; the state and the reason."""
        self.mandate.trip(sender="attacker")
        return self.mandate.breaker_state(), self.mandate.breaker_reason()

    def resume(self) -> None:
        """The owner recovers after the delay."""
        seen = self.mandate.breaker_state(), self.mandate.breaker_reason(), self.mandate.tripped_at()
        scheduled(self.timelock, self.mandate.resume, *seen)()


@pytest.fixture(scope="session")
def _evm() -> Evm:
    evm = Evm()
    evm.timestamp = 1_700_000_000
    return evm


@pytest.fixture
def evm(_evm: Evm) -> Iterator[Evm]:
    with _evm.rolled_back():
        yield _evm


@pytest.fixture
def watch(evm: Evm) -> Callable[..., Watched]:
    """Deploy with these limits."""

    def deploy(**limits: Any) -> Watched:
        timelock, alarms = deploy_timelock(evm, DELAY), deploy_product(evm, "Alarms")
        offices = [timelock.address, *map(development_address, ("curator", "guardian"))]
        signers = [development_address("optimizer")]
        mandate = deploy_product(evm, "Mandate", [loose_limits(**limits), *offices, signers, DELAY, alarms.address])
        vault = actor(evm, "StandInVault")
        vault.bind(mandate.address, sender="market")
        return Watched(evm, vault, mandate, Contract(evm, alarms.address, product_abi("Alarms")), timelock)

    return deploy
