"""INFERENCE_REDIS_URL: how the address of Redis is spelled.

```
redis://user:password@host:6379/0        TCP
rediss://user:password@host:6380/0       TLS, the server's certificate is checked
unix://user:password@/path/socket?db=0   a socket of this machine
sentinel://user:password@host:26379,host:26379/0?master_name=name
rediss+sentinel://...                    the same, with TLS to the sentinels and to the server
```

What stands in user, password and path is percent-encoded where it is no letter or digit.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from workers.settings.kinds import NotAllowed, SettingKind
from workers.settings.redis_address import RedisAddress

SCHEMES = ("redis", "rediss", "unix", "sentinel", "rediss+sentinel")
_PORT, _SENTINEL_PORT = 6379, 26379
_MOST_DATABASES = 2**16
_LONGEST_WAIT_S = 600.0


def parse(text: str) -> RedisAddress:
    """Read an address.

    Raises:
        NotAllowed: it is none, or asks for what is not supported; says what is, without a word of
            the address itself.
    """
    try:
        parts = urlsplit(text)
    except ValueError:
        raise NotAllowed(ALLOWED) from None
    if parts.scheme not in SCHEMES:
        raise NotAllowed(ALLOWED)
    if parts.fragment or "#" in text:
        raise NotAllowed(f"{ALLOWED}; # / ? @ : in a password are written %23 %2F %3F %40 %3A")
    options = _Options(parts)
    user, password = _login(parts, options)
    common: dict[str, Any] = {
        "scheme": parts.scheme,
        "user": user,
        "password": password,
        "database": _database(parts, options),
    }
    if parts.scheme == "unix":
        where: dict[str, Any] = {"path": _socket_path(parts)}
    elif parts.scheme in _SENTINEL_SCHEMES:
        tls = _tls(options) if parts.scheme == "rediss+sentinel" else None
        hosts = tuple(_hosts(parts, _SENTINEL_PORT))
        where = {"scheme": "sentinel", "hosts": hosts, "tls": tls, **_sentinel(options, tls)}
    else:
        hosts = tuple(_hosts(parts, _PORT))
        if len(hosts) > 1:
            raise NotAllowed("one host; several are for sentinel://")
        where = {"hosts": hosts, "tls": _tls(options) if parts.scheme == "rediss" else None}
    network = parts.scheme != "unix"
    kept = {name: read(options.take(name)) for name, read, tcp in _OPTIONS
            if name in options and (network or not tcp)}  # fmt: skip
    options.refuse_others()
    return RedisAddress(**{**common, **where}, options=kept)


class _Options:
    """What stands after the question mark, each name once."""

    def __init__(self, parts: SplitResult) -> None:
        pairs = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=50)
        self._scheme = parts.scheme
        self._values = dict(pairs)
        if len(self._values) < len(pairs):
            raise NotAllowed("each option after the question mark once")

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def take(self, name: str) -> str:
        """The value of an option, which is known then."""
        return self._values.pop(name)

    def take_or_none(self, name: str) -> str | None:
        """The value of an option, if it is set."""
        return self._values.pop(name, None)

    def refuse_others(self) -> None:
        """Refuse what nobody took."""
        if not self._values:
            return
        names = ", ".join(sorted(_printable(name) for name in self._values))
        known = ", ".join(_known_options(self._scheme))
        raise NotAllowed(f"{self._scheme}:// without {names}; it takes {known}")


def _known_options(scheme: str) -> Iterator[str]:
    yield from ("db", "username", "password")
    yield from (name for name, _, tcp in _OPTIONS if not tcp or scheme != "unix")
    yield from _TLS_OPTIONS if scheme in ("rediss", "rediss+sentinel") else ()
    yield from _SENTINEL_OPTIONS if scheme in _SENTINEL_SCHEMES else ()


def _login(parts: SplitResult, options: _Options) -> tuple[str | None, str | None]:
    """User and password, before the host or, as redis-py also has it, among the options."""
    credentials, at, _ = parts.netloc.rpartition("@")
    user, colon, password = credentials.partition(":")
    if "@" in credentials:
        raise NotAllowed("an @ in a user or password is written %40")
    if at and (("username" in options and user) or ("password" in options and colon)):
        raise NotAllowed("user and password in one place: before the host, or as options")
    return (
        unquote(user) if user else options.take_or_none("username"),
        unquote(password) if colon else options.take_or_none("password"),
    )


def _database(parts: SplitResult, options: _Options) -> int:
    in_path = "" if parts.scheme == "unix" else parts.path.strip("/")
    in_options = options.take_or_none("db")
    if in_path and in_options is not None and in_path != in_options:
        raise NotAllowed("one database: after the host, or as option db")
    text = in_options if in_options is not None else in_path or "0"
    if not (text.isascii() and text.isdigit()) or int(text) >= _MOST_DATABASES:
        raise NotAllowed(f"a database from 0 to {_MOST_DATABASES - 1}")
    return int(text)


def _socket_path(parts: SplitResult) -> str:
    host = parts.netloc.rpartition("@")[2]
    if host or not parts.path.strip("/"):
        raise NotAllowed("unix:// and a path from the root, such as unix:///run/redis.sock")
    path = unquote(parts.path)
    if "\0" in path:
        raise NotAllowed("a path without a zero byte")
    return path


def _hosts(parts: SplitResult, default_port: int) -> Iterator[tuple[str, int]]:
    for text in parts.netloc.rpartition("@")[2].split(","):
        try:
            host = urlsplit(f"//{text}")
            name, port = host.hostname, host.port
        except ValueError:
            name, port = None, None
        if not name or port == 0:
            raise NotAllowed(f"{parts.scheme}:// with a host, and a port from 1 to 65535")
        yield unquote(name), port or default_port


def _sentinel(options: _Options, tls: dict[str, Any] | None) -> dict[str, Any]:
    asking: dict[str, Any] = {
        name: value
        for name in ("username", "password")
        if (value := options.take_or_none(f"sentinel_{name}")) is not None
    }
    name = options.take_or_none("master_name")
    if not name:
        raise NotAllowed("sentinel:// with master_name, such as ?master_name=mymaster")
    if tls is not None:
        asking |= {"ssl": True, **tls}
    return {"master_name": name, "sentinel_options": asking}


_SENTINEL_SCHEMES = ("sentinel", "rediss+sentinel")
_SENTINEL_OPTIONS = ("master_name", "sentinel_username", "sentinel_password")
#: In lower case and without `cert_` before it.
_VERIFICATION = {
    "required": ssl.CERT_REQUIRED,
    "optional": ssl.CERT_OPTIONAL,
    "none": ssl.CERT_NONE,
}
_TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_TLS_OPTIONS = ("ssl_cert_reqs", "ssl_check_hostname", *_TLS_FILES)


def _tls(options: _Options) -> dict[str, Any]:
    """The server must prove who it is, unless the address says that it need not."""
    spelled = options.take_or_none("ssl_cert_reqs") or "required"
    verification = _VERIFICATION.get(spelled.lower().removeprefix("cert_"))
    if verification is None:
        raise NotAllowed("ssl_cert_reqs with required, optional or none (or CERT_REQUIRED, ...)")
    checks_host = verification != ssl.CERT_NONE
    if "ssl_check_hostname" in options:
        checks_host = _boolean("ssl_check_hostname")(options.take("ssl_check_hostname"))
        if checks_host and verification == ssl.CERT_NONE:
            raise NotAllowed("ssl_check_hostname with certificates that are checked")
    tls: dict[str, Any] = {"ssl_cert_reqs": verification, "ssl_check_hostname": checks_host}
    for name in _TLS_FILES:
        if (file := options.take_or_none(name)) is None:
            continue
        path = os.path.abspath(os.path.expanduser(file))
        if not (os.path.isfile(path) and os.access(path, os.R_OK)):
            raise NotAllowed(f"{name} with the path of a file that can be read")
        tls[name] = path
    return tls


def _seconds(name: str) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        if not 0.0 < value <= _LONGEST_WAIT_S:
            raise NotAllowed(f"{name} with seconds, at most {_LONGEST_WAIT_S:.0f}")
        return value

    return read


def _boolean(name: str) -> Callable[[str], bool]:
    def read(text: str) -> bool:
        words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        if text.lower() not in words:
            raise NotAllowed(f"{name} with true or false")
        return words[text.lower()]

    return read


def _client_name(text: str) -> str:
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise NotAllowed("client_name with printable ASCII without spaces")
    return text


def _printable(name: str) -> str:
    """The name of an option as a message may show it: it may be a piece of a password."""
    return name if name.isidentifier() and len(name) <= 40 else "what is no name of an option"


#: Options for all schemes: name, how its text is read, and whether it is for a network alone.
_OPTIONS: tuple[tuple[str, Callable[[str], Any], bool], ...] = (
    ("client_name", _client_name, False),
    ("socket_timeout", _seconds("socket_timeout"), False),
    ("health_check_interval", _seconds("health_check_interval"), False),
    ("socket_connect_timeout", _seconds("socket_connect_timeout"), True),
    ("socket_keepalive", _boolean("socket_keepalive"), True),
)
ALLOWED = (
    "an address such as redis://host:6379/0, rediss://user:password@host:6380/0, "
    "unix:///path/of/socket?db=0 or sentinel://host:26379/0?master_name=mymaster"
)


def _checked(text: str) -> str:
    parse(text)
    return text


#: The setting keeps the text, of which all but the password is shown.
KIND = SettingKind(_checked, ALLOWED, is_address=True)
