# SPDX-License-Identifier: Apache-2.0
"""Gas from receipts, beside the same swaps through routers: `python -m bench.gas` writes out/gas.json.

A local anvil at its newest rules holds the published Uniswap, Chainlink and token bytecode. A settlement is one
transaction of a relayer; ``router_gas`` is what an ordinary account with standing approvals pays, from the same
chain state, for one router transaction a leg. Before either is measured, every pool, feed and storage slot has been
used once, the vault has settled once and holds some of everything, as the account does.

deposit and mint are those of an account that has no share yet, redeem and withdraw leave some; redeem_in_kind
pays every asset to an account that holds none of the others. ``sizes`` are bytes of runtime code as deployed,
immutables included; the limit (EIP-170) is 24,576.
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

from bench._assets import Listed, give, list_assets, open_pools, report, swap_v2, swap_v3, use_pools
from offchain.mandate import load_mandate
from offchain.route.leg import Venue
from offchain.sandbox import addresses
from offchain.sandbox.standup import Sandbox, launch
from offchain.sandbox.tokens import APPROVE
from offchain.settle.development import development_address
from tests.support.vaults import BLUE_CHIP, DeployedVault, deploy_vault

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
BASE_UNIT = 10**6

Row = dict[str, Any]
Swap = tuple[int, int, int]
"""Index sold, index bought, fee tier (0 in a v2 pair)."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One vault over the first assets of the list, and the node it stands on."""

    sandbox: Sandbox
    assets: Sequence[Listed]
    vault: DeployedVault

    def settle(self, legs: Sequence[tuple[int, ...]]) -> int:
        """Sign an order and relay it; gas used."""
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
        return int(self.vault.send("keeper", functions.settle(*self.vault.sign(order)))["gasUsed"])

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
    for asset in everything:
        _fund_account(sandbox, asset)
    rows: list[Row] = []
    sizes: dict[str, int] = {}
    with TemporaryDirectory(prefix="plimsoll-gas-") as folder:
        for count in ASSETS:
            bench = _stand_up(sandbox, everything[:count], Path(folder))
            rows += [_settle_row(bench, legs, venue) for venue in VENUES for legs in LEGS]
            rows += _share_rows(bench)
            sizes = {
                name: len(sandbox.chain.code(address)) // 2 - 1
                for name, address in (
                    ("Vault", bench.vault.address),
                    ("Mandate", bench.vault.mandate.address),
                    ("PriceOracle", bench.vault.oracle.address),
                )
            }
    return rows, sizes


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


def _stand_up(sandbox: Sandbox, assets: Sequence[Listed], folder: Path) -> Bench:
    file = folder / f"{len(assets)}.yaml"
    file.write_text(yaml.safe_dump(_mandate(assets)))
    bench = Bench(sandbox, assets, deploy_vault(sandbox, file))
    base = assets[0]
    give(sandbox, base, development_address("alice"), base.units(2 * HOLDING))
    bench.vault.deposit("alice", base.units(HOLDING))
    for asset in assets[1:]:
        give(sandbox, asset, bench.vault.address, asset.units(HOLDING))
    # State slots that a first settlement fills are full from now on.
    bench.settle([_leg(bench, Venue.UNISWAP_V3, (0, 1, 3000))])
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
    gas = bench.measured(lambda: bench.settle([_leg(bench, venue, swap) for swap in ring]))
    router_gas = bench.measured(lambda: sum(_router_gas(bench, swap) for swap in ring))
    return {
        "name": "settle",
        "legs": count,
        "assets": len(bench.assets),
        "venue": VENUES[venue],
        "variant": "core",
        "gas": gas,
        "router_gas": router_gas,
        "ratio": round(gas / router_gas, 4),
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
    bench.vault.send("bob", bench.vault.token(0).functions.approve(bench.vault.address, 2**256 - 1))
    calls = {
        "deposit": ("bob", functions.deposit(some, bob)),
        "mint": ("bob", functions.mint(shares, bob)),
        "withdraw": ("alice", functions.withdraw(some, alice, alice)),
        "redeem": ("alice", functions.redeem(shares, alice, alice)),
        "redeem_in_kind": ("alice", functions.redeem_in_kind(shares, alice, alice, 0)),
    }
    gas = {name: bench.measured(lambda call=call: bench.send(*call)) for name, call in calls.items()}  # type: ignore[misc]
    gas["trip"] = bench.measured(lambda: _trip(bench))
    return [{"name": name, "assets": len(bench.assets), "variant": "core", "gas": used} for name, used in gas.items()]


def _trip(bench: Bench) -> int:
    """After a fall of every price but the base asset's by a half."""
    for asset in bench.assets[1:]:
        report(bench.sandbox, asset, asset.price / 2)
    return bench.send("attacker", bench.vault.mandate.functions.trip())


def _print(rows: Sequence[Row], sizes: dict[str, int]) -> None:
    print(f"{'':<15} {'legs':>4} {'assets':>6} {'venue':<11} {'variant':<8} {'gas':>9} {'router':>9} {'ratio':>6}")
    for row in rows:
        beside = f"{row['router_gas']:>9,} {row['ratio']:>6.3f}" if "ratio" in row else ""
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
