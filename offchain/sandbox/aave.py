# SPDX-License-Identifier: Apache-2.0
"""Aave v3 with the market's own reserves, on the same feeds as everything else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from offchain.sandbox import addresses
from offchain.sandbox.artifacts import npm_artifact
from offchain.sandbox.chain import Chain
from offchain.sandbox.compiler import sandbox_artifact
from offchain.sandbox.contract import Contract, function
from offchain.sandbox.tokens import APPROVE, gift
from offchain.settle.development import development_address

RAY: Final = 10**27
NOBODY: Final = "0x" + "00" * 20

CORE: Final = "@aave/core-v3/artifacts/contracts"

GET_POOL = function("getPool()", "address")
GET_POOL_CONFIGURATOR = function("getPoolConfigurator()", "address")
SUPPLY = function("supply(address,uint256,address,uint16)")
BORROW = function("borrow(address,uint256,uint256,uint16,address)")
SET_E_MODE = function("setUserEMode(uint8)")


@dataclass(frozen=True, slots=True)
class Reserve:
    """One asset of the lending market; ratios in basis points."""

    symbol: str
    loan_to_value: int
    liquidation_threshold: int
    liquidation_bonus: int
    stable: bool
    supply: float
    """Whole tokens that the market supplies."""
    borrow: float = 0.0
    """Whole tokens that the market borrows, so that interest accrues."""
    e_mode: int = 0
    """Efficiency mode category, 0 for none."""


RESERVES: Final = (
    Reserve("WETH", 8000, 8250, 10500, False, 50_000, borrow=7_500, e_mode=1),
    Reserve("wstETH", 7850, 8100, 10600, False, 20_000, e_mode=1),
    Reserve("WBTC", 7300, 7800, 10500, False, 1_000),
    Reserve("USDC", 7500, 7800, 10450, True, 50_000_000, borrow=20_000_000),
    Reserve("DAI", 6300, 7700, 10500, True, 20_000_000),
    Reserve("LINK", 5300, 6800, 10700, False, 500_000),
)
"""In mainnet's order, which gives the receipt tokens their mainnet addresses."""

ETH_CORRELATED: Final = (1, 9300, 9500, 10100, NOBODY, "ETH correlated")
"""Efficiency mode: category, loan to value, liquidation threshold, bonus, no oracle of its own, label; of Oct 2023."""
VARIABLE_RATE: Final = 2


def deploy_aave(chain: Chain) -> None:
    """Deploy the protocol, list the reserves and supply them; the chain's sender is the admin."""
    provider = chain.deploy_at(
        addresses.AAVE_PROVIDER,
        npm_artifact(f"{CORE}/protocol/configuration/PoolAddressesProvider.sol/PoolAddressesProvider.json"),
        "Aave Ethereum Market",
        chain.sender,
    )
    _deploy_access(chain, provider)
    pool, configurator = _deploy_pool(chain, provider)
    _deploy_oracle(chain, provider)
    data = npm_artifact(f"{CORE}/misc/AaveProtocolDataProvider.sol/AaveProtocolDataProvider.json")
    chain.deploy_at(addresses.AAVE_DATA_PROVIDER, data, provider.address)
    chain.send(provider, "setPoolDataProvider", addresses.AAVE_DATA_PROVIDER)
    _list_reserves(chain, provider, pool, configurator)
    for reserve in RESERVES:
        token, amount = addresses.TOKENS[reserve.symbol], _base_units(reserve, reserve.supply)
        chain.send_all(gift(chain, reserve.symbol, chain.sender, amount))
        chain.send(token, APPROVE, pool.address, 2**256 - 1)
        chain.send(pool, "supply", token, amount, chain.sender, 0)


def borrow_from_aave(chain: Chain) -> None:
    """Let the market borrow what it is to borrow; the feeds must have answers."""
    for reserve in RESERVES:
        if reserve.borrow:
            token, amount = addresses.TOKENS[reserve.symbol], _base_units(reserve, reserve.borrow)
            chain.send(addresses.AAVE_POOL, BORROW, token, amount, VARIABLE_RATE, 0, chain.sender)


def _base_units(reserve: Reserve, whole: float) -> int:
    return int(whole * 10 ** addresses.DECIMALS[reserve.symbol])


def _deploy_access(chain: Chain, provider: Contract) -> None:
    chain.send(provider, "setACLAdmin", chain.sender)
    manager = chain.deploy_at(
        addresses.AAVE_ACL,
        npm_artifact(f"{CORE}/protocol/configuration/ACLManager.sol/ACLManager.json"),
        provider.address,
    )
    chain.send(provider, "setACLManager", manager.address)
    for grant in ("addPoolAdmin", "addRiskAdmin", "addAssetListingAdmin", "addEmergencyAdmin"):
        chain.send(manager, grant, chain.sender)


def _deploy_pool(chain: Chain, provider: Contract) -> tuple[Contract, Contract]:
    """Implementations and, created by the provider in this order, their proxies at the mainnet addresses."""
    implementation = _linked(chain, f"{CORE}/protocol/pool/Pool.sol/Pool.json", provider.address)
    chain.send(implementation, "initialize", provider.address)
    chain.send(provider, "setPoolImpl", implementation.address)
    configurator = _linked(chain, f"{CORE}/protocol/pool/PoolConfigurator.sol/PoolConfigurator.json")
    chain.send(configurator, "initialize", provider.address)
    chain.send(provider, "setPoolConfiguratorImpl", configurator.address)
    return (
        Contract(chain.call(provider.address, GET_POOL), implementation.abi),
        Contract(chain.call(provider.address, GET_POOL_CONFIGURATOR), configurator.abi),
    )


def _deploy_oracle(chain: Chain, provider: Contract) -> None:
    feeds = addresses.FEEDS
    staked = chain.deploy(sandbox_artifact("StakedRatioFeed"), addresses.WSTETH, feeds["stETH/ETH"], feeds["ETH/USD"])
    sources = {
        "WETH": feeds["ETH/USD"],
        "wstETH": staked.address,
        "WBTC": feeds["BTC/USD"],
        "USDC": feeds["USDC/USD"],
        "DAI": feeds["DAI/USD"],
        "LINK": feeds["LINK/USD"],
    }
    oracle = chain.deploy_at(
        addresses.AAVE_ORACLE,
        npm_artifact(f"{CORE}/misc/AaveOracle.sol/AaveOracle.json"),
        provider.address,
        [addresses.TOKENS[symbol] for symbol in sources],
        list(sources.values()),
        NOBODY,
        NOBODY,
        10**8,
    )
    chain.send(provider, "setPriceOracle", oracle.address)


def _list_reserves(chain: Chain, provider: Contract, pool: Contract, configurator: Contract) -> None:
    tokenization = f"{CORE}/protocol/tokenization"
    receipt, stable_debt, variable_debt = (
        chain.deploy(npm_artifact(f"{tokenization}/{name}.sol/{name}.json"), pool.address).address
        for name in ("AToken", "StableDebtToken", "VariableDebtToken")
    )
    volatile = _rates(chain, provider, optimal=0.8, base=0.01, slope1=0.038, slope2=0.8)
    stable = _rates(chain, provider, optimal=0.9, base=0.0, slope1=0.04, slope2=0.6)
    treasury = development_address("owner")
    chain.send(configurator, "setEModeCategory", *ETH_CORRELATED)
    for reserve in RESERVES:
        symbol, token = reserve.symbol, addresses.TOKENS[reserve.symbol]
        names = (
            (f"Aave Ethereum {symbol}", f"aEth{symbol}"),
            (f"Aave Ethereum Variable Debt {symbol}", f"variableDebtEth{symbol}"),
            (f"Aave Ethereum Stable Debt {symbol}", f"stableDebtEth{symbol}"),
        )
        listing = (
            *(receipt, stable_debt, variable_debt, addresses.DECIMALS[symbol]),
            *(stable if reserve.stable else volatile, token, treasury, NOBODY),
            *(part for pair in names for part in pair),
            b"\x10",
        )
        chain.send(configurator, "initReserves", [listing])
        limits = (reserve.loan_to_value, reserve.liquidation_threshold, reserve.liquidation_bonus)
        chain.send(configurator, "configureReserveAsCollateral", token, *limits)
        chain.send(configurator, "setReserveBorrowing", token, True)
        chain.send(configurator, "setReserveFactor", token, 1000)
        chain.send(configurator, "setReserveFlashLoaning", token, True)
        if reserve.e_mode:
            chain.send(configurator, "setAssetEModeCategory", token, reserve.e_mode)


def _rates(chain: Chain, provider: Contract, optimal: float, base: float, slope1: float, slope2: float) -> str:
    path = f"{CORE}/protocol/pool/DefaultReserveInterestRateStrategy.sol/DefaultReserveInterestRateStrategy.json"
    # The last five are the stable-rate debt's, which nothing here enables.
    curve = (optimal, base, slope1, slope2, 0.07, 3.0, 0.01, 0.08, 0.2)
    return chain.deploy(npm_artifact(path), provider.address, *(int(x * RAY) for x in curve)).address


def _linked(chain: Chain, path: str, *arguments: str) -> Contract:
    artifact = npm_artifact(path)
    for library in artifact.links:
        if library not in chain.libraries:
            inner = f"{CORE}/protocol/libraries/logic/{library}.sol/{library}.json"
            chain.libraries[library] = _linked(chain, inner).address
    return chain.deploy(artifact, *arguments)
