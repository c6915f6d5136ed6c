"""A bare low-level batch: llama-cpp-python's `llama_batch` and nothing around it.

In a process of its own: reads `{"contents": [...], "max_tokens": n}` from stdin, decodes all of
them in one batch, greedily, and answers with tokens and seconds.
"""

import json
import os
import sys
import time
from pathlib import Path

import llama_cpp

from presets.catalogue import SHIPPED, Catalogue
from tests.benchmarks.processes import DECODE_CORE, pin
from workers.contract.job import Message
from workers.engines.chat_template.template import ChatTemplate
from workers.engines.llamacpp import weights
from workers.engines.llamacpp.native import Context, ContextSize, Model
from workers.engines.llamacpp.prompt_tokens import PromptTokens
from workers.engines.llamacpp.vocabulary import Vocabulary
from workers.engines.time_budget import TimeBudget

MOST = 16


class Batch:
    def __init__(self, path: Path) -> None:
        self.model = Model(path, 0, lambda _fraction: None)
        self.vocabulary = Vocabulary(self.model)
        source = self.model.chat_template()
        self.template = ChatTemplate(source, self.vocabulary.bos, self.vocabulary.eos)
        self.prompt_tokens = PromptTokens(
            SHIPPED, self.vocabulary, self.template.own_texts, self.model.trained_context
        )
        size = ContextSize(kv_tokens=32_768, sequences=MOST + 1, batch_tokens=4096, threads=1)
        self.context = Context(self.model, size)
        # What every prompt begins with is decoded once, as the service's prefix cache does.
        self.shared = self.prompt("")[:24]
        self.context.clear_batch()
        for position, token in enumerate(self.shared):
            self.context.add(token, position, MOST, wants_logits=False)
        self.context.decode()

    def prompt(self, content: str) -> list[int]:
        rendered = self.template.render((Message("user", content),))
        return self.prompt_tokens.of(rendered, TimeBudget())

    def run(self, contents: list[str], max_tokens: int) -> dict:
        began = time.perf_counter()
        context, shared = self.context, len(self.shared)
        prompts = [self.prompt(content) for content in contents]
        samplers = [llama_cpp.llama_sampler_init_greedy() for _ in prompts]
        for sequence in range(len(prompts)):
            context.copy_prefix(MOST, sequence, shared)
        context.clear_batch()
        rows = []
        for sequence, prompt in enumerate(prompts):
            for position in range(shared, len(prompt)):
                last = position == len(prompt) - 1
                row = context.add(prompt[position], position, sequence, wants_logits=last)
            rows.append(row)
        positions = [len(prompt) for prompt in prompts]
        running = list(range(len(prompts)))
        produced = 0
        counts = [0] * len(prompts)
        while running:
            if context.decode() != 0:
                raise RuntimeError("the bare batch could not be decoded")
            tokens = [
                (s, llama_cpp.llama_sampler_sample(samplers[s], context.pointer, row))
                for s, row in zip(running, rows, strict=True)
            ]
            context.clear_batch()
            running, rows = [], []
            for sequence, token in tokens:
                if self.vocabulary.ends_turn(token):
                    continue
                produced += 1
                counts[sequence] += 1
                self.vocabulary.piece(token)
                if counts[sequence] < max_tokens:
                    rows.append(
                        context.add(token, positions[sequence], sequence, wants_logits=True)
                    )
                    positions[sequence] += 1
                    running.append(sequence)
        took = time.perf_counter() - began
        for sequence, sampler in enumerate(samplers):
            context.drop(sequence)
            llama_cpp.llama_sampler_free(sampler)
        return {"tokens": produced, "seconds": took}


def main() -> None:
    pin(os.getpid(), DECODE_CORE)
    spec = Catalogue.load(None, "llamacpp").get(SHIPPED)
    path = weights.requantised(spec.path, spec.requantise, Path(sys.argv[1]))
    batch = Batch(path)
    print(json.dumps({"file": str(path)}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(batch.run(asked["contents"], asked["max_tokens"])), flush=True)


if __name__ == "__main__":
    main()
