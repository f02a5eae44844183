# SPDX-License-Identifier: Apache-2.0
"""The shapes of pools, in floats: what searches see of the exact pools.

Several kinds of pools share a shape. Each class here can say, for whole arrays at once, what
a pool of that shape pays (`pay`), and how it is best traded with at outside prices
(`respond`); the compiled kernels walk over tables of the same fields and are tested against
these. Amounts are base units; shapes know nothing of tokens but their order.
"""

from offchain.route.curves.ladder import LadderCurve
from offchain.route.curves.linear import LinearCurve
from offchain.route.curves.product import ProductCurve
from offchain.route.curves.response import Response
from offchain.route.curves.stable import StableCurve
from offchain.route.curves.weighted import WeightedCurve

Curve = ProductCurve | LadderCurve | WeightedCurve | StableCurve | LinearCurve

__all__ = [
    "Curve",
    "LadderCurve",
    "LinearCurve",
    "ProductCurve",
    "Response",
    "StableCurve",
    "WeightedCurve",
]
