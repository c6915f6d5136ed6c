"""A receiver of webhooks."""

import http.server


class Receiver(http.server.ThreadingHTTPServer):
    """Takes webhooks, and answers with the statuses it was given, the last one again and again."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses = [200]
        self.seen = []

    @property
    def url(self):
        return f"http://localhost:{self.server_port}/told"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        statuses = self.server.statuses
        status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
        self.server.seen.append((self.path, dict(self.headers), body))
        self.send_response(status)
        if status == 307:
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_):
        """Be quiet."""
