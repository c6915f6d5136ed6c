"""A stand-in for the Hugging Face hub: repositories from memory, with faults on demand."""

import hashlib
import http.server
import json
import re
import threading
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
#: Files of these kinds are kept outside git, and have a SHA-256.
LARGE = (".gguf", ".safetensors")


class StandInHub(http.server.ThreadingHTTPServer):
    """Answers what `huggingface_hub` asks; every request stands in `seen` as (path, range)."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        #: Repository -> name -> bytes.
        self.repos = {}
        #: Repositories whose files need `token`.
        self.gated = set()
        #: Repositories that only who has `token` sees at all.
        self.private = set()
        self.token = "hf_let_me_in"
        #: Bytes of an answer after which its connection is cut, for the next answers in turn.
        self.cuts = []
        #: After so many bytes of an answer nothing more comes until `release`.
        self.held_at = None
        self.release = threading.Event()
        #: What files are sent with in place of their own bytes, by name.
        self.wrong = {}
        #: The status of every answer, instead of the right one.
        self.status = None
        #: Whether it begins in the middle where that is asked for.
        self.ranges = True
        self.seen = []

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server_port}"

    def sent(self, name):
        """The ranges with which a file was asked for."""
        return [asked for path, asked in self.seen if path.endswith(f"/{name}")]

    def handle_error(self, *_):
        """Clients that leave in the middle are what this is for."""

    def __enter__(self):
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.release.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        hub, path = self.server, unquote(urlsplit(self.path).path)
        hub.seen.append((path, self.headers.get("Range")))
        if hub.status is not None:
            return self._refuse(hub.status)
        if listed := re.fullmatch(r"/api/models/([^/]+/[^/]+)", path):
            return self._list(listed[1])
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            if match[2] != COMMIT:
                return self._refuse(404, code="RevisionNotFound")
            return self._send(match[1], match[3])
        return self._refuse(404)

    do_HEAD = do_GET

    def _list(self, repo):
        if repo not in self.server.repos or self._is_hidden(repo):
            # What the hub says of a repository that is not there to those without a token.
            return self._refuse(401, code="RepoNotFound")
        siblings = [_sibling(*file) for file in self.server.repos[repo].items()]
        body = json.dumps({"id": repo, "sha": COMMIT, "siblings": siblings}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return self.wfile.write(body)

    def _send(self, repo, name):
        hub = self.server
        if repo in hub.gated and not self._has_token():
            return self._refuse(401, code="GatedRepo")
        if self._is_hidden(repo):
            return self._refuse(401, code="RepoNotFound")
        content = hub.repos[repo].get(name)
        if content is None:
            return self._refuse(404, code="EntryNotFound")
        sibling = _sibling(name, content)
        content = hub.wrong.get(name, content)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        asked = asked if hub.ranges else None
        begin = int(asked[1]) if asked else 0
        end = min(len(content), int(asked[2]) + 1) if asked and asked[2] else len(content)
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(content)}")
        etag = sibling["lfs"]["sha256"] if "lfs" in sibling else sibling["blobId"]
        self.send_header("ETag", f'"{etag}"')
        self.send_header("X-Linked-Etag", f'"{etag}"')
        self.send_header("X-Linked-Size", str(sibling["size"]))
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(end - begin))
        self.end_headers()
        return self._body(memoryview(content)[begin:end]) if self.command == "GET" else None

    def _has_token(self):
        return self.headers.get("Authorization") == f"Bearer {self.server.token}"

    def _is_hidden(self, repo):
        return repo in self.server.private and not self._has_token()

    def _body(self, content):
        hub = self.server
        if hub.cuts:
            self.wfile.write(content[: hub.cuts.pop(0)])
            self.close_connection = True
        elif hub.held_at is not None:
            self.wfile.write(content[: hub.held_at])
            hub.release.wait(60)
            self.close_connection = True
        else:
            self.wfile.write(content)

    def _refuse(self, status, code=None):
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Be quiet."""


def _sibling(name, content):
    head = f"blob {len(content)}\0".encode()
    sibling = {
        "rfilename": name,
        "size": len(content),
        "blobId": hashlib.sha1(head + content).hexdigest(),
    }
    if name.endswith(LARGE):
        digest = hashlib.sha256(content).hexdigest()
        sibling["lfs"] = {"size": len(content), "sha256": digest, "pointerSize": 130}
    return sibling
