# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title Aave v3 as a venue
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice Translates supply, withdraw, borrow, repay and e-mode into calls of one Aave v3 pool, at the
        variable rate, and reports the positions of a vault there by underlying asset. Which assets
        may be supplied and which borrowed is fixed at deployment; withdrawing and repaying are
        always possible for these.
@custom:kill It has no state: a vault stops using it by its own breaker. Aave's guardians may pause
             or freeze reserves.
"""


from ethereum.ercs import IERC20
from ..interfaces import IVenue

implements: IVenue


struct ReserveData:
    configuration: uint256
    liquidity_index: uint128
    current_liquidity_rate: uint128
    variable_borrow_index: uint128
    current_variable_borrow_rate: uint128
    current_stable_borrow_rate: uint128
    last_update_timestamp: uint40
    id: uint16
    a_token: address
    stable_debt_token: address
    variable_debt_token: address
    interest_rate_strategy: address
    accrued_to_treasury: uint128
    unbacked: uint128
    isolation_mode_total_debt: uint128


struct EModeCategory:
    ltv: uint16
    liquidation_threshold: uint16
    liquidation_bonus: uint16
    price_source: address
    label: String[64]


interface AavePool:
    def getReserveData(asset: address) -> ReserveData: view
    def getConfiguration(asset: address) -> uint256: view
    def getReserveNormalizedIncome(asset: address) -> uint256: view
    def getReserveNormalizedVariableDebt(asset: address) -> uint256: view
    def getUserAccountData(user: address) -> (uint256, uint256, uint256, uint256, uint256, uint256): view
    def getUserEMode(user: address) -> uint256: view
    def getEModeCategoryData(id: uint8) -> EModeCategory: view
    def ADDRESSES_PROVIDER() -> address: view


interface AddressesProvider:
    def getPriceOracle() -> address: view


interface AaveOracle:
    def getAssetPrice(asset: address) -> uint256: view
    def BASE_CURRENCY_UNIT() -> uint256: view


# What the fee field of a leg says.
SUPPLY: constant(uint24) = 0
WITHDRAW: constant(uint24) = 1
BORROW: constant(uint24) = 2
REPAY: constant(uint24) = 3
E_MODE: constant(uint24) = 4

VARIABLE_RATE: constant(uint256) = 2
ONE: constant(uint256) = 10**18
BPS: constant(uint256) = 10**14
# Bits of a reserve's configuration.
FROZEN: constant(uint256) = 1 << 57
PAUSED: constant(uint256) = 1 << 60
# What a gift must be worth to pass for a position, whole units of Aave's currency.
GIFT: constant(uint256) = 1_000


_POOL: immutable(address)
_TOKENS: immutable(address[16])
_RECEIPTS: immutable(address[16])
_DEBTS: immutable(address[16])
_COUNT: immutable(uint256)
# Bit i set: asset i may be supplied, borrowed.
suppliable: public(immutable(uint256))
borrowable: public(immutable(uint256))


@deploy
def __init__(pool: address, tokens_: DynArray[address, 16], suppliable_: uint256, borrowable_: uint256):
    """
    @param pool The Aave v3 pool.
    @param tokens_ The vault's assets in order.
    @param suppliable_ Bit i set: asset i may be supplied. Reverts when the pool does not list it.
    @param borrowable_ Bit i set: asset i may be borrowed; likewise.
    """
    tokens: address[16] = empty(address[16])
    receipts: address[16] = empty(address[16])
    debts: address[16] = empty(address[16])
    for i: uint256 in range(len(tokens_), bound=16):
        tokens[i] = tokens_[i]
        if ((suppliable_ | borrowable_) >> i) & 1 == 1:
            reserve: ReserveData = staticcall AavePool(pool).getReserveData(tokens_[i])
            assert reserve.a_token != empty(address), "aave: not listed"
            receipts[i] = reserve.a_token
            debts[i] = reserve.variable_debt_token
    _POOL = pool
    _TOKENS = tokens
    _RECEIPTS = receipts
    _DEBTS = debts
    _COUNT = len(tokens_)
    suppliable = suppliable_
    borrowable = borrowable_


@external
@view
def target() -> address:
    """
    @notice The Aave pool.
    """
    return _POOL


@external
@view
def tokens() -> DynArray[address, 16]:
    """
    @notice The vault's assets in order.
    """
    table: DynArray[address, 16] = []
    for i: uint256 in range(_COUNT, bound=16):
        table.append(_TOKENS[i])
    return table


@external
@view
def prepare(
    vault: address, leg: IVenue.Leg, available: uint256, reserved: uint256, reserved_debt: uint256
) -> (Bytes[1024], uint256):
    """
    @notice The pool call of a leg, whose fee says which: 0 supply, 1 withdraw, 2 borrow, 3 repay,
            4 e-mode (the category is the amount). Amounts clamp to what is there: in the wallet,
            supplied, or owed; a borrowing is taken as it is. Reverts for other actions, two
            different tokens, and assets that may not be supplied or borrowed.
    @param vault Who will execute it.
    @param leg What was signed.
    @param available Base units that the wallet may spend.
    @param reserved Supplied base units that may not be withdrawn.
    @param reserved_debt Owed base units that are not the vault's to repay.
    @return Calldata, and the base units that the pool will take.
    """
    assert leg.token_in == leg.token_out, "aave: two tokens"
    i: uint256 = convert(leg.token_in, uint256)
    asset: address = _TOKENS[i]
    amount: uint256 = convert(leg.amount_in, uint256)
    if leg.fee == E_MODE:
        return abi_encode(convert(amount, uint8), method_id=method_id("setUserEMode(uint8)")), 0
    if leg.fee == SUPPLY:
        assert (suppliable >> i) & 1 == 1, "aave: may not be supplied"
        amount = min(amount, available)
        if amount == 0:
            return b"", 0
        return (
            abi_encode(
                asset, amount, vault, convert(0, uint16), method_id=method_id("supply(address,uint256,address,uint16)")
            ),
            amount,
        )
    if leg.fee == BORROW:
        assert (borrowable >> i) & 1 == 1, "aave: may not be borrowed"
        if amount == 0:
            return b"", 0
        return (
            abi_encode(
                asset,
                amount,
                VARIABLE_RATE,
                convert(0, uint16),
                vault,
                method_id=method_id("borrow(address,uint256,uint256,uint16,address)"),
            ),
            0,
        )
    assert _RECEIPTS[i] != empty(address), "aave: not listed"
    if leg.fee == WITHDRAW:
        supplied: uint256 = staticcall IERC20(_RECEIPTS[i]).balanceOf(vault)
        amount = min(amount, supplied - min(supplied, reserved))
        if amount == 0:
            return b"", 0
        return abi_encode(asset, amount, vault, method_id=method_id("withdraw(address,uint256,address)")), 0
    assert leg.fee == REPAY, "aave: unknown action"
    owed: uint256 = staticcall IERC20(_DEBTS[i]).balanceOf(vault)
    amount = min(min(amount, available), owed - min(owed, reserved_debt))
    if amount == 0:
        return b"", 0
    return (
        abi_encode(
            asset, amount, VARIABLE_RATE, vault, method_id=method_id("repay(address,uint256,uint256,address)")
        ),
        amount,
    )


@external
@view
def position(vault: address) -> (DynArray[uint256, 16], DynArray[uint256, 16]):
    """
    @notice Supplied and owed base units of each asset, interest included.
    """
    held: DynArray[uint256, 16] = []
    owed: DynArray[uint256, 16] = []
    for i: uint256 in range(_COUNT, bound=16):
        receipt: address = _RECEIPTS[i]
        held.append(0 if receipt == empty(address) else staticcall IERC20(receipt).balanceOf(vault))
        owed.append(staticcall IERC20(_DEBTS[i]).balanceOf(vault) if (borrowable >> i) & 1 == 1 else 0)
    return held, owed


@external
@view
def health(vault: address) -> uint256:
    """
    @notice Aave's health factor of the account, by Aave's own prices.
    """
    return (staticcall AavePool(_POOL).getUserAccountData(vault))[5]


@external
@view
def health_without(vault: address, held: uint256[16], owed: uint256[16]) -> uint256:
    """
    @notice Health factor of what the vault supplied and owes less these base units by asset, at Aave's
            prices of the assets themselves; the largest number when less than one whole unit of Aave's
            currency is left to owe.
    """
    prices: uint256[16] = empty(uint256[16])
    kept: uint256[16] = empty(uint256[16])
    due: uint256[16] = empty(uint256[16])
    oracle: address = self._oracle()
    scale: uint256 = ONE * ONE // staticcall AaveOracle(oracle).BASE_CURRENCY_UNIT()
    debt: uint256 = 0
    for i: uint256 in range(_COUNT, bound=16):
        if _RECEIPTS[i] == empty(address):
            continue
        kept[i] = staticcall IERC20(_RECEIPTS[i]).balanceOf(vault)
        kept[i] -= min(kept[i], held[i])
        due[i] = staticcall IERC20(_DEBTS[i]).balanceOf(vault)
        due[i] -= min(due[i], owed[i])
        if kept[i] + due[i] > 0:
            decimals: uint256 = (staticcall AavePool(_POOL).getConfiguration(_TOKENS[i]) >> 48) & 255
            prices[i] = staticcall AaveOracle(oracle).getAssetPrice(_TOKENS[i]) * scale // 10**decimals
            debt += due[i] * prices[i] // ONE
    # What rounding leaves when all but the claims is repaid is no debt.
    return self._health_of(vault, kept, due, prices) if debt >= ONE else max_value(uint256)


@external
@view
def health_of(vault: address, held: uint256[16], owed: uint256[16], prices: uint256[16]) -> uint256:
    """
    @notice Health factor of these base units by asset, at these prices and at the thresholds that hold
            for the vault; the largest number when nothing is owed.
    @param prices USD at 18 decimals per 10**18 base units.
    """
    return self._health_of(vault, held, owed, prices)


@external
@view
def impaired(vault: address) -> bool:
    """
    @notice Whether a reserve in which the vault owes, or supplies what is worth a thousand dollars at
            Aave's prices, is frozen or paused. Less than that anyone may give it, to have it say so.
    """
    for i: uint256 in range(_COUNT, bound=16):
        if _RECEIPTS[i] == empty(address):
            continue
        configuration: uint256 = staticcall AavePool(_POOL).getConfiguration(_TOKENS[i])
        if configuration & (FROZEN | PAUSED) == 0:
            continue
        if staticcall IERC20(_DEBTS[i]).balanceOf(vault) > 0:
            return True
        supplied: uint256 = staticcall IERC20(_RECEIPTS[i]).balanceOf(vault)
        if supplied > 0 and self._worth(i, supplied, (configuration >> 48) & 255) >= GIFT:
            return True
    return False


@external
@view
def receipt(asset: uint256) -> address:
    """
    @notice The aToken.
    """
    return _RECEIPTS[asset]


@external
@view
def indices(asset: uint256) -> (uint256, uint256):
    """
    @notice Normalised income and normalised variable debt.
    """
    return (
        staticcall AavePool(_POOL).getReserveNormalizedIncome(_TOKENS[asset]),
        staticcall AavePool(_POOL).getReserveNormalizedVariableDebt(_TOKENS[asset]),
    )


@external
@view
def threshold(vault: address, asset: uint256) -> uint256:
    """
    @notice The liquidation threshold of an asset, that of the vault's e-mode category where the asset
            belongs to it.
    """
    return self._threshold(vault, asset)


@external
@view
def repayment(asset: uint256, amount: uint256) -> IVenue.Leg:
    """
    @notice The leg that repays an amount of one asset.
    """
    i: uint8 = convert(asset, uint8)
    return IVenue.Leg(
        venue=0, token_in=i, token_out=i, fee=REPAY, amount_in=convert(amount, uint128), min_amount_out=0
    )


# ---------------------------------------------------------------------------------------------
# Internals
# ---------------------------------------------------------------------------------------------


@internal
@view
def _threshold(vault: address, asset: uint256) -> uint256:
    configuration: uint256 = staticcall AavePool(_POOL).getConfiguration(_TOKENS[asset])
    category: uint256 = staticcall AavePool(_POOL).getUserEMode(vault)
    if category != 0 and category == (configuration >> 168) & 255:
        data: EModeCategory = staticcall AavePool(_POOL).getEModeCategoryData(convert(category, uint8))
        return convert(data.liquidation_threshold, uint256) * BPS
    return ((configuration >> 16) & 65535) * BPS


@internal
@view
def _health_of(vault: address, held: uint256[16], owed: uint256[16], prices: uint256[16]) -> uint256:
    """
    @dev Collateral counts by its threshold; rounded down.
    """
    weighed: uint256 = 0
    debt: uint256 = 0
    for i: uint256 in range(_COUNT, bound=16):
        if held[i] > 0:
            weighed += held[i] * prices[i] // ONE * self._threshold(vault, i)
        # Rounded up.
        debt += (owed[i] * prices[i] + ONE - 1) // ONE
    return weighed // debt if debt > 0 else max_value(uint256)


@internal
@view
def _worth(asset: uint256, amount: uint256, decimals: uint256) -> uint256:
    """
    @dev At Aave's prices, whole units of its currency.
    """
    oracle: address = self._oracle()
    price: uint256 = staticcall AaveOracle(oracle).getAssetPrice(_TOKENS[asset])
    return amount * price // (10**decimals * staticcall AaveOracle(oracle).BASE_CURRENCY_UNIT())


@internal
@view
def _oracle() -> address:
    """
    @dev Aave's.
    """
    return staticcall AddressesProvider(staticcall AavePool(_POOL).ADDRESSES_PROVIDER()).getPriceOracle()
