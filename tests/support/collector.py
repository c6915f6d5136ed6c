"""A collector of OpenTelemetry in the test's own process: takes spans over gRPC and over HTTP."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from tests.support.waiting import wait_for

#: Lets a process send its spans soon, and not wait long for a collector that does not answer.
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}


@dataclass(frozen=True)
class Received:
    """A span as a collector has it."""

    name: str
    trace_id: str
    span_id: str
    #: "" for the root of a trace.
    parent_id: str
    kind: int
    attributes: dict
    links: tuple
    #: The description of its error; None where it has none.
    error: str | None
    began_ns: int
    ended_ns: int
    #: Who recorded it: `service.name` and the like.
    resource: dict

    @property
    def process(self):
        return self.resource["inference.process"]


class Collector:
    """Takes spans at `address`; `status` other than 200 is what it answers over HTTP instead."""

    def __init__(self, protocol="grpc", status=200, hangs=False):
        self.protocol = protocol
        self.headers = []
        self._status = status
        self._hangs = hangs
        self._ends = threading.Event()
        self._spans = []
        self._asked = 0

    def __enter__(self):
        if self.protocol == "grpc":
            self._server = grpc.server(ThreadPoolExecutor(4))
            trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self._server)
            port = self._server.add_insecure_port("127.0.0.1:0")
            self._server.start()
        else:
            self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
            threading.Thread(target=self._server.serve_forever, daemon=True).start()
            port = self._server.server_port
        self.address = f"http://127.0.0.1:{port}"
        return self

    def __exit__(self, *_):
        self._ends.set()
        if self.protocol == "grpc":
            self._server.stop(0).wait()
        else:
            self._server.shutdown()
            self._server.server_close()

    @property
    def settings(self):
        """What lets a service send its spans here."""
        return {
            **SOON,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.address,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc" if self.protocol == "grpc" else "http/protobuf",
        }

    def Export(self, request, _context):
        """Take spans over gRPC."""
        self.take(request)
        return trace_service_pb2.ExportTraceServiceResponse()

    def take(self, request):
        """Take what was sent; returns the status to answer."""
        self._asked += 1
        if self._hangs:
            self._ends.wait(30)
        if self._status == 200:
            self._spans += _spans(request)
        return self._status

    @property
    def asked(self):
        """How often something was sent."""
        return self._asked

    def spans(self, trace_id=None):
        """What has come, of one trace or of all."""
        return [span for span in self._spans if trace_id in (None, span.trace_id)]

    def await_spans(self, trace_id, *names, within_s=15.0):
        """The spans of a trace, once those of these names are among them."""

        def whole():
            spans = self.spans(trace_id)
            missing = [name for name in names if name not in [span.name for span in spans]]
            return spans if not missing else None

        with contextlib.suppress(AssertionError, TimeoutError):
            return wait_for(whole, within_s)
        raise AssertionError(f"{names} are not all among {[s.name for s in self.spans(trace_id)]}")


def tree(spans):
    """Names of spans below the root: {name: {name: ...}}, siblings by when they began.

    Fails where the spans are not one tree; spans of one name stand in a list.
    """
    ids = {span.span_id for span in spans}
    assert len(ids) == len(spans), "an id stands for two spans"
    roots = [span for span in spans if span.parent_id not in ids]
    assert len(roots) == 1, [(span.name, span.parent_id) for span in roots]
    return roots[0], _below(roots[0], spans)


def _below(span, spans):
    below = sorted((s for s in spans if s.parent_id == span.span_id), key=lambda s: s.began_ns)
    return [(each.name, _below(each, spans)) for each in below]


def _handler(collector):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/v1/traces"
            collector.headers.append(dict(self.headers))
            status = collector.take(trace_service_pb2.ExportTraceServiceRequest.FromString(raw))
            with contextlib.suppress(OSError):
                self.send_response(status)
                self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    return Handler


def _spans(request):
    for of_resource in request.resource_spans:
        resource = _attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield Received(
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.kind,
                    _attributes(span.attributes),
                    tuple(link.span_id.hex() for link in span.links),
                    span.status.message if span.status.code == 2 else None,
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    resource,
                )


def _attributes(pairs):
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind)
