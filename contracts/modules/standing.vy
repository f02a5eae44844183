# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title How a mandate stands
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice The running numbers and the breaker's state, one word, which a settlement reads and writes back;
        and the seat, which it need not read: whose mandate it is, why and since when it stands where
        it stands. What the fields mean is said, and kept, by the modules that use them.
"""


# Fields, by their masks and offsets. Times are Unix seconds; 40 bits last for 34,000 years.
VAULT: constant(uint256) = 2**160 - 1
TIME: constant(uint256) = 2**40 - 1
LEVEL: constant(uint256) = 2**40 - 1
BYTE: constant(uint256) = 2**8 - 1

REASON: constant(uint256) = 160
TRIPPED_AT: constant(uint256) = 168

LEAKED_AT: constant(uint256) = 0
SETTLED_AT: constant(uint256) = 40
LOSS: constant(uint256) = 80
TURNOVER: constant(uint256) = 120
STATE: constant(uint256) = 160
STATES: constant(uint256) = 2**4 - 1
# The rest of the word.
PEAK: constant(uint256) = 164


# vault (160 bits) | reason of the breaker's state << 160 | time of the last trip << 168
_seat: uint256
# time of the last leak | of the last settlement << 40 | loss << 80 | turnover << 120 | state of the
# breaker << 160 | peak << 164
_tally: uint256


@internal
@view
def _vault() -> address:
    return convert(self._seat & VAULT, address)


@internal
@pure
def _time(word: uint256, offset: uint256) -> uint256:
    return (word >> offset) & TIME
