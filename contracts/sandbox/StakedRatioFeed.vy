# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ~=0.4.3
# pragma nonreentrancy on
"""
@title USD price of wrapped staked ether for the lending protocol's oracle
@license AGPL-3.0-only
@notice Ratio x market price of stETH x price of ether, as the adapters do that mainnet's
        Aave market uses; its own are not published with the protocol.
@custom:kill The sandbox is thrown away; it holds nothing of value.
"""


interface Token:
    def stEthPerToken() -> uint256: view


interface Feed:
    def latestAnswer() -> int256: view


token: public(immutable(address))
staked_feed: public(immutable(address))
base_feed: public(immutable(address))


@deploy
def __init__(token_: address, staked_feed_: address, base_feed_: address):
    """
    @param token_ The token, with its ratio.
    @param staked_feed_ stETH/ETH, 18 decimals.
    @param base_feed_ ETH/USD, 8 decimals.
    """
    token = token_
    staked_feed = staked_feed_
    base_feed = base_feed_


@external
@view
def latestAnswer() -> int256:
    """
    @notice Price of a token.
    @return USD at 8 decimals.
    """
    ratio: int256 = convert(staticcall Token(token).stEthPerToken(), int256)
    staked: int256 = ratio * staticcall Feed(staked_feed).latestAnswer() // 10**18
    return staked * staticcall Feed(base_feed).latestAnswer() // 10**18


@external
@pure
def decimals() -> uint8:
    """
    @notice Decimals of the answer.
    @return Always 8.
    """
    return 8
