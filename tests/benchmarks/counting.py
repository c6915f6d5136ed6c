"""What exact counts cost: the tokenizer process over one bare tokenisation of the same text.

Bare is llama.cpp's own `llama_tokenize`, once, of the prompt that the chat template makes, in this
process. Counted is what a plan asks for: the template rendered, special tokens told apart, the
prompt tokenised, in the tokenizer's process and over Redis. A plan counts the whole prompt and the
small parts of it. Both take turns, and medians are compared.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from redis import Redis

from presets.catalogue import Catalogue
from tests.support.front_end import MODEL
from tests.support.valkey import Valkey
from workers.contract.job import Message
from workers.contract.tokenizing import TokenizerCall
from workers.engines.llamacpp import weights
from workers.engines.llamacpp.native import Model
from workers.engines.llamacpp.vocabulary import Vocabulary
from workers.store.tokenizer_calls import TokenizerCalls

#: Words of the request, and how often each is measured: about 1.3 tokens a word.
SIZES = {400: 60, 4_000: 30, 15_000: 15, 75_000: 7}
AIM = 1.3
_SENTENCES = (
    "The committee met on 14 March 2026 at Harbour Street 9 and approved 1,250 units. ",
    "def area(width: int, height: int) -> int:\n    return width * height\n",
    "Nobody had asked why the pump failed twice in a week, and the log says nothing. ",
)
#: Parts of a plan beside the request: system, trajectory, handoff.
_PARTS = tuple(_SENTENCES[number % 3] * size for number, size in enumerate((20, 8, 50)))


def run() -> dict:
    with tempfile.TemporaryDirectory() as directory, Valkey(Path(directory)) as server:
        address = f"unix://{server.socket}"
        environment = {
            **os.environ,
            "INFERENCE_REDIS_URL": address,
            "INFERENCE_DATA_DIR": directory,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "workers.tokenizer"], env=environment, stdin=subprocess.PIPE
        )
        try:
            with Redis.from_url(address, socket_timeout=30) as redis:
                return _measure(TokenizerCalls(redis, urgent=True))
        finally:
            process.stdin.close()
            process.wait(10)


def _measure(calls: TokenizerCalls) -> dict:
    spec = Catalogue.load(None, "llamacpp").get(MODEL)
    model = Model(weights.check(spec), 0, lambda _: None, vocabulary_alone=True)
    vocabulary = Vocabulary(model)
    result: dict[str, object] = {}
    for words, rounds in SIZES.items():
        sentences = (_SENTENCES[number % 3] for number in range(words // 14))
        messages = (Message("system", _PARTS[0]), Message("user", "".join(sentences)))
        prompt, tokens = _rendered(calls, messages)
        bare, counted, planned = [], [], []
        for _ in range(rounds):
            bare.append(_ms(_bare, vocabulary, prompt))
            counted.append(_ms(calls.count_messages, MODEL, messages))
            planned.append(_ms(_plan, calls, messages))
        result |= _compared(f"{tokens} tokens", bare, counted, planned)
    model.free()
    return result


def _bare(vocabulary: Vocabulary, prompt: str) -> None:
    vocabulary.tokenize(prompt, add_special=False, parse_special=True)


def _plan(calls: TokenizerCalls, messages: tuple[Message, ...]) -> None:
    calls.count_prompt(MODEL, messages, _PARTS)


def _rendered(calls: TokenizerCalls, messages: tuple[Message, ...]) -> tuple[str, int]:
    """The prompt that the template makes, and its tokens."""
    reply = calls.call(TokenizerCall(MODEL, messages, wants_ids=True))
    ids = tuple(json.loads(reply.token_ids))
    return calls.call(TokenizerCall(MODEL, token_ids=ids)).text, len(ids)


def _compared(name: str, bare: list, counted: list, planned: list) -> dict:
    medians = [statistics.median(times) for times in (bare, counted, planned)]
    return {
        f"{name}: bare / counted / planned, ms": medians,
        f"{name}: counted, planned over bare (aim {AIM})": [
            medians[1] / medians[0],
            medians[2] / medians[0],
        ],
    }


def _ms(work, *arguments) -> float:
    began = time.perf_counter()
    work(*arguments)
    return 1000 * (time.perf_counter() - began)
