"""`batching` on a 1.1B Llama of random weights in Q4_K_M, where a token costs ten times as much."""

from tests.benchmarks import random_model
from tests.benchmarks.batching import measure

LEVELS, ROUNDS, OTHERS = (1, 4, 8, 16), 2, 32


def run() -> dict:
    path = random_model.file()
    return measure(
        random_model.ID,
        path,
        LEVELS,
        (1, 8),
        ROUNDS,
        OTHERS,
        aim=0.98,
        INFERENCE_MODELS_DIR=str(random_model.directory()),
        INFERENCE_PRELOAD_MODELS=random_model.ID,
    )


if __name__ == "__main__":
    from tests.benchmarks.report import print_table

    print_table("batching large", run())
