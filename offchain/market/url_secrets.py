# SPDX-License-Identifier: Apache-2.0
"""What in a URL is nobody's business, and texts without it.

Passwords stand before the host, providers' keys there too, in the path or in the query.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from offchain.errors import PlimsollError

HIDDEN = "…"
_KEY_LENGTH = 20
"""Providers' keys in a path are longer than anything else there."""


class ShownSecret(PlimsollError):
    """A secret where everybody on the machine sees it."""


def refuse_shown_secrets(arguments: Sequence[str]) -> None:
    """Refuse a URL with a password or a provider's key on the command line: every user of the machine sees that.

    Parameters
    ----------
    arguments
        The process's own, its name first.

    Raises
    ------
    ShownSecret
        Names the variable that takes it instead.
    """
    option = ""
    for argument in arguments[1:]:
        value = argument
        if argument.startswith("--"):
            option, _, value = argument.partition("=")
        for url in value.split(","):
            if url_secrets(url.strip()):
                held = "a password" if _has_password(url) else "a key"
                variable = "PLIMSOLL_" + option.strip("-").replace("-", "_").upper()
                raise ShownSecret(
                    f"{option}: it holds {held}, which the process list shows; put it into {variable} instead"
                )


def url_secrets(url: str) -> tuple[str, ...]:
    """Every secret in a URL, as it stands there and as it is meant, longest first; empty where there is none."""
    parts = _split(url)
    if parts is None:
        return ()
    found = {parts.password or ""}
    found |= {one for one in (parts.username or "", *parts.path.split("/")) if _is_key(one)}
    if parts.hostname:
        web = parts.scheme.startswith(("http", "ws"))
        found |= {value for name, value in parse_qsl(parts.query) if web or "pass" in name.lower()}
    found |= {unquote(one) for one in found}
    return tuple(sorted(found - {""}, key=lambda one: (-len(one), one)))


def without_secrets(text: str, url: str) -> str:
    """Cut a URL's secrets out of a text, such as the words of a node that repeats what it was asked."""
    for secret in url_secrets(url):
        text = text.replace(secret, HIDDEN)
    return text


def _has_password(url: str) -> bool:
    parts = _split(url)
    return parts is not None and (bool(parts.password) or "pass" in parts.query.lower())


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.scheme and parts.netloc else None


def _is_key(piece: str) -> bool:
    return len(piece) >= _KEY_LENGTH and piece.replace("-", "").replace("_", "").isalnum()
