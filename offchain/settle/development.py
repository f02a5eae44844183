# SPDX-License-Identifier: Apache-2.0
"""Development keys, and how to recognise the only chain where they may be used.

The sandbox answers chain id 1, so a signature made there with a real key could be
replayed on the real chain. Therefore it is recognised by code at an address that
cannot have any on the real chain, and only keys everybody knows are accepted on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, Protocol

from offchain.errors import PlimsollError

ROLES: Final = (
    "owner",
    "curator",
    "guardian",
    "optimizer",
    "keeper",
    "alice",
    "bob",
    "carol",
    "attacker",
    "market",
    "oracle0",
    "oracle1",
    "oracle2",
)
"""Everyone who has a development key, in the order the sandbox funds them."""


class UnknownRole(PlimsollError):
    """No development key is defined for the role."""


class NotADevelopmentKey(PlimsollError):
    """A key that may own something elsewhere was about to sign on a sandbox."""


class NotASandbox(PlimsollError):
    """A development key was about to be used on a chain that is not a sandbox."""


class JsonRpc(Protocol):
    """What is asked of a node: web3's providers and the sandbox's own client have it."""

    def make_request(self, method: str, params: list[Any], /) -> Mapping[str, Any]:
        """Send one request and return the whole JSON-RPC answer."""
        ...


@cache
def sandbox_deployer() -> str:
    """Address of the sandbox's own CREATE2 deployer (checksummed).

    The last 20 bytes of a plain hash: nobody has a key for it and no contract can be
    deployed there on the real chain, hence code at this address marks a sandbox.
    """
    from eth_utils.address import to_checksum_address
    from eth_utils.crypto import keccak

    return str(to_checksum_address(keccak(text="plimsoll sandbox create2 deployer")[-20:]))


@cache
def development_key(role: str) -> str:
    """Private key of a role, 0x-prefixed hex; it is public knowledge.

    Raises
    ------
    UnknownRole
        The role is not one of `ROLES`.
    """
    from eth_utils.crypto import keccak

    if role not in ROLES:
        raise UnknownRole(f"there is no development key for {role!r}; the roles are {', '.join(ROLES)}")
    return "0x" + keccak(text=f"plimsoll sandbox development key: {role}").hex()


@cache
def development_address(role: str) -> str:
    """Checksummed address of a role's development key."""
    from eth_keys.datatypes import PrivateKey

    return str(PrivateKey(bytes.fromhex(development_key(role)[2:])).public_key.to_checksum_address())


@cache
def development_accounts() -> Mapping[str, str]:
    """Role of every development address, keyed by the address in lower case."""
    return {development_address(role).lower(): role for role in ROLES}


def is_sandbox(provider: Any) -> bool:
    """Whether the node is a sandbox or a fork of one.

    Parameters
    ----------
    provider
        A `Web3`, or anything with web3's ``make_request(method, params)``.
    """
    answer = _ask(provider, "eth_getCode", [sandbox_deployer(), "latest"])
    return len(answer) > 2


def genesis_hash(provider: Any) -> str:
    """Hash of block 0, which deployments are filed by; stable over loads and forks of a sandbox."""
    block = _request(provider, "eth_getBlockByNumber", ["0x0", False])
    if not isinstance(block, Mapping):
        raise PlimsollError("the node does not know block 0; use an endpoint that serves old blocks")
    return _hex(block["hash"])


def deployment_name(provider: Any) -> str:
    """File name, without extension, of the deployments made on this chain.

    ``"1-sandbox-1a2b3c4d"`` on a sandbox, the chain id alone elsewhere.
    """
    chain_id = int(_ask(provider, "eth_chainId", []), 16)
    return f"{chain_id}-sandbox-{genesis_hash(provider)[2:10]}" if is_sandbox(provider) else str(chain_id)


def require_development_key(address: str) -> str:
    """Return the role whose key belongs to the address.

    Raises
    ------
    NotADevelopmentKey
        The address is nobody's in the sandbox.
    """
    role = development_accounts().get(address.lower())
    if role is None:
        raise NotADevelopmentKey(
            f"{address} is not a development account: what it signs on a sandbox could be replayed on the real chain; "
            "use one of the key files that `plimsoll sandbox up` lists"
        )
    return role


def check_signer(provider: Any, address: str) -> None:
    """Refuse a real key on a sandbox, and a development key anywhere else than on one.

    Raises
    ------
    NotADevelopmentKey
        The chain is a sandbox, the key is not a development key.
    NotASandbox
        The key is a development key, the chain is not a sandbox.
    """
    if is_sandbox(provider):
        require_development_key(address)
    elif (role := development_accounts().get(address.lower())) is not None:
        raise NotASandbox(
            f"{address} is the development account {role!r}, whose key is public, and this chain is not a sandbox; "
            "use a key of your own"
        )


def _ask(provider: Any, method: str, params: list[Any]) -> str:
    return _hex(_request(provider, method, params))


def _request(provider: Any, method: str, params: list[Any]) -> Any:
    rpc: JsonRpc = getattr(provider, "provider", provider)
    answer = rpc.make_request(method, params)
    if "error" in answer and answer["error"] is not None:
        raise PlimsollError(f"{method} failed: {answer['error']}; check the RPC URL")
    return answer["result"]


def _hex(value: Any) -> str:
    return value if isinstance(value, str) else "0x" + bytes(value).hex()
