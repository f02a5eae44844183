# SPDX-License-Identifier: Apache-2.0
"""The mandate: what a vault may hold, how it is managed, and whether the chain agrees."""

from offchain.mandate.beliefs import (
    BenchmarkImpliedReturns,
    BlackLittermanReturns,
    CarryReturns,
    Covariance,
    DccCovariance,
    DenoisedCovariance,
    EstimatedReturns,
    EwmaCovariance,
    FactorCovariance,
    LedoitWolfCovariance,
    MomentumReturns,
    OasCovariance,
    Returns,
    ShrunkReturns,
    View,
    Yields,
)
from offchain.mandate.limits import OracleFeed, SecondPrice, Sequencer, VaultLimits
from offchain.mandate.loading import MandateError, load_mandate, parse_mandate
from offchain.mandate.models import (
    Execution,
    Fees,
    Limits,
    Mandate,
    MeanVarianceObjective,
)
from offchain.mandate.parity import (
    ChainMandate,
    MandateParityError,
    compare_with_chain,
    tighter_limits,
)
from offchain.mandate.rules import EnsembleReturns, Rule, RuleReturns
from offchain.mandate.universe import (
    Asset,
    ChainlinkOracle,
    OracleTable,
    SecondSource,
    StakedRatioOracle,
)
from offchain.mandate.venues import AaveV3Venue, BalancerV2Venue, ListedVenue, UniswapV2Venue, UniswapV3Venue

__all__ = [
    "AaveV3Venue",
    "Asset",
    "BalancerV2Venue",
    "BenchmarkImpliedReturns",
    "BlackLittermanReturns",
    "CarryReturns",
    "ChainMandate",
    "ChainlinkOracle",
    "Covariance",
    "DccCovariance",
    "DenoisedCovariance",
    "EnsembleReturns",
    "EstimatedReturns",
    "EwmaCovariance",
    "Execution",
    "FactorCovariance",
    "Fees",
    "LedoitWolfCovariance",
    "Limits",
    "ListedVenue",
    "Mandate",
    "MandateError",
    "MandateParityError",
    "MeanVarianceObjective",
    "MomentumReturns",
    "OasCovariance",
    "OracleFeed",
    "OracleTable",
    "Returns",
    "Rule",
    "RuleReturns",
    "SecondPrice",
    "SecondSource",
    "Sequencer",
    "ShrunkReturns",
    "StakedRatioOracle",
    "UniswapV2Venue",
    "UniswapV3Venue",
    "VaultLimits",
    "View",
    "Yields",
    "compare_with_chain",
    "load_mandate",
    "parse_mandate",
    "tighter_limits",
]
