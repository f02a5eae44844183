# SPDX-License-Identifier: Apache-2.0
"""The universe of a mandate: assets and the feeds that price them."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Annotated, Any, Literal

from eth_utils.address import is_checksum_address, is_hex_address, to_checksum_address
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from offchain.mandate.limits import OracleFeed, Sequencer

ZERO_ADDRESS = "0x" + "0" * 40
FULL_BPS = 10_000
MAX_WEIGHT_BPS = 65_535


def refusal(field: str, value: object, allowed: str) -> PydanticCustomError:
    """Build the error for a rule between fields; `field` is relative to the model that raises it."""
    return PydanticCustomError("mandate", "{allowed}", {"field": field, "value": value, "allowed": allowed})


def _checksum(value: str) -> str:
    if not is_hex_address(value) or not value.startswith("0x"):
        raise PydanticCustomError("address", "must be an address: 0x and 40 hexadecimal digits")
    if int(value, 16) == 0:
        raise PydanticCustomError("address", "must not be the zero address")
    if not is_checksum_address(value):
        right = to_checksum_address(value)
        raise PydanticCustomError("address", "must be checksummed (EIP-55): {right}", {"right": right})
    return value


def _decimal(value: object) -> object:
    """Read a typed number digit by digit, so that 0.95 is not 0.9499999999999999556."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return value
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return value


def as_tuple(value: object) -> object:
    """Take YAML's lists for tuples; anything else is left to the field's own check."""
    return tuple(value) if isinstance(value, list) else value


Address = Annotated[str, AfterValidator(_checksum)]
Bps = Annotated[int, Field(ge=0, le=FULL_BPS)]
Usd = Annotated[Decimal, BeforeValidator(_decimal), Field(gt=0, lt=10**12, decimal_places=18)]
Seconds = Annotated[int, Field(gt=0, le=30 * 86_400)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Section(BaseModel):
    """Base of every section: immutable, exact types, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SecondSource(Section):
    """The time-weighted price of a Uniswap v3 pool, which the feed must not contradict."""

    pool: Address
    quote: str
    """Symbol of the pool's other asset."""
    window_s: Annotated[int, Field(ge=60, le=86_400)]
    min_liquidity: Annotated[int, Field(gt=0, lt=2**128)]
    """Least harmonic mean of the pool's liquidity in range over the window, in the pool's own unit."""
    min_cardinality: Annotated[int, Field(ge=2, le=65_535)]
    """Least number of observations that the pool keeps."""
    max_deviation_bps: Annotated[int, Field(gt=0, le=FULL_BPS)]
    """How far the two may be apart, of the smaller."""


class OracleTable(Section):
    """What concerns the prices of all assets together."""

    sequencer_feed: Address | None = None
    """Chainlink's uptime feed of the rollup; none on a chain without a sequencer."""
    sequencer_grace_s: Annotated[int, Field(ge=0, le=86_400)] = 3600
    """Nothing is live for so long after the sequencer came back."""
    replaceable: bool = False
    """Whether the owner may put another oracle in this one's place, after the delay."""

    @property
    def sequencer(self) -> Sequencer:
        """The price oracle's constructor argument."""
        if self.sequencer_feed is None:
            return Sequencer(ZERO_ADDRESS, 0)
        return Sequencer(self.sequencer_feed, self.sequencer_grace_s)


class _Oracle(Section):
    feed: Address
    heartbeat_s: Seconds
    deviation_bps: Annotated[int, Field(gt=0, le=1000)]
    min_price_usd: Usd
    max_price_usd: Usd
    second_source: SecondSource | None = None

    @model_validator(mode="after")
    def _ordered(self) -> _Oracle:
        if self.min_price_usd >= self.max_price_usd:
            raise refusal(
                "min_price_usd",
                str(self.min_price_usd),
                f"must be less than max_price_usd ({self.max_price_usd})",
            )
        return self


class ChainlinkOracle(_Oracle):
    """A Chainlink feed that quotes the asset in USD."""

    kind: Literal["chainlink"]

    @property
    def error(self) -> Fraction:
        """How far the market may stand from the feed before the feed must move, as a fraction."""
        return Fraction(self.deviation_bps, FULL_BPS)


class StakedRatioOracle(_Oracle):
    """A wrapped staking token: `ratio_source.stEthPerToken()` x `feed` (in ether) x `base_feed` (ether in USD).

    `heartbeat_s` and `deviation_bps` describe `feed`; the bounds are those of the final USD price.
    """

    kind: Literal["staked_ratio"]
    ratio_source: Address
    base_feed: Address
    base_heartbeat_s: Seconds
    base_deviation_bps: Annotated[int, Field(gt=0, le=1000)]

    @property
    def error(self) -> Fraction:
        """Both feeds may stand at their threshold at once, so their errors compound."""
        market = Fraction(self.deviation_bps, FULL_BPS)
        base = Fraction(self.base_deviation_bps, FULL_BPS)
        return (1 + market) * (1 + base) - 1


Oracle = Annotated[ChainlinkOracle | StakedRatioOracle, Field(discriminator="kind")]


class Asset(Section):
    """One token of the universe, how much of it may be held, and who says what it is worth."""

    symbol: Annotated[str, Field(pattern=r"^[A-Za-z0-9.+-]{1,12}$")]
    address: Address
    decimals: Annotated[int, Field(ge=0, le=18)]
    min_weight_bps: Bps
    max_weight_bps: Annotated[int, Field(ge=0, le=MAX_WEIGHT_BPS)]
    """Above 10,000 only where a venue lends."""
    benchmark_weight_bps: Bps
    oracle: Oracle

    @model_validator(mode="after")
    def _bounds(self) -> Asset:
        low, high = self.min_weight_bps, self.max_weight_bps
        if low > high:
            raise refusal("min_weight_bps", low, f"must be at most max_weight_bps ({high})")
        if not low <= self.benchmark_weight_bps <= high:
            raise refusal(
                "benchmark_weight_bps",
                self.benchmark_weight_bps,
                f"must be between {low} and {high}, its bounds",
            )
        return self

    @property
    def oracle_feed(self) -> OracleFeed:
        """The price oracle's constructor argument for this asset."""
        oracle = self.oracle
        staked = isinstance(oracle, StakedRatioOracle)
        return OracleFeed(
            kind=int(staked),
            feed=oracle.feed,
            heartbeat=oracle.heartbeat_s,
            min_price=int(Fraction(oracle.min_price_usd) * 10**18),
            max_price=int(Fraction(oracle.max_price_usd) * 10**18),
            token_decimals=self.decimals,
            ratio_source=oracle.ratio_source if isinstance(oracle, StakedRatioOracle) else ZERO_ADDRESS,
            base_feed=oracle.base_feed if isinstance(oracle, StakedRatioOracle) else ZERO_ADDRESS,
            base_heartbeat=oracle.base_heartbeat_s if isinstance(oracle, StakedRatioOracle) else 0,
        )


def repeated(values: Iterable[Any]) -> int | None:
    """Index of the first value that occurred before."""
    seen: set[Any] = set()
    for index, value in enumerate(values):
        if value in seen:
            return index
        seen.add(value)
    return None
