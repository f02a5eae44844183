# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ~=0.4.3
# pragma nonreentrancy on
"""
@title Stand-in for wrapped staked ether
@license AGPL-3.0-only
@notice Plays wstETH in the sandbox: an ERC-20 token with a ratio that the market sets.
@custom:kill The sandbox is thrown away; it holds nothing of value.
"""


from . import stand_in
from . import StandInToken
initializes: StandInToken
uses: stand_in
exports: StandInToken.__interface__


# @dev stETH base units per 10**18 base units of this token.
stEthPerToken: public(uint256)


event RatioSet:
    ratio: uint256


@deploy
def __init__(name_: String[64], symbol_: String[16], decimals_: uint8, minter_: address, ratio: uint256):
    """
    @param name_ The name of the token it stands for.
    @param symbol_ Its symbol.
    @param decimals_ Its decimals.
    @param minter_ Who may mint and set the ratio.
    @param ratio stETH per token, 18 decimals.
    """
    StandInToken.__init__(name_, symbol_, decimals_, minter_)
    self.stEthPerToken = ratio
    log RatioSet(ratio=ratio)


@external
def set_ratio(ratio: uint256):
    """
    @notice Set what a token is worth in stETH: staking rewards, or a slashing.
    @param ratio stETH per token, 18 decimals.
    """
    assert msg.sender == stand_in.minter, "stand_in: caller is not the minter"
    self.stEthPerToken = ratio
    log RatioSet(ratio=ratio)
