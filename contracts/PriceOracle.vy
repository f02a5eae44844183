# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title Prices of a vault's assets
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice USD prices from Chainlink feeds, checked for staleness and bounds. A liquid-staking token is
        its ratio times its market feed times the base feed, never its own ratio alone: the ratio
        knows nothing of a discount. An asset may have a second source, the time-weighted price of a
        Uniswap v3 pool with another of the assets; where it is thin, or the two are further apart
        than the table allows, the asset has no live price. On a rollup nothing is live while its
        sequencer is down, nor for a while after.
        The table is fixed at deployment. The owner, who should be a timelock, may put a successor in
        its place, which then answers everything; an oracle without an owner stays what it is.
        Prices are USD at 18 decimals per 10**18 token base units: value = balance * price // 10**18.
@custom:kill Nobody can disable it; only an owner, where there is one, can name a successor. When a
             price is not live `prices` reverts, and a vault that uses it takes no deposits, priced
             redemptions or settlements; leaving in kind does not ask it.
"""


from .interfaces import IPriceOracle
from .modules import chainlink
from .modules import price_average

implements: IPriceOracle


struct Feed:
    # 0 Chainlink feed in USD; 1 ratio of a staked token * feed in the base asset * base feed in USD.
    kind: uint256
    feed: address
    # Seconds after which a round is stale.
    heartbeat: uint256
    # Bounds of the resulting price, USD at 18 decimals per whole token.
    min_price: uint256
    max_price: uint256
    token_decimals: uint256
    # Kind 1 only.
    ratio_source: address
    base_feed: address
    base_heartbeat: uint256


struct SecondSource:
    # Uniswap v3 pool of the asset and another of the assets; zero for no second source.
    pool: address
    # Index of the other asset.
    quote: uint256
    # Seconds averaged over.
    window: uint256
    # Least harmonic mean of the liquidity in range over the window.
    min_liquidity: uint256
    # Least number of observations that the pool keeps.
    min_cardinality: uint256
    # How far the sources may be apart, of the smaller price.
    max_deviation_bps: uint256


struct Sequencer:
    # Chainlink's uptime feed of the rollup; zero on a chain without a sequencer.
    feed: address
    # Seconds after a restart during which nothing is live.
    grace: uint256


# What reading a feed in USD takes, ready for comparison with its answer as it stands.
struct Plain:
    # Zero for a row that only `_price` reads.
    feed: address
    # Least answer within the bounds, and how much greater it may be.
    least: uint256
    span: uint256
    # Seconds that a round may be older than the newest there can be.
    patience: uint256
    # USD at 18 decimals per 10**18 base units that one of the answer stands for.
    scale: uint256


event SuccessorSet:
    successor: indexed(address)


CHAINLINK: constant(uint256) = 0
STAKED_RATIO: constant(uint256) = 1

LIVE: constant(uint256) = 0
STALE: constant(uint256) = 1
OUT_OF_BOUNDS: constant(uint256) = 2
NO_ANSWER: constant(uint256) = 3
# The rollup's sequencer is down, or was a moment ago.
SEQUENCER_DOWN: constant(uint256) = 4
# The second source cannot be relied on: too little liquidity or history.
THIN: constant(uint256) = 5
# The two sources contradict each other.
APART: constant(uint256) = 6

STATUS_BITS: constant(uint256) = 8
STATUS: constant(uint256) = 2**STATUS_BITS - 1
ONE: constant(uint256) = 10**18
ONE_BPS: constant(uint256) = 10_000
# What an absurd answer saturates at, so that it is out of bounds instead of an overflow.
MAX_PRICE: constant(uint256) = 2**128 - 1
# Less than the present time, so that no timestamp of the far future wraps around to a fresh one.
MAX_PATIENCE: constant(uint256) = 2**30


length: public(immutable(uint256))
# Who may name a successor; nobody when zero.
owner: public(immutable(address))
_FEEDS: immutable(Feed[16])
_PLAIN: immutable(Plain[16])
# 10**decimals of each feed and base feed.
_UNITS: immutable(uint256[16])
_BASE_UNITS: immutable(uint256[16])
_SECONDS: immutable(SecondSource[16])
# Bit i set: asset i has a second source; the same for those that are token1 of their pool.
_PAIRED: immutable(uint256)
_INVERTED: immutable(uint256)
_SEQUENCER: immutable(Sequencer)

# Answers instead of this table; zero for none.
successor: public(address)


@deploy
def __init__(
    feeds: DynArray[Feed, 16],
    seconds: DynArray[SecondSource, 16],
    tokens: DynArray[address, 16],
    sequencer: Sequencer,
    owner_: address,
):
    """
    @param feeds One for each asset, in the vault's order. Reverts when a row contradicts itself.
    @param seconds One for each asset, or none at all. Reverts when a pool is of other tokens or has
           less liquidity or history now than the row demands.
    @param tokens The assets, where there are second sources.
    @param sequencer Uptime feed and grace; a zero feed for none.
    @param owner_ May name a successor; zero for nobody.
    """
    table: Feed[16] = empty(Feed[16])
    units: uint256[16] = empty(uint256[16])
    base_units: uint256[16] = empty(uint256[16])
    plain: Plain[16] = empty(Plain[16])
    for i: uint256 in range(len(feeds), bound=16):
        row: Feed = feeds[i]
        assert row.kind <= STAKED_RATIO, "oracle: unknown kind"
        assert row.heartbeat > 0, "oracle: zero heartbeat"
        assert row.min_price > 0 and row.min_price < row.max_price, "oracle: bounds"
        assert row.max_price < MAX_PRICE, "oracle: bounds"
        assert row.token_decimals <= 18, "oracle: token decimals"
        table[i] = row
        units[i] = chainlink._unit(row.feed)
        if row.kind == STAKED_RATIO:
            assert row.base_heartbeat > 0, "oracle: zero heartbeat"
            base_units[i] = chainlink._unit(row.base_feed)
        else:
            plain[i] = self._plain(row, units[i])
    length = len(feeds)
    _FEEDS = table
    _PLAIN = plain
    _UNITS = units
    _BASE_UNITS = base_units

    pools: SecondSource[16] = empty(SecondSource[16])
    paired: uint256 = 0
    inverted: uint256 = 0
    assert len(seconds) == 0 or len(seconds) == len(feeds), "oracle: second sources"
    for i: uint256 in range(len(seconds), bound=16):
        source: SecondSource = seconds[i]
        if source.pool == empty(address):
            continue
        assert len(tokens) == len(feeds), "oracle: tokens"
        assert source.quote < len(feeds) and source.quote != i, "oracle: quote"
        assert source.window > 0 and source.window < 2**32, "oracle: window"
        assert source.min_liquidity > 0, "oracle: zero liquidity"
        assert source.max_deviation_bps > 0 and source.max_deviation_bps <= ONE_BPS, "oracle: deviation"
        is_token1: bool = price_average._is_token1(source.pool, tokens[i], tokens[source.quote])
        # A pool never forgets how many observations it keeps, so that once is enough.
        assert price_average._cardinality(source.pool) >= source.min_cardinality, "oracle: cardinality"
        covered: bool = False
        tick: int256 = 0
        covered, tick = price_average._mean_tick(source.pool, source.window, source.min_liquidity)
        assert covered, "oracle: thin second source"
        pools[i] = source
        paired |= 1 << i
        if is_token1:
            inverted |= 1 << i
    _SECONDS = pools
    _PAIRED = paired
    _INVERTED = inverted
    _SEQUENCER = sequencer
    owner = owner_


@external
def set_successor(successor: address):
    """
    @notice Lets another oracle answer in place of this table. Only the owner; reverts unless the other
            is of as many assets and live now.
    @param successor An oracle of the same assets in the same order; zero to return to this table.
    """
    assert msg.sender == owner and owner != empty(address), "oracle: not the owner"
    assert successor != self, "oracle: own successor"
    if successor != empty(address):
        assert staticcall IPriceOracle(successor).length() == length, "oracle: other assets"
        # Reverts unless all are.
        live: uint256[16] = staticcall IPriceOracle(successor).prices()
    self.successor = successor
    log SuccessorSet(successor=successor)


@external
@view
def feeds(i: uint256) -> Feed:
    """
    @notice Where this table has the price of asset i from; a successor has a table of its own.
    """
    assert i < length, "oracle: no such asset"
    return _FEEDS[i]


@external
@view
def second_sources(i: uint256) -> SecondSource:
    """
    @notice What this table holds the price of asset i against; all zero for nothing.
    """
    assert i < length, "oracle: no such asset"
    return _SECONDS[i]


@external
@view
def sequencer() -> Sequencer:
    """
    @notice The uptime feed and the grace after a restart; zero for none.
    """
    return _SEQUENCER


@external
@view
def prices() -> uint256[16]:
    """
    @notice All prices, 0 beyond the last asset. Reverts when any is stale, out of bounds, missing,
            without a second source to rely on or contradicted by it, and while the sequencer is down.
    """
    successor: address = self._successor()
    if successor != empty(address):
        return staticcall IPriceOracle(successor).prices()
    statuses: uint256 = 0
    table: uint256[16] = empty(uint256[16])
    statuses, table = self._read_table()
    if statuses != 0:
        self._refuse(statuses)
    return table


@external
@view
def try_prices() -> (bool, DynArray[uint256, 16]):
    """
    @notice All prices and whether every one is live; a dead one is 0. Never reverts.
    """
    successor: address = self._successor()
    if successor != empty(address):
        return staticcall IPriceOracle(successor).try_prices()
    statuses: uint256 = 0
    table: uint256[16] = empty(uint256[16])
    statuses, table = self._read_table()
    prices: DynArray[uint256, 16] = []
    for i: uint256 in range(length, bound=16):
        prices.append(table[i])
    return statuses == 0, prices


@external
@view
def statuses() -> DynArray[uint256, 16]:
    """
    @notice Asset by asset: 0 live, 1 stale, 2 out of bounds, 3 no answer, 4 sequencer down, 5 second
            source thin, 6 sources apart. Never reverts.
    """
    successor: address = self._successor()
    if successor != empty(address):
        return staticcall IPriceOracle(successor).statuses()
    statuses: uint256 = 0
    table: uint256[16] = empty(uint256[16])
    statuses, table = self._read_table()
    each: DynArray[uint256, 16] = []
    for i: uint256 in range(length, bound=16):
        each.append((statuses >> (STATUS_BITS * i)) & STATUS)
    return each


@external
@view
def updated_at() -> DynArray[uint256, 16]:
    """
    @notice Unix seconds of the oldest round behind each price, live or not.
    """
    successor: address = self._successor()
    if successor != empty(address):
        return staticcall IPriceOracle(successor).updated_at()
    table: DynArray[uint256, 16] = []
    for i: uint256 in range(length, bound=16):
        status: uint256 = 0
        price: uint256 = 0
        updated_at: uint256 = 0
        status, price, updated_at = self._price(i)
        table.append(updated_at)
    return table


@internal
@pure
def _plain(row: Feed, unit: uint256) -> Plain:
    """
    @dev Bounds and heartbeat as `_price` applies them, exactly; nothing where that takes more.
    """
    if unit > ONE or row.heartbeat > MAX_PATIENCE:
        return empty(Plain)
    step: uint256 = ONE // unit
    least: uint256 = (row.min_price + step - 1) // step
    greatest: uint256 = row.max_price // step
    if greatest < least:
        return empty(Plain)
    return Plain(
        feed=row.feed,
        least=least,
        span=greatest - least,
        patience=row.heartbeat + chainlink.CLOCK_TOLERANCE,
        scale=step * 10 ** (18 - row.token_decimals),
    )


@internal
@view
def _successor() -> address:
    """
    @dev Costs nothing where there is no owner who could have named one.
    """
    return self.successor if owner != empty(address) else empty(address)


@internal
@pure
def _refuse(statuses: uint256):
    """
    @dev Reverts with what is wrong with the first price that is not live.
    """
    for i: uint256 in range(16):
        status: uint256 = (statuses >> (STATUS_BITS * i)) & STATUS
        assert status != STALE, "oracle: stale"
        assert status != OUT_OF_BOUNDS, "oracle: out of bounds"
        assert status != NO_ANSWER, "oracle: no answer"
        assert status != SEQUENCER_DOWN, "oracle: sequencer down"
        assert status != THIN, "oracle: thin second source"
        assert status == LIVE, "oracle: sources apart"


@internal
@view
def _read_table() -> (uint256, uint256[16]):
    """
    @return Statuses, 8 bits an asset and asset 0 lowest, 0 when all are live; prices, those not live 0.
    """
    statuses: uint256 = 0
    table: uint256[16] = empty(uint256[16])
    question: Bytes[4] = method_id("latestRoundData()")
    newest: uint256 = block.timestamp + chainlink.CLOCK_TOLERANCE
    success: bool = False
    response: Bytes[160] = b""
    for i: uint256 in range(length, bound=16):
        row: Plain = _PLAIN[i]
        if row.feed != empty(address):
            success, response = raw_call(
                row.feed, question, max_outsize=160, is_static_call=True, revert_on_failure=False
            )
            # The same as for a call that succeeded and 160 bytes, in one comparison.
            if unsafe_mul(convert(success, uint256), len(response)) == 160:
                answer: uint256 = extract32(response, 32, output_type=uint256)
                # What is below one end wraps around to above the other; one branch for both.
                outside: uint256 = convert(unsafe_sub(answer, row.least) > row.span, uint256) | convert(
                    unsafe_sub(newest, extract32(response, 96, output_type=uint256)) > row.patience, uint256
                )
                if outside == 0:
                    # Below 2**188: the price in USD is below 2**128.
                    table[i] = unsafe_mul(answer, row.scale)
                    continue
        status: uint256 = 0
        price: uint256 = 0
        oldest: uint256 = 0
        status, price, oldest = self._price(i)
        if status != LIVE:
            statuses |= status << (STATUS_BITS * i)
            price = 0
        table[i] = price
    if _PAIRED == 0 and _SEQUENCER.feed == empty(address):
        return statuses, table
    down: bool = _SEQUENCER.feed != empty(address) and not chainlink._is_up(_SEQUENCER.feed, _SEQUENCER.grace)
    if not down:
        statuses |= self._contradictions(table)
    for i: uint256 in range(length, bound=16):
        if down:
            statuses = (statuses & ~(STATUS << (STATUS_BITS * i))) | (SEQUENCER_DOWN << (STATUS_BITS * i))
        if (statuses >> (STATUS_BITS * i)) & STATUS != LIVE:
            table[i] = 0
    return statuses, table


@internal
@view
def _contradictions(prices: uint256[16]) -> uint256:
    """
    @dev Holds every live price against its second source. One whose quote asset is not live itself
         has nothing to be held against; the table is not live anyway.
    @return Statuses, as `_read_table` has them.
    """
    statuses: uint256 = 0
    for i: uint256 in range(length, bound=16):
        if (_PAIRED >> i) & 1 == 0:
            continue
        source: SecondSource = _SECONDS[i]
        price: uint256 = prices[i]
        quote: uint256 = prices[source.quote]
        if price == 0 or quote == 0:
            continue
        status: uint256 = THIN
        covered: bool = False
        tick: int256 = 0
        covered, tick = price_average._mean_tick(source.pool, source.window, source.min_liquidity)
        if covered:
            second: uint256 = price_average._priced(quote, -tick if (_INVERTED >> i) & 1 == 1 else tick)
            apart: uint256 = max(price, second) - min(price, second)
            status = APART if apart * ONE_BPS > min(price, second) * source.max_deviation_bps else LIVE
        statuses |= status << (STATUS_BITS * i)
    return statuses


@internal
@view
def _price(i: uint256) -> (uint256, uint256, uint256):
    """
    @return Status, price per 10**18 base units, oldest update.
    """
    row: Feed = _FEEDS[i]
    reading: chainlink.Reading = chainlink._read(row.feed)
    if reading.answer == 0:
        return NO_ANSWER, 0, reading.updated_at
    status: uint256 = LIVE if chainlink._is_fresh(reading.updated_at, row.heartbeat) else STALE
    usd: uint256 = reading.answer * ONE // _UNITS[i]
    updated_at: uint256 = reading.updated_at
    if row.kind == STAKED_RATIO:
        base: chainlink.Reading = chainlink._read(row.base_feed)
        ratio: uint256 = self._read_ratio(row.ratio_source)
        if base.answer == 0 or ratio == 0:
            return NO_ANSWER, 0, min(updated_at, base.updated_at)
        if not chainlink._is_fresh(base.updated_at, row.base_heartbeat):
            status = STALE
        updated_at = min(updated_at, base.updated_at)
        usd = min(usd, MAX_PRICE) * ratio // ONE
        usd = min(usd, MAX_PRICE) * base.answer // _BASE_UNITS[i]
    usd = min(usd, MAX_PRICE)
    if status == LIVE and (usd < row.min_price or usd > row.max_price):
        status = OUT_OF_BOUNDS
    return status, usd * 10 ** (18 - row.token_decimals), updated_at


@internal
@view
def _read_ratio(source: address) -> uint256:
    success: bool = False
    response: Bytes[32] = b""
    success, response = raw_call(
        source, method_id("stEthPerToken()"), max_outsize=32, is_static_call=True, revert_on_failure=False
    )
    if not success or len(response) != 32:
        return 0
    ratio: uint256 = convert(response, uint256)
    return ratio if ratio < 2**96 else 0
