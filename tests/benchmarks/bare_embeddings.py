"""A bare library that embeds, with nothing around it, on one core and one thread.

In a process of its own: reads `["text", ...]` from stdin and answers with the seconds that their
vectors took, computed together. With sentence-transformers its argument is a directory, with
llama-cpp-python a GGUF file.
"""

import json
import os
import sys
import time
from pathlib import Path

from tests.benchmarks.processes import DECODE_CORE, pin

#: Tokens that llama-cpp-python computes at once.
_BATCH = 512


def _embed(path: Path):
    if path.is_dir():
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(1)
        model = SentenceTransformer(str(path), local_files_only=True)
        return lambda texts: model.encode(texts, batch_size=32, normalize_embeddings=True)
    import llama_cpp

    llama = llama_cpp.Llama(
        str(path), embedding=True, n_ctx=_BATCH, n_batch=_BATCH, n_ubatch=_BATCH, n_threads=1,
        n_threads_batch=1, verbose=False,
    )  # fmt: skip
    return lambda texts: llama.embed(texts, normalize=True)


def main() -> None:
    pin(os.getpid(), DECODE_CORE)
    embed = _embed(Path(sys.argv[1]))
    embed(["warm up"])
    print("ready", flush=True)
    for line in sys.stdin:
        texts = json.loads(line)
        began = time.perf_counter()
        embed(texts)
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main()
