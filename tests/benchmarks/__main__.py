"""`make bench`: every benchmark, or those named."""

import importlib
import sys

from tests.benchmarks.report import print_table

BENCHMARKS = (
    "main_job",
    "batching",
    "batching_large",
    "long_prompts",
    "conversations",
    "prompt_disk",
    "constraints",
    "tools",
    "drafts",
    "refusals",
    "depth",
    "overload",
    "readers",
    "hops",
    "joins",
    "counting",
    "caches",
    "embeddings",
    "needle",
    "seen",
    "scale",
)


def main() -> None:
    for name in sys.argv[1:] or BENCHMARKS:
        module = importlib.import_module(f"tests.benchmarks.{name}")
        print_table(name.replace("_", " "), module.run())


if __name__ == "__main__":
    main()
