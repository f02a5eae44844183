# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title The vault's own word of state
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice Every settlement reads and writes the order nonce and the mark and asks whether anything is
        claimed: one slot for the three makes it one read and one write.
"""


# mark (176 bits) | claimed assets (16) | order nonce (64), lowest first
_word: uint256

MARK: constant(uint256) = 2**176 - 1
CLAIMED_OFFSET: constant(uint256) = 176
NONCE_OFFSET: constant(uint256) = 192


@external
@view
def order_nonce() -> uint256:
    """
    @notice The only nonce that may settle next.
    """
    return self._word >> NONCE_OFFSET


@internal
def _use_nonce(nonce: uint256) -> uint256:
    """
    @return Claimed assets.
    """
    word: uint256 = self._word
    assert nonce == word >> NONCE_OFFSET, "orders: wrong nonce"
    self._word = word + (1 << NONCE_OFFSET)
    return (word >> CLAIMED_OFFSET) & (2**16 - 1)


@internal
@view
def _mark() -> uint256:
    """
    @dev Base units per share at 18 decimals times the virtual shares, when prices were last live.
    """
    return self._word & MARK


@internal
def _set_mark(mark: uint256):
    self._word = (self._word & ~MARK) | min(mark, MARK)


@internal
@view
def _claimed_assets() -> uint256:
    """
    @dev Bit i is set while anyone has a claim to asset i, so that valuation reads totals only then.
    """
    return (self._word >> CLAIMED_OFFSET) & (2**16 - 1)


@internal
def _set_claimed(asset: uint256, claimed: bool):
    bit: uint256 = 1 << (CLAIMED_OFFSET + asset)
    self._word = self._word | bit if claimed else self._word & ~bit
