"""A toy engine, whole in this file: it says a question backwards, word by word.

Run with the settings in the environment it is a worker's process with this engine. Nothing of the
service names it.
"""

import sys

from presets import backends
from presets.backends import Backend, Weights
from workers.contract.engine_use import EngineUse
from workers.contract.step import Usage
from workers.engines import registry
from workers.engines.base import Delta, require_room
from workers.runtime.model_worker import run_model_worker
from workers.settings import read

BACKEND = "backwards"
MODEL = "toy"
#: The model, as a user's own catalogue describes it.
DESCRIPTION = f"id: {MODEL}\nbackend: {BACKEND}\ncontext_length: 64\n"


class BackwardsEngine:
    """A token is a word; its id is the word's place in the question."""

    memory_bytes = 0
    stalled_s = 0.0
    dead = None
    use = EngineUse()

    def __init__(self, options):
        self.context_length = 0

    def load(self, spec, on_progress):
        self.context_length = spec.context_length
        on_progress(1.0)

    def generate(self, request, cancelled):
        prompt = request.prompt
        words = (request.messages[-1].content if prompt is None else prompt.text).split()
        require_room(MODEL, len(words), self.context_length)
        return self._say(words, request, cancelled)

    def _say(self, words, request, cancelled):
        produced = len(request.produced)
        limit = len(words) if (most := request.sampling.max_tokens) is None else most
        while produced < min(limit, len(words)) and not cancelled.is_set():
            place = len(words) - 1 - produced
            produced += 1
            yield Delta(f"{words[place]} ", (place,))
        reason = "stop" if produced == len(words) else "length"
        reason = "cancelled" if cancelled.is_set() else reason
        yield Delta(finish_reason=reason, usage=Usage(len(words), produced))

    def forget_job(self, job):
        pass

    def count_tokens(self, text):
        return len(text.split())

    def prompt_text(self, prompt):
        return prompt.text

    def close(self):
        pass


backends.register(Backend(BACKEND, weights=Weights.NONE))
registry.register(BACKEND, BackwardsEngine)

if __name__ == "__main__":
    sys.exit(run_model_worker(read(env_file=None), MODEL))
