"""The tokenizer's process: started by the orchestration worker, and ended with it."""

from __future__ import annotations

import os
import signal
import sys
import threading

from workers import logs, settings
from workers.planning import catalogue
from workers.store import connections
from workers.tokenizer.loaded import LoadedTokenizers
from workers.tokenizer.server import Counter, TokenizerServer


def main() -> None:
    """Count until nobody asks, a signal comes, or whoever started this process has ended."""
    configured = settings.read()
    logs.configure(configured, "tokenizer")
    counter = Counter(LoadedTokenizers(catalogue.load(configured)))
    server = TokenizerServer(connections.client(configured), counter)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    server.run()


def _end_with_parent() -> None:
    """End when the standard input does: the parent holds its other end, however it dies."""
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
