# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ~=0.4.3
"""
@title A Uniswap v3 pool that asks for one base unit more than it was offered
@license AGPL-3.0-only
@notice An attacker's contract: it poses as a pool, and pays nothing.
@custom:kill It exists in tests only.
"""


interface Swapper:
    def uniswapV3SwapCallback(amount0_delta: int256, amount1_delta: int256, data: Bytes[32]): nonpayable


@external
def swap(
    recipient: address, zero_for_one: bool, amount_specified: int256, sqrt_price_limit_x96: uint160, data: Bytes[32]
) -> (int256, int256):
    """
    @notice Takes too much, and says so.
    """
    taken: int256 = amount_specified + 1
    amount0: int256 = taken if zero_for_one else 0
    amount1: int256 = 0 if zero_for_one else taken
    extcall Swapper(msg.sender).uniswapV3SwapCallback(amount0, amount1, data)
    return amount0, amount1
