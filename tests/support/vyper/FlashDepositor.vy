# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ~=0.4.3
"""
@title Makes two calls in one transaction
@license AGPL-3.0-only
@notice Plays whoever deposits with borrowed money and relays an order before giving it back.
@custom:kill It exists in tests only.
"""


@external
def run(first_target: address, first: Bytes[4096], second_target: address, second: Bytes[4096]):
    raw_call(first_target, first)
    raw_call(second_target, second)
