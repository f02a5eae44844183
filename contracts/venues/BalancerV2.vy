# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title Balancer v2 swaps as a venue
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice Translates a leg into a single swap of an exact input through Balancer's vault, in one of the
        pools fixed at deployment. Nothing is ever held or owed here.
@custom:kill It has no state: a vault stops using it by its own breaker. Balancer may pause pools.
"""


from ..interfaces import IVenue

implements: IVenue


struct SingleSwap:
    pool_id: bytes32
    kind: uint8
    asset_in: address
    asset_out: address
    amount: uint256
    user_data: Bytes[32]


struct FundManagement:
    sender: address
    from_internal_balance: bool
    recipient: address
    to_internal_balance: bool


GIVEN_IN: constant(uint8) = 0


_BALANCER: immutable(address)
_TOKENS: immutable(address[16])
_COUNT: immutable(uint256)
_POOLS: immutable(DynArray[bytes32, 16])


@deploy
def __init__(balancer: address, tokens_: DynArray[address, 16], pools_: DynArray[bytes32, 16]):
    """
    @param balancer Balancer's vault.
    @param tokens_ The vault's assets in order.
    @param pools_ Ids of the pools that a leg may name by index.
    """
    tokens: address[16] = empty(address[16])
    for i: uint256 in range(len(tokens_), bound=16):
        tokens[i] = tokens_[i]
    _BALANCER = balancer
    _TOKENS = tokens
    _COUNT = len(tokens_)
    _POOLS = pools_


@external
@view
def target() -> address:
    """
    @notice Balancer's vault.
    """
    return _BALANCER


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
def pools() -> DynArray[bytes32, 16]:
    """
    @notice Ids of the pools; a leg's fee is the index.
    """
    return _POOLS


@external
@view
def prepare(
    vault: address, leg: IVenue.Leg, available: uint256, reserved: uint256, reserved_debt: uint256
) -> (Bytes[1024], uint256):
    """
    @notice The swap of a leg, its amount clamped to the wallet. Reverts for an unknown pool or two
            equal tokens. The minimum is the vault's to check.
    @param vault Who will execute it.
    @param leg What was signed.
    @param available Base units of token_in in the wallet.
    @param reserved Not used: nothing is held here.
    @param reserved_debt Not used: nothing is owed here.
    @return Calldata, and the base units that Balancer will take.
    """
    pool: uint256 = convert(leg.fee, uint256)
    assert pool < len(_POOLS), "balancer: unknown pool"
    assert leg.token_in != leg.token_out, "balancer: same token"
    amount: uint256 = min(convert(leg.amount_in, uint256), available)
    if amount == 0:
        return b"", 0
    swap: SingleSwap = SingleSwap(
        pool_id=_POOLS[pool],
        kind=GIVEN_IN,
        asset_in=_TOKENS[convert(leg.token_in, uint256)],
        asset_out=_TOKENS[convert(leg.token_out, uint256)],
        amount=amount,
        user_data=b"",
    )
    funds: FundManagement = FundManagement(
        sender=vault, from_internal_balance=False, recipient=vault, to_internal_balance=False
    )
    return (
        abi_encode(
            swap,
            funds,
            convert(0, uint256),
            block.timestamp,
            method_id=method_id(
                "swap((bytes32,uint8,address,address,uint256,bytes),(address,bool,address,bool),uint256,uint256)"
            ),
        ),
        amount,
    )


@external
@view
def position(vault: address) -> (DynArray[uint256, 16], DynArray[uint256, 16]):
    """
    @notice Nothing.
    """
    return [], []


@external
@view
def health(vault: address) -> uint256:
    """
    @notice The largest number: nothing is ever owed.
    """
    return max_value(uint256)


@external
@view
def health_without(vault: address, held: uint256[16], owed: uint256[16]) -> uint256:
    """
    @notice The largest number.
    """
    return max_value(uint256)


@external
@view
def health_of(vault: address, held: uint256[16], owed: uint256[16], prices: uint256[16]) -> uint256:
    """
    @notice The largest number.
    """
    return max_value(uint256)


@external
@view
def impaired(vault: address) -> bool:
    """
    @notice False: the vault has no position here.
    """
    return False


@external
@view
def receipt(asset: uint256) -> address:
    """
    @notice None.
    """
    return empty(address)


@external
@view
def indices(asset: uint256) -> (uint256, uint256):
    """
    @notice Nothing grows here.
    """
    return 10**27, 10**27


@external
@view
def threshold(vault: address, asset: uint256) -> uint256:
    """
    @notice Nothing counts against debt here.
    """
    return 0


@external
@view
def repayment(asset: uint256, amount: uint256) -> IVenue.Leg:
    """
    @notice Reverts: nothing can be owed.
    """
    raise "balancer: owes nothing"
