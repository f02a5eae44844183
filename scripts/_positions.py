# SPDX-License-Identifier: Apache-2.0
"""What a vault holds and owes at its venues."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from scripts._command import ScriptError
from scripts._vaults import StandingVault, contract, token, transact, whole

POSITION = "position"
"""How options name what is lent and owed at venues."""
NO_DEBT = 2**256 - 1
MAX_ASSETS = 16
RAY = 10**27
DUST = 2
"""Base units by which a debt is rounded up."""
INTEREST_PER_MILLE = 1
"""What a debt may grow by until a transaction is mined."""


@dataclass(frozen=True)
class Positions:
    """Base units of the underlying by asset, all venues together."""

    supplied: list[int]
    owed: list[int]
    health_factor: float | None
    """The lowest; `None` where nothing is owed."""


def read_positions(standing: StandingVault) -> Positions:
    """Ask every venue; a venue where nothing is ever held answers with nothing."""
    vault = standing.vault
    count = len(vault.tokens())
    supplied, owed = [0] * count, [0] * count
    for venue in vault.venues():
        for totals, amounts in zip((supplied, owed), contract(venue, "AaveV3").position(vault.address), strict=True):
            for index, amount in enumerate(amounts):
                totals[index] += int(amount)
    health = int(vault.health())
    return Positions(supplied, owed, None if health == NO_DEBT else health / 10**18)


@dataclass(frozen=True)
class Claim:
    """What somebody who skipped a venue left behind there; base units of the underlying by asset."""

    venue: int
    held: list[int]
    owed: list[int]
    """As much as has to be repaid for it at most."""
    health_factor: int
    """Of the claim alone, at the oracle's last prices, at 1e18; `NO_DEBT` where it owes nothing."""


def claims_of(standing: StandingVault, account: str) -> list[Claim]:
    """Claims of an account, one for each venue where it has any."""
    vault, count = standing.vault, len(standing.vault.tokens())
    found = []
    for number, venue in enumerate(vault.venues()):
        units = [
            [int(vault.position_claims(account, number << 5 | side << 4 | index)) for index in range(count)]
            for side in (0, 1)
        ]
        if not any(map(any, units)):
            continue
        at = contract(venue, "AaveV3")
        indices = [at.indices(index) if units[0][index] or units[1][index] else (RAY, RAY) for index in range(count)]
        held = [unit * int(index[0]) // RAY for unit, index in zip(units[0], indices, strict=True)]
        owed = [
            unit * int(index[1]) // RAY + DUST if unit else 0 for unit, index in zip(units[1], indices, strict=True)
        ]
        prices = [int(price) for price in standing.oracle.try_prices()[1]]
        padded = ([*one, *[0] * (MAX_ASSETS - count)] for one in (held, owed, prices))
        found.append(Claim(number, held, owed, int(at.health_of(vault.address, *padded))))
    return found


@contextmanager
def debts_approved(
    provider: Any, standing: StandingVault, account: Any, debts: Sequence[int], advice: str
) -> Iterator[None]:
    """Let the vault take what an account has to repay, while the context lasts.

    Parameters
    ----------
    debts
        Base units by asset.
    advice
        What somebody does who has not got them.

    Raises
    ------
    ScriptError
        The account has less of a token than it has to bring.
    """
    brought = []
    for one, debt in zip(standing.asset_names(), debts, strict=True):
        if debt == 0:
            continue
        debt_token = token(one.address)
        if debt_token.balanceOf(account.address) < debt:
            raise ScriptError(
                f"{whole(debt, one.decimals)} {one.symbol} have to be repaid, {account.address} does not have them; "
                f"{advice}"
            )
        brought.append((debt_token, debt + debt * INTEREST_PER_MILLE // 1_000))
    vault = standing.vault.address
    for debt_token, allowance in brought:
        transact(provider, account, debt_token.address, debt_token.approve.encode_input(vault, allowance))
    try:
        yield
    finally:
        for debt_token, _ in brought:
            if debt_token.allowance(account.address, vault) > 0:
                transact(provider, account, debt_token.address, debt_token.approve.encode_input(vault, 0))
