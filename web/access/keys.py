"""API keys: who shows one, and what it allows.

The hash is plain SHA-256. A slow hash protects passwords because people choose guessable ones; a
key made here has 256 random bits, which nobody guesses at any speed, and a slow hash would cost
every request its tens of milliseconds.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from workers.contract.job import Priority
from workers.settings import Settings

#: What a key begins with, so that scanners and people recognise one that leaked.
PREFIX = "isk-"
_RANDOM_BYTES = 32
#: Names of keys from the environment begin with this.
ENVIRONMENT = "env-"


class KeysError(Exception):
    """The keys cannot be read or changed as asked; the message says why."""


@dataclass(frozen=True, slots=True)
class Key:
    """Who a caller is and what they may do."""

    name: str
    sha256: str
    #: The highest priority its requests may have; None: any.
    highest_priority: Priority | None = None
    #: None: as many as it likes.
    requests_per_minute: int | None = None
    #: When it was made, ISO 8601; "" for keys of the environment.
    created: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The key as the file keeps it."""
        highest = self.highest_priority
        return {
            "name": self.name,
            "sha256": self.sha256,
            "highest_priority": None if highest is None else highest.name.lower(),
            "requests_per_minute": self.requests_per_minute,
            "created": self.created,
        }

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Key:
        """The key that `to_dict` wrote."""
        highest = data.get("highest_priority")
        return Key(
            name=str(data["name"]),
            sha256=str(data["sha256"]),
            highest_priority=None if highest is None else Priority[highest.upper()],
            requests_per_minute=data.get("requests_per_minute"),
            created=str(data.get("created", "")),
        )


def new_text() -> str:
    """A key as its owner gets it, which nobody else can guess."""
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def find(keys: Iterable[Key], presented: str) -> Key | None:
    """The key that was presented.

    Every key is compared, each in constant time: how long it takes tells nothing.
    """
    presented_digest = digest(presented)
    match = None
    for key in keys:
        if hmac.compare_digest(key.sha256, presented_digest):
            match = key
    return match


def of_environment(settings: Settings) -> tuple[Key, ...]:
    """The keys of INFERENCE_API_KEYS, named by their place in it."""
    texts = enumerate(settings.api_keys, start=1)
    return tuple(Key(f"{ENVIRONMENT}{number}", digest(text)) for number, text in texts)


def authorization(settings: Settings) -> dict[str, str]:
    """The header that our own command line sends: with the first key of INFERENCE_API_KEYS."""
    if not settings.api_keys:
        return {}
    return {"Authorization": f"Bearer {settings.api_keys[0]}"}


def digest(text: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
