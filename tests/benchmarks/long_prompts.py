"""A prompt of 4,000 tokens beside a running answer: the answer's gaps, and how long it is read.

Alone on the same service it is read once before and once after, and the shorter time counts.
"""

import http.client
import os
import threading
from itertools import count, pairwise

from tests.benchmarks.client import Stream, stream
from tests.benchmarks.processes import OTHER_CORE, percentile, pin, service

MODEL = "smollm2-135m"
TOKENS = 4000
_numbers = count()


def _ask(port: int, content: str, max_tokens: int) -> Stream:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    # What is not read again must not be asked again: the number comes first.
    message = {"role": "system", "content": f"{next(_numbers)} {content}"}
    messages = [message, {"role": "user", "content": "Go on."}]
    body = {"model": MODEL, "messages": messages, "temperature": 0, "max_tokens": max_tokens}
    body["ignore_eos"] = True  # what is asked makes no sense, and the model may say nothing to it
    try:
        return stream(connection, body)
    finally:
        connection.close()


def gaps_beside(port: int) -> tuple[list[float], float]:
    """Gaps between the tokens of a running answer while the prompt is read, and its first token."""
    ended = threading.Event()
    running = threading.Event()
    gaps: list[float] = []

    def run() -> None:
        while not ended.is_set():
            answer = _ask(port, "Tell a story of the sea that has no end.", 400)
            gaps.extend(later - earlier for earlier, later in pairwise(answer.arrivals_s))
            running.set()

    thread = threading.Thread(target=run)
    thread.start()
    running.wait()
    gaps.clear()
    beside = _ask(port, "word " * TOKENS, 4)
    ended.set()
    thread.join()
    return gaps, beside.first_token_s


def run() -> dict:
    pin(os.getpid(), OTHER_CORE)
    with service(concurrency=4, INFERENCE_REQUEST_TIMEOUT="900") as running:
        _ask(running.port, "Warm.", 8)
        alone = [_ask(running.port, "word " * TOKENS, 4).first_token_s]
        gaps, beside = gaps_beside(running.port)
        alone.append(_ask(running.port, "word " * TOKENS, 4).first_token_s)
    return {
        "gap between tokens beside it, s p99 / max (aim 0.4 / 0.8)": [
            percentile(gaps, 0.99),
            max(gaps),
        ],
        "its first token, s, alone / beside a running answer": [min(alone), beside],
        "beside over alone (aim 1.5)": beside / min(alone),
    }


if __name__ == "__main__":
    from tests.benchmarks.report import print_table

    print_table("long prompts", run())
