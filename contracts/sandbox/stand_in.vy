# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ~=0.4.3
# pragma nonreentrancy on
"""
@title Ledger of a stand-in token
@license AGPL-3.0-only
@notice Balances, allowances and a minter: what the sandbox's tokens have in common.
        How `transfer`, `transferFrom` and `approve` answer is left to the deployables,
        because real tokens differ there.
@custom:kill The sandbox is thrown away; it holds nothing of value.
"""


name: public(immutable(String[64]))
symbol: public(immutable(String[16]))
decimals: public(immutable(uint8))


# @dev May mint any amount to anyone: the sandbox's market.
minter: public(immutable(address))


balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])
totalSupply: public(uint256)


event Transfer:
    sender: indexed(address)
    receiver: indexed(address)
    value: uint256


event Approval:
    owner: indexed(address)
    spender: indexed(address)
    value: uint256


@deploy
def __init__(name_: String[64], symbol_: String[16], decimals_: uint8, minter_: address):
    """
    @param name_ The name of the token it stands for.
    @param symbol_ Its symbol.
    @param decimals_ Its decimals.
    @param minter_ Who may mint.
    """
    name = name_
    symbol = symbol_
    decimals = decimals_
    minter = minter_


@external
def mint(to: address, amount: uint256):
    """
    @notice Create tokens.
    @param to Who receives them.
    @param amount How many base units.
    """
    assert msg.sender == minter, "stand_in: caller is not the minter"
    self.totalSupply += amount
    self.balanceOf[to] += amount
    log Transfer(sender=empty(address), receiver=to, value=amount)


@internal
def _move(sender: address, receiver: address, amount: uint256):
    assert receiver != empty(address), "stand_in: transfer to the zero address"
    assert self.balanceOf[sender] >= amount, "stand_in: transfer amount exceeds balance"
    self.balanceOf[sender] -= amount
    self.balanceOf[receiver] += amount
    log Transfer(sender=sender, receiver=receiver, value=amount)


@internal
def _spend(owner: address, spender: address, amount: uint256):
    allowed: uint256 = self.allowance[owner][spender]
    if allowed != max_value(uint256):
        assert allowed >= amount, "stand_in: insufficient allowance"
        self.allowance[owner][spender] = allowed - amount


@internal
def _approve(owner: address, spender: address, amount: uint256):
    self.allowance[owner][spender] = amount
    log Approval(owner=owner, spender=spender, value=amount)
