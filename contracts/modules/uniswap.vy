# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title Direct swaps in Uniswap v2 and v3 pools
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice Pools are addressed by CREATE2 from the canonical factories, so nothing but a genuine pool of
        two known tokens is ever called or paid. No allowance is given: v2 is paid before the swap,
        v3 by the callback, which pays only the expected pool, the expected token and at most the
        expected amount, once.
"""


from ethereum.ercs import IERC20
from . import custody

uses: custody


interface UniswapV2Pair:
    def getReserves() -> (uint112, uint112, uint32): view
    def swap(amount0_out: uint256, amount1_out: uint256, to: address, data: Bytes[32]): nonpayable


interface UniswapV3Pool:
    def swap(
        recipient: address, zero_for_one: bool, amount_specified: int256, sqrt_price_limit_x96: uint160, data: Bytes[32]
    ) -> (int256, int256): nonpayable


UNISWAP_V2: constant(uint8) = 0
UNISWAP_V3: constant(uint8) = 1
ADDRESS: constant(uint256) = 2**160 - 1

# CREATE2: 0xff, then the factory.
V2_FACTORY: constant(bytes21) = 0xff5c69bee701ef814a2b6a3edd4b1652cb9cc5aa6f
V2_INIT_CODE_HASH: constant(bytes32) = 0x96e8ac4277198ff8b6f785478aa9a39f403cb768dd02cbee326c3e7da348845f
V3_FACTORY: constant(bytes21) = 0xff1f98431c8ad98523631ae4a59f267346ea31f984
V3_INIT_CODE_HASH: constant(bytes32) = 0xe34f199b19b2b4f47f68442619d555527d244f78a3297ea89325f843f87b8b54

# One inside TickMath.MIN_SQRT_RATIO and MAX_SQRT_RATIO: no limit of its own, minimums protect a leg.
LOWEST_SQRT_PRICE: constant(uint160) = 4295128740
HIGHEST_SQRT_PRICE: constant(uint160) = 1461446703485210103287273052203988822378723970341


# What the callback may pay, set just before a pool is called: index of the token << 160 | pool.
_expected: transient(uint256)
# And how much of it at most.
_maximum: transient(uint256)


@external
@reentrant
def uniswapV3SwapCallback(amount0_delta: int256, amount1_delta: int256, data: Bytes[32]):
    """
    @notice Pays a pool for the swap the vault is making there. Only that pool, only during it:
            reverts for anyone else, a second time, or above the amount of the leg.
    @param amount0_delta What the pool is owed of its token0, if positive.
    @param amount1_delta What the pool is owed of its token1, if positive.
    @param data Not used.
    """
    expected: uint256 = self._expected
    assert convert(msg.sender, uint256) == expected & ADDRESS, "uniswap: unexpected callback"
    amount: uint256 = convert(max(amount0_delta, amount1_delta), uint256)
    assert amount <= self._maximum, "uniswap: unexpected amount"
    self._expected = 0
    self._pay(custody._TOKENS[expected >> 160], msg.sender, amount)


@internal
def _swap(venue: uint8, i: uint256, j: uint256, fee: uint24, amount_in: uint256) -> (uint256, uint256):
    """
    @dev Swaps an exact input.
    @param i Index of the token sold, below the number of tokens.
    @param j Index of the token bought, below it as well.
    @return What the pool took and what it paid, in base units; both fit in 128 bits.
    """
    token_in: address = custody._TOKENS[i]
    token_out: address = custody._TOKENS[j]
    zero_for_one: bool = convert(token_in, uint160) < convert(token_out, uint160)
    token0: address = token_in if zero_for_one else token_out
    token1: address = token_out if zero_for_one else token_in
    if venue == UNISWAP_V2:
        assert fee == 0, "uniswap: unknown fee"
        return amount_in, self._swap_v2(token_in, self._pair(token0, token1), zero_for_one, amount_in)
    assert venue == UNISWAP_V3, "uniswap: unknown venue"
    pool: uint256 = self._pool(token0, token1, fee)
    self._expected = (i << 160) | pool
    self._maximum = amount_in
    amount0: int256 = 0
    amount1: int256 = 0
    amount0, amount1 = extcall UniswapV3Pool(convert(pool, address)).swap(
        self,
        zero_for_one,
        convert(amount_in, int256),
        LOWEST_SQRT_PRICE if zero_for_one else HIGHEST_SQRT_PRICE,
        b"",
        skip_contract_check=True,
    )
    taken: uint256 = convert(amount0 if zero_for_one else amount1, uint256)
    if taken == 0:
        # A pool that took nothing may not have called back; its permission must not outlive the leg.
        self._expected = 0
    return taken, convert(convert(-(amount1 if zero_for_one else amount0), uint128), uint256)


@internal
def _swap_v2(token_in: address, pair: address, zero_for_one: bool, amount_in: uint256) -> uint256:
    reserve0: uint112 = 0
    reserve1: uint112 = 0
    timestamp: uint32 = 0
    reserve0, reserve1, timestamp = staticcall UniswapV2Pair(pair).getReserves(skip_contract_check=True)
    reserve_in: uint256 = convert(reserve0 if zero_for_one else reserve1, uint256)
    reserve_out: uint256 = convert(reserve1 if zero_for_one else reserve0, uint256)
    # UniswapV2Library.getAmountOut: the fee is 0.3 % of the input.
    amount_out: uint256 = amount_in * 997 * reserve_out // (reserve_in * 1000 + amount_in * 997)
    self._pay(token_in, pair, amount_in)
    extcall UniswapV2Pair(pair).swap(
        0 if zero_for_one else amount_out, amount_out if zero_for_one else 0, self, b""
    )
    return amount_out


@internal
def _pay(token: address, to: address, amount: uint256):
    # That a token is there needs no check: a pool that was not paid reverts.
    assert extcall IERC20(token).transfer(to, amount, default_return_value=True, skip_contract_check=True), (
        "uniswap: transfer failed"
    )


@internal
@pure
def _pair(token0: address, token1: address) -> address:
    salt: bytes32 = keccak256(concat(convert(token0, bytes20), convert(token1, bytes20)))
    return convert(convert(keccak256(concat(V2_FACTORY, salt, V2_INIT_CODE_HASH)), uint256) & ADDRESS, address)


@internal
@pure
def _pool(token0: address, token1: address, fee: uint24) -> uint256:
    salt: bytes32 = keccak256(abi_encode(token0, token1, fee))
    return convert(keccak256(concat(V3_FACTORY, salt, V3_INIT_CODE_HASH)), uint256) & ADDRESS
