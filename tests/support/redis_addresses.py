"""Servers that take every kind of address, and those addresses: each with its database."""

import contextlib
import tempfile
from pathlib import Path
from types import SimpleNamespace

from tests.support.front_end import free_port
from tests.support.tls import TlsFront
from tests.support.valkey import Sentinel, Valkey

USER, PASSWORD = "me", 'p@/#;%41"w'
_QUOTED = PASSWORD.replace('"', r"\"")
#: User and password as they stand in an address.
LOGIN = "me:p%40%2F%23%3B%2541%22w"
#: Whoever does not say who he is may do nothing.
_ACCESS = ("user default off", f'user {USER} on ~* &* +@all ">{_QUOTED}"')

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
        tls = open_.enter_context(TlsFront(directory, server.socket))
        login = (
            f"sentinel auth-user primary {USER}",
            f'sentinel auth-pass primary "{_QUOTED}"',
        )
        open_.enter_context(Sentinel(directory, sentinel, port, configuration=login))
        yield SimpleNamespace(
            server=server,
            login=LOGIN,
            port=port,
            socket=server.socket,
            tls_port=tls.port,
            authority=tls.authority,
            sentinel=sentinel,
        )


def address(servers, kind):
    """An address of a kind at these servers, and its database."""
    template, database = ADDRESSES[kind]
    return template.format(**vars(servers)), database
