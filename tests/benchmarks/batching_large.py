"""`batching` on a 1.1B Llama of random weights in Q4_K_M, where a token costs ten times as much.

So it asks for fewer: a quarter of an hour on a quiet core.
"""

from tests.benchmarks import random_model
from tests.benchmarks.batching import measure

LEVELS, ROUNDS, OTHERS, MAX_TOKENS = (1, 8), 2, 8, 24


def run() -> dict:
    path = random_model.file()
    return measure(
        random_model.ID,
        path,
        LEVELS,
        LEVELS,
        ROUNDS,
        OTHERS,
        MAX_TOKENS,
        aim=0.98,
        INFERENCE_MODELS_DIR=str(random_model.directory()),
        INFERENCE_PRELOAD_MODELS=random_model.ID,
    )


if __name__ == "__main__":
    from tests.benchmarks.report import print_table

    print_table("batching large", run())
