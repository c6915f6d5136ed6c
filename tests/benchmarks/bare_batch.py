"""A bare low-level batch: llama-cpp-python's `llama_batch` and nothing around it.

In a process of its own, on the file of its argument: reads `{"asked": [[system, question], ...],
"max_tokens": n}` from stdin, decodes all of them in one batch, greedily, and answers with tokens
and seconds. What all prompts of a batch begin with is read once.
"""

import json
import os
import sys
import time
from pathlib import Path

import llama_cpp

from tests.benchmarks.processes import DECODE_CORE, pin
from workers.contract.job import Message
from workers.engines.chat_template.template import ChatTemplate
from workers.engines.llamacpp.context import Context, ContextSize
from workers.engines.llamacpp.native import Model
from workers.engines.llamacpp.prompt_tokens import PromptTokens
from workers.engines.llamacpp.vocabulary import Vocabulary
from workers.engines.time_budget import TimeBudget

MOST = 16


def shared_length(prompts: list[list[int]]) -> int:
    """Tokens that all prompts begin with, except the last of the shortest."""
    least = min(map(len, prompts)) - 1
    return next((i for i in range(least) if len({p[i] for p in prompts}) > 1), least)


class Batch:
    def __init__(self, path: Path) -> None:
        self.model = Model(path, 0, lambda _fraction: None)
        self.vocabulary = Vocabulary(self.model)
        source = self.model.chat_template()
        self.template = ChatTemplate(source, self.vocabulary.bos, self.vocabulary.eos)
        self.prompt_tokens = PromptTokens(
            path.stem, self.vocabulary, self.template.own_texts, self.model.trained_context
        )
        size = ContextSize(kv_tokens=32_768, sequences=MOST + 1, batch_tokens=4096, threads=1)
        self.context = Context(self.model, size)

    def prompt(self, system: str, question: str) -> list[int]:
        rendered = self.template.render((Message("system", system), Message("user", question)))
        return self.prompt_tokens.of(rendered, TimeBudget())

    def share(self, prompts: list[list[int]]) -> int:
        """Read once what all begin with; returns how many tokens that are."""
        shared = shared_length(prompts) if len(prompts) > 1 else 0
        if shared:
            self.context.clear_batch()
            for position, token in enumerate(prompts[0][:shared]):
                self.context.add(token, position, MOST, wants_logits=False)
            self.context.decode()
            for sequence in range(len(prompts)):
                self.context.share(MOST, sequence, shared)
            self.context.drop(MOST)
        return shared

    def run(self, asked: list[list[str]], max_tokens: int) -> dict:
        began, began_cpu_s = time.perf_counter(), time.process_time()
        context = self.context
        prompts = [self.prompt(*each) for each in asked]
        samplers = [llama_cpp.llama_sampler_init_greedy() for _ in prompts]
        shared = self.share(prompts)
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
        wall_s, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu_s
        for sequence, sampler in enumerate(samplers):
            context.drop(sequence)
            llama_cpp.llama_sampler_free(sampler)
        return {"tokens": produced, "wall_s": wall_s, "cpu_s": cpu_s}


def main() -> None:
    pin(os.getpid(), DECODE_CORE)
    batch = Batch(Path(sys.argv[1]))
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(batch.run(asked["asked"], asked["max_tokens"])), flush=True)


if __name__ == "__main__":
    main()
