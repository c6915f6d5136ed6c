"""API keys: who shows one, and what it allows.

The hash is plain SHA-256. A slow hash protects passwords because people choose guessable ones; a
key made here has 256 random bits, which nobody guesses at any speed, and a slow hash would cost
every request its tens of milliseconds.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from workers.contract.job import Priority
from workers.settings import Settings

#: What a key begins with, so that scanners and people recognise one that leaked.
PREFIX = "isk-"
_RANDOM_BYTES = 32
#: Names and ids of keys from the environment begin with this.
ENVIRONMENT = "env-"
#: Bytes of an id: enough that two keys never share one.
_ID_BYTES = 8


class KeysError(Exception):
    """The keys cannot be read or changed as asked; the message says why."""


@dataclass(frozen=True, slots=True)
class Key:
    """Who a caller is and what they may do."""

    name: str
    sha256: str
    #: Owns its jobs. It stays when the key is rotated; no other key ever has it, whatever its name.
    id: str
    #: The highest priority its requests may have; None: any.
    highest_priority: Priority | None = None
    #: None: as many as it likes.
    requests_per_minute: int | None = None
    #: When it was made, ISO 8601; "" for keys of the environment.
    created: str = ""
    #: It may load and unload models, drain workers, clear caches, and look after dead letters.
    admin: bool = False
    #: When its text was last replaced, ISO 8601; "" where it never was.
    rotated: str = ""
    #: Hash of the text before that, and Unix time in seconds until which that is valid, too.
    former_sha256: str = ""
    former_until: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """The key as the file keeps it."""
        highest = self.highest_priority
        return {
            "id": self.id,
            "name": self.name,
            "sha256": self.sha256,
            "admin": self.admin,
            "highest_priority": None if highest is None else highest.name.lower(),
            "requests_per_minute": self.requests_per_minute,
            "created": self.created,
            "rotated": self.rotated,
            "former_sha256": self.former_sha256,
            "former_until": self.former_until,
        }

    def matches(self, presented_digest: str, now: float) -> bool:
        """Whether a text with this digest is the key's own, or its former one in its grace."""
        own = hmac.compare_digest(self.sha256, presented_digest)
        former = hmac.compare_digest(self.former_sha256, presented_digest)
        return own or (former and now < self.former_until)

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Key:
        """The key that `to_dict` wrote.

        One that was written before keys had ids owned its jobs by its name: that is its id now.
        """
        highest = data.get("highest_priority")
        return Key(
            name=str(data["name"]),
            sha256=str(data["sha256"]),
            id=str(data.get("id") or data["name"]),
            highest_priority=None if highest is None else Priority[highest.upper()],
            requests_per_minute=data.get("requests_per_minute"),
            created=str(data.get("created", "")),
            admin=data.get("admin") is True,
            rotated=str(data.get("rotated", "")),
            former_sha256=str(data.get("former_sha256", "")),
            former_until=float(data.get("former_until", 0.0)),
        )


def new_text() -> str:
    """A key as its owner gets it, which nobody else can guess."""
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def find(keys: Iterable[Key], presented: str) -> Key | None:
    """The key that was presented.

    Every key is compared, each in constant time: how long it takes tells nothing.
    """
    presented_digest, now = digest(presented), time.time()
    match = None
    for key in keys:
        if key.matches(presented_digest, now):
            match = key
    return match


def new_id() -> str:
    """An id for a key that is made now."""
    return f"key-{secrets.token_hex(_ID_BYTES)}"


def of_environment(settings: Settings) -> tuple[Key, ...]:
    """The keys of INFERENCE_API_KEYS and INFERENCE_ADMIN_KEYS, named by their place.

    Their ids come from their texts: neighbours that come, go or change places change nothing.
    """
    keys = [
        Key(f"{ENVIRONMENT}admin-{number}", digest(text), _id_of(text), admin=True)
        for number, text in enumerate(settings.admin_keys, start=1)
    ]
    keys += [
        Key(f"{ENVIRONMENT}{number}", digest(text), _id_of(text))
        for number, text in enumerate(settings.api_keys, start=1)
        if text not in settings.admin_keys
    ]
    return tuple(keys)


def authorization(settings: Settings, *, admin: bool = False) -> dict[str, str]:
    """The header that our own command line sends: with the first key of INFERENCE_API_KEYS.

    What needs an admin key sends the first of INFERENCE_ADMIN_KEYS; either goes for the other.
    """
    ordinary, of_admins = settings.api_keys, settings.admin_keys
    texts = of_admins + ordinary if admin else ordinary + of_admins
    return {"Authorization": f"Bearer {texts[0]}"} if texts else {}


def _id_of(text: str) -> str:
    """The id of a key of the environment. It is shown, so it is no part of what is compared."""
    named = f"id of an API key: {digest(text)}".encode()
    return f"{ENVIRONMENT}{hashlib.sha256(named).hexdigest()[: 2 * _ID_BYTES]}"


def digest(text: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
