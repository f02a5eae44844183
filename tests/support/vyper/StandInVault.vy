# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ~=0.4.3
"""
@title A vault, its oracle, its base asset and its venue in one, that answer what they are told to
@license AGPL-3.0-only
@notice Plays what the breaker's table looks at. Anyone may turn its knobs.
@custom:kill It exists in tests only.
"""


interface Mandate:
    def leave(value_per_share_after: uint256): nonpayable
    def bind(count: uint256): nonpayable


_value_per_share: uint256
_hides_value: bool
_health: uint256
_hides_health: bool
decimals: public(uint8)
is_impaired: public(bool)
# Statuses of two assets, and the price of the first per 10**18 base units.
_statuses: uint256[2]
_price: uint256


@deploy
def __init__():
    self._value_per_share = 10**18
    self._health = max_value(uint256)
    self.decimals = 6
    self._price = 10**30


@external
def bind(mandate: address):
    extcall Mandate(mandate).bind(2)


@external
def leave(mandate: address):
    extcall Mandate(mandate).leave(self._value_per_share)


@external
def set_value_per_share(per_share: uint256):
    self._value_per_share = per_share


@external
@view
def value_per_share() -> uint256:
    assert not self._hides_value, "oracle: stale"
    return self._value_per_share


@external
def break_value():
    self._hides_value = True


@external
def set_health(health: uint256):
    self._health = health


@external
@view
def health() -> uint256:
    assert not self._hides_health
    return self._health


@external
def break_health():
    self._hides_health = True


@external
def set_impaired(impaired: bool):
    self.is_impaired = impaired


@external
def set_status(i: uint256, status: uint256):
    self._statuses[i] = status


@external
def set_price(price: uint256):
    self._price = price


@external
@view
def oracle() -> address:
    return self


@external
@view
def asset() -> address:
    return self


@external
@view
def venues() -> DynArray[address, 4]:
    return [self]


@external
@view
def impaired(vault: address) -> bool:
    return self.is_impaired


@external
@view
def statuses() -> DynArray[uint256, 16]:
    return [self._statuses[0], self._statuses[1]]


@external
@view
def try_prices() -> (bool, DynArray[uint256, 16]):
    live: bool = self._statuses[0] == 0 and self._statuses[1] == 0
    return live, [self._price if self._statuses[0] == 0 else 0, 1]
