# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ~=0.4.3
"""
@title A token that can misbehave in every way a vault should survive
@license AGPL-3.0-only
@notice Honest until told otherwise. Anyone may turn its knobs.
@custom:kill It exists in tests only.
"""


name: public(String[32])
symbol: public(String[8])
decimals: public(uint8)
balanceOf_: HashMap[address, uint256]
allowance: public(HashMap[address, HashMap[address, uint256]])
totalSupply: public(uint256)

# Basis points of each transfer that vanish.
fee_bps: public(uint256)
# Transfers revert.
frozen: public(bool)
# Transfers move nothing and answer false.
refuses: public(bool)
# Transfers answer nothing at all.
silent: public(bool)
# balanceOf reverts.
blind: public(bool)
# balanceOf answers this for everyone when it is not 0.
lie: public(uint256)
# Called with `fire()` after each move.
hook: public(address)


event Transfer:
    sender: indexed(address)
    receiver: indexed(address)
    value: uint256


interface Hook:
    def fire(): nonpayable


@deploy
def __init__(name_: String[32], symbol_: String[8], decimals_: uint8):
    self.name = name_
    self.symbol = symbol_
    self.decimals = decimals_


@external
def misbehave(fee_bps: uint256, frozen: bool, refuses: bool, silent: bool, blind: bool, lie: uint256, hook: address):
    self.fee_bps = fee_bps
    self.frozen = frozen
    self.refuses = refuses
    self.silent = silent
    self.blind = blind
    self.lie = lie
    self.hook = hook


@external
def mint(to: address, amount: uint256):
    self.balanceOf_[to] += amount
    self.totalSupply += amount


@external
def burn(account: address, amount: uint256):
    """
    @notice Takes tokens away from anyone: a slashing, a negative rebase.
    """
    self.balanceOf_[account] -= amount
    self.totalSupply -= amount


@external
@view
def balanceOf(account: address) -> uint256:
    assert not self.blind, "hostile: blind"
    if self.lie != 0:
        return self.lie
    return self.balanceOf_[account]


@external
def approve(spender: address, amount: uint256) -> bool:
    self.allowance[msg.sender][spender] = amount
    return True


@external
@raw_return
def transfer(to: address, amount: uint256) -> Bytes[32]:
    return self._transfer(msg.sender, to, amount)


@external
@raw_return
def transferFrom(owner: address, to: address, amount: uint256) -> Bytes[32]:
    self.allowance[owner][msg.sender] -= amount
    return self._transfer(owner, to, amount)


@internal
def _transfer(sender: address, to: address, amount: uint256) -> Bytes[32]:
    assert not self.frozen, "hostile: frozen"
    if self.refuses:
        return abi_encode(False)
    kept: uint256 = amount * self.fee_bps // 10_000
    self.balanceOf_[sender] -= amount
    self.balanceOf_[to] += amount - kept
    log Transfer(sender=sender, receiver=to, value=amount - kept)
    if self.hook != empty(address):
        extcall Hook(self.hook).fire()
    if self.silent:
        return b""
    return abi_encode(True)
