# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
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
        It calls no address but its tokens, its oracle, its mandate, the canonical pools of its tokens
        and the targets of its venues, and leaves no allowance. Redemption and deposits in kind and
        deleveraging are in VaultExtension, claims in VaultClaims, run by delegatecall at addresses
        fixed here.
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
from .interfaces import IVenue
from .modules import custody
from .modules import delegation
from .modules import execution
from .modules import fees
from .modules import orders
from .modules import state
from .modules import uniswap
from .modules import valuation
from .modules import positions

implements: IERC20
implements: IERC20Detailed
implements: IERC4626

# The order of these is the storage layout, and the extension's.
initializes: ownable
initializes: erc20[ownable := ownable]
initializes: state
initializes: custody[state := state]
initializes: positions[custody := custody]
initializes: valuation[erc20 := erc20, custody := custody, state := state, positions := positions]
initializes: orders[eip712_domain_separator := eip712_domain_separator, state := state]
initializes: uniswap[custody := custody]
initializes: delegation
initializes: execution[custody := custody, positions := positions]

exports: (
    erc20.IERC20,
    erc20.name,
    erc20.symbol,
    erc20.decimals,
    erc20.nonces,
    erc20.DOMAIN_SEPARATOR,
    erc20.eip712Domain,
    custody.tokens,
    custody.holdings,
    custody.claims,
    state.order_nonce,
    valuation.oracle,
    valuation.mandate,
    positions.venues,
    positions.position_claims,
    orders.hash_order,
    uniswap.uniswapV3SwapCallback,
    delegation.extension,
    delegation.claims_extension,
    delegation.permit,
    delegation.mint,
    delegation.withdraw,
    delegation.redeem,
    delegation.claim,
    delegation.recover,
    delegation.claim_position,
    delegation.foreclose,
    delegation.deleverage,
    delegation.redeem_in_kind,
    delegation.deposit_in_kind,
)


event Settled:
    digest: indexed(bytes32)
    nonce: indexed(uint256)
    signer: indexed(address)
    model_hash: bytes32
    # USD at 18 decimals: before << 128 | after.
    values: uint256
    value_per_share: uint256
    # Fractions at 1e18: loss << 192 | turnover << 128 | level of losses << 64 | level of turnover.
    charges: uint256
    # Base units by leg: paid << 128 | got.
    amounts: DynArray[uint256, 16]


interface Extension:
    def parts() -> bytes32: view


ONE: constant(uint256) = 10**18
# The breaker state in which priced redemption stops.
HALTED: constant(uint256) = 2


asset: public(immutable(address))


@deploy
def __init__(
    name: String[25],
    symbol: String[5],
    tokens: DynArray[address, 16],
    base_decimals: uint256,
    oracle_: address,
    mandate_: address,
    venues_: DynArray[address, 4],
    extension_: address,
    claims_extension_: address,
):
    """
    @param name Of the share token and of the EIP-712 domain (version "1").
    @param symbol Of the share token.
    @param tokens The assets; the first is the base asset.
    @param base_decimals Decimals of the base asset, at most 18; they only scale the shares.
    @param oracle_ A PriceOracle over the same assets in the same order.
    @param mandate_ A Mandate over the same assets in the same order that has no vault yet.
    @param venues_ Venues for the same assets in the same order.
    @param extension_ A VaultExtension made for the same name, tokens, decimals, oracle, mandate and venues.
    @param claims_extension_ A VaultClaims made for the same.
    """
    ownable.__init__()
    # The share token's owner role mints nothing here; nobody shall hold it.
    ownable._transfer_ownership(empty(address))
    erc20.__init__(name, symbol, 18, name, "1")
    custody.__init__(tokens)
    positions.__init__(venues_, tokens, [oracle_, mandate_])
    valuation.__init__(base_decimals, oracle_, mandate_)
    assert staticcall IPriceOracle(oracle_).length() == len(tokens), "vault: oracle of other assets"
    parts: bytes32 = keccak256(
        abi_encode("VaultExtension", name, tokens, base_decimals, oracle_, mandate_, venues_)
    )
    assert staticcall Extension(extension_).parts() == parts, "vault: extension of another vault"
    parts = keccak256(abi_encode("VaultClaims", name, tokens, base_decimals, oracle_, mandate_, venues_))
    assert staticcall Extension(claims_extension_).parts() == parts, "vault: extension of another vault"
    extcall IMandate(mandate_).bind(len(tokens))
    asset = tokens[0]
    delegation.__init__(extension_, claims_extension_)


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
            turnover budget, a weight or the minimum value per share is broken; while only reducing,
            when the balance of anything but the base asset rises; and at a value of 2**128 or more.
    @param order What the signer signed. Leg amounts clamp to what the vault holds.
    @param signer Who signed.
    @param signature ECDSA, or whatever an ERC-1271 signer takes.
    """
    digest: bytes32 = orders._digest(
        order.nonce,
        order.deadline,
        order.mandate_hash,
        order.model_hash,
        orders._hash_legs(order.legs),
        order.min_value_per_share,
        order.max_base_fee,
    )
    orders._check_signature(signer, digest, signature)
    claimed: uint256 = orders._consume(order.nonce, order.deadline, order.max_base_fee)

    # The loops over the assets stand here, where Vyper copies no array for a call.
    prices: uint256[16] = staticcall IPriceOracle(valuation.oracle).prices()
    wallet: uint256[16] = empty(uint256[16])
    before: IMandate.Book = empty(IMandate.Book)
    every: uint256 = 0
    for i: uint256 in range(custody._COUNT, bound=16):
        price: uint256 = prices[i]
        every |= price
        amount: uint256 = custody._holding(i, claimed)
        wallet[i] = amount
        worth: uint256 = unsafe_div(unsafe_mul(amount, price), ONE)
        before.held[i] = worth
        before.gross = unsafe_add(before.gross, worth)
    # All bits of the greatest price are set, so that none of them is above it.
    assert every <= valuation.MAX_PRICE, "vault: price too high"
    before.net = before.gross
    before.wallet = before.held[0]
    before.health = max_value(uint256)
    owed_before: uint256[16] = empty(uint256[16])
    if positions._COUNT > 0:
        before, owed_before = execution._read_book(prices, delegation.extension)

    amounts: DynArray[uint256, 16] = []
    touched: uint256 = 0
    for leg: IVenue.Leg in order.legs:
        i: uint256 = convert(leg.token_in, uint256)
        j: uint256 = convert(leg.token_out, uint256)
        assert max(i, j) < custody._COUNT, "orders: unknown token"
        wanted: uint256 = convert(leg.amount_in, uint256)
        amount_in: uint256 = min(wanted, wallet[i])
        amount_out: uint256 = 0
        if leg.venue >= execution.FIRST_VENUE:
            amount_in, amount_out = execution._run_at_venue(leg, claimed, delegation.extension)
            wallet[i] = custody._holding(i, claimed)
            wallet[j] = custody._holding(j, claimed)
        elif amount_in > 0:
            assert i != j, "orders: unknown token"
            amount_in, amount_out = uniswap._swap(leg.venue, i, j, leg.fee, amount_in)
            wallet[i] -= amount_in
            wallet[j] += amount_out
            touched |= (1 << i) | (1 << j)
        # The minimum shrinks with the amount, rounded up. A lending leg has one token: its minimum is what
        # must arrive, whatever it clamps to. All four fit in 128 bits.
        needed: uint256 = unsafe_mul(convert(leg.min_amount_out, uint256), wanted if i == j else amount_in)
        assert unsafe_mul(amount_out, wanted) >= needed, "orders: amount out below minimum"
        amounts.append((amount_in << 128) | amount_out)

    # Only what was traded is read again, unless something may be held or owed at venues.
    after: IMandate.Book = before
    change: IMandate.Change = empty(IMandate.Change)
    if positions._COUNT > 0:
        owed_after: uint256[16] = empty(uint256[16])
        after, owed_after = execution._read_book(prices, delegation.extension)
        for i: uint256 in range(custody._COUNT, bound=16):
            # Compared crosswise, so that no exposure is negative.
            old: uint256 = before.held[i] + owed_after[i]
            new: uint256 = after.held[i] + owed_before[i]
            if new > old:
                change.bought += new - old
            else:
                change.sold += old - new
            if after.held[i] > before.held[i] + execution.ROUNDING * prices[i] // ONE:
                change.risen |= 1 << i
    else:
        for i: uint256 in range(custody._COUNT, bound=16):
            if (touched >> i) & 1 == 0:
                continue
            old: uint256 = before.held[i]
            new: uint256 = unsafe_div(unsafe_mul(custody._holding(i, claimed), prices[i]), ONE)
            after.held[i] = new
            if new > old:
                change.bought = unsafe_add(change.bought, unsafe_sub(new, old))
                change.risen |= 1 << i
            else:
                change.sold = unsafe_add(change.sold, unsafe_sub(old, new))
        after.gross = before.gross + change.bought - change.sold
        after.net = after.gross
        after.wallet = after.held[0]

    supply: uint256 = valuation._supply()
    change.per_share_before = valuation._per_share(before.net, prices[0], supply)
    change.per_share_after = valuation._per_share(after.net, prices[0], supply)
    assert change.per_share_after >= order.min_value_per_share, "limits: value per share"
    valuation._keep_mark(after.net * ONE // prices[0], supply)
    assert max(before.net, after.net) < 2**128, "vault: value too large"
    charges: uint256 = extcall IMandate(valuation.mandate).judge(
        signer, order.mandate_hash, before, after, change, positions._COUNT
    )
    log Settled(
        digest=digest,
        nonce=order.nonce,
        signer=signer,
        model_hash=order.model_hash,
        values=(before.net << 128) | after.net,
        value_per_share=change.per_share_after,
        charges=charges,
        amounts=amounts,
    )


@external
def cancel(nonce: uint256):
    """
    @notice Uses up the current nonce, so that no order signed for it can settle. Any authorised
            signer, the curator, the guardian or the owner; reverts for another nonce.
    """
    assert staticcall IMandate(valuation.mandate).may_cancel(msg.sender), "roles: may not cancel"
    orders._cancel(nonce)


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
    appraisal: valuation.Appraisal = valuation._appraise()
    net: uint256 = fees._net(assets, valuation._enter(appraisal))
    shares: uint256 = valuation._to_shares(net, appraisal, False)
    valuation._deposit(assets, shares, receiver, appraisal.held)
    return shares


@external
@view
def totalAssets() -> uint256:
    """
    @notice Value of everything held, in base asset units; from the last mark when prices are not live.
    """
    return valuation._try_appraise().total_assets


@external
@view
def mark_is_live() -> bool:
    """
    @notice Whether conversions answer from live prices; otherwise from the last mark.
    """
    return valuation._try_appraise().live


@external
@view
def value() -> uint256:
    """
    @notice Value of everything held, USD at 18 decimals. Reverts when a price is not live.
    """
    return valuation._appraise().worth


@external
@view
def value_per_share() -> uint256:
    """
    @notice USD at 18 decimals per 10**18 share units. Reverts when a price is not live.
    """
    appraisal: valuation.Appraisal = valuation._appraise()
    return valuation._per_share(appraisal.worth, appraisal.base_price, valuation._supply())


@external
@view
def health() -> uint256:
    """
    @notice The lowest health factor of any position, at 1e18; the largest number when nothing is owed.
    """
    return positions._health()


@external
@view
def convertToShares(assets: uint256) -> uint256:
    """
    @notice Without fees, rounded down.
    """
    return valuation._to_shares(assets, valuation._try_appraise(), False)


@external
@view
def convertToAssets(shares: uint256) -> uint256:
    """
    @notice Without fees, rounded down.
    """
    return valuation._to_assets(shares, valuation._try_appraise(), False)


@external
@view
def previewDeposit(assets: uint256) -> uint256:
    """
    @notice Shares that `deposit` would mint, entry fee included.
    """
    return valuation._to_shares(fees._net(assets, valuation._terms().entry_fee_bps), valuation._try_appraise(), False)


@external
@view
def previewMint(shares: uint256) -> uint256:
    """
    @notice Assets that `mint` would take, entry fee included.
    """
    return fees._gross(valuation._to_assets(shares, valuation._try_appraise(), True), valuation._terms().entry_fee_bps)


@external
@view
def previewWithdraw(assets: uint256) -> uint256:
    """
    @notice Shares that `withdraw` would burn, exit fee included.
    """
    return valuation._to_shares(fees._gross(assets, valuation._terms().exit_fee_bps), valuation._try_appraise(), True)


@external
@view
def previewRedeem(shares: uint256) -> uint256:
    """
    @notice Assets that `redeem` would pay, exit fee included.
    """
    return fees._net(valuation._to_assets(shares, valuation._try_appraise(), False), valuation._terms().exit_fee_bps)


@external
@view
def maxDeposit(receiver: address) -> uint256:
    """
    @notice 0 unless deposits are open now; otherwise what `maxMint` shares are worth.
    """
    appraisal: valuation.Appraisal = valuation._try_appraise()
    return valuation._to_assets(self._max_entry(appraisal), appraisal, False)


@external
@view
def maxMint(receiver: address) -> uint256:
    """
    @notice 0 unless deposits are open now; otherwise what numbers have room for, far beyond any supply.
    """
    return self._max_entry(valuation._try_appraise())


@external
@view
def maxWithdraw(owner: address) -> uint256:
    """
    @notice What the owner can withdraw now from the base asset held; 0 when HALTED or not live.
    """
    appraisal: valuation.Appraisal = valuation._try_appraise()
    terms: IMandate.Terms = valuation._terms()
    if not appraisal.live or terms.state == HALTED:
        return 0
    assets: uint256 = fees._net(valuation._to_assets(erc20.balanceOf[owner], appraisal, False), terms.exit_fee_bps)
    return min(assets, custody._holding(0, state._claimed_assets()))


@external
@view
def maxRedeem(owner: address) -> uint256:
    """
    @notice What the owner can redeem now from the base asset held; 0 when HALTED or not live.
    """
    appraisal: valuation.Appraisal = valuation._try_appraise()
    terms: IMandate.Terms = valuation._terms()
    if not appraisal.live or terms.state == HALTED:
        return 0
    held: uint256 = custody._holding(0, state._claimed_assets())
    gross: uint256 = held * fees.ONE_BPS // (fees.ONE_BPS - terms.exit_fee_bps)
    shares: uint256 = min(erc20.balanceOf[owner], valuation._to_shares(gross, appraisal, False))
    # What pays nothing is refused.
    if fees._net(valuation._to_assets(shares, appraisal, False), terms.exit_fee_bps) == 0:
        return 0
    return shares


# ---------------------------------------------------------------------------------------------
# Internals: entries and exits
# ---------------------------------------------------------------------------------------------


@internal
@view
def _max_entry(appraisal: valuation.Appraisal) -> uint256:
    if not appraisal.live:
        return 0
    per_share: uint256 = valuation._per_share(appraisal.worth, appraisal.base_price, valuation._supply())
    if erc20.totalSupply == 0:
        # The first deposit restarts the peak, so that no drawdown stands.
        per_share = 2**128
    if not staticcall IMandate(valuation.mandate).is_open(per_share):
        return 0
    # Half of what custody can count leaves room for the highest fee.
    room: uint256 = (custody.MAX_BALANCE - custody._holding(0, state._claimed_assets())) // 2
    return min(valuation.MAX_SHARES - erc20.totalSupply, valuation._to_shares(room, appraisal, False))
