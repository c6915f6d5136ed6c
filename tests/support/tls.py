"""TLS in front of a server that speaks none: the embedded server's binary is built without."""

import contextlib
import selectors
import socket
import ssl
import threading

#: The first byte of a TLS connection: a record of its handshake.
_HANDSHAKE = b"\x16"


def _decrypted(client):
    """Bytes that TLS has ready."""
    return client.pending() if isinstance(client, ssl.SSLSocket) else 0


class TlsFront:
    """Takes TLS connections on a port of loopback, and hands on what comes to a socket's path or to
    another port.

    `takes_plain`: whoever speaks without TLS is handed on as well, as a sentinel here must be.
    """

    def __init__(self, directory, target, *, authority, takes_plain=False):
        #: Connections of each kind so far.
        self.taken = {"tls": 0, "plain": 0}
        self._takes_plain = takes_plain
        #: The certificate by which clients know this server; `authority` has signed its own.
        self.authority = directory / "authority.pem"
        authority.cert_pem.write_to_path(str(self.authority))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(self._context)
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._ended = threading.Event()
        self._threads = []

    def __enter__(self):
        self._run(self._accept)
        return self

    def __exit__(self, *_):
        self._ended.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _run(self, work, *arguments):
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while not self._ended.is_set():
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            self._run(self._serve, plain)

    def _serve(self, plain):
        with contextlib.suppress(OSError), contextlib.ExitStack() as open_:
            open_.enter_context(plain)
            plain.settimeout(10)
            client = open_.enter_context(self._opened(plain))
            server = open_.enter_context(self._connected())
            self._hand_on(client, server)

    def _opened(self, plain):
        """The connection of a client, whichever kind it is."""
        if self._takes_plain and plain.recv(1, socket.MSG_PEEK) != _HANDSHAKE:
            self.taken["plain"] += 1
            return plain
        self.taken["tls"] += 1
        return self._context.wrap_socket(plain, server_side=True)

    def _connected(self):
        if isinstance(self._target, int):
            return socket.create_connection(("127.0.0.1", self._target))
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(self._target))
        return server

    def _hand_on(self, client, server):
        with selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            while not self._ended.is_set():
                for key, _ in selector.select(0.2):
                    data = key.fileobj.recv(65536)
                    # What TLS has decrypted already wakes no selector.
                    while key.fileobj is client and (left := _decrypted(client)):
                        data += client.recv(left)
                    if not data:
                        return
                    key.data.sendall(data)
