# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ~=0.4.3
# pragma nonreentrancy on
"""
@title Stand-in for a token that answers nothing
@license AGPL-3.0-only
@notice Plays USDT in the sandbox: no return values, and an allowance must be zero before
        it is given anew.
@custom:kill The sandbox is thrown away; it holds nothing of value.
"""


from . import stand_in
initializes: stand_in
exports: (
    stand_in.name,
    stand_in.symbol,
    stand_in.decimals,
    stand_in.minter,
    stand_in.mint,
    stand_in.balanceOf,
    stand_in.allowance,
    stand_in.totalSupply,
)


@deploy
def __init__(name_: String[64], symbol_: String[16], decimals_: uint8, minter_: address):
    """
    @param name_ The name of the token it stands for.
    @param symbol_ Its symbol.
    @param decimals_ Its decimals.
    @param minter_ Who may mint.
    """
    stand_in.__init__(name_, symbol_, decimals_, minter_)


@external
def transfer(to: address, amount: uint256):
    """
    @notice Move the caller's tokens.
    @param to Who receives them.
    @param amount How many base units.
    """
    stand_in._move(msg.sender, to, amount)


@external
def transferFrom(owner: address, to: address, amount: uint256):
    """
    @notice Move somebody's tokens against an allowance.
    @param owner Whose tokens.
    @param to Who receives them.
    @param amount How many base units.
    """
    stand_in._spend(owner, msg.sender, amount)
    stand_in._move(owner, to, amount)


@external
def approve(spender: address, amount: uint256):
    """
    @notice Allow somebody to move the caller's tokens.
    @param spender Who may.
    @param amount Up to how many base units.
    """
    assert amount == 0 or stand_in.allowance[msg.sender][spender] == 0, "stand_in: allowance is not zero"
    stand_in._approve(msg.sender, spender, amount)
