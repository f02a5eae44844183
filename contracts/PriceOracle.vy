# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title Prices of a vault's assets
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice USD prices from Chainlink feeds, checked for staleness and bounds. A liquid-staking token is
        its ratio times its market feed times the base feed, never its own ratio alone: the ratio
        knows nothing of a discount. The table is fixed at deployment.
        Prices are USD at 18 decimals per 10**18 token base units: value = balance * price // 10**18.
@custom:kill Nobody can disable or change it. When a feed is stale or out of bounds `prices` reverts,
             and a vault that uses it takes no deposits, priced redemptions or settlements; leaving
             in kind does not ask it.
"""



interface Aggregator:
    def decimals() -> uint8: view


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


struct Reading:
    answer: uint256
    updated_at: uint256


CHAINLINK: constant(uint256) = 0
STAKED_RATIO: constant(uint256) = 1

LIVE: constant(uint256) = 0
STALE: constant(uint256) = 1
OUT_OF_BOUNDS: constant(uint256) = 2
NO_ANSWER: constant(uint256) = 3

ONE: constant(uint256) = 10**18
# What an absurd answer saturates at, so that it is out of bounds instead of an overflow.
MAX_PRICE: constant(uint256) = 2**128 - 1
# A round may carry the timestamp of a node whose clock runs ahead of the block by this much.
CLOCK_TOLERANCE: constant(uint256) = 60


length: public(immutable(uint256))
_FEEDS: immutable(Feed[16])
# 10**decimals of each feed and base feed.
_UNITS: immutable(uint256[16])
_BASE_UNITS: immutable(uint256[16])


@deploy
def __init__(feeds: DynArray[Feed, 16]):
    """
    @param feeds One for each asset, in the vault's order. Reverts when a row contradicts itself.
    """
    table: Feed[16] = empty(Feed[16])
    units: uint256[16] = empty(uint256[16])
    base_units: uint256[16] = empty(uint256[16])
    for i: uint256 in range(len(feeds), bound=16):
        row: Feed = feeds[i]
        assert row.kind <= STAKED_RATIO, "oracle: unknown kind"
        assert row.heartbeat > 0, "oracle: zero heartbeat"
        assert row.min_price > 0 and row.min_price < row.max_price, "oracle: bounds"
        assert row.max_price < MAX_PRICE, "oracle: bounds"
        assert row.token_decimals <= 18, "oracle: token decimals"
        table[i] = row
        units[i] = 10 ** convert(staticcall Aggregator(row.feed).decimals(), uint256)
        if row.kind == STAKED_RATIO:
            assert row.base_heartbeat > 0, "oracle: zero heartbeat"
            base_units[i] = 10 ** convert(staticcall Aggregator(row.base_feed).decimals(), uint256)
    length = len(feeds)
    _FEEDS = table
    _UNITS = units
    _BASE_UNITS = base_units


@external
@view
def feeds(i: uint256) -> Feed:
    """
    @notice Where the price of asset i comes from.
    """
    assert i < length, "oracle: no such asset"
    return _FEEDS[i]


@external
@view
def prices() -> DynArray[uint256, 16]:
    """
    @notice All prices. Reverts when any is stale, out of bounds or missing.
    """
    table: DynArray[uint256, 16] = []
    for i: uint256 in range(length, bound=16):
        status: uint256 = 0
        price: uint256 = 0
        updated_at: uint256 = 0
        status, price, updated_at = self._price(i)
        assert status != STALE, "oracle: stale"
        assert status != OUT_OF_BOUNDS, "oracle: out of bounds"
        assert status == LIVE, "oracle: no answer"
        table.append(price)
    return table


@external
@view
def try_prices() -> (bool, DynArray[uint256, 16]):
    """
    @notice All prices and whether every one is live; a dead one is 0. Never reverts.
    """
    live: bool = True
    table: DynArray[uint256, 16] = []
    for i: uint256 in range(length, bound=16):
        status: uint256 = 0
        price: uint256 = 0
        updated_at: uint256 = 0
        status, price, updated_at = self._price(i)
        if status != LIVE:
            live = False
            price = 0
        table.append(price)
    return live, table


@external
@view
def updated_at() -> DynArray[uint256, 16]:
    """
    @notice Unix seconds of the oldest round behind each price, live or not.
    """
    table: DynArray[uint256, 16] = []
    for i: uint256 in range(length, bound=16):
        status: uint256 = 0
        price: uint256 = 0
        updated_at: uint256 = 0
        status, price, updated_at = self._price(i)
        table.append(updated_at)
    return table


@internal
@view
def _price(i: uint256) -> (uint256, uint256, uint256):
    """
    @return Status, price per 10**18 base units, oldest update.
    """
    row: Feed = _FEEDS[i]
    reading: Reading = self._read(row.feed)
    if reading.answer == 0:
        return NO_ANSWER, 0, reading.updated_at
    status: uint256 = self._freshness(reading.updated_at, row.heartbeat)
    usd: uint256 = reading.answer * ONE // _UNITS[i]
    updated_at: uint256 = reading.updated_at
    if row.kind == STAKED_RATIO:
        base: Reading = self._read(row.base_feed)
        ratio: uint256 = self._read_ratio(row.ratio_source)
        if base.answer == 0 or ratio == 0:
            return NO_ANSWER, 0, min(updated_at, base.updated_at)
        status = max(status, self._freshness(base.updated_at, row.base_heartbeat))
        updated_at = min(updated_at, base.updated_at)
        usd = min(usd, MAX_PRICE) * ratio // ONE
        usd = min(usd, MAX_PRICE) * base.answer // _BASE_UNITS[i]
    usd = min(usd, MAX_PRICE)
    if status == LIVE and (usd < row.min_price or usd > row.max_price):
        status = OUT_OF_BOUNDS
    return status, usd * 10 ** (18 - row.token_decimals), updated_at


@internal
@view
def _freshness(updated_at: uint256, heartbeat: uint256) -> uint256:
    if updated_at > block.timestamp + CLOCK_TOLERANCE or updated_at + heartbeat < block.timestamp:
        return STALE
    return LIVE


@internal
@view
def _read(feed: address) -> Reading:
    """
    @dev A feed that reverts or answers nonsense reads as 0, so that the caller can say so.
    """
    success: bool = False
    response: Bytes[160] = b""
    success, response = raw_call(
        feed, method_id("latestRoundData()"), max_outsize=160, is_static_call=True, revert_on_failure=False
    )
    if not success or len(response) != 160:
        return empty(Reading)
    answer: int256 = extract32(response, 32, output_type=int256)
    updated_at: uint256 = extract32(response, 96, output_type=uint256)
    # Answers past 2**128 cannot be prices and would overflow what follows.
    if answer <= 0 or answer >= 2**128 or updated_at >= 2**64:
        return empty(Reading)
    return Reading(answer=convert(answer, uint256), updated_at=updated_at)


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
