# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ~=0.4.3
# pragma nonreentrancy on
"""
@title Stand-in for a plain ERC-20 token
@license AGPL-3.0-only
@notice Plays USDC, DAI and WBTC in the sandbox.
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
def transfer(to: address, amount: uint256) -> bool:
    """
    @notice Move the caller's tokens.
    @param to Who receives them.
    @param amount How many base units.
    @return Always true.
    """
    stand_in._move(msg.sender, to, amount)
    return True


@external
def transferFrom(owner: address, to: address, amount: uint256) -> bool:
    """
    @notice Move somebody's tokens against an allowance.
    @param owner Whose tokens.
    @param to Who receives them.
    @param amount How many base units.
    @return Always true.
    """
    stand_in._spend(owner, msg.sender, amount)
    stand_in._move(owner, to, amount)
    return True


@external
def approve(spender: address, amount: uint256) -> bool:
    """
    @notice Allow somebody to move the caller's tokens.
    @param spender Who may.
    @param amount Up to how many base units.
    @return Always true.
    """
    stand_in._approve(msg.sender, spender, amount)
    return True
