# SPDX-License-Identifier: Apache-2.0
"""What a settlement costs in gas, for deciding which legs pay."""

from __future__ import annotations

from dataclasses import dataclass

from offchain.errors import PlimsollError
from offchain.market.snapshot import Snapshot
from offchain.route.leg import LendingAction, PlannedLeg, Venue

SETTLE_GAS = 235_000
"""A settlement without legs: feed reads, balances, signature, checks, state."""
LEG_GAS = {Venue.UNISWAP_V2: 90_000, Venue.UNISWAP_V3: 120_000}
LISTED_SWAP_GAS = 150_000
"""A swap through a listed venue: Balancer v2."""
LENDING_GAS = {
    LendingAction.SUPPLY: 210_000,
    LendingAction.WITHDRAW: 240_000,
    LendingAction.BORROW: 320_000,
    LendingAction.REPAY: 200_000,
    LendingAction.SET_E_MODE: 80_000,
}
"""Through the vault, of Aave v3."""

WETH = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"


class EtherPriceUnknownError(PlimsollError):
    """Nothing says what gas costs in USD."""


@dataclass(frozen=True, slots=True)
class GasPrice:
    """USD per unit of gas."""

    usd: float

    def of_leg(self, venue: Venue) -> float:
        """USD of one leg."""
        return LEG_GAS.get(venue, LISTED_SWAP_GAS) * self.usd

    def of_settlement(self, legs: tuple[PlannedLeg, ...]) -> float:
        """USD of a whole settlement; nothing without legs."""
        if not legs:
            return 0.0
        lending = sum(LENDING_GAS[LendingAction(leg.fee_ppm)] for leg in legs if not leg.is_swap)
        swaps = sum(self.of_leg(leg.venue) for leg in legs if leg.is_swap)
        return (SETTLE_GAS + lending) * self.usd + swaps


def gas_price(snapshot: Snapshot, ether_usd: float | None = None) -> GasPrice:
    """Price of gas at the snapshot's base fee.

    Parameters
    ----------
    snapshot
        Its base fee, and its price of WETH where `ether_usd` is not given.
    ether_usd
        USD per ether, for vaults that do not hold WETH.

    Raises
    ------
    EtherPriceUnknownError
        Neither is there.
    """
    if ether_usd is None:
        for asset in snapshot.assets:
            if asset.address.lower() == WETH.lower() or asset.symbol == "WETH":
                ether_usd = asset.price_usd
                break
        else:
            raise EtherPriceUnknownError("no WETH among the assets to price gas by; give the price of ether")
    return GasPrice(snapshot.block.base_fee * ether_usd / 10**18)
