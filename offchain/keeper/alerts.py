# SPDX-License-Identifier: Apache-2.0
"""Telling people: what the log warns of, sent to Slack and Telegram.

Where to is a secret, so it comes from the environment, never from the command line. A
message that cannot be delivered is dropped: the keeper waits for nobody.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import threading
import time
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.request import Request, urlopen

SLACK = "PLIMSOLL_SLACK_WEBHOOK"
TELEGRAM_TOKEN = "PLIMSOLL_TELEGRAM_TOKEN"
TELEGRAM_CHAT = "PLIMSOLL_TELEGRAM_CHAT"
TELEGRAM_API = "PLIMSOLL_TELEGRAM_API"

WORTH_TELLING = frozenset({"settled", "order closed", "stopped"})
"""Events below a warning that people want to hear of all the same."""
QUIET_SECONDS = 900.0
"""The same warning is not repeated sooner."""
_TIMEOUT = 10.0
_WAITING = 100


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where messages go; `fields` is what goes beside the text."""

    url: str = field(repr=False)
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)

    def request(self, text: str) -> Request:
        """The message as the service takes it."""
        body = json.dumps({**self.fields, "text": text}).encode()
        return Request(self.url, body, {"Content-Type": "application/json"})


def webhooks(environment: Mapping[str, str] | None = None) -> list[Webhook]:
    """The webhooks that the environment names."""
    given = os.environ if environment is None else environment
    found = []
    if slack := given.get(SLACK):
        found.append(Webhook(slack))
    if (token := given.get(TELEGRAM_TOKEN)) and (chat := given.get(TELEGRAM_CHAT)):
        api = given.get(TELEGRAM_API, "https://api.telegram.org")
        found.append(Webhook(f"{api}/bot{token}/sendMessage", {"chat_id": chat}))
    return found


class Alerts:
    """A structlog processor that passes everything on and sends what matters, in a thread of its own."""

    def __init__(self, hooks: list[Webhook], name: str = "plimsoll keeper") -> None:
        self._hooks = hooks
        self._name = name
        self._told: dict[str, float] = {}
        self._queue: queue.Queue[str | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._deliver, name="alerts", daemon=True)
        self._thread.start()

    def __call__(self, _logger: Any, level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Queue an event when it is worth telling."""
        what = str(event.get("event"))
        if level in ("warning", "error", "critical") or what in WORTH_TELLING:
            text = _in_words(self._name, level, what, event)
            key = f"{what}|{event.get('error') or event.get('why') or event.get('order')}"
            now = time.monotonic()
            if now - self._told.get(key, -QUIET_SECONDS) >= QUIET_SECONDS:
                self._told = {k: at for k, at in self._told.items() if now - at < QUIET_SECONDS} | {key: now}
                with contextlib.suppress(queue.Full):
                    self._queue.put_nowait(text)
        return event

    def close(self, timeout: float = 5.0) -> None:
        """Deliver what is queued, but do not wait for long."""
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(timeout)

    def _deliver(self) -> None:
        while (text := self._queue.get()) is not None:
            for hook in self._hooks:
                try:
                    with urlopen(hook.request(text), timeout=_TIMEOUT):
                        pass
                except (OSError, ValueError):
                    continue  # its text would show the URL, which is the secret


def _in_words(name: str, level: str, what: str, event: Mapping[str, Any]) -> str:
    details = ", ".join(f"{key} {value}" for key, value in event.items() if key not in ("event", "level", "timestamp"))
    return f"[{name}] {level}: {what}" + (f" ({details})" if details else "")
