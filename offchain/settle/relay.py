# SPDX-License-Identifier: Apache-2.0
"""A private relay: transactions go to block builders without passing the public mempool.

Two kinds exist. A builder's relay knows ``eth_sendPrivateTransaction`` and takes the block
after which it need not try any more; a protecting endpoint is a node's own
``eth_sendRawTransaction`` that keeps to itself what it gets. Which of them a URL is is
found out with the first transaction.
"""

from __future__ import annotations

from collections.abc import Mapping

from eth_account import Account
from eth_account.messages import encode_defunct
from eth_utils.crypto import keccak

from offchain.market.rpc import NodeClient, RpcError
from offchain.settle.node import Node, is_unsupported

SIGNATURE_HEADER = "X-Flashbots-Signature"


class Relay:
    """Sends raw transactions to one relay.

    Requests are signed with a key made for this process: relays use it to tell their users
    apart, and it stands for nothing else.

    Parameters
    ----------
    url
        ``https://`` of the relay.
    blocks
        How many blocks it may try before the transaction is shown to everybody.
    """

    def __init__(self, url: str, *, blocks: int = 3, timeout: float = 10.0) -> None:
        self._identity = Account.create()
        self._client = NodeClient(url, timeout=timeout, headers_of=self._signature)
        self.url = self._client.url
        self.blocks = blocks
        self._takes_private = True

    def send(self, raw: str, head_number: int) -> None:
        """Hand a signed transaction over; see `NodeClient.call` for the errors."""
        if self._takes_private:
            try:
                last = hex(head_number + self.blocks)
                self._client.call("eth_sendPrivateTransaction", {"tx": raw, "maxBlockNumber": last})
                return
            except RpcError as error:
                if not is_unsupported(error):
                    raise
                self._takes_private = False
        Node(self._client).send_raw(raw)

    def close(self) -> None:
        """Drop the connection."""
        self._client.close()

    def _signature(self, body: bytes) -> Mapping[str, str]:
        message = encode_defunct(text="0x" + keccak(body).hex())
        signed = self._identity.sign_message(message)
        return {SIGNATURE_HEADER: f"{self._identity.address}:0x{bytes(signed.signature).hex()}"}
