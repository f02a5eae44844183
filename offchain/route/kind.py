# SPDX-License-Identifier: Apache-2.0
"""The kinds of pools, named as instance files name them."""

from __future__ import annotations

from enum import StrEnum


class PoolKind(StrEnum):
    """What a pool is, whoever calls it."""

    UNISWAP_V2 = "uniswap_v2"
    UNISWAP_V3 = "uniswap_v3"
    UNISWAP_V4 = "uniswap_v4"
    BALANCER_WEIGHTED = "balancer_weighted"
    CURVE_STABLE = "curve_stable"
    ERC4626 = "erc4626"
    AAVE_V3 = "aave_v3"
