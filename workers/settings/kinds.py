"""Kinds of setting: each turns the text of a variable into a value, or says what is allowed."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from presets.preset import STAGES

T = TypeVar("T")

#: The roles a model can have (see the table of task types in the README).
ROLES = ("primary", "fast", "coder", "thinker", "longctx")
_MOST_STAGES = 10
#: Severities of log lines, the lowest first.
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
#: Modules whose DEBUG lines quote no request; those of libraries have what their frames carry.
_OUR_MODULES = ("web", "orchestration", "workers", "presets")

# int() and float() also take "1_000" and digits of other scripts.
_WHOLE = re.compile(r"[+-]?[0-9]+")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_CREDENTIALS = re.compile(r"[\x21-\x2b\x2d-\x39\x3b-\x7e]+:[\x21-\x2b\x2d-\x7e]+")
_NAME_OF_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_KEY = re.compile(r"[\x21-\x2b\x2d-\x7e]+")  # printable ASCII without the comma
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)


class NotAllowed(ValueError):
    """The text is no value; the message says what is allowed, where the kind alone does not."""


@dataclass(frozen=True, slots=True)
class SettingKind(Generic[T]):
    """How one variable's text is read.

    `parse` raises ValueError where the text is not one of the `allowed` values, `NotAllowed` where
    more can be said.
    """

    parse: Callable[[str], T]
    #: Completes the sentence "allowed: ...".
    allowed: str
    #: Whether a value is an address, of which its password alone is secret.
    is_address: bool = False


def integer(least: int, most: int) -> SettingKind[int]:
    """A whole number within bounds, both included."""

    def parse(text: str) -> int:
        value = int(_matching(_WHOLE, text))
        if not least <= value <= most:
            raise ValueError
        return value

    allowed = f"a whole number from {least} to {most}" if least < most else f"only {least}"
    return SettingKind(parse, allowed)


def number(least: float, most: float) -> SettingKind[float]:
    """A number within bounds, both included."""

    def parse(text: str) -> float:
        value = float(_matching(_DECIMAL, text))
        if not least <= value <= most:
            raise ValueError
        return value

    return SettingKind(parse, f"a number from {least:.15g} to {most:.15g}")


def choice(*values: str) -> SettingKind[str]:
    """One of a few words, in any case."""
    by_lower = {value.lower(): value for value in values}

    def parse(text: str) -> str:
        try:
            return by_lower[text.lower()]
        except KeyError:
            raise ValueError from None

    return SettingKind(parse, ", ".join(values))


def names() -> SettingKind[tuple[str, ...]]:
    """Names with commas between them."""

    def parse(text: str) -> tuple[str, ...]:
        return _each_once(_parts(text))

    return SettingKind(parse, "names with commas between them, none empty or twice")


def api_keys() -> SettingKind[tuple[str, ...]]:
    """API keys with commas between them."""

    def parse(text: str) -> tuple[str, ...]:
        return _each_once(tuple(_matching(_KEY, part) for part in _parts(text)))

    return SettingKind(
        parse, "keys of printable ASCII without spaces, with commas between them, none twice"
    )


def api_key() -> SettingKind[str]:
    """One API key."""
    return SettingKind(
        lambda text: _matching(_KEY, text), "a key of printable ASCII without spaces and commas"
    )


def origins() -> SettingKind[tuple[str, ...]]:
    """Web origins with commas between them, or an asterisk for all."""

    def parse(text: str) -> tuple[str, ...]:
        return _each_once(tuple(_origin(part) for part in _parts(text)))

    return SettingKind(
        parse, "origins such as https://chat.example.org with commas between them, or *"
    )


def host_names() -> SettingKind[tuple[str, ...]]:
    """Names of hosts with commas between them, or an asterisk for all."""

    def parse(text: str) -> tuple[str, ...]:
        return _each_once(tuple(_host_name(part) for part in _parts(text)))

    return SettingKind(parse, "host names such as chat.example.org with commas between them, or *")


def networks() -> SettingKind[tuple[str, ...]]:
    """Networks in CIDR form with commas between them."""

    def parse(text: str) -> tuple[str, ...]:
        return _each_once(tuple(str(ipaddress.ip_network(part)) for part in _parts(text)))

    return SettingKind(parse, "networks such as 10.0.0.0/8 or fd00::/8 with commas between them")


def stages() -> SettingKind[tuple[str, ...]]:
    """Stages of a pipeline, in their order."""

    def parse(text: str) -> tuple[str, ...]:
        names = tuple(part.lower() for part in _parts(text))
        if not 2 <= len(names) <= _MOST_STAGES or not set(names) <= set(STAGES):
            raise ValueError
        return names

    return SettingKind(
        parse, f"2 to {_MOST_STAGES} of {', '.join(STAGES)} with commas between them, in order"
    )


def role_table() -> SettingKind[dict[str, tuple[str, ...]]]:
    """JSON: model ids to lists of roles."""

    def parse(text: str) -> dict[str, tuple[str, ...]]:
        try:
            table = json.loads(text)
        except RecursionError:
            raise ValueError from None
        if not isinstance(table, dict):
            raise ValueError
        for roles in table.values():
            known = isinstance(roles, list) and roles and all(role in ROLES for role in roles)
            if not known or len(set(roles)) != len(roles):
                raise ValueError
        return {model: tuple(roles) for model, roles in table.items()}

    return SettingKind(
        parse,
        'JSON such as {"phi-4": ["primary", "thinker"]} with the roles ' + ", ".join(ROLES),
    )


def log_levels() -> SettingKind[tuple[str, ...]]:
    """Modules and the levels of their log lines, `module=LEVEL` each."""

    def parse(text: str) -> tuple[str, ...]:
        levels = dict(_level_of_module(part) for part in _each_once(_parts(text)))
        return tuple(f"{module}={level}" for module, level in levels.items())

    return SettingKind(
        parse,
        "modules and levels such as web.edge=DEBUG,celery=INFO with commas between them; DEBUG "
        "only in " + ", ".join(_OUR_MODULES),
    )


def url(*schemes: str) -> SettingKind[str]:
    """An absolute address of one of these schemes, with a host."""

    def parse(text: str) -> str:
        parts = urlsplit(text)
        _ = parts.port  # raises where it is none
        if parts.scheme not in schemes or not parts.hostname:
            raise ValueError
        return text

    allowed = "an address that begins with " + " or ".join(f"{s}://" for s in schemes)
    return SettingKind(parse, allowed, is_address=True)


def _level_of_module(text: str) -> tuple[str, str]:
    module, _, level = text.partition("=")
    module, level = _matching(_MODULE, module.strip()), level.strip().upper()
    ours = module.partition(".")[0] in _OUR_MODULES
    if level not in LOG_LEVELS or (level == "DEBUG" and not ours):
        raise ValueError
    return module, level


def _matching(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError
    return text


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    if not all(names) or len(set(names)) != len(names):
        raise ValueError
    return names


def _origin(text: str) -> str:
    parts = urlsplit(text)
    _ = parts.port
    bare = f"{parts.scheme}://{parts.netloc}"
    if text != "*" and (not parts.scheme or not parts.hostname or text.rstrip("/") != bare):
        raise ValueError
    return text.rstrip("/").lower()


def _host_name(text: str) -> str:
    return text if text == "*" else _matching(_NAME_OF_HOST, text).lower()


def _boolean(text: str) -> bool:
    words = {"true": True, "1": True, "yes": True, "on": True}
    words |= {"false": False, "0": False, "no": False, "off": False}
    try:
        return words[text.lower()]
    except KeyError:
        raise ValueError from None


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:
        raise NotAllowed("a path without ~, whose user has no home directory") from None


def _directory(text: str) -> Path:
    path = _path(text)
    if not path.is_dir():
        raise ValueError
    return path


def _place(text: str) -> Path:
    path = _path(text)
    if path.exists() and not path.is_dir():
        raise ValueError
    return path


BOOLEAN = SettingKind(_boolean, "true or false")
DIRECTORY = SettingKind(_directory, "the path of a directory that exists")
PLACE = SettingKind(_place, "the path of a directory, which is made where it is missing")
TEXT = SettingKind(str, "any text")
HOST = SettingKind(lambda text: _matching(_HOST, text), "an IP address or a host name")
#: Whether there is such a mode is checked where the modes are, at start-up too.
MODE = SettingKind(
    lambda text: _matching(_NAME, text).lower(), "the name of a mode (ORCHESTRATION.md)"
)
NAME = SettingKind(lambda text: _matching(_NAME, text), "a name: letters, digits, . _ : -")
CREDENTIALS = SettingKind(
    lambda text: _matching(_CREDENTIALS, text),
    "name:password of printable ASCII without spaces and commas",
)
