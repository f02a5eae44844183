# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ~=0.4.3
"""
@title Does what it was told when it is called back
@license AGPL-3.0-only
@notice An attacker's contract: it keeps one call ready and makes it when a token's hook fires, or
        poses as a pool or a receiver. What came of the call is kept, not raised.
@custom:kill It exists in tests only.
"""


target: public(address)
payload: public(Bytes[4096])
armed: public(uint256)
succeeded: public(bool)
answer: public(Bytes[1024])


@external
def arm(target: address, payload: Bytes[4096], times: uint256):
    """
    @notice Keep a call ready for the next `times` callbacks.
    """
    self.target = target
    self.payload = payload
    self.armed = times
    self.succeeded = False
    self.answer = b""


@external
def fire():
    """
    @notice A token's hook.
    """
    if self.armed == 0:
        return
    self.armed -= 1
    self._act()


@external
def act():
    """
    @notice Make the call now.
    """
    self._act()


@external
def do(target: address, payload: Bytes[4096]) -> Bytes[1024]:
    """
    @notice Make a call and raise what it raises.
    """
    return raw_call(target, payload, max_outsize=1024)


@internal
def _act():
    self.succeeded, self.answer = raw_call(self.target, self.payload, max_outsize=1024, revert_on_failure=False)
