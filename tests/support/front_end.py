"""A front end on this machine, as its callers use it."""

import contextlib
import http.client
import json
import socket

import httpx
import openai

MODEL = "smollm2-135m"


def free_port():
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class FrontEnd:
    """Requests to a front end on a port of its own."""

    def __init__(self):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        #: What clients call the base URL.
        self.api_url = f"{self.url}/v1"
        self._http = None

    def connect(self):
        """Make the client; nothing is sent yet."""
        self._http = httpx.Client(base_url=self.url, timeout=110)

    def disconnect(self):
        """Close the client's connections."""
        self._http.close()

    def readiness(self):
        """Status and body of `/health/ready`; None while nothing answers."""
        with contextlib.suppress(httpx.TransportError):
            answer = self._http.get("/health/ready")
            return answer.status_code, answer.json()
        return None

    def is_ready(self):
        """Whether it serves."""
        readiness = self.readiness()
        return readiness is not None and readiness[0] == 200

    def openai(self):
        """The official client; it retries nothing by itself."""
        return openai.OpenAI(base_url=self.api_url, api_key="none", max_retries=0, timeout=60)

    def get(self, path, headers=None):
        """A plain GET."""
        return self._http.get(path, headers=headers)

    def delete(self, path):
        """A plain DELETE."""
        return self._http.delete(path)

    def post(self, body=None, **options):
        """A plain POST of a completion."""
        content = {"json": body} if body is not None else {}
        return self._http.post("/v1/chat/completions", **content, **options)

    def act(self, path, **query):
        """A POST without a body, such as loading a model; it may take as long as a load."""
        return self._http.post(path, params=query)

    def ask(self, content="Say hello.", **options):
        """A completion's body."""
        message = content if isinstance(content, str) else json.dumps({"scripted": content})
        return {"model": MODEL, "messages": [{"role": "user", "content": message}], **options}

    def open_stream(self, body):
        """A stream that its caller reads line by line and closes."""
        return OpenStream(self.port, {**body, "stream": True})


class OpenStream:
    """One streamed answer on a connection of its own."""

    def __init__(self, port, body, timeout_s=60):
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        self._answer = None

    @property
    def answer(self):
        """The response; waits for its headers."""
        if self._answer is None:
            self._answer = self._connection.getresponse()
        return self._answer

    def events(self):
        """What comes after each `data: `, up to the end of the response."""
        for line in self.answer:
            if line.startswith(b"data: "):
                yield line[6:].decode().strip()

    def contents(self):
        """The pieces of text, as they come; an error frame raises."""
        for event in self.events():
            if event == "[DONE]":
                return
            frame = json.loads(event)
            assert "error" not in frame, frame
            for choice in frame["choices"]:
                if content := choice["delta"].get("content"):
                    yield content

    def await_content(self):
        """Wait for the first piece of text."""
        return next(self.contents())

    def close(self):
        """Leave, read or not."""
        if self._answer is not None:
            self._answer.close()
        self._connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
