"""Servers that take every kind of address, and those addresses: each with its database."""

import contextlib
import tempfile
from pathlib import Path
from types import SimpleNamespace

import trustme

from tests.support.front_end import free_port
from tests.support.tls import TlsFront
from tests.support.valkey import Sentinel, Valkey

USER, PASSWORD = "me", 'p@/#;%41"w'
_QUOTED = PASSWORD.replace('"', r"\"")
#: User and password as they stand in an address.
LOGIN = "me:p%40%2F%23%3B%2541%22w"
#: Whoever does not say who he is may do nothing.
_ACCESS = ("user default off", f'user {USER} on ~* &* +@all ">{_QUOTED}"')

#: Who may ask the closed sentinel.
SENTINEL_LOGIN = ("watcher", "w@/#")
_SENTINEL_ACCESS = ("user default off", "user watcher on ~* &* +@all >w@/#")

ADDRESSES = {
    "tcp": ("redis://{login}@127.0.0.1:{port}/1", 1),
    "tcp, database as option": ("redis://{login}@127.0.0.1:{port}?db=3", 3),
    "tcp, login as options": (
        "redis://127.0.0.1:{port}/4?username=me&password=p%40%2F%23%3B%2541%22w",
        4,
    ),
    "socket": ("unix://{login}@{socket}?db=2", 2),
    "socket, database 0": ("unix://{login}@{socket}", 0),
    "tls": ("rediss://{login}@localhost:{tls_port}/5?ssl_ca_certs={authority}", 5),
    "tls, unchecked": ("rediss://{login}@127.0.0.1:{tls_port}?db=6&ssl_cert_reqs=CERT_NONE", 6),
    "sentinel": ("sentinel://{login}@127.0.0.1:{sentinel}/7?master_name=primary", 7),
    "sentinels, one of which is away": (
        "sentinel://{login}@127.0.0.1:1,127.0.0.1:{sentinel}/8?master_name=primary",
        8,
    ),
    "sentinel with a login of its own": (
        "sentinel://{login}@127.0.0.1:{closed_sentinel}/9?master_name=primary"
        "&sentinel_username=watcher&sentinel_password=w%40%2F%23",
        9,
    ),
    "sentinel, tls": (
        "rediss+sentinel://{login}@localhost:{tls_sentinel}/10?master_name=primary"
        "&sentinel_username=watcher&sentinel_password=w%40%2F%23&ssl_ca_certs={authority}",
        10,
    ),
}


@contextlib.contextmanager
def servers():
    """One server that wants a user and a password, TLS in front of it and a sentinel beside it."""
    with contextlib.ExitStack() as open_:
        directory = Path(open_.enter_context(tempfile.TemporaryDirectory(prefix="is-")))
        port, sentinel = free_port(), free_port()
        server = open_.enter_context(
            Valkey(directory, port=port, configuration=_ACCESS, login=(USER, PASSWORD))
        )
        authority = trustme.CA()
        tls = open_.enter_context(TlsFront(directory, server.socket, authority=authority))
        login = (
            f"sentinel auth-user primary {USER}",
            f'sentinel auth-pass primary "{_QUOTED}"',
        )
        open_.enter_context(Sentinel(directory, sentinel, port, configuration=login))
        # A sentinel of this binary speaks no TLS either, and names the port that it watches: that
        # port must take both.
        both = TlsFront(directory, server.socket, takes_plain=True, authority=authority)
        open_.enter_context(both)
        closed = free_port()
        open_.enter_context(
            Sentinel(
                directory,
                closed,
                both.port,
                configuration=(*login, *_SENTINEL_ACCESS),
                login=SENTINEL_LOGIN,
            )
        )
        tls_sentinel = TlsFront(directory, closed, authority=authority)
        open_.enter_context(tls_sentinel)
        yield SimpleNamespace(
            server=server,
            login=LOGIN,
            port=port,
            socket=server.socket,
            tls_port=tls.port,
            authority=tls.authority,
            sentinel=sentinel,
            closed_sentinel=closed,
            tls_sentinel=tls_sentinel.port,
            named_by_sentinel=both,
        )


def address(servers, kind):
    """An address of a kind at these servers, and its database."""
    template, database = ADDRESSES[kind]
    return template.format(**vars(servers)), database
