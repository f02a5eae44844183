# SPDX-License-Identifier: Apache-2.0
"""Events of Uniswap v2 and v3 pools: which there are, and what they say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from offchain.market import abi


def _topic(signature: str) -> str:
    return "0x" + keccak(text=signature).hex()


V2_SWAP = _topic("Swap(address,uint256,uint256,uint256,uint256,address)")
V2_SYNC = _topic("Sync(uint112,uint112)")
V3_SWAP = _topic("Swap(address,address,int256,int256,uint160,uint128,int24)")
V3_MINT = _topic("Mint(address,address,int24,int24,uint128,uint256,uint256)")
V3_BURN = _topic("Burn(address,int24,int24,uint128,uint256,uint256)")
TOPICS = (V2_SWAP, V2_SYNC, V3_SWAP, V3_MINT, V3_BURN)


def decode_event(log: Mapping[str, Any]) -> dict[str, Any] | None:
    """Row of the table ``pool_events`` without chain and time; None for another event.

    Amounts are those that the pool received (negative: paid), in token base units.

    Raises
    ------
    abi.DecodeError
        When the data is too short for the event.
    """
    topics = [str(topic).lower() for topic in log["topics"]]
    raw = bytes.fromhex(str(log["data"])[2:])
    row: dict[str, Any] = {
        "pool": to_checksum_address(str(log["address"])),
        "block": int(log["blockNumber"], 16),
        "log_index": int(log["logIndex"], 16),
        "transaction": str(log["transactionHash"]),
    }
    first = topics[0] if topics else ""
    if first == V2_SYNC:
        return row | {"kind": "sync", "reserve0": str(abi.word(raw, 0)), "reserve1": str(abi.word(raw, 1))}
    if first == V2_SWAP:
        in0, in1, out0, out1 = (abi.word(raw, index) for index in range(4))
        return row | {"kind": "swap", "amount0": str(in0 - out0), "amount1": str(in1 - out1)}
    if first == V3_SWAP:
        return row | {
            "kind": "swap",
            "amount0": str(abi.signed(abi.word(raw, 0))),
            "amount1": str(abi.signed(abi.word(raw, 1))),
            "sqrt_price_x96": str(abi.word(raw, 2)),
            "liquidity": str(abi.word(raw, 3)),
            "tick": abi.signed(abi.word(raw, 4)),
        }
    if first in (V3_MINT, V3_BURN):
        minted = first == V3_MINT
        lower, upper = (abi.signed(int(topic, 16)) for topic in topics[2:4])
        at, sign = (1, 1) if minted else (0, -1)
        return row | {
            "kind": "mint" if minted else "burn",
            "liquidity": str(sign * abi.word(raw, at)),
            "amount0": str(sign * abi.word(raw, at + 1)),
            "amount1": str(sign * abi.word(raw, at + 2)),
            "tick_lower": lower,
            "tick_upper": upper,
        }
    return None
