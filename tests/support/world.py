# SPDX-License-Identifier: Apache-2.0
"""A vault on an in-process copy of the sandbox, with the market and the oracles around it.

Tests of the contracts, attacks and state machines play on it::

    world = World.deploy()                              # the blue-chip mandate
    world.deposit("alice", usdc(1_000_000))
    world.invest()                                      # signed orders, real pools
    world.set_feed("ETH/USD", 2900)                     # a Chainlink round
    world.trade_market_to(WETH=2850)                    # an arbitrageur moves every pool
    settled = world.settle([world.leg("WETH", "USDC", 10**18)])  # the Settled event

Indices are those of the vault's assets; where an asset is asked for, its symbol will do.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Any, NamedTuple

from eth_keys.datatypes import PrivateKey
from eth_utils.address import to_checksum_address

from offchain.abi import contract_abi
from offchain.mandate import Mandate, VaultLimits, load_mandate
from offchain.route.leg import Venue
from offchain.sandbox import addresses
from offchain.sandbox.arbitrage import INVENTORY, Band, band
from offchain.sandbox.compiler import sandbox_artifact
from offchain.sandbox.contract import constructor_arguments
from offchain.sandbox.prices import FEED_RULES, PRICES, STAKED_RATIO
from offchain.sandbox.uniswap import POOLS, Pool
from offchain.settle.deployment import DeploymentPlan, Roles, plan_deployment
from offchain.settle.development import development_key, sandbox_deployer
from tests.support.contracts import DEPLOYABLE, compiled
from tests.support.evm import Contract, Evm, Method, address_of
from tests.support.settled import settled_event
from tests.support.vaults import BLUE_CHIP, default_roles

ONE = 10**18
BPS = 10**14
DAY = 86_400
ZERO_HASH = b"\0" * 32

FEED_OF = {"USDC": "USDC/USD", "WETH": "ETH/USD", "WBTC": "BTC/USD", "LINK": "LINK/USD", "USDT": "USDT/USD"}
"""The feed that says what a token is worth; wstETH has two and a ratio."""

ERC20_ABI: list[dict[str, Any]] = [
    *(entry for entry in contract_abi("Vault") if entry.get("name") in (
        "approve", "transfer", "transferFrom", "balanceOf", "allowance", "totalSupply", "Transfer", "Approval",
    )),
    {"type": "function", "name": "mint", "stateMutability": "nonpayable", "outputs": [],
     "inputs": [{"name": "to", "type": "address"}, {"name": "amount", "type": "uint256"}]},
    {"type": "function", "name": "deposit", "stateMutability": "payable", "inputs": [], "outputs": []},
    {"type": "function", "name": "set_ratio", "stateMutability": "nonpayable", "outputs": [],
     "inputs": [{"name": "ratio", "type": "uint256"}]},
]  # fmt: skip
"""ERC-20, and what the market does to hand tokens out: mint, wrap, set the staking ratio."""

FLUX_ABI: list[dict[str, Any]] = [
    {"type": "function", "name": "submit", "stateMutability": "nonpayable", "outputs": [],
     "inputs": [{"name": "round", "type": "uint256"}, {"name": "answer", "type": "int256"}]},
    {"type": "function", "name": "latestRound", "stateMutability": "view", "inputs": [],
     "outputs": [{"name": "", "type": "uint256"}]},
    {"type": "function", "name": "latestAnswer", "stateMutability": "view", "inputs": [],
     "outputs": [{"name": "", "type": "int256"}]},
    {"type": "function", "name": "latestRoundData", "stateMutability": "view", "inputs": [],
     "outputs": [{"name": "", "type": kind} for kind in ("uint80", "int256", "uint256", "uint256", "uint80")]},
    {"type": "function", "name": "aggregator", "stateMutability": "view", "inputs": [],
     "outputs": [{"name": "", "type": "address"}]},
]  # fmt: skip
"""FluxAggregator and the proxy before it."""


class Leg(NamedTuple):
    """A leg as the vault takes it."""

    venue: int
    token_in: int
    token_out: int
    fee: int
    amount_in: int
    min_amount_out: int


class Order(NamedTuple):
    """An order as the vault takes it."""

    nonce: int
    deadline: int
    mandate_hash: bytes
    model_hash: bytes
    legs: tuple[Leg, ...]
    min_value_per_share: int
    max_base_fee: int


Limits = namedtuple(
    "Limits",
    [field.name for field in fields(VaultLimits)],
    defaults=[field.default for field in fields(VaultLimits) if field.default is not MISSING],
)
"""`VaultLimits` as the mandate contract takes and answers them: a tuple."""


class Book(NamedTuple):
    """What a vault holds and owes; USD at 18 decimals."""

    held: tuple[int, ...]
    owed: tuple[int, ...]
    venues: tuple[int, ...]
    wallet: int
    health: int

    def as_struct(self) -> tuple[Any, ...]:
        """As the mandate contract takes it."""
        gross = sum(self.held)
        net = max(gross - sum(self.owed), 0)
        return _filled(self.held, 16), _filled(self.venues, 4), gross, net, self.wallet, self.health


def book(
    held: Sequence[int],
    owed: Sequence[int] = (),
    venues: Sequence[int] = (),
    wallet: int | None = None,
    health: int = 2**256 - 1,
) -> Book:
    """A book, by default of a vault without venues: all it has of its base asset is in its wallet."""
    return Book(tuple(held), tuple(owed), tuple(venues), held[0] if wallet is None else wallet, health)


def report(
    before: Book, after: Book, risen: int = 0, per_share_before: int = ONE, per_share_after: int = ONE
) -> tuple[Any, ...]:
    """What a vault tells its mandate of a settlement: the arguments of ``judge`` after signer and mandate hash."""
    count = len(before.held)
    exposures = [
        [held - owed for held, owed in zip(each.held, _filled(each.owed, count), strict=True)]
        for each in (before, after)
    ]
    moved = [new - old for old, new in zip(*exposures, strict=True)]
    bought, sold = sum(max(move, 0) for move in moved), sum(max(-move, 0) for move in moved)
    change = (bought, sold, risen, per_share_before, per_share_after)
    return before.as_struct(), after.as_struct(), change, len(after.venues)


def _filled(values: Sequence[int], length: int) -> list[int]:
    return [*values, *[0] * (length - len(values))]


def usdc(dollars: float) -> int:
    """Base units of USDC."""
    return round(dollars * 10**6)


def sign(digest: bytes, role: str) -> bytes:
    """65 bytes ``r || s || v`` of a role's development key."""
    signature = _private_key(role).sign_msg_hash(digest)
    return signature.r.to_bytes(32, "big") + signature.s.to_bytes(32, "big") + bytes([27 + signature.v])


def deploy_plan(evm: Evm, plan: DeploymentPlan, sender: str = "owner") -> tuple[Contract, Contract, Contract]:
    """Send a deployment plan's transactions; returns vault, mandate, oracle."""
    for creation in plan.creations:
        if not evm.code(creation.address):
            evm.call(address_of(sender), plan.deployer, bytes.fromhex(creation.transaction_data[2:]))
    vault, mandate, oracle = (
        Contract(evm, str(to_checksum_address(creation.address)), product_abi(creation.contract))
        for creation in (plan.vault, plan.mandate, plan.oracle)
    )
    return vault, mandate, oracle


def deploy_timelock(evm: Evm, delay: int, proposer: str = "owner") -> Contract:
    """An owner for a mandate, proposing and executing for a role; the guardian cancels."""
    arguments = [delay, [address_of(proposer)], [address_of(proposer)], address_of("guardian")]
    return deploy_product(evm, "Timelock", arguments)


def deploy_product(evm: Evm, name: str, arguments: Sequence[Any] = ()) -> Contract:
    """Create one of the product's contracts."""
    abi = product_abi(name)
    encoded = constructor_arguments(abi, list(arguments)) if arguments else b""
    return Contract(evm, evm.deploy(bytes.fromhex(compiled(name).bytecode.removeprefix("0x")) + encoded), abi)


def scheduled(
    timelock: Contract, action: Method, *arguments: Any, wait: bool = True, proposer: str = "owner"
) -> Callable[[], None]:
    """Schedule a call of the timelock's and wait its delay; what is returned executes it."""
    evm, delay = timelock.evm, timelock.get_minimum_delay()
    # Another salt each block, so that the same may be done again.
    operation = (action.contract.address, 0, action.encode(*arguments), ZERO_HASH, evm.number.to_bytes(32, "big"))
    timelock.schedule(*operation, delay, sender=proposer)
    if wait:
        evm.mine(delay)
    return lambda: timelock.execute(*operation, sender=proposer)


@dataclass(slots=True, repr=False)
class World:
    """One vault and everything around it."""

    evm: Evm
    file: Mandate
    vault: Contract
    mandate: Contract
    oracle: Contract
    timelock: Contract
    """Owner of the mandate; the role called owner proposes and executes."""
    alarms: Contract
    tokens: tuple[Contract, ...]
    """The vault's assets in order."""
    maker: Contract
    """The market's trading contract, with more of every token than a test can take."""

    @classmethod
    def deploy(
        cls, file: Mandate | None = None, roles: Roles | None = None, evm: Evm | None = None, salt: bytes = b""
    ) -> World:
        """Deploy the vault of a mandate through the sandbox's deployer, by default on a fresh sandbox."""
        evm = evm or Evm.sandbox()
        file = file or blue_chip()
        creation_code = {name: compiled(name).bytecode for name in DEPLOYABLE}
        plan = plan_deployment(file, roles or default_roles(), creation_code, sandbox_deployer(), salt)
        vault, mandate, oracle = deploy_plan(evm, plan)
        tokens = tuple(Contract(evm, asset.address, ERC20_ABI) for asset in file.ordered_assets)
        timelock = Contract(evm, plan.timelock.address, product_abi("Timelock"))
        alarms = Contract(evm, plan.alarms.address, product_abi("Alarms"))
        world = cls(evm, file, vault, mandate, oracle, timelock, alarms, tokens, Contract(evm, "", ()))
        world.maker = world.deploy_maker("market", {symbol: INVENTORY[symbol] for symbol in INVENTORY})
        return world

    def __repr__(self) -> str:
        return f"World({self.file.name!r} at {self.vault.address})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))

    # ------------------------------------------------------------------ assets

    def index(self, asset: int | str) -> int:
        """Index of an asset."""
        return asset if isinstance(asset, int) else self.file.symbols.index(asset)

    def token(self, asset: int | str) -> Contract:
        """An asset of the vault by index or symbol, or any other token of the sandbox by symbol."""
        if isinstance(asset, str) and asset not in self.file.symbols:
            return Contract(self.evm, addresses.TOKENS[asset], ERC20_ABI)
        return self.tokens[self.index(asset)]

    def give(self, asset: int | str, receiver: Any, amount: int) -> None:
        """Hand out tokens (base units); the market mints, wraps or sends them."""
        token = self.token(asset)
        if token.address == addresses.WETH:
            token.deposit(sender="market", value=amount)
        if token.address in (addresses.WETH, addresses.LINK):
            token.transfer(receiver, amount, sender="market")
        else:
            token.mint(receiver, amount, sender="market")

    def balances(self, who: Any) -> list[int]:
        """What somebody holds of each asset of the vault."""
        return [token.balanceOf(who) for token in self.tokens]

    # ------------------------------------------------------------------ depositors

    def approve(self, role: str, assets: int = 2**256 - 1) -> None:
        """Let the vault take a role's base asset."""
        self.tokens[0].approve(self.vault, assets, sender=role)

    def deposit(self, role: str, assets: int, receiver: Any = None) -> int:
        """Give a role base asset and deposit it; returns the shares."""
        self.give(0, role, assets)
        self.approve(role)
        return int(self.vault.deposit(assets, receiver or role, sender=role))

    def leave_in_kind(self, role: str, shares: int | None = None, skip: int = 0) -> tuple[int, ...]:
        """Redeem shares, all by default, in kind; returns the amounts."""
        shares = self.vault.balanceOf(role) if shares is None else shares
        return tuple(self.vault.redeem_in_kind(shares, role, role, skip, sender=role))

    # ------------------------------------------------------------------ roles

    def schedule(self, action: Method, *arguments: Any, wait: bool = True) -> Callable[[], None]:
        """Schedule what the mandate's owner shall do and wait the delay; what is returned does it."""
        return scheduled(self.timelock, action, *arguments, wait=wait)

    def owner_does(self, action: Method, *arguments: Any) -> None:
        """Schedule it, wait the delay and do it."""
        self.schedule(action, *arguments)()

    def loosen(self, limits: Limits) -> None:
        """The owner approves limits after the delay, and the curator sets them."""
        self.owner_does(self.mandate.approve_limits, self.mandate.hash_limits(limits))
        self.mandate.set_limits(limits, sender="curator")

    def limits(self, **changes: Any) -> Limits:
        """The limits in force, with changes."""
        return Limits(*self.mandate.limits())._replace(**changes)

    # ------------------------------------------------------------------ orders

    def leg(
        self,
        token_in: int | str,
        token_out: int | str,
        amount_in: int,
        fee: int = 3000,
        min_amount_out: int = 0,
        venue: Venue = Venue.UNISWAP_V3,
    ) -> Leg:
        """A leg; `fee` 0 is the v2 pair."""
        kind = Venue.UNISWAP_V2 if fee == 0 else venue
        return Leg(int(kind), self.index(token_in), self.index(token_out), fee, amount_in, min_amount_out)

    def order(self, legs: Iterable[Leg], **changes: Any) -> Order:
        """An order that would be accepted now; keyword arguments change its fields."""
        order = Order(
            nonce=self.vault.order_nonce(),
            deadline=self.evm.number + 25,
            mandate_hash=self.mandate.mandate_hash(),
            model_hash=ZERO_HASH,
            legs=tuple(legs),
            min_value_per_share=0,
            max_base_fee=2**64,
        )
        return order._replace(**changes)

    def sign(self, order: Order, role: str = "optimizer") -> bytes:
        """A role's signature of an order for this vault."""
        return sign(self.vault.hash_order(order), role)

    def settle(
        self, order: Order | Sequence[Leg], signer: str = "optimizer", relayer: str = "keeper"
    ) -> dict[str, Any]:
        """Sign and relay an order, or legs to make one of; returns the Settled event."""
        if not isinstance(order, Order):
            order = self.order(order)
        self.vault.settle(order, signer, self.sign(order, signer), sender=relayer)
        return settled_event(self.vault)

    def invest(self, weights: Mapping[str, float] | None = None) -> dict[str, Any]:
        """Bring a blue-chip vault to weights, by default its benchmark, in one settlement."""
        weights = weights or dict(zip(self.file.symbols, self.file.benchmark_weights, strict=True))
        value, prices = self.vault.value(), self.prices()
        holdings = self.vault.holdings()
        change = {
            symbol: int(weight * value) * ONE // price - held
            for (symbol, weight), price, held in zip(weights.items(), prices, holdings, strict=True)
        }
        legs = []
        for symbol, fee in (("WETH", 500), ("WBTC", 3000), ("LINK", 3000)):
            amount = change[symbol] + (self._staked_in_weth(change["wstETH"], prices) if symbol == "WETH" else 0)
            if amount > 0:
                cost = amount * prices[self.index(symbol)] // prices[0]
                legs.append(self.leg("USDC", symbol, cost, fee))
            elif amount < 0:
                legs.append(self.leg(symbol, "USDC", -amount, fee))
        staked = self._staked_in_weth(change["wstETH"], prices)
        if staked > 0:
            legs.append(self.leg("WETH", "wstETH", staked, 100))
        elif staked < 0:
            legs.insert(0, self.leg("wstETH", "WETH", -change["wstETH"], 100))
        return self.settle(legs)

    def _staked_in_weth(self, amount: int, prices: Sequence[int]) -> int:
        return amount * prices[self.index("wstETH")] // prices[self.index("WETH")]

    # ------------------------------------------------------------------ oracles

    def prices(self) -> list[int]:
        """Oracle prices: USD at 18 decimals per 10**18 base units."""
        return list(self.oracle.prices()[: len(self.file.assets)])

    def usd(self, asset: int | str) -> float:
        """Oracle price of a whole token, for reading."""
        i = self.index(asset)
        return float(self.prices()[i] / 10 ** (36 - self.file.ordered_assets[i].decimals))

    def feed(self, name: str) -> Contract:
        """The aggregator behind a feed's proxy."""
        proxy = Contract(self.evm, addresses.FEEDS[name], FLUX_ABI)
        return Contract(self.evm, proxy.aggregator(), FLUX_ABI)

    def set_feed(self, name: str, price: float) -> None:
        """An oracle writes a round now."""
        self.write_round(name, round(price * 10 ** FEED_RULES[name].decimals))

    def write_round(self, name: str, answer: int) -> None:
        """The same with the integer that the feed answers."""
        flux = self.feed(name)
        flux.submit(flux.latestRound() + 1, answer, sender="oracle0")

    def refresh_feeds(self) -> None:
        """Every feed writes its answer again, so that none is stale."""
        for name in addresses.FEEDS:
            self.write_round(name, self.feed(name).latestAnswer())

    # ------------------------------------------------------------------ market

    def pools(self) -> list[Pool]:
        """The sandbox's pools between two assets of the vault."""
        return [pool for pool in POOLS if set(pool.symbols) <= set(self.file.symbols)]

    def trade_market_to(self, exact: bool = False, **prices: float) -> None:
        """Move every pool to USD prices by symbol (those at the sandbox's head where not given).

        Pools stop at the edge of what their fee leaves an arbitrageur, or at the price itself.
        """
        whole = head_prices() | prices
        bands = [band(pool, whole) for pool in self.pools()]
        if exact:
            middle = [int((one.low * one.high) ** 0.5) for one in bands]
            bands = [Band(one.pool, root, root) for one, root in zip(bands, middle, strict=True)]
        self.maker.make([one.values() for one in bands], [], sender="market")

    def deploy_maker(self, owner: str, inventory: Mapping[str, float]) -> Contract:
        """A trading contract of a role's, holding whole tokens by symbol."""
        artifact = sandbox_artifact("MarketMaker")
        maker = Contract(self.evm, self.evm.deploy(artifact.linked({}), owner), artifact.abi)
        for symbol, amount in inventory.items():
            self.give(symbol, maker, int(amount * 10 ** addresses.DECIMALS[symbol]))
        return maker


def head_prices() -> dict[str, float]:
    """USD by symbol at the sandbox's head."""
    ether = PRICES["ETH/USD"]
    return {symbol: PRICES[feed] for symbol, feed in FEED_OF.items()} | {
        "wstETH": STAKED_RATIO * PRICES["stETH/ETH"] * ether,
        "DAI": PRICES["DAI/USD"],
    }


@cache
def product_abi(name: str) -> Any:
    """ABI of one of our contracts as compiled now."""
    return compiled(name).abi


@cache
def blue_chip() -> Mandate:
    """The blue-chip mandate."""
    return load_mandate(BLUE_CHIP)


def with_terms(file: Mandate, **changes: int) -> Mandate:
    """A mandate with other limits or fees (``entry_bps``, ``exit_bps``), unchecked: tests go where files may not."""
    limits = {name: value for name, value in changes.items() if name in type(file.limits).model_fields}
    fees = {name: value for name, value in changes.items() if name in type(file.fees).model_fields}
    if unknown := set(changes) - set(limits) - set(fees):
        raise TypeError(f"neither limits nor fees: {unknown}")
    return file.model_copy(
        update={"limits": file.limits.model_copy(update=limits), "fees": file.fees.model_copy(update=fees)}
    )


def with_weights(file: Mandate, **bounds: tuple[int, int]) -> Mandate:
    """A mandate with other weight bounds by symbol, unchecked."""
    assets = tuple(
        asset.model_copy(update=dict(zip(("min_weight_bps", "max_weight_bps"), bounds[asset.symbol], strict=True)))
        if asset.symbol in bounds
        else asset
        for asset in file.assets
    )
    return file.model_copy(update={"assets": assets})


@cache
def _private_key(role: str) -> PrivateKey:
    return PrivateKey(bytes.fromhex(development_key(role)[2:]))
