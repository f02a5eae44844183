# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title Time-weighted prices of Uniswap v3 pools
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice Reads the geometric mean price of a window, and the harmonic mean of the liquidity that was in
        range over it, from a pool's own observations. Formulas: Uniswap v3 core whitepaper, 5.2, 5.3.
"""


interface Pool:
    def token0() -> address: view
    def token1() -> address: view
    def slot0() -> (uint160, int24, uint16, uint16, uint16, uint8, bool): view


# 2**128 / 1.0001, rounded down.
BASE_X128: constant(uint256) = 340248342086729790484326174814286782777
# Ticks are below 2**20.
TICK_BITS: constant(uint256) = 20
# What a price saturates at: far from every real one, and no overflow in what follows.
MAX_PRICE: constant(uint256) = 2**200


@internal
@view
def _is_token1(pool: address, token: address, quote: address) -> bool:
    """
    @dev Whether the token is the pool's second; reverts when the pool is of other tokens.
    """
    token0: address = staticcall Pool(pool).token0()
    token1: address = staticcall Pool(pool).token1()
    assert (token == token0 and quote == token1) or (token == token1 and quote == token0), "oracle: pool of other tokens"
    return token == token1


@internal
@view
def _cardinality(pool: address) -> uint256:
    """
    @dev How many observations the pool keeps; it can only grow.
    """
    return convert((staticcall Pool(pool).slot0())[3], uint256)


@internal
@view
def _mean_tick(pool: address, window: uint256, min_liquidity: uint256) -> (bool, int256):
    """
    @dev Whether the pool can be relied on, and its mean tick, rounded down. It cannot when its
         observations do not reach back over the window, or when the harmonic mean of the liquidity
         in range is too small: a price that little could move is no second opinion.
    @param window Seconds.
    """
    success: bool = False
    response: Bytes[256] = b""
    ago: DynArray[uint256, 2] = [window, 0]
    success, response = raw_call(
        pool,
        abi_encode(ago, method_id=method_id("observe(uint32[])")),
        max_outsize=256,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not success or len(response) != 256:
        return False, 0
    # Two offsets, then each array with its length.
    travelled: int256 = extract32(response, 128, output_type=int256) - extract32(response, 96, output_type=int256)
    # uint160 that wraps around by design.
    seconds_per_liquidity: uint256 = unsafe_sub(
        extract32(response, 224, output_type=uint256), extract32(response, 192, output_type=uint256)
    ) & (2**160 - 1)
    if seconds_per_liquidity == 0 or (window << 128) // seconds_per_liquidity < min_liquidity:
        return False, 0
    seconds: int256 = convert(window, int256)
    tick: int256 = travelled // seconds
    if travelled < 0 and travelled % seconds != 0:
        tick -= 1
    return True, tick


@internal
@pure
def _priced(quote: uint256, tick: int256) -> uint256:
    """
    @dev quote * 1.0001**tick, saturating; 0 for a quote past 2**128, which no real price is.
         By squaring; the relative error stays below 2**-40 up to half a million ticks.
    """
    if quote >= 2**128:
        return 0
    power: uint256 = 2**128
    square: uint256 = BASE_X128
    remaining: uint256 = convert(abs(tick), uint256)
    for i: uint256 in range(TICK_BITS):
        if remaining & 1 == 1:
            power = power * square >> 128
        remaining = remaining >> 1
        if remaining == 0:
            break
        square = square * square >> 128
    if tick < 0:
        return quote * power >> 128
    return min((quote << 128) // power, MAX_PRICE) if power > 0 else MAX_PRICE
