# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title Token custody and recorded claims
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice The asset table lives in code. Holdings are balances less what leavers have a recorded claim
        to: a token that refused to move when they left is theirs, not the vault's.
"""


from ethereum.ercs import IERC20
from . import state

uses: state


event Claimed:
    account: indexed(address)
    receiver: indexed(address)
    asset: indexed(uint256)
    amount: uint256


MAX_ASSETS: constant(uint256) = 16
# No supply comes near it. What a token claims beyond it is not counted, so that no valuation overflows.
MAX_BALANCE: constant(uint256) = 2**120 - 1


_total_claims: HashMap[uint256, uint256]
# Account -> asset -> base units recorded when a redemption in kind skipped the asset.
claims: public(HashMap[address, HashMap[uint256, uint256]])

_COUNT: immutable(uint256)
_TOKENS: immutable(address[16])


@deploy
def __init__(tokens: DynArray[address, 16]):
    """
    @param tokens At least one, all different; the first is the base asset.
    """
    assert len(tokens) > 0, "custody: no tokens"
    table: address[16] = empty(address[16])
    for i: uint256 in range(len(tokens), bound=16):
        assert tokens[i].is_contract, "custody: not a token"
        for j: uint256 in range(i, bound=16):
            assert tokens[i] != table[j], "custody: duplicate token"
        table[i] = tokens[i]
    _TOKENS = table
    _COUNT = len(tokens)


@external
@view
def tokens() -> DynArray[address, 16]:
    """
    @notice The assets in order; index 0 is the base asset.
    """
    table: DynArray[address, 16] = []
    for i: uint256 in range(_COUNT, bound=16):
        table.append(_TOKENS[i])
    return table


@external
@view
def holdings() -> DynArray[uint256, 16]:
    """
    @notice What shareholders own of each asset, in its base units.
    """
    amounts: DynArray[uint256, 16] = []
    claimed: uint256 = state._claimed_assets()
    for i: uint256 in range(_COUNT, bound=16):
        amounts.append(self._holding(i, claimed))
    return amounts


@external
@reentrant
def claim(asset: uint256, receiver: address) -> uint256:
    """
    @notice Pays the caller's recorded claim to one asset. Anyone who has one; reverts otherwise, or
            while the token still refuses to move.
    @param asset Index of the asset.
    @param receiver Where the tokens go.
    @return Base units paid.
    """
    amount: uint256 = self.claims[msg.sender][asset]
    assert amount > 0, "custody: no claim"
    self.claims[msg.sender][asset] = 0
    self._total_claims[asset] -= amount
    if self._total_claims[asset] == 0:
        state._set_claimed(asset, False)
    self._send(asset, receiver, amount)
    log Claimed(account=msg.sender, receiver=receiver, asset=asset, amount=amount)
    return amount


@internal
@view
def _holding(asset: uint256, claimed: uint256) -> uint256:
    # Tokens were contracts at deployment; one that is gone answers too little and reverts as well.
    balance: uint256 = min(staticcall IERC20(_TOKENS[asset]).balanceOf(self, skip_contract_check=True), MAX_BALANCE)
    if (claimed >> asset) & 1 == 0:
        return balance
    return balance - min(balance, self._total_claims[asset])


@internal
@view
def _readable_holding(asset: uint256) -> uint256:
    """
    @dev 0 when the token does not say, or says what no balance can be: such a token must not hold
         up those who leave without it.
    """
    success: bool = False
    response: Bytes[32] = b""
    success, response = raw_call(
        _TOKENS[asset],
        abi_encode(self, method_id=method_id("balanceOf(address)")),
        max_outsize=32,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not success or len(response) != 32:
        return 0
    balance: uint256 = convert(response, uint256)
    return balance - min(balance, self._total_claims[asset]) if balance < 2**128 else 0


@internal
def _record_claim(account: address, asset: uint256, amount: uint256):
    if amount == 0:
        return
    self.claims[account][asset] += amount
    self._total_claims[asset] += amount
    state._set_claimed(asset, True)


@internal
def _send(asset: uint256, receiver: address, amount: uint256):
    assert extcall IERC20(_TOKENS[asset]).transfer(receiver, amount, default_return_value=True), "custody: transfer failed"


@internal
def _receive_exact(asset: uint256, sender: address, amount: uint256):
    """
    @dev Takes tokens and checks that all of them arrived and count: a token with a transfer fee is
         refused.
    """
    self._receive_onto(self._holding(asset, state._claimed_assets()), asset, sender, amount)


@internal
def _receive_onto(held: uint256, asset: uint256, sender: address, amount: uint256):
    """
    @dev The same, where it is known what was held.
    """
    # That a token is there, `_holding` tells.
    assert extcall IERC20(_TOKENS[asset]).transferFrom(
        sender, self, amount, default_return_value=True, skip_contract_check=True
    ), "custody: transfer failed"
    assert self._holding(asset, state._claimed_assets()) == held + amount, "custody: fee on transfer"
