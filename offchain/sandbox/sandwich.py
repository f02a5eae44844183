# SPDX-License-Identifier: Apache-2.0
"""An attacker who reads the mempool: buys before a victim's swap, sells after it, in the same block."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from offchain.sandbox import addresses
from offchain.sandbox.arbitrage import MarketMaker, Swap
from offchain.sandbox.blocks import GWEI, TIP, PendingTransaction, send
from offchain.sandbox.chain import GAS, Chain
from offchain.sandbox.mempool import VisibleSwap, Watch
from offchain.sandbox.rpc import RpcError
from offchain.settle.development import development_address

GAS_OF_BOTH = 350_000
"""What front-run and back-run use together, about."""

_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


@dataclass(frozen=True, slots=True)
class Attack:
    """A sandwich that pays, as rehearsed on the state before the block.

    Attributes
    ----------
    victim
        The swap in the middle.
    spent, returned
        Base units of the victim's input token that the attacker pays in and gets back.
    victim_amount_out
        What is left to the victim, base units of its output token; never below what it accepts.
    profit_usd
        After gas, at the attacker's idea of prices.
    """

    victim: VisibleSwap
    spent: int
    returned: int
    victim_amount_out: int
    profit_usd: float


@dataclass(frozen=True, slots=True)
class AttackResult:
    """What became of an attack once its block was mined.

    Attributes
    ----------
    victim_succeeded
        Whether the victim's transaction went through between the two.
    gained
        Base units of the victim's input token, before gas; negative for a loss.
    profit_usd
        After gas.
    """

    attack: Attack
    block_number: int
    victim_succeeded: bool
    gained: int
    profit_usd: float


class SandwichBot:
    """Attacks the largest swap of each transaction it can read, when that pays.

    The victim's minimum output bounds the attack: the bot moves the price until the victim just gets that, or
    until its own fees eat the gain, whichever comes first.

    Parameters
    ----------
    chain
        The sandbox.
    watch
        Whose transactions it can read.
    prices
        Called for USD per whole token by symbol, to compare swaps and to weigh gas.
    owner
        The account that attacks; its tokens move into a trading contract.

    Attributes
    ----------
    results
        Every attack that was mined.
    """

    def __init__(
        self,
        chain: Chain,
        watch: Watch,
        prices: Callable[[], Mapping[str, float]],
        owner: str = development_address("attacker"),
    ) -> None:
        self.chain, self._watch, self._prices = chain, watch, prices
        self.maker = MarketMaker.of(chain, owner)
        self.results: list[AttackResult] = []
        self._seen: set[str] = set()
        self._open: list[tuple[Attack, str, str]] = []

    @property
    def profit_usd(self) -> float:
        """Of all attacks, after gas."""
        return sum(result.profit_usd for result in self.results)

    def plan(self, swaps: Sequence[VisibleSwap]) -> Attack | None:
        """Return the most profitable attack on the largest of a transaction's swaps, or None when none pays."""
        prices = self._prices()
        victim = max(swaps, key=lambda one: _usd(one.token_in, one.swap.amount_in, prices))
        most = self._most(victim)
        if most == 0:
            return None
        spent = self._best(victim, most)
        _, victim_out, returned = self._rehearse(victim, spent)
        profit = _usd(victim.token_in, returned - spent, prices) - self._gas_usd(GAS_OF_BOTH, prices)
        return Attack(victim, spent, returned, victim_out, profit) if profit > 0 else None

    def before_block(self, pending: Sequence[PendingTransaction]) -> None:
        """Surround the first new victim worth it; one attack a block, because the first changes the next's odds."""
        for swaps in self._watch.swaps(pending):
            target = swaps[0].transaction
            if target.hash in self._seen:
                continue
            self._seen.add(target.hash)
            attack = self.plan(swaps)
            if attack is None:
                continue
            trade = Swap(attack.victim.swap.pool, attack.victim.swap.zero_for_one, attack.spent)
            # Ahead of whoever else runs ahead, and just behind the victim.
            front = self.maker.transaction("front_run", trade.values())
            first = send(self.chain, front, max_fee=target.max_fee + GWEI)
            last = send(self.chain, self.maker.transaction("back_run"), max_fee=target.max_fee - 1)
            self._open.append((attack, first, last))
            return

    def after_block(self) -> None:
        """Count what the attacks of the block brought."""
        for attack, first, last in self._open:
            hashes = (first, attack.victim.transaction.hash, last)
            receipts = [self.chain.rpc.call("eth_getTransactionReceipt", one) for one in hashes]
            if any(receipt is None for receipt in receipts):
                continue
            front, victim, back = receipts
            gained = sum(self._moved(receipt, attack.victim.token_in) for receipt in (front, back))
            paid = sum(int(one["gasUsed"], 16) * int(one["effectiveGasPrice"], 16) for one in (front, back))
            prices = self._prices()
            profit = _usd(attack.victim.token_in, gained, prices) - _usd("WETH", paid, prices)
            self.results.append(
                AttackResult(attack, int(back["blockNumber"], 16), int(victim["status"], 16) == 1, gained, profit)
            )
        self._open = [one for one in self._open if self.chain.rpc.call("eth_getTransactionReceipt", one[2]) is None]

    def _most(self, victim: VisibleSwap) -> int:
        """Return the largest front-run, base units, that still leaves the victim its minimum; 0 when none does."""
        if not self._leaves_minimum(victim, 0):
            return 0
        low, high = 0, max(1, self.maker.balance(victim.token_in))
        if self._leaves_minimum(victim, high):
            return high
        # Twenty-four halvings leave a ten-millionth of the purse.
        for _ in range(24):
            middle = (low + high) // 2
            if self._leaves_minimum(victim, middle):
                low = middle
            else:
                high = middle
        return low

    def _best(self, victim: VisibleSwap, most: int) -> int:
        """Golden-section search on [0, most]: the gain is concave in the size of the front-run."""

        def gain(size: float) -> int:
            spent = int(size)
            return self._rehearse(victim, spent)[2] - spent

        low, high = 0.0, float(most)
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        at_left, at_right = gain(left), gain(right)
        for _ in range(16):
            if at_left < at_right:
                low, left, at_left = left, right, at_right
                right = low + _GOLDEN * (high - low)
                at_right = gain(right)
            else:
                high, right, at_right = right, left, at_left
                left = high - _GOLDEN * (high - low)
                at_left = gain(left)
        return most if gain(float(most)) >= max(at_left, at_right) else int((low + high) / 2)

    def _leaves_minimum(self, victim: VisibleSwap, spent: int) -> bool:
        try:
            return self._rehearse(victim, spent)[1] >= victim.min_amount_out
        except RpcError:
            return False

    def _rehearse(self, victim: VisibleSwap, spent: int) -> tuple[int, int, int]:
        """Return bought, left to the victim, returned, in base units, on the newest state."""
        trade = Swap(victim.swap.pool, victim.swap.zero_for_one, spent)
        call = self.maker.transaction("rehearse", trade.values(), victim.swap.amount_in)
        function = self.maker.contract.function("rehearse", 2)
        request = {"from": self.maker.owner, "to": self.maker.address, "data": call.data, "gas": hex(GAS)}
        bought, left, returned = function.decode(self.chain.rpc.call("eth_call", request, "latest"))
        return bought, left, returned

    def _moved(self, receipt: Mapping[str, object], symbol: str) -> int:
        """Net base units of a token that came to the trading contract in a transaction."""
        token, own = addresses.TOKENS[symbol].lower(), self.maker.address.lower()
        total = 0
        logs = receipt["logs"]
        assert isinstance(logs, list)
        for log in logs:
            if log["address"].lower() == token and log["topics"][0] == TRANSFERRED:
                source, target = ("0x" + topic[-40:].lower() for topic in log["topics"][1:3])
                total += int(log["data"], 16) * ((target == own) - (source == own))
        return total

    def _gas_usd(self, gas: int, prices: Mapping[str, float]) -> float:
        head = self.chain.rpc.call("eth_getBlockByNumber", "latest", False)
        each = int(head["baseFeePerGas"], 16) + TIP
        return _usd("WETH", gas * each, prices)


TRANSFERRED = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
"""Topic of ERC-20's Transfer(address,address,uint256)."""


def _usd(symbol: str, amount: int, prices: Mapping[str, float]) -> float:
    return float(amount / 10 ** addresses.DECIMALS[symbol] * prices[symbol])
