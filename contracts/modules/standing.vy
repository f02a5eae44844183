# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title How a mandate stands
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice The two words that a settlement reads of what was before: whose mandate it is and in which
        state, and the running numbers, which it writes back as one word. What the fields mean is
        said, and kept, by the modules that use them.
"""


# Fields, by their masks and offsets. Times are Unix seconds; 40 bits last for 34,000 years.
VAULT: constant(uint256) = 2**160 - 1
TIME: constant(uint256) = 2**40 - 1
LEVEL: constant(uint256) = 2**40 - 1
BYTE: constant(uint256) = 2**8 - 1

STATE: constant(uint256) = 160
REASON: constant(uint256) = 168
TRIPPED_AT: constant(uint256) = 176

LEAKED_AT: constant(uint256) = 0
SETTLED_AT: constant(uint256) = 40
LOSS: constant(uint256) = 80
TURNOVER: constant(uint256) = 120
# The rest of the word.
PEAK: constant(uint256) = 160
PEAK_BITS: constant(uint256) = 96


# vault (160 bits) | state of the breaker << 160 | its reason << 168 | time of the last trip << 176
_seat: uint256
# time of the last leak | of the last settlement << 40 | loss << 80 | turnover << 120 | peak << 160
_tally: uint256


@internal
@view
def _vault() -> address:
    return convert(self._seat & VAULT, address)


@internal
@pure
def _time(word: uint256, offset: uint256) -> uint256:
    return (word >> offset) & TIME
