"""The second turn of long conversations, sixteen of them in turn.

Beside the same in a bare engine, which holds one conversation's first turn and reads the same new
tokens at that depth: CPU time of the process that decodes, to the first token.
"""

import json
import os
import statistics
import subprocess
import sys

from presets.catalogue import SHIPPED, Catalogue
from tests.benchmarks.contenders import of_service
from tests.benchmarks.processes import OTHER_CORE, pin, service
from workers.engines.llamacpp import weights

CONVERSATIONS = int(os.environ.get("CONVERSATIONS", "16"))
#: Words of the first turn, of one token each.
TOKENS = int(os.environ.get("TOKENS", "4000"))
QUESTION = "And what happened on the next evening, when the bridge was gone and the river high?"


def run() -> dict:
    pin(os.getpid(), OTHER_CORE)
    # A long prompt takes minutes on a slow core; and the model would say nothing to such texts.
    patient = {"INFERENCE_PROMPT_CACHE_MB": "4096", "INFERENCE_REQUEST_TIMEOUT": "900"}
    with service(concurrency=4, **patient) as running:
        ours = of_service(running, SHIPPED, ignore_eos=True)
        spec = Catalogue.load(None, "llamacpp").get(SHIPPED)
        path = weights.requantised(spec.path, spec.requantise, running.data_dir / "cache")
        texts = [f"{i} " + "word " * TOKENS for i in range(CONVERSATIONS)]
        reads = [ours.run([(text, "Begin.")], 1) for text in texts]
        turns = [ours.run([(text, "Begin. " + QUESTION)], 1) for text in texts]
        command = [sys.executable, "-m", "tests.benchmarks.bare_turns", str(path)]
        asked = json.dumps({"first": [texts[0], "Begin."], "then": QUESTION})
        bare = json.loads(
            subprocess.run(command, input=asked, capture_output=True, text=True, check=True).stdout
        )
    turn_s = statistics.median(turn.cpu_s for turn in turns)
    return {
        f"first turn of {TOKENS} tokens, s": statistics.median(r.first_token_s for r in reads),
        "second turn, s to the first token, p50": statistics.median(
            turn.first_token_s for turn in turns
        ),
        "second turn, s of CPU: bare / service": [bare["cpu_s"], turn_s],
        "service over bare (aim 1.15)": turn_s / bare["cpu_s"],
    }


if __name__ == "__main__":
    from tests.benchmarks.report import print_table

    print_table("conversations", run())
