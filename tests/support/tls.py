"""TLS in front of a server that speaks none: the embedded server's binary is built without."""

import contextlib
import selectors
import socket
import ssl
import threading

import trustme


class TlsFront:
    """Takes TLS connections on a port of loopback, and hands on what comes to a socket's path."""

    def __init__(self, directory, path):
        authority = trustme.CA()
        #: The certificate by which clients know this server.
        self.authority = directory / "authority.pem"
        authority.cert_pem.write_to_path(str(self.authority))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(self._context)
        self._path = str(path)
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
            client = open_.enter_context(self._context.wrap_socket(plain, server_side=True))
            server = open_.enter_context(socket.socket(socket.AF_UNIX))
            server.connect(self._path)
            self._hand_on(client, server)

    def _hand_on(self, client, server):
        with selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            while not self._ended.is_set():
                for key, _ in selector.select(0.2):
                    data = key.fileobj.recv(65536)
                    # What TLS has decrypted already wakes no selector.
                    while key.fileobj is client and client.pending():
                        data += client.recv(client.pending())
                    if not data:
                        return
                    key.data.sendall(data)
