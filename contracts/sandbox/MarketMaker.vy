# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ~=0.4.3
# pragma nonreentrancy on
"""
@title Market maker
@license AGPL-3.0-only
@notice Trades in many Uniswap v2 and v3 pools in one transaction, out of its own balance. In the sandbox one
        instance is the arbitrageur and everybody else who trades, another belongs to the attacker.
@custom:kill The sandbox is thrown away; whoever deployed it can take its tokens with `sweep`.
"""


interface ERC20:
    def balanceOf(account: address) -> uint256: view
    def transfer(receiver: address, amount: uint256) -> bool: nonpayable


interface UniswapV2Pair:
    def token0() -> address: view
    def token1() -> address: view
    def getReserves() -> (uint112, uint112, uint32): view
    def swap(amount0_out: uint256, amount1_out: uint256, receiver: address, data: Bytes[1]): nonpayable


interface UniswapV3Pool:
    def token0() -> address: view
    def token1() -> address: view
    def slot0() -> (uint160, int24, uint16, uint16, uint16, uint8, bool): view
    def swap(receiver: address, zero_for_one: bool, amount: int256, price_limit: uint160, data: Bytes[1]) -> (int256, int256): nonpayable


MAX_POOLS: constant(uint256) = 64
UNISWAP_V2: constant(uint8) = 0
UNISWAP_V3: constant(uint8) = 1
MIN_SQRT_PRICE: constant(uint160) = 4295128740
MAX_SQRT_PRICE: constant(uint160) = 1461446703485210103287273052203988822378723970341


OWNER: immutable(address)


# @dev Where a pool's price may stand: square roots of token1 per token0, Q64.96.
struct Band:
    pool: address
    kind: uint8
    low: uint160
    high: uint160


struct Trade:
    pool: address
    kind: uint8
    zero_for_one: bool
    amount_in: uint256


# @dev What `front_run` bought and `back_run` has to sell.
position: public(Trade)
spent: public(uint256)

# @dev The pool that may ask for tokens in the callback.
expected: transient(address)


event SandwichClosed:
    pool: indexed(address)
    spent: uint256
    received: uint256


@deploy
def __init__():
    OWNER = msg.sender


@external
def make(bands: DynArray[Band, MAX_POOLS], trades: DynArray[Trade, MAX_POOLS]):
    """
    @notice Arbitrage the pools into their bands, let the trades happen, arbitrage again.
    @param bands Where each pool's price may stand; the second pass undoes what the trades pushed outside.
    @param trades Swaps with an exact input, in order.
    """
    assert msg.sender == OWNER, "market: not the owner"
    for band: Band in bands:
        self._bring_inside(band)
    if len(trades) == 0:
        return
    for trade: Trade in trades:
        self._swap(trade)
    for band: Band in bands:
        self._bring_inside(band)


@external
def front_run(trade: Trade):
    """
    @notice Buy before somebody else does and remember what was bought.
    @param trade The swap.
    """
    assert msg.sender == OWNER, "market: not the owner"
    received: uint256 = self._swap(trade)
    self.position = Trade(pool=trade.pool, kind=trade.kind, zero_for_one=not trade.zero_for_one, amount_in=received)
    self.spent = trade.amount_in


@external
def back_run() -> uint256:
    """
    @notice Sell what `front_run` bought, if anything.
    @return received What came back, in the token that was spent.
    """
    assert msg.sender == OWNER, "market: not the owner"
    trade: Trade = self.position
    if trade.amount_in == 0:
        return 0
    received: uint256 = self._swap(trade)
    self.position = empty(Trade)
    log SandwichClosed(pool=trade.pool, spent=self.spent, received=received)
    self.spent = 0
    return received


@external
def rehearse(trade: Trade, victim_amount_in: uint256) -> (uint256, uint256, uint256):
    """
    @notice What a sandwich around a victim's swap would give; meant for `eth_call`, which keeps nothing.
    @param trade The front-run; the victim trades the same way in the same pool.
    @param victim_amount_in What the victim pays in.
    @return bought What the front-run receives.
    @return victim_amount_out What the victim then receives.
    @return received What selling `bought` afterwards brings.
    """
    assert msg.sender == OWNER, "market: not the owner"
    bought: uint256 = 0
    if trade.amount_in != 0:
        bought = self._swap(trade)
    victim: Trade = trade
    victim.amount_in = victim_amount_in
    victim_amount_out: uint256 = self._swap(victim)
    received: uint256 = 0
    if bought != 0:
        received = self._swap(
            Trade(pool=trade.pool, kind=trade.kind, zero_for_one=not trade.zero_for_one, amount_in=bought)
        )
    return bought, victim_amount_out, received


@external
def sweep(token: address, receiver: address):
    """
    @notice Take everything of one token.
    """
    assert msg.sender == OWNER, "market: not the owner"
    self._pay(token, receiver, staticcall ERC20(token).balanceOf(self))


@external
@reentrant
def uniswapV3SwapCallback(amount0: int256, amount1: int256, data: Bytes[1]):
    """
    @notice Pay the pool that is being traded in, and no other.
    """
    assert msg.sender == self.expected, "market: unexpected callback"
    if amount0 > 0:
        self._pay(staticcall UniswapV3Pool(msg.sender).token0(), msg.sender, convert(amount0, uint256))
    if amount1 > 0:
        self._pay(staticcall UniswapV3Pool(msg.sender).token1(), msg.sender, convert(amount1, uint256))


@external
@view
def root_prices(pools: DynArray[address, MAX_POOLS], kinds: DynArray[uint8, MAX_POOLS]) -> DynArray[uint160, MAX_POOLS]:
    """
    @notice Where the pools stand.
    @return prices Square roots of token1 per token0, Q64.96.
    """
    prices: DynArray[uint160, MAX_POOLS] = []
    for i: uint256 in range(len(pools), bound=MAX_POOLS):
        prices.append(self._root_price(pools[i], kinds[i]))
    return prices


@internal
@view
def _root_price(pool: address, kind: uint8) -> uint160:
    if kind == UNISWAP_V3:
        return (staticcall UniswapV3Pool(pool).slot0())[0]
    reserve0: uint112 = 0
    reserve1: uint112 = 0
    updated: uint32 = 0
    reserve0, reserve1, updated = staticcall UniswapV2Pair(pool).getReserves()
    return self._pair_root_price(convert(reserve0, uint256), convert(reserve1, uint256))


@internal
@pure
def _pair_root_price(reserve0: uint256, reserve1: uint256) -> uint160:
    return convert(isqrt((reserve1 << 128) // reserve0) << 32, uint160)


@internal
def _bring_inside(band: Band):
    if band.kind == UNISWAP_V3:
        price: uint160 = (staticcall UniswapV3Pool(band.pool).slot0())[0]
        if price < band.low:
            self._swap_v3(band.pool, False, max_value(int256), band.low)
        elif price > band.high:
            self._swap_v3(band.pool, True, max_value(int256), band.high)
        return
    # The fee that stays in the pair moves its invariant, so the first step falls short by a little.
    for attempt: uint256 in range(3):
        reserve0: uint112 = 0
        reserve1: uint112 = 0
        updated: uint32 = 0
        reserve0, reserve1, updated = staticcall UniswapV2Pair(band.pool).getReserves()
        x: uint256 = convert(reserve0, uint256)
        y: uint256 = convert(reserve1, uint256)
        price: uint160 = self._pair_root_price(x, y)
        liquidity: uint256 = isqrt(x * y)
        amount_in: uint256 = 0
        zero_for_one: bool = price > band.high
        if zero_for_one:
            amount_in = (liquidity << 96) // convert(band.high, uint256) - x
        elif price < band.low:
            amount_in = ((liquidity * convert(band.low, uint256)) >> 96) - y
        if amount_in == 0:
            return
        self._swap(Trade(pool=band.pool, kind=UNISWAP_V2, zero_for_one=zero_for_one, amount_in=amount_in))


@internal
def _swap(trade: Trade) -> uint256:
    if trade.kind == UNISWAP_V3:
        limit: uint160 = MAX_SQRT_PRICE
        if trade.zero_for_one:
            limit = MIN_SQRT_PRICE
        return self._swap_v3(trade.pool, trade.zero_for_one, convert(trade.amount_in, int256), limit)

    reserve0: uint112 = 0
    reserve1: uint112 = 0
    updated: uint32 = 0
    reserve0, reserve1, updated = staticcall UniswapV2Pair(trade.pool).getReserves()
    reserve_in: uint256 = convert(reserve1, uint256)
    reserve_out: uint256 = convert(reserve0, uint256)
    token_in: address = empty(address)
    if trade.zero_for_one:
        reserve_in = convert(reserve0, uint256)
        reserve_out = convert(reserve1, uint256)
        token_in = staticcall UniswapV2Pair(trade.pool).token0()
    else:
        token_in = staticcall UniswapV2Pair(trade.pool).token1()
    after_fee: uint256 = trade.amount_in * 997
    amount_out: uint256 = after_fee * reserve_out // (reserve_in * 1000 + after_fee)
    self._pay(token_in, trade.pool, trade.amount_in)
    if amount_out != 0:
        if trade.zero_for_one:
            extcall UniswapV2Pair(trade.pool).swap(0, amount_out, self, b"")
        else:
            extcall UniswapV2Pair(trade.pool).swap(amount_out, 0, self, b"")
    return amount_out


@internal
def _swap_v3(pool: address, zero_for_one: bool, amount: int256, limit: uint160) -> uint256:
    self.expected = pool
    amount0: int256 = 0
    amount1: int256 = 0
    amount0, amount1 = extcall UniswapV3Pool(pool).swap(self, zero_for_one, amount, limit, b"")
    self.expected = empty(address)
    if zero_for_one:
        return convert(-amount1, uint256)
    return convert(-amount0, uint256)


@internal
def _pay(token: address, receiver: address, amount: uint256):
    assert extcall ERC20(token).transfer(receiver, amount, default_return_value=True), "market: transfer failed"
