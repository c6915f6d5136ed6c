"""Bare `AsyncLLM`: orders on standard input, one JSON each; what they took on standard output."""

import asyncio
import json
import os
import sys
import time

from tests.benchmarks.vllm import ENGINE_ENVIRONMENT, MODEL, OPTIONS

#: Requests that it decodes at once.
MOST = 16


async def answer(llm, prompt: str, max_tokens: int, number: str) -> tuple[int, float]:
    """Tokens of one answer, and when the first came."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    chosen = SamplingParams(
        temperature=0, max_tokens=max_tokens, output_kind=RequestOutputKind.DELTA
    )
    began, first, tokens = time.perf_counter(), 0.0, 0
    async for output in llm.generate(prompt, chosen, number):
        first = first or time.perf_counter() - began
        tokens += len(output.outputs[0].token_ids)
    return tokens, first


async def serve(model: str) -> None:
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

    llm = AsyncLLM.from_engine_args(
        AsyncEngineArgs(model=model, served_model_name=MODEL, max_num_seqs=MOST, **OPTIONS)
    )
    tokenizer = llm.get_tokenizer()
    print(json.dumps({"pid": os.getpid()}), flush=True)
    loop = asyncio.get_running_loop()
    orders = 0
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        asked, orders = json.loads(line), orders + 1
        prompts = [
            tokenizer.apply_chat_template(
                [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
            )
            for content in asked["contents"]
        ]
        began = time.perf_counter()
        answers = await asyncio.gather(
            *[
                answer(llm, prompt, asked["max_tokens"], f"{orders}-{place}")
                for place, prompt in enumerate(prompts)
            ]
        )
        took = time.perf_counter() - began
        measured = {
            "rate": sum(tokens for tokens, _ in answers) / took,
            "first_token_s": answers[0][1],
        }
        print(json.dumps(measured), flush=True)
    llm.shutdown(timeout=0)


if __name__ == "__main__":
    os.environ.update(ENGINE_ENVIRONMENT)
    asyncio.run(serve(sys.argv[1]))
