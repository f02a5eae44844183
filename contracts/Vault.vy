# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
# pragma optimize codesize
"""
@title A portfolio vault with a load line
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice Holds a basket of tokens for its shareholders and settles signed orders that keep the mandate.
        Shares are ERC-20 with permit; ERC-4626 faces outward in the base asset (asset 0) over the
        whole basket.

        What it assumes. Tokens: balances move only by transfers, no transfer fee on the base asset.
        Oracle: prices within the mandate's stated error of the market while live. Roles, limits and
        breaker live in the mandate contract, fixed at deployment as the oracle is.

        What it guarantees. Redemption in kind asks no oracle, keeper or role, in every state. No
        window of t seconds loses more than C + r * t at oracle prices to settlements. A settlement
        ends inside the weights or closer to them. A drawdown from the peak latches by anyone's call.
        It calls no address but its tokens, its oracle, its mandate and the canonical pools of its
        tokens, and gives no allowance.
@custom:kill The guardian, curator or owner raise the breaker to REDUCE_ONLY (deposits and buying stop)
             or HALTED (settlement and priced redemption stop too). Redemption in kind, claims and
             share transfers cannot be stopped by anyone.
"""


from ethereum.ercs import IERC20
from ethereum.ercs import IERC20Detailed
from ethereum.ercs import IERC4626
from snekmate.auth import ownable
from snekmate.tokens import erc20
from snekmate.utils import eip712_domain_separator
from .interfaces import IMandate
from .interfaces import IPriceOracle
from .modules import custody
from .modules import fees
from .modules import orders
from .modules import uniswap

implements: IERC20
implements: IERC20Detailed
implements: IERC4626

initializes: ownable
initializes: erc20[ownable := ownable]
initializes: custody
initializes: orders[eip712_domain_separator := eip712_domain_separator]
initializes: uniswap

exports: (
    erc20.IERC20,
    erc20.name,
    erc20.symbol,
    erc20.decimals,
    erc20.permit,
    erc20.nonces,
    erc20.DOMAIN_SEPARATOR,
    erc20.eip712Domain,
    custody.tokens,
    custody.holdings,
    custody.claims,
    custody.claim,
    orders.order_nonce,
    orders.hash_order,
    uniswap.uniswapV3SwapCallback,
)


event Settled:
    digest: indexed(bytes32)
    nonce: indexed(uint256)
    signer: indexed(address)
    model_hash: bytes32
    value_before: uint256
    value_after: uint256
    loss: uint256
    turnover: uint256
    loss_level: uint256
    turnover_level: uint256
    value_per_share: uint256
    amounts_in: DynArray[uint256, 16]
    amounts_out: DynArray[uint256, 16]


event RedeemedInKind:
    caller: indexed(address)
    receiver: indexed(address)
    owner: indexed(address)
    shares: uint256
    amounts: DynArray[uint256, 16]
    skip: uint256


struct Execution:
    # Holdings when the last leg is done.
    after: DynArray[uint256, 16]
    # What each leg paid and got.
    amounts_in: DynArray[uint256, 16]
    amounts_out: DynArray[uint256, 16]


struct Appraisal:
    # USD at 18 decimals.
    worth: uint256
    # USD at 18 decimals per 10**18 base asset units.
    base_price: uint256
    # In base asset units.
    total_assets: uint256
    # Whether every price is; otherwise only total_assets is set, from the last mark.
    live: bool


ONE: constant(uint256) = 10**18
# With the balances that custody counts, no conversion of all shares overflows.
MAX_SHARES: constant(uint256) = 2**128 - 1
# The breaker state in which priced redemption stops.
HALTED: constant(uint256) = 2


oracle: public(immutable(address))
mandate: public(immutable(address))
asset: public(immutable(address))
_VIRTUAL_SHARES: immutable(uint256)
# Base units behind the virtual shares.
_VIRTUAL_ASSETS: immutable(uint256)
_COUNT: immutable(uint256)

# Base units per share at 18 decimals times the virtual shares, when prices were last live.
_mark: uint256


@deploy
def __init__(
    name: String[25],
    symbol: String[5],
    tokens: DynArray[address, 16],
    base_decimals: uint256,
    oracle_: address,
    mandate_: address,
):
    """
    @param name Of the share token and of the EIP-712 domain (version "1").
    @param symbol Of the share token.
    @param tokens The assets; the first is the base asset.
    @param base_decimals Decimals of the base asset, at most 18; they only scale the shares.
    @param oracle_ A PriceOracle over the same assets in the same order.
    @param mandate_ A Mandate over the same assets in the same order that has no vault yet.
    """
    ownable.__init__()
    # The share token's owner role mints nothing here; nobody shall hold it.
    ownable._transfer_ownership(empty(address))
    erc20.__init__(name, symbol, 18, name, "1")
    custody.__init__(tokens)
    assert staticcall IPriceOracle(oracle_).length() == len(tokens), "vault: oracle of other assets"
    extcall IMandate(mandate_).bind(len(tokens))
    oracle = oracle_
    mandate = mandate_
    asset = tokens[0]
    _COUNT = len(tokens)
    # A donation made before the first deposit costs its donor at least a million times what the
    # rounding of shares can take from the depositors after him.
    _VIRTUAL_SHARES = 10 ** max(18 - base_decimals, 6)
    _VIRTUAL_ASSETS = 10 ** max(base_decimals, 12) // 10**12


# ---------------------------------------------------------------------------------------------
# Settlement
# ---------------------------------------------------------------------------------------------


@external
def settle(order: orders.Order, signer: address, signature: Bytes[1024]):
    """
    @notice Executes a signed order and refuses every outcome that breaks the mandate. Anyone may
            relay it. Reverts when the order is not the next one, expired, under another mandate,
            above its base-fee ceiling or not signed by an authorised signer; when halted; when a
            price is not live; when a leg pays less than its minimum; when the loss budget, the
            turnover budget, a weight or the minimum value per share is broken; and, while only
            reducing, when the balance of anything but the base asset rises.
    @param order What the signer signed. Leg amounts clamp to what the vault holds.
    @param signer Who signed.
    @param signature ECDSA, or whatever an ERC-1271 signer takes.
    """
    digest: bytes32 = orders._digest(order)
    orders._check_signature(signer, digest, signature)
    orders._consume(order)

    prices: DynArray[uint256, 16] = staticcall IPriceOracle(oracle).prices()
    before: DynArray[uint256, 16] = custody._holdings()
    values_before: DynArray[uint256, 16] = self._values(before, prices)
    value_before: uint256 = self._sum(values_before)
    executed: Execution = self._execute(order.legs, before)
    values_after: DynArray[uint256, 16] = self._values(executed.after, prices)
    value_after: uint256 = self._sum(values_after)

    risen: uint256 = 0
    for i: uint256 in range(_COUNT, bound=16):
        if executed.after[i] > before[i]:
            risen |= 1 << i
    per_share: uint256 = self._per_share(value_after, prices[0])
    assert per_share >= order.min_value_per_share, "limits: value per share"
    self._keep_mark(value_after * ONE // prices[0])
    outcome: IMandate.Outcome = extcall IMandate(mandate).judge(
        signer,
        order.mandate_hash,
        self._book(values_before),
        self._book(values_after),
        risen,
        self._per_share(value_before, prices[0]),
        per_share,
    )
    log Settled(
        digest=digest,
        nonce=order.nonce,
        signer=signer,
        model_hash=order.model_hash,
        value_before=value_before,
        value_after=value_after,
        loss=outcome.loss,
        turnover=outcome.turnover,
        loss_level=outcome.loss_level,
        turnover_level=outcome.turnover_level,
        value_per_share=per_share,
        amounts_in=executed.amounts_in,
        amounts_out=executed.amounts_out,
    )


@external
def cancel(nonce: uint256):
    """
    @notice Uses up the current nonce, so that no order signed for it can settle. Any authorised
            signer, the curator, the guardian or the owner; reverts for another nonce.
    """
    assert staticcall IMandate(mandate).may_cancel(msg.sender), "roles: may not cancel"
    orders._cancel(nonce)


@internal
def _execute(legs: DynArray[orders.Leg, 16], before: DynArray[uint256, 16]) -> Execution:
    """
    @dev Runs the legs in order. Balances that a leg touched are read back from the tokens.
    """
    executed: Execution = Execution(after=before, amounts_in=[], amounts_out=[])
    touched: uint256 = 0
    for leg: orders.Leg in legs:
        i: uint256 = convert(leg.token_in, uint256)
        j: uint256 = convert(leg.token_out, uint256)
        assert max(i, j) < _COUNT and i != j, "orders: unknown token"
        wanted: uint256 = convert(leg.amount_in, uint256)
        amount_in: uint256 = min(wanted, executed.after[i])
        amount_out: uint256 = 0
        if amount_in > 0:
            minimum: uint256 = fees._ceil_div(convert(leg.min_amount_out, uint256) * amount_in, wanted)
            amount_in, amount_out = uniswap._swap(
                leg.venue, custody._TOKENS[i], custody._TOKENS[j], leg.fee, amount_in
            )
            assert amount_out >= minimum, "uniswap: amount out below minimum"
            executed.after[i] -= amount_in
            executed.after[j] += amount_out
            touched |= (1 << i) | (1 << j)
        executed.amounts_in.append(amount_in)
        executed.amounts_out.append(amount_out)
    claimed: uint256 = custody._claimed_assets
    for i: uint256 in range(_COUNT, bound=16):
        if (touched >> i) & 1 == 1:
            executed.after[i] = custody._holding(i, claimed)
    return executed


# ---------------------------------------------------------------------------------------------
# Leaving in kind
# ---------------------------------------------------------------------------------------------


@external
def redeem_in_kind(shares: uint256, receiver: address, owner: address, skip: uint256) -> DynArray[uint256, 16]:
    """
    @notice Burns shares for their part of every token held, less the exit fee, which stays with the
            others; who holds the whole supply pays none and leaves the virtual shares' dust. Works in
            every breaker state and asks no oracle. The owner of the shares or whom they approved;
            reverts when a token that is not skipped refuses to move.
    @param shares Share base units to burn.
    @param receiver Gets the tokens, and the claims to skipped ones.
    @param owner Whose shares.
    @param skip Bit i set: do not transfer asset i, record a claim instead; to nothing when the token
           cannot even tell its balance.
    @return Base units of each asset paid or recorded.
    """
    assert shares > 0, "vault: zero shares"
    assert receiver not in [empty(address), self], "vault: bad receiver"
    net_shares: uint256 = shares
    if shares < erc20.totalSupply:
        net_shares = fees._net(shares, self._terms().exit_fee_bps)
    supply: uint256 = erc20.totalSupply + _VIRTUAL_SHARES
    self._burn_from(owner, shares)
    claimed: uint256 = custody._claimed_assets
    amounts: DynArray[uint256, 16] = []
    for i: uint256 in range(_COUNT, bound=16):
        if (skip >> i) & 1 == 1:
            amounts.append(custody._readable_holding(i) * net_shares // supply)
            custody._record_claim(receiver, i, amounts[i])
        else:
            amounts.append(custody._holding(i, claimed) * net_shares // supply)
    for i: uint256 in range(_COUNT, bound=16):
        if (skip >> i) & 1 == 0 and amounts[i] > 0:
            custody._send(i, receiver, amounts[i])
    log RedeemedInKind(caller=msg.sender, receiver=receiver, owner=owner, shares=shares, amounts=amounts, skip=skip)
    return amounts


# ---------------------------------------------------------------------------------------------
# ERC-4626 in the base asset
# ---------------------------------------------------------------------------------------------


@external
def deposit(assets: uint256, receiver: address) -> uint256:
    """
    @notice Takes base asset for shares at live prices, less the entry fee. Anyone; reverts unless
            ACTIVE with no drawdown standing and every price live.
    @param assets Base units of the base asset.
    @param receiver Gets the shares.
    @return Share base units minted.
    """
    appraisal: Appraisal = self._appraise(True)
    shares: uint256 = self._to_shares(fees._net(assets, self._terms().entry_fee_bps), appraisal.total_assets, False)
    self._deposit(assets, shares, receiver, appraisal)
    return shares


@external
def mint(shares: uint256, receiver: address) -> uint256:
    """
    @notice Mints an exact number of shares. Anyone; reverts as `deposit` does.
    @param shares Share base units.
    @param receiver Gets the shares.
    @return Base units of the base asset taken.
    """
    appraisal: Appraisal = self._appraise(True)
    assets: uint256 = fees._gross(self._to_assets(shares, appraisal.total_assets, True), self._terms().entry_fee_bps)
    self._deposit(assets, shares, receiver, appraisal)
    return assets


@external
def withdraw(assets: uint256, receiver: address, owner: address) -> uint256:
    """
    @notice Pays an exact amount of base asset, from the base asset held, for shares at live prices
            and the exit fee. The owner of the shares or whom they approved; reverts when HALTED, a
            price is not live or the vault holds less base asset.
    @return Share base units burned.
    """
    appraisal: Appraisal = self._appraise(True)
    shares: uint256 = self._to_shares(fees._gross(assets, self._terms().exit_fee_bps), appraisal.total_assets, True)
    self._withdraw(assets, shares, receiver, owner, appraisal)
    return shares


@external
def redeem(shares: uint256, receiver: address, owner: address) -> uint256:
    """
    @notice Burns an exact number of shares for base asset; otherwise as `withdraw`.
    @return Base units of the base asset paid.
    """
    appraisal: Appraisal = self._appraise(True)
    assets: uint256 = fees._net(self._to_assets(shares, appraisal.total_assets, False), self._terms().exit_fee_bps)
    self._withdraw(assets, shares, receiver, owner, appraisal)
    return assets


@external
@view
def totalAssets() -> uint256:
    """
    @notice Value of everything held, in base asset units; from the last mark when prices are not live.
    """
    return self._appraise(False).total_assets


@external
@view
def mark_is_live() -> bool:
    """
    @notice Whether conversions answer from live prices; otherwise from the last mark.
    """
    return self._appraise(False).live


@external
@view
def value() -> uint256:
    """
    @notice Value of everything held, USD at 18 decimals. Reverts when a price is not live.
    """
    return self._appraise(True).worth


@external
@view
def value_per_share() -> uint256:
    """
    @notice USD at 18 decimals per 10**18 share units. Reverts when a price is not live.
    """
    appraisal: Appraisal = self._appraise(True)
    return self._per_share(appraisal.worth, appraisal.base_price)


@external
@view
def convertToShares(assets: uint256) -> uint256:
    """
    @notice Without fees, rounded down.
    """
    return self._to_shares(assets, self._appraise(False).total_assets, False)


@external
@view
def convertToAssets(shares: uint256) -> uint256:
    """
    @notice Without fees, rounded down.
    """
    return self._to_assets(shares, self._appraise(False).total_assets, False)


@external
@view
def previewDeposit(assets: uint256) -> uint256:
    """
    @notice Shares that `deposit` would mint, entry fee included.
    """
    return self._to_shares(fees._net(assets, self._terms().entry_fee_bps), self._appraise(False).total_assets, False)


@external
@view
def previewMint(shares: uint256) -> uint256:
    """
    @notice Assets that `mint` would take, entry fee included.
    """
    return fees._gross(self._to_assets(shares, self._appraise(False).total_assets, True), self._terms().entry_fee_bps)


@external
@view
def previewWithdraw(assets: uint256) -> uint256:
    """
    @notice Shares that `withdraw` would burn, exit fee included.
    """
    return self._to_shares(fees._gross(assets, self._terms().exit_fee_bps), self._appraise(False).total_assets, True)


@external
@view
def previewRedeem(shares: uint256) -> uint256:
    """
    @notice Assets that `redeem` would pay, exit fee included.
    """
    return fees._net(self._to_assets(shares, self._appraise(False).total_assets, False), self._terms().exit_fee_bps)


@external
@view
def maxDeposit(receiver: address) -> uint256:
    """
    @notice 0 unless deposits are open now; otherwise what `maxMint` shares are worth.
    """
    appraisal: Appraisal = self._appraise(False)
    return self._to_assets(self._max_entry(appraisal), appraisal.total_assets, False)


@external
@view
def maxMint(receiver: address) -> uint256:
    """
    @notice 0 unless deposits are open now; otherwise what numbers have room for, far beyond any supply.
    """
    return self._max_entry(self._appraise(False))


@external
@view
def maxWithdraw(owner: address) -> uint256:
    """
    @notice What the owner can withdraw now from the base asset held; 0 when HALTED or not live.
    """
    appraisal: Appraisal = self._appraise(False)
    terms: IMandate.Terms = self._terms()
    if not appraisal.live or terms.state == HALTED:
        return 0
    assets: uint256 = fees._net(self._to_assets(erc20.balanceOf[owner], appraisal.total_assets, False), terms.exit_fee_bps)
    return min(assets, custody._holding(0, custody._claimed_assets))


@external
@view
def maxRedeem(owner: address) -> uint256:
    """
    @notice What the owner can redeem now from the base asset held; 0 when HALTED or not live.
    """
    appraisal: Appraisal = self._appraise(False)
    terms: IMandate.Terms = self._terms()
    if not appraisal.live or terms.state == HALTED:
        return 0
    held: uint256 = custody._holding(0, custody._claimed_assets)
    gross: uint256 = held * fees.ONE_BPS // (fees.ONE_BPS - terms.exit_fee_bps)
    shares: uint256 = min(erc20.balanceOf[owner], self._to_shares(gross, appraisal.total_assets, False))
    # What pays nothing is refused.
    if fees._net(self._to_assets(shares, appraisal.total_assets, False), terms.exit_fee_bps) == 0:
        return 0
    return shares


# ---------------------------------------------------------------------------------------------
# Internals: entries and exits
# ---------------------------------------------------------------------------------------------


@internal
def _deposit(assets: uint256, shares: uint256, receiver: address, appraisal: Appraisal):
    """
    @dev A vault that had no shares starts its peak anew.
    """
    assert shares > 0, "vault: zero shares"
    per_share: uint256 = self._per_share(appraisal.worth, appraisal.base_price)
    first: bool = erc20.totalSupply == 0
    erc20._mint(receiver, shares)
    assert erc20.totalSupply <= MAX_SHARES, "vault: too many shares"
    custody._receive_exact(0, msg.sender, assets)
    self._keep_mark(appraisal.total_assets + assets)
    worth: uint256 = appraisal.worth + assets * appraisal.base_price // ONE
    extcall IMandate(mandate).enter(per_share, self._per_share(worth, appraisal.base_price), first)
    log IERC4626.Deposit(sender=msg.sender, owner=receiver, assets=assets, shares=shares)


@internal
def _withdraw(assets: uint256, shares: uint256, receiver: address, owner: address, appraisal: Appraisal):
    assert assets > 0, "vault: zero assets"
    assert receiver not in [empty(address), self], "vault: bad receiver"
    assert assets <= custody._holding(0, custody._claimed_assets), "vault: not enough base asset"
    self._burn_from(owner, shares)
    custody._send(0, receiver, assets)
    self._keep_mark(appraisal.total_assets - assets)
    worth: uint256 = appraisal.worth - assets * appraisal.base_price // ONE
    extcall IMandate(mandate).leave(self._per_share(worth, appraisal.base_price))
    log IERC4626.Withdraw(sender=msg.sender, receiver=receiver, owner=owner, assets=assets, shares=shares)


@internal
def _burn_from(owner: address, shares: uint256):
    if msg.sender != owner:
        erc20._spend_allowance(owner, msg.sender, shares)
    erc20._burn(owner, shares)


@internal
@view
def _terms() -> IMandate.Terms:
    return staticcall IMandate(mandate).terms()


@internal
@view
def _max_entry(appraisal: Appraisal) -> uint256:
    if not appraisal.live:
        return 0
    per_share: uint256 = self._per_share(appraisal.worth, appraisal.base_price)
    if erc20.totalSupply == 0:
        # The first deposit restarts the peak, so that no drawdown stands.
        per_share = 2**128
    if not staticcall IMandate(mandate).is_open(per_share):
        return 0
    # Half of what custody can count leaves room for the highest fee.
    room: uint256 = (custody.MAX_BALANCE - custody._holding(0, custody._claimed_assets)) // 2
    return min(MAX_SHARES - erc20.totalSupply, self._to_shares(room, appraisal.total_assets, False))


# ---------------------------------------------------------------------------------------------
# Internals: valuation
# ---------------------------------------------------------------------------------------------


@internal
@view
def _appraise(strict: bool) -> Appraisal:
    """
    @dev Everything held at live prices. Otherwise reverts when strict, or answers from the mark.
    """
    prices: DynArray[uint256, 16] = []
    if strict:
        prices = staticcall IPriceOracle(oracle).prices()
    else:
        live: bool = False
        live, prices = staticcall IPriceOracle(oracle).try_prices()
        if not live:
            total: uint256 = self._mark * (erc20.totalSupply + _VIRTUAL_SHARES) // (ONE * _VIRTUAL_SHARES)
            total -= min(total, _VIRTUAL_ASSETS)
            return Appraisal(worth=0, base_price=0, total_assets=total, live=False)
    worth: uint256 = self._sum(self._values(custody._holdings(), prices))
    return Appraisal(worth=worth, base_price=prices[0], total_assets=worth * ONE // prices[0], live=True)


@internal
def _keep_mark(total_assets: uint256):
    """
    @dev Kept for when prices are not live; `_appraise` inverts it.
    """
    self._mark = (total_assets + _VIRTUAL_ASSETS) * ONE * _VIRTUAL_SHARES // (erc20.totalSupply + _VIRTUAL_SHARES)


@internal
@view
def _per_share(worth: uint256, base_price: uint256) -> uint256:
    """
    @dev Rounded down.
    """
    return (worth + _VIRTUAL_ASSETS * base_price // ONE) * ONE // (erc20.totalSupply + _VIRTUAL_SHARES)


@internal
@view
def _to_shares(assets: uint256, total_assets: uint256, round_up: bool) -> uint256:
    numerator: uint256 = assets * (erc20.totalSupply + _VIRTUAL_SHARES)
    denominator: uint256 = total_assets + _VIRTUAL_ASSETS
    return fees._ceil_div(numerator, denominator) if round_up else numerator // denominator


@internal
@view
def _to_assets(shares: uint256, total_assets: uint256, round_up: bool) -> uint256:
    numerator: uint256 = shares * (total_assets + _VIRTUAL_ASSETS)
    supply: uint256 = erc20.totalSupply + _VIRTUAL_SHARES
    return fees._ceil_div(numerator, supply) if round_up else numerator // supply


@internal
@pure
def _values(amounts: DynArray[uint256, 16], prices: DynArray[uint256, 16]) -> DynArray[uint256, 16]:
    """
    @dev USD at 18 decimals, each rounded down.
    """
    values: DynArray[uint256, 16] = []
    for i: uint256 in range(len(amounts), bound=16):
        values.append(amounts[i] * prices[i] // ONE)
    return values


@internal
@pure
def _book(held: DynArray[uint256, 16]) -> IMandate.Book:
    return IMandate.Book(held=held, owed=[], venues=[], wallet=held[0], health=max_value(uint256))


@internal
@pure
def _sum(values: DynArray[uint256, 16]) -> uint256:
    total: uint256 = 0
    for addend: uint256 in values:
        total += addend
    return total
