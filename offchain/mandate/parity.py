# SPDX-License-Identifier: Apache-2.0
"""A mandate file against the vault it is meant for.

Identity must match exactly. Of the limits the keeper obeys the tighter of file and
chain, and it refuses to run where the chain is looser than the file: somebody relied
on the file, and the chain would not enforce it. Which direction is tighter:

=============================== ======= ==============================================
field                           tighter why
=============================== ======= ==============================================
min_weights_bps                 higher  less room to hold something else
max_weights_bps                 lower   less room to concentrate
loss_capacity_bps               lower   less that a thief of the signing key can burn
loss_refill_bps_per_day         lower   the same, over time
turnover_capacity_bps           lower   bounds what oracle error can add to that loss
turnover_refill_bps_per_day     lower   the same, over time
drawdown_reduce_bps             lower   the breaker trips sooner
drawdown_halt_bps               lower   the breaker trips sooner
entry_fee_bps, exit_fee_bps     higher  they shield holders from deposits against a lagging
                                        oracle; cheaper is looser
loss_per_settlement_bps,        lower   0 is no limit, the loosest
max_leverage_bps
max_venues_bps                  lower   the same, where the list ends
min_health_bps, min_buffer_bps, higher  0 is no limit
cool_down_s
the rest of the breaker's       equal   each stops the vault sooner or later; there is no tighter
table, and of deleveraging
=============================== ======= ==============================================

(Changing a drawdown threshold *on-chain* waits for the delay in both directions; here
the question is only which of two numbers protects more.)
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from offchain.errors import PlimsollError
from offchain.mandate.limits import TABLE_LIMITS, OracleFeed, SecondPrice, VaultLimits
from offchain.mandate.models import Mandate
from offchain.mandate.universe import FULL_BPS
from offchain.mandate.venues import MAX_LISTED

_HIGHER_IS_TIGHTER = frozenset(
    {"min_weights_bps", "entry_fee_bps", "exit_fee_bps", "min_health_bps", "min_buffer_bps", "cool_down_s"}
)
_ZERO_IS_LOOSEST = frozenset({"loss_per_settlement_bps", "max_leverage_bps"})
_NONE = 2**16 - 1
"""What a cap counts as that is not there."""


class MandateParityError(PlimsollError):
    """The mandate file and the vault disagree.

    Attributes
    ----------
    field
        What they disagree on, such as ``limits.loss_capacity_bps`` or ``assets[2].address``.
    """

    def __init__(self, field: str, file: object, chain: object, why: str) -> None:
        self.field = field
        super().__init__(f"{field}: the mandate says {file}, the chain {chain}: {why}")


@dataclass(frozen=True, slots=True)
class ChainMandate:
    """What a deployed vault says about itself; `None` where it could not be read."""

    chain_id: int
    tokens: tuple[str, ...]
    limits: VaultLimits
    oracle_feeds: tuple[OracleFeed, ...] | None = None
    name: str | None = None
    symbol: str | None = None
    second_prices: tuple[SecondPrice, ...] | None = None
    """One for each asset; the zero address where there is none."""


def compare_with_chain(mandate: Mandate, chain: ChainMandate) -> VaultLimits:
    """Check that the vault is the mandate's and return the limits to obey.

    Returns
    -------
    VaultLimits
        Field by field the tighter of file and chain.

    Raises
    ------
    MandateParityError
        Identity differs, or the chain is looser than the file in some field.
    """
    _same_identity(mandate, chain)
    return tighter_limits(mandate, chain.limits)


def tighter_limits(mandate: Mandate, chain: VaultLimits) -> VaultLimits:
    """Field by field the tighter of the mandate's and the chain's limits.

    Raises
    ------
    MandateParityError
        The chain is looser in some field.
    """
    file = mandate.vault_limits
    for field in fields(VaultLimits):
        file_value, chain_value = getattr(file, field.name), getattr(chain, field.name)
        if field.name in TABLE_LIMITS:
            if file_value != chain_value:
                advice = "the breaker's table must be the file's; set either of them"
                raise MandateParityError(f"limits.{field.name}", file_value, chain_value, advice)
            continue
        if field.name in _ZERO_IS_LOOSEST:
            file_value, chain_value = file_value or _NONE, chain_value or _NONE
        if field.name == "max_venues_bps":
            file_value, chain_value = (
                tuple(caps) + (_NONE,) * (MAX_LISTED - len(caps)) for caps in (file_value, chain_value)
            )
        per_asset = isinstance(file_value, tuple)
        if per_asset and len(file_value) != len(chain_value):
            raise MandateParityError(
                field.name,
                f"{len(file_value)} entries",
                len(chain_value),
                "wrong vault or file",
            )
        pairs = zip(file_value, chain_value, strict=True) if per_asset else [(file_value, chain_value)]
        for index, (mine, theirs) in enumerate(pairs):
            looser = theirs < mine if field.name in _HIGHER_IS_TIGHTER else theirs > mine
            if looser:
                of_asset = per_asset and field.name != "max_venues_bps"
                place = f"[{mandate.symbols[index] if of_asset else index}]" if per_asset else ""
                name = f"{field.name}{place}"
                advice = "the chain is looser; tighten it on the vault, or loosen the file and accept it"
                raise MandateParityError(f"limits.{name}", mine, theirs, advice)
    # Nothing on the chain is looser, so the tighter of the two is the chain's, field by field.
    if sum(chain.min_weights_bps) > FULL_BPS or sum(chain.max_weights_bps) < FULL_BPS:
        raise MandateParityError(
            "limits",
            "feasible weights",
            "bounds that no portfolio meets",
            "correct the vault",
        )
    return chain


def _same_second_prices(mandate: Mandate, theirs: tuple[SecondPrice, ...]) -> None:
    for asset, found in zip(mandate.ordered_assets, theirs, strict=True):
        mine = mandate.second_price(asset)
        if (mine.pool.lower(), *mine.as_struct()[1:]) != (found.pool.lower(), *found.as_struct()[1:]):
            field = f"assets[{asset.symbol}].oracle.second_source"
            raise MandateParityError(field, mine, found, "the vault's price oracle is configured differently")


def _same_identity(mandate: Mandate, chain: ChainMandate) -> None:
    wrong = "wrong vault or wrong file"
    if mandate.chain_id != chain.chain_id:
        raise MandateParityError("chain_id", mandate.chain_id, chain.chain_id, "wrong node or wrong file")
    for field in ("name", "symbol"):
        theirs = getattr(chain, field)
        if theirs is not None and theirs != getattr(mandate, field):
            raise MandateParityError(field, repr(getattr(mandate, field)), repr(theirs), wrong)
    if len(chain.tokens) != len(mandate.assets):
        raise MandateParityError("assets", f"{len(mandate.assets)} assets", len(chain.tokens), wrong)
    for index, (asset, token) in enumerate(zip(mandate.ordered_assets, chain.tokens, strict=True)):
        if asset.address.lower() != token.lower():
            raise MandateParityError(
                f"assets[{asset.symbol}].address",
                asset.address,
                f"{token} at {index}",
                wrong,
            )
    if chain.second_prices is not None:
        _same_second_prices(mandate, chain.second_prices)
    if chain.oracle_feeds is None:
        return
    if len(chain.oracle_feeds) != len(mandate.assets):
        raise MandateParityError("oracle", f"{len(mandate.assets)} feeds", len(chain.oracle_feeds), wrong)
    for asset, theirs in zip(mandate.ordered_assets, chain.oracle_feeds, strict=True):
        mine = asset.oracle_feed
        for feed_field in fields(OracleFeed):
            ours, other = (
                getattr(mine, feed_field.name),
                getattr(theirs, feed_field.name),
            )
            if (ours.lower() != other.lower()) if isinstance(ours, str) else (ours != other):
                name = f"assets[{asset.symbol}].oracle.{feed_field.name}"
                raise MandateParityError(
                    name,
                    ours,
                    other,
                    "the vault's price oracle is configured differently",
                )
