# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title What a vault does by its extension's code
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice Hands calls to the extensions by delegatecall, unchanged; the addresses are fixed at deployment.
        The lock is the vault's, held here.
"""


# Run by delegatecall; the latter for whatever is about claims.
extension: public(immutable(address))
claims_extension: public(immutable(address))


@deploy
def __init__(extension_: address, claims_extension_: address):
    """
    @param extension_ A VaultExtension; the vault checks that it is made for it.
    @param claims_extension_ A VaultClaims; likewise.
    """
    extension = extension_
    claims_extension = claims_extension_


@external
def permit(owner: address, spender: address, amount: uint256, deadline: uint256, v: uint8, r: bytes32, s: bytes32):
    """
    @notice ERC-2612: approves by signature; snekmate's erc20.
    """
    self._run(extension)


@external
def mint(shares: uint256, receiver: address) -> uint256:
    """
    @notice Mints an exact number of shares for base asset at live prices; see VaultExtension.
    @return Base units of the base asset taken.
    """
    return self._run(extension)


@external
def withdraw(assets: uint256, receiver: address, owner: address) -> uint256:
    """
    @notice Pays an exact amount of base asset for shares at live prices; see VaultExtension.
    @return Share base units burned.
    """
    return self._run(extension)


@external
def redeem(shares: uint256, receiver: address, owner: address) -> uint256:
    """
    @notice Burns an exact number of shares for base asset at live prices; see VaultExtension.
    @return Base units of the base asset paid.
    """
    return self._run(extension)


@external
def claim(asset_index: uint256, receiver: address) -> uint256:
    """
    @notice Pays the caller's claim to an asset; see custody.
    @return Base units paid.
    """
    return self._run(claims_extension)


@external
def recover(token: address, receiver: address) -> uint256:
    """
    @notice Sends away a token that strayed into the vault; see VaultExtension.
    @return Base units sent.
    """
    return self._run(extension)


@external
def claim_position(venue: uint256, receiver: address):
    """
    @notice Pays the caller's claim to a position against its debt; see VaultClaims.
    """
    self._run(claims_extension)


@external
def foreclose(venue: uint256, account: address):
    """
    @notice Takes over the debt of a claim that fell below the mandate's trigger, with collateral that
            pays for it; see VaultClaims.
    """
    self._run(claims_extension)


@external
def deleverage(venue: uint256, debt: uint256, collateral: uint256, amount: uint256) -> (uint256, uint256):
    """
    @notice Raises a health factor that fell below the mandate's trigger; see VaultExtension.
    @return Base units of the debt token taken from the caller, and of collateral paid.
    """
    answer: Bytes[64] = raw_call(extension, msg.data, max_outsize=64, is_delegate_call=True)
    return abi_decode(answer, (uint256, uint256))


@external
def redeem_in_kind(shares: uint256, receiver: address, owner: address, skip: uint256) -> DynArray[uint256, 16]:
    """
    @notice Burns shares for their part of every token and position held, in every breaker state and
            without an oracle; see VaultExtension.
    @return Base units of each asset paid or recorded.
    """
    answer: Bytes[576] = raw_call(extension, msg.data, max_outsize=576, is_delegate_call=True)
    return abi_decode(answer, DynArray[uint256, 16])


@external
def deposit_in_kind(shares: uint256, receiver: address, max_amounts: DynArray[uint256, 16]) -> DynArray[uint256, 16]:
    """
    @notice Mints shares for their part of every token held; see VaultExtension.
    @return Base units of each asset taken.
    """
    answer: Bytes[576] = raw_call(extension, msg.data, max_outsize=576, is_delegate_call=True)
    return abi_decode(answer, DynArray[uint256, 16])


@internal
def _run(code: address) -> uint256:
    """
    @dev The call, by another's code.
    @return The first word of the answer; 0 without one.
    """
    return convert(raw_call(code, msg.data, max_outsize=32, is_delegate_call=True), uint256)
