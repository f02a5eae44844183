# SPDX-License-Identifier: Apache-2.0
"""Mandates whose vault is a plain account, so that a test says itself what a settlement would leave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from offchain.settle.calls import unpacked
from offchain.settle.development import development_address
from tests.support.evm import Contract, Evm
from tests.support.world import DAY, ONE, Limits, book, deploy_product, deploy_timelock, report

DELAY = 2 * DAY
VAULT = "keeper"
"""The account that plays the vault."""
CHARGES = ("loss", "turnover", "loss_level", "turnover_level")
"""What a judgement answers, 64 bits each."""


def loose_limits(count: int = 2, **changes: Any) -> Limits:
    """Limits that refuse nothing until told to."""
    free = Limits((0,) * count, (10_000,) * count, 10_000, 0, 65_535, 0, 10_000, 10_000, 0, 0)
    return free._replace(**changes)


@dataclass(frozen=True, slots=True)
class Judge:
    """A mandate bound to the account `VAULT`."""

    evm: Evm
    mandate: Contract

    def __call__(
        self,
        before: Sequence[int],
        after: Sequence[int],
        *,
        signer: str = "optimizer",
        mandate_hash: bytes | None = None,
        risen: int = 0,
        per_share_before: int = ONE,
        per_share_after: int = ONE,
    ) -> dict[str, int]:
        """Let it judge a settlement; values are USD at 18 decimals."""
        charges = self.mandate.judge(
            signer,
            self.mandate.mandate_hash() if mandate_hash is None else mandate_hash,
            *report(book(before), book(after), risen, per_share_before, per_share_after),
            sender=VAULT,
        )
        return dict(zip(CHARGES, unpacked(charges, 64), strict=True))


def deploy_judge(evm: Evm, limits: Limits) -> Judge:
    mandate = deploy_mandate(evm, limits)
    mandate.bind(len(limits.min_weights_bps), sender=VAULT)
    return Judge(evm, mandate)


def deploy_mandate(evm: Evm, limits: Limits, owner: str = "", delay: int = DELAY) -> Contract:
    """A mandate of the owner's timelock, or of another owner, without a vault."""
    owner = owner or deploy_timelock(evm, delay).address
    roles = [owner, *map(development_address, ("curator", "guardian"))]
    alarms = deploy_product(evm, "Alarms")
    return deploy_product(evm, "Mandate", [limits, *roles, [development_address("optimizer")], delay, alarms.address])


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
def judge(evm: Evm) -> Judge:
    """Two assets, no limit that matters."""
    return deploy_judge(evm, loose_limits())
