# SPDX-License-Identifier: Apache-2.0
"""Somebody who liquidates accounts at Aave as soon as the protocol lets them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from eth_abi.abi import decode
from eth_utils.crypto import keccak

from offchain.sandbox import addresses
from offchain.sandbox.aave import RESERVES
from offchain.sandbox.blocks import mining
from offchain.sandbox.chain import Chain
from offchain.sandbox.contract import function
from offchain.sandbox.tokens import APPROVE, BALANCE_OF, gift

ONE: Final = 10**18
EVERYTHING: Final = 2**256 - 1

ACCOUNT_DATA = function("getUserAccountData(address)", ",".join(["uint256"] * 6))
"""Of the pool: collateral, debt, what may be borrowed, threshold, loan to value, health factor."""
USER_RESERVE = function(
    "getUserReserveData(address,address)",
    "uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint40,bool",
)
"""Of the data provider: receipts, stable debt, variable debt, …, whether it is collateral."""
ASSET_PRICE = function("getAssetPrice(address)", "uint256")
LIQUIDATE = function("liquidationCall(address,address,address,uint256,bool)")

_LIQUIDATED: Final = "0x" + keccak(text="LiquidationCall(address,address,address,uint256,uint256,address,bool)").hex()


@dataclass(frozen=True, slots=True)
class Liquidation:
    """One liquidation, as the pool's event tells it; base units."""

    account: str
    block_number: int
    collateral: str
    """Symbol."""
    debt: str
    debt_covered: int
    collateral_taken: int


@dataclass(frozen=True, slots=True)
class Account:
    """An account as the pool sees it; USD at 8 decimals, the health factor at 18."""

    collateral: int
    debt: int
    health_factor: int
    """``2**256 - 1`` without debt."""

    @property
    def health(self) -> float | None:
        """The health factor; `None` without debt."""
        return self.health_factor / ONE if self.debt else None

    @property
    def value(self) -> int:
        """What is left after the debt, USD at 18 decimals."""
        return (self.collateral - self.debt) * 10**10

    @property
    def leverage(self) -> float:
        """Collateral over what is left after the debt; 1 without debt."""
        return self.collateral / (self.collateral - self.debt) if 0 < self.debt < self.collateral else 1.0


class Liquidator:
    """Watches accounts and calls ``liquidationCall`` on those whose health factor is below one.

    Parameters
    ----------
    chain
        Its sender pays the debts and takes the collateral; the market mints what it needs.
    accounts
        Whom it watches.

    Attributes
    ----------
    liquidations
        Those that happened, in order.
    """

    def __init__(self, chain: Chain, accounts: Sequence[str]) -> None:
        self.chain, self.accounts = chain, list(accounts)
        self.liquidations: list[Liquidation] = []

    def account(self, address: str) -> Account:
        """How an account stands now."""
        data = self.chain.call(addresses.AAVE_POOL, ACCOUNT_DATA, address)
        return Account(int(data[0]), int(data[1]), int(data[5]))

    def strike(self) -> list[Liquidation]:
        """Liquidate what can be liquidated now, a block each, and return what was."""
        found = []
        for account in self.accounts:
            if self.account(account).health_factor < ONE:
                found.append(self._liquidate(account))
        self.liquidations += found
        return found

    def _liquidate(self, account: str) -> Liquidation:
        """Repay as much as the pool allows of the largest debt, for the largest collateral."""
        chain = self.chain
        collateral, debt = self._largest(account)
        token = addresses.TOKENS[debt]
        with mining(chain, automatic=True):
            missing = self._debts(account)[debt] - int(chain.call(token, BALANCE_OF, chain.sender))
            if missing > 0:
                chain.send_all(gift(chain, debt, chain.sender, missing))
            chain.send(token, APPROVE, addresses.AAVE_POOL, EVERYTHING)
            arguments = (addresses.TOKENS[collateral], token, account, EVERYTHING, False)
            receipt = chain.send(addresses.AAVE_POOL, LIQUIDATE, *arguments)
        (log,) = (one for one in receipt["logs"] if one["topics"][0] == _LIQUIDATED)
        covered, taken, _, _ = decode(["uint256", "uint256", "address", "bool"], bytes.fromhex(log["data"][2:]))
        return Liquidation(account, int(receipt["blockNumber"], 16), collateral, debt, covered, taken)

    def _largest(self, account: str) -> tuple[str, str]:
        """Symbols of the collateral and of the debt that are worth most."""
        worth = {
            reserve.symbol: int(
                self.chain.call(addresses.AAVE_ORACLE, ASSET_PRICE, addresses.TOKENS[reserve.symbol])
            ) / 10.0 ** addresses.DECIMALS[reserve.symbol]
            for reserve in RESERVES
        }  # fmt: skip
        rows = {symbol: self._row(account, symbol) for symbol in worth}
        collateral = max(worth, key=lambda symbol: rows[symbol][0] * worth[symbol] if rows[symbol][8] else -1.0)
        debt = max(worth, key=lambda symbol: rows[symbol][2] * worth[symbol])
        return collateral, debt

    def _debts(self, account: str) -> dict[str, int]:
        return {reserve.symbol: int(self._row(account, reserve.symbol)[2]) for reserve in RESERVES}

    def _row(self, account: str, symbol: str) -> tuple[int, ...]:
        row: tuple[int, ...] = self.chain.call(
            addresses.AAVE_DATA_PROVIDER, USER_RESERVE, addresses.TOKENS[symbol], account
        )
        return row
