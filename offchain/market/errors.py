# SPDX-License-Identifier: Apache-2.0
"""Why a snapshot or a history could not be read, besides the node itself (see `rpc`)."""

from __future__ import annotations

from offchain.errors import PlimsollError


class SnapshotError(PlimsollError):
    """The chain answered, but not with a vault's state at one block."""


class ReorgError(SnapshotError):
    """The chain kept changing under the reader."""


class OracleError(PlimsollError):
    """A price cannot be used.

    Attributes
    ----------
    asset
        Symbol of the asset.
    """

    def __init__(self, asset: str, problem: str) -> None:
        self.asset = asset
        super().__init__(f"oracle of {asset}: {problem}")


class StaleOracleError(OracleError):
    """A feed has not reported for longer than its heartbeat.

    Attributes
    ----------
    age
        Seconds since the feed's last round; negative when it lies in the future.
    heartbeat
        Seconds that the mandate allows.
    """

    def __init__(self, asset: str, feed: str, age: int, heartbeat: int) -> None:
        self.age = age
        self.heartbeat = heartbeat
        when = f"is {age} seconds old" if age >= 0 else f"lies {-age} seconds in the future"
        super().__init__(asset, f"the last round of feed {feed} {when}, {heartbeat} allowed; wait for it to report")


class HistoryError(PlimsollError):
    """Past prices that are missing, too short or not usable."""
