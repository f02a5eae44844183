# SPDX-License-Identifier: Apache-2.0
"""Gas from receipts, beside the same swaps through routers: `python -m bench.gas` writes out/gas.json.

A local anvil at its newest rules holds the published Uniswap, Chainlink and token bytecode. A settlement is one
transaction of a relayer, sent with an access list (EIP-2930) as the keeper sends it; ``gas_without_access_list`` is
the same without. ``router_gas`` is what an ordinary account with standing approvals pays, from the same chain state,
for one router transaction a leg, without a list as wallets send it. Before either is measured, every pool, feed and
storage slot has been used once, the vault has settled once and holds some of everything, as the account does.

deposit and mint are those of an account that has shares already, first_deposit is that of one without, which pays for
a storage slot of its own; redeem and withdraw leave some; redeem_in_kind pays every asset to an account that holds none
of the others. ``sizes`` are bytes of runtime code as deployed,
immutables included; the limit (EIP-170) is 24,576.

Variant ``core`` prices by Chainlink; ``full`` has a Uniswap v3 average as second source of every other asset as well.
Legs at Aave supply and then withdraw; beside them stand the same calls of the account to Aave's pool.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from bench._assets import (
    DEPTH,
    TIERS,
    Listed,
    give,
    list_assets,
    open_pools,
    pool_address,
    report,
    swap_v2,
    swap_v3,
    use_pools,
)
from offchain.mandate import load_mandate
from offchain.mandate.venues import FIRST_LISTED
from offchain.market.rpc import NodeClient
from offchain.route.leg import LendingAction, Venue
from offchain.sandbox import addresses
from offchain.sandbox.aave import SUPPLY
from offchain.sandbox.contract import function
from offchain.sandbox.standup import Sandbox, launch
from offchain.sandbox.tokens import APPROVE
from offchain.settle.access_list import AccessEntry, cheaper_access_list
from offchain.settle.development import development_address
from offchain.settle.node import Node
from tests.support.vaults import BLUE_CHIP, GAS_LIMIT, DeployedVault, deploy_vault

OUT = Path("out/gas.json")
CODE_LIMIT = 24_576

ASSETS = (4, 8, 16)
LEGS = (1, 2, 4, 8)
VENUES = {Venue.UNISWAP_V2: "uniswap_v2", Venue.UNISWAP_V3: "uniswap_v3"}
TARGETS = {(4, 8): 1.25, (8, 8): 0.95}
"""Highest ratio for (legs, assets) in v3 pools."""
DEPOSIT_TARGET = 270_000
"""Over eight assets."""

HOLDING = 100_000
"""Dollars that the vault and the ordinary account hold of each asset."""
SIZE = 1000
"""Dollars of a swap."""
KEPT_BPS = 9800
"""Of a swap's dollars that it must return."""
FULL_ASSETS = (4, 8)
"""Numbers of assets whose pools are all there for a second source."""
WINDOW = 600
"""Seconds that a second source averages over."""
LENT = ("USDC", "WETH", "WBTC", "LINK")
"""What is supplied to Aave."""
WITHDRAW = function("withdraw(address,uint256,address)")
GROW = function("increaseObservationCardinalityNext(uint16)")
TRIGGER_BPS, TARGET_BPS = 15_000, 20_000
"""Health factors times 10,000 of deleveraging."""

Row = dict[str, Any]
Swap = tuple[int, int, int]
"""Index sold, index bought, fee tier (0 in a v2 pair)."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One vault over the first assets of the list, and the node it stands on."""

    sandbox: Sandbox
    assets: Sequence[Listed]
    vault: DeployedVault
    variant: str = "core"

    def settle(self, legs: Sequence[tuple[int, ...]], *, listed: bool = True) -> int:
        """Sign an order and relay it as the keeper does, or without an access list; gas used."""
        functions = self.vault.vault.functions
        order = (
            functions.order_nonce().call(),
            self.vault.web3.eth.block_number + 25,
            self.vault.mandate.functions.mandate_hash().call(),
            b"\x5a" * 32,
            list(legs),
            functions.value_per_share().call() * KEPT_BPS // 10_000,
            10**12,
        )
        call = functions.settle(*self.vault.sign(order))
        access_list = self._access_list(call) if listed else ()
        return int(self.vault.send("keeper", call, access_list=access_list)["gasUsed"])

    def _access_list(self, call: Any) -> tuple[AccessEntry, ...]:
        calldata = bytes.fromhex(call._encode_transaction_data()[2:])
        with NodeClient(self.sandbox.rpc_url) as client:
            return cheaper_access_list(
                Node(client), self.vault.address, calldata, sender=development_address("keeper"), gas_limit=GAS_LIMIT
            )

    def send(self, role: str, call: Any) -> int:
        """Send one call of a contract of the vault; gas used."""
        return int(self.vault.send(role, call)["gasUsed"])

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Take back whatever the block did."""
        rpc = self.sandbox.rpc
        mark = rpc.call("evm_snapshot")
        try:
            yield
        finally:
            rpc.call("evm_revert", mark)

    def measured(self, action: Callable[[], int]) -> int:
        """Gas of something, which is taken back."""
        with self.undone():
            return action()


def measure(sandbox: Sandbox) -> tuple[list[Row], dict[str, int]]:
    """All rows, and the sizes of the contracts."""
    everything = list_assets(sandbox)
    for act in (open_pools, use_pools):
        for first, second in sorted(_pairs()):
            act(sandbox, everything[first], everything[second])
        # The pools' own averages start to count a second after.
        sandbox.chain.mine(sandbox.chain.timestamp() + 60)
    _lengthen_history(sandbox, everything)
    for asset in everything:
        _fund_account(sandbox, asset)
    rows: list[Row] = []
    sizes: dict[str, int] = {}
    for count in FULL_ASSETS:
        mandate = _with_second_sources(sandbox, _mandate(everything[:count]), everything[:count])
        bench = _stand_up(sandbox, mandate, everything[:count], "full")
        rows += [_settle_row(bench, legs, Venue.UNISWAP_V3) for legs in LEGS]
        rows += _share_rows(bench)
    for count in ASSETS:
        bench = _stand_up(sandbox, _mandate(everything[:count]), everything[:count])
        rows += [_settle_row(bench, legs, venue) for venue in VENUES for legs in LEGS]
        rows += _share_rows(bench)
        lending = _stand_up_lending(sandbox, everything[:count])
        rows += [_lending_row(lending, legs) for legs in LEGS]
        rows.append(_deleverage_row(lending))
        sizes = _sizes(sandbox, lending.vault)
    return rows, sizes


def _sizes(sandbox: Sandbox, vault: DeployedVault) -> dict[str, int]:
    """Bytes of code of every contract of a vault, as deployed."""
    return {name: len(sandbox.chain.code(address)) // 2 - 1 for name, address in sorted(vault.addresses.items())}


def swaps(venue: Venue, legs: int, assets: int) -> list[Swap]:
    """Around the ring of the assets; a second round takes the other tier of a v3 pool."""
    tiers = (0, 0) if venue is Venue.UNISWAP_V2 else (3000, 500)
    return [(leg % assets, (leg + 1) % assets, tiers[leg // assets]) for leg in range(legs)]


def _pairs() -> set[tuple[int, int]]:
    rings = [swaps(venue, legs, assets) for venue in VENUES for legs in LEGS for assets in ASSETS]
    return {(min(sold, bought), max(sold, bought)) for ring in rings for sold, bought, _ in ring}


def _fund_account(sandbox: Sandbox, asset: Listed) -> None:
    account = development_address("attacker")
    give(sandbox, asset, account, asset.units(HOLDING))
    sandbox.chain.impersonate(account)
    for router in (addresses.UNISWAP_V2_ROUTER, addresses.UNISWAP_V3_ROUTER):
        sandbox.chain.send(asset.address, APPROVE, router, 2**256 - 1, sender=account)


def _stand_up(sandbox: Sandbox, mandate: dict[str, Any], assets: Sequence[Listed], variant: str = "core") -> Bench:
    with TemporaryDirectory(prefix="plimsoll-gas-") as folder:
        file = Path(folder) / "mandate.yaml"
        file.write_text(yaml.safe_dump(mandate))
        # A mandate of the same terms would be the same contract, which serves one vault only.
        salt = f"{variant} {len(mandate['venues'])}".encode()
        bench = Bench(sandbox, assets, deploy_vault(sandbox, file, salt), variant)
    base = assets[0]
    give(sandbox, base, development_address("alice"), base.units(2 * HOLDING))
    bench.vault.deposit("alice", base.units(HOLDING))
    for asset in assets[1:]:
        give(sandbox, asset, bench.vault.address, asset.units(HOLDING))
    sandbox.chain.mine(sandbox.chain.timestamp() + 60)
    # State slots that a first settlement fills are full from now on.
    bench.settle([_leg(bench, Venue.UNISWAP_V3, (0, 1, 3000))])
    sandbox.chain.mine(sandbox.chain.timestamp() + 60)
    return bench


def _stand_up_lending(sandbox: Sandbox, assets: Sequence[Listed]) -> Bench:
    """A vault that has supplied some of everything to Aave, as the account has, and owes dollars there."""
    mandate = _mandate(assets)
    pool = {"kind": "aave_v3", "pool": addresses.AAVE_POOL, "supply": list(LENT), "borrow": ["USDC"]}
    mandate["venues"].append(pool)
    mandate["limits"] |= {
        "max_leverage_bps": 30_000,
        "min_health_bps": TRIGGER_BPS,
        "deleverage_trigger_bps": TRIGGER_BPS,
        "deleverage_target_bps": TARGET_BPS,
        "deleverage_discount_bps": 200,
    }
    mandate["fees"] = {"entry_bps": 160, "exit_bps": 160, "oracle_error_bps": 310}
    bench = _stand_up(sandbox, mandate, assets)
    account = development_address("attacker")
    legs = []
    for i, asset in enumerate(assets[: len(LENT)]):
        sandbox.chain.send(asset.address, APPROVE, addresses.AAVE_POOL, 2**256 - 1, sender=account)
        sandbox.chain.send(addresses.AAVE_POOL, SUPPLY, asset.address, asset.units(SIZE), account, 0, sender=account)
        legs.append((FIRST_LISTED, i, i, int(LendingAction.SUPPLY), asset.units(SIZE), 0))
    bench.settle(legs)
    sandbox.chain.mine(sandbox.chain.timestamp() + 60)
    return bench


def _mandate(assets: Sequence[Listed]) -> dict[str, Any]:
    """The blue-chip mandate over other assets, each free to weigh anything."""
    document = load_mandate(BLUE_CHIP).model_dump(mode="json")
    share, rest = divmod(10_000, len(assets))
    document["assets"] = [
        {
            "symbol": asset.symbol,
            "address": asset.address,
            "decimals": asset.decimals,
            "min_weight_bps": 0,
            "max_weight_bps": 10_000,
            "benchmark_weight_bps": share + (rest if i == 0 else 0),
            "oracle": {
                "kind": "chainlink",
                "feed": asset.feed.proxy,
                "heartbeat_s": 86_400,
                "deviation_bps": 50,
                "min_price_usd": str(asset.price / 10),
                "max_price_usd": str(asset.price * 10),
            },
        }
        for i, asset in enumerate(assets)
    ]
    document["fees"] = {"entry_bps": 60, "exit_bps": 60, "oracle_error_bps": 110}
    return document


def _leg(bench: Bench, venue: Venue, swap: Swap) -> tuple[int, ...]:
    sold, bought, tier = swap
    amount, minimum = _amounts(bench, swap)
    return (int(venue), sold, bought, tier, amount, minimum)


def _amounts(bench: Bench, swap: Swap) -> tuple[int, int]:
    sold, bought, _ = swap
    return bench.assets[sold].units(SIZE), bench.assets[bought].units(SIZE * KEPT_BPS / 10_000)


def _settle_row(bench: Bench, count: int, venue: Venue) -> Row:
    ring = swaps(venue, count, len(bench.assets))
    legs = [_leg(bench, venue, swap) for swap in ring]
    gas, without = _settle_gas(bench, legs)
    router_gas = bench.measured(lambda: sum(_router_gas(bench, swap) for swap in ring))
    return {
        "name": "settle",
        "legs": count,
        "assets": len(bench.assets),
        "venue": VENUES[venue],
        "variant": bench.variant,
        "gas": gas,
        "gas_without_access_list": without,
        "router_gas": router_gas,
        "ratio": round(gas / router_gas, 4),
    }


def _settle_gas(bench: Bench, legs: Sequence[tuple[int, ...]]) -> tuple[int, int]:
    """With an access list and without."""
    return bench.measured(lambda: bench.settle(legs)), bench.measured(lambda: bench.settle(legs, listed=False))


def _lending_row(bench: Bench, count: int) -> Row:
    """Supplies, then withdrawals of half as much."""
    account = development_address("attacker")
    half = len(LENT)
    legs, calls = [], []
    for number in range(count):
        i = number % half
        asset = bench.assets[i]
        amount = asset.units(SIZE if number < half else SIZE / 2)
        action = LendingAction.SUPPLY if number < half else LendingAction.WITHDRAW
        legs.append((FIRST_LISTED, i, i, int(action), amount, 0))
        supply = (SUPPLY, asset.address, amount, account, 0)
        calls.append(supply if number < half else (WITHDRAW, asset.address, amount, account))
    gas, without = _settle_gas(bench, legs)
    send = bench.sandbox.chain.send

    def by_hand() -> int:
        receipts = [send(addresses.AAVE_POOL, *call, sender=account) for call in calls]
        return sum(int(receipt["gasUsed"], 16) for receipt in receipts)

    beside = bench.measured(by_hand)
    return {
        "name": "settle",
        "legs": count,
        "assets": len(bench.assets),
        "venue": "aave_v3",
        "variant": bench.variant,
        "gas": gas,
        "gas_without_access_list": without,
        "router_gas": beside,
        "ratio": round(gas / beside, 4),
    }


def _deleverage_row(bench: Bench) -> Row:
    """After a fall of ether and bitcoin: the caller repays a part and is paid in ether's receipt token."""
    usdc, weth = bench.assets[:2]

    def deleverage() -> int:
        supply = (FIRST_LISTED, 1, 1, int(LendingAction.SUPPLY), weth.units(HOLDING / 2), 0)
        borrow = (FIRST_LISTED, 0, 0, int(LendingAction.BORROW), usdc.units(HOLDING / 4), 0)
        sell = (int(Venue.UNISWAP_V3), 0, 1, 3000, usdc.units(1.2 * HOLDING), 0)
        bench.settle([supply, borrow, sell])
        for asset in bench.assets[1:3]:
            report(bench.sandbox, asset, asset.price * 0.68)
        attacker = bench.vault.token(0).functions
        bench.send("attacker", attacker.approve(bench.vault.address, 2**256 - 1))
        return bench.send("attacker", bench.vault.vault.functions.deleverage(0, 0, 1, usdc.units(HOLDING)))

    return {
        "name": "deleverage",
        "assets": len(bench.assets),
        "variant": bench.variant,
        "gas": bench.measured(deleverage),
    }


def _router_gas(bench: Bench, swap: Swap) -> int:
    sold, bought, tier = swap
    account = development_address("attacker")
    pair = bench.assets[sold].address, bench.assets[bought].address
    amounts = _amounts(bench, swap)
    call = swap_v3(*pair, tier, *amounts, account) if tier else swap_v2(*pair, *amounts, account)
    receipt = bench.sandbox.chain.send(*call, sender=account)
    return int(receipt["gasUsed"], 16)


def _share_rows(bench: Bench) -> list[Row]:
    functions = bench.vault.vault.functions
    base = bench.assets[0]
    alice, bob = development_address("alice"), development_address("bob")
    some = base.units(1000)
    shares = functions.balanceOf(alice).call() // 100
    for name in ("alice", "bob"):
        bench.vault.send(name, bench.vault.token(0).functions.approve(bench.vault.address, 2**256 - 1))
    calls = {
        "deposit": ("alice", functions.deposit(some, alice)),
        "first_deposit": ("bob", functions.deposit(some, bob)),
        "mint": ("alice", functions.mint(shares, alice)),
        "withdraw": ("alice", functions.withdraw(some, alice, alice)),
        "redeem": ("alice", functions.redeem(shares, alice, alice)),
        "redeem_in_kind": ("alice", functions.redeem_in_kind(shares, alice, alice, 0)),
    }
    gas = {name: bench.measured(lambda call=call: bench.send(*call)) for name, call in calls.items()}  # type: ignore[misc]
    gas["trip"] = bench.measured(lambda: _trip(bench))
    return [
        {"name": name, "assets": len(bench.assets), "variant": bench.variant, "gas": used} for name, used in gas.items()
    ]


def _trip(bench: Bench) -> int:
    """After a fall of every price but the base asset's to three fifths."""
    for asset in bench.assets[1:]:
        report(bench.sandbox, asset, asset.price * 0.6)
    return bench.send("attacker", bench.vault.mandate.functions.trip())


def _lengthen_history(sandbox: Sandbox, assets: Sequence[Listed]) -> None:
    """Let the pools of the ring keep observations, and make some."""
    ring = [(i, i + 1) for i in range(max(FULL_ASSETS) - 1)]
    for first, second in ring:
        sandbox.chain.send(pool_address(assets[first], assets[second], TIERS[0]), GROW, 8)
    for _ in range(3):
        for first, second in ring:
            # Only a swap that moves the tick leaves an observation.
            use_pools(sandbox, assets[first], assets[second], DEPTH / 50)
        sandbox.chain.mine(sandbox.chain.timestamp() + WINDOW)


def _with_second_sources(sandbox: Sandbox, mandate: dict[str, Any], assets: Sequence[Listed]) -> dict[str, Any]:
    """The mean price in the pool with its neighbour before it, for every asset but the base."""
    for i in range(1, len(assets)):
        mandate["assets"][i]["oracle"]["second_source"] = {
            "pool": pool_address(assets[i - 1], assets[i], TIERS[0]),
            "quote": assets[i - 1].symbol,
            "window_s": WINDOW,
            "min_liquidity": 1,
            "min_cardinality": 2,
            "max_deviation_bps": 10_000,
        }
    return mandate


def _print(rows: Sequence[Row], sizes: dict[str, int]) -> None:
    print(
        f"{'':<15} {'legs':>4} {'assets':>6} {'venue':<11} {'variant':<8} {'gas':>9} {'unlisted':>9} "
        f"{'router':>9} {'ratio':>6}"
    )
    for row in rows:
        beside = ""
        if "ratio" in row:
            beside = f"{row['gas_without_access_list']:>9,} {row['router_gas']:>9,} {row['ratio']:>6.3f}"
        print(
            f"{row['name']:<15} {row.get('legs', ''):>4} {row['assets']:>6} {row.get('venue', ''):<11} "
            f"{row['variant']:<8} {row['gas']:>9,} {beside}"
        )
    for name, size in sizes.items():
        print(f"{name}: {size:,} bytes, {CODE_LIMIT - size:,} below the limit of {CODE_LIMIT:,}")


def main() -> None:
    """Measure, print a table and write out/gas.json."""
    with launch() as base, base.fork() as sandbox:
        rows, sizes = measure(sandbox)
    _print(rows, sizes)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({"rows": rows, "sizes": sizes}, indent=1) + "\n")
    print(f"{len(rows)} rows in {OUT}")


if __name__ == "__main__":
    main()
