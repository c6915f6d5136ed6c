"""What is otherwise here than in OpenAI's API and in the first design, and why.

Data for docs/COMPATIBILITY.md, of what no schema and no table says. Tests hold each name against
the schemas, the settings and the official client.
"""

from __future__ import annotations

from typing import Any

from workers.contract.sampling import Sampling

#: Parameters of the schema that OpenAI's API has.
OF_OPENAI = (
    "model",
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "temperature",
    "top_p",
    "stop",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "functions",
    "function_call",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "prediction",
    "response_format",
    "reasoning_effort",
    "user",
    "metadata",
    "store",
    "service_tier",
    "prompt_cache_key",
)
_DEFAULTS = Sampling()
#: Parameter of the schema -> what is otherwise than in OpenAI's API.
DIFFERENCES = {
    "model": "a model of `GET /v1/models`; with auto-routing it may be left out",
    "messages": "see [Messages](#messages)",
    "stream": "each frame has an `id`; comments keep a silent connection open",
    "stream_options": "`include_usage`; also `include_steps`, which shows steps of several models",
    "max_tokens": "without it the model's `budgets.generation`, or what its context has left",
    "max_completion_tokens": "the smaller of both counts",
    "n": "up to 16, not 128; with a `seed` each further choice has the next one",
    "temperature": f"{_DEFAULTS.temperature:g} where it is left out, not 1",
    "top_p": f"{_DEFAULTS.top_p:g} where it is left out, not 1",
    "stop": "up to 16 strings, not 4; looked for in the content, not in thoughts",
    "seed": "every whole number repeats its answer, -1 too; see [ENGINES.md](ENGINES.md)",
    "presence_penalty": "",
    "frequency_penalty": "",
    "tools": "functions alone; see [TOOLS.md](TOOLS.md)",
    "tool_choice": "a named tool ends with `tool_calls`, too, not with `stop`; without tools "
    "`none` and `auto` are let pass",
    "parallel_tool_calls": "",
    "functions": "the older form of `tools`; the answer has `function_call`, as in OpenAI's",
    "function_call": "",
    "prediction": "up to 131,072 characters; also with `logprobs`, penalties and "
    "`max_completion_tokens`; what of it does not come is no completion token, and counts in "
    "`rejected_prediction_tokens` alone; on llama.cpp only",
    "response_format": "what cannot be held is refused; see "
    "[ENGINES.md](ENGINES.md#json-and-grammars)",
    "reasoning_effort": "where the model's chat template knows it; `none` switches thinking off",
    "user": "kept with the job",
    "logprobs": "each entry has its token's `id`; the model's own chances, of the content's tokens "
    "alone; see [ENGINES.md](ENGINES.md#what-is-told-of-tokens)",
    "top_logprobs": "",
    "logit_bias": "also llama-server's list of pairs",
    "metadata": "kept and shown with the job; `GET /v1/jobs/{id}` has it",
    "store": "kept and shown with the job; every answer is kept, as long as the operator says",
    "service_tier": "a `priority` in other words: `priority` 3, `default` 2, `flex` 1",
    "prompt_cache_key": "a hint that is not needed: beginnings are known by what they say",
}
#: Parameter of the schema that OpenAI's API does not have -> who knows it, and what is otherwise.
OF_OTHERS = {
    "top_k": (
        "Ollama, llama-server, vLLM, llama-cpp-python",
        f"{_DEFAULTS.top_k} where it is left out; 0 and -1: all tokens",
    ),
    "min_p": (
        "Ollama, llama-server, vLLM, llama-cpp-python",
        f"{_DEFAULTS.min_p:g} where it is left out",
    ),
    "repetition_penalty": (
        "vLLM",
        "vLLM looks back over prompt and answer; llama.cpp over `repeat_last_n` tokens of them",
    ),
    "repeat_penalty": (
        "Ollama, llama-server, llama-cpp-python",
        "another name of `repetition_penalty`; 1 where it is left out, not Ollama's 1.1",
    ),
    "repeat_last_n": ("Ollama, llama-server", "-1: as far as the context reaches"),
    "typical_p": ("Ollama, llama-server, llama-cpp-python", ""),
    "top_n_sigma": ("llama-server", "0 and less: off"),
    "xtc_probability": ("llama-server", ""),
    "xtc_threshold": ("llama-server", ""),
    "dry_multiplier": ("llama-server", ""),
    "dry_base": ("llama-server", ""),
    "dry_allowed_length": ("llama-server", ""),
    "dry_penalty_last_n": ("llama-server", ""),
    "dry_sequence_breakers": ("llama-server", "up to 8 texts of 40 characters"),
    "min_tokens": ("vLLM, llama-cpp-python", "also before `stop` and `stop_token_ids`"),
    "ignore_eos": (
        "llama-server, vLLM",
        "an answer that is held to a format still ends where the format ends",
    ),
    "stop_token_ids": ("vLLM", "up to 128"),
    "include_stop_str_in_output": ("vLLM", ""),
    "chat_template_kwargs": ("llama-server, vLLM", ""),
    "add_generation_prompt": ("vLLM", ""),
    "continue_final_message": ("vLLM", ""),
    "structured_outputs": ("vLLM", "see [ENGINES.md](ENGINES.md#json-and-grammars)"),
    "guided_json": ("vLLM", "as `structured_outputs.json`"),
    "guided_regex": ("vLLM", "as `structured_outputs.regex`"),
    "guided_choice": ("vLLM", "as `structured_outputs.choice`"),
    "guided_grammar": ("vLLM", "as `structured_outputs.grammar`"),
    "grammar": ("llama-server, llama-cpp-python", "GBNF"),
    "json_schema": ("llama-server", ""),
    "priority": ("vLLM", "3 is taken first, 1 last; vLLM counts the other way round"),
    "timings": ("", "the answer has `timings_ms`, see [OBSERVE.md](OBSERVE.md#timings)"),
    "task_type": ("", "the kind of task, for [routing](ROUTING.md)"),
    "orchestration_mode": ("", "[several models](ORCHESTRATION.md) answer"),
    "cache": ("", "what the [semantic cache](CACHES.md#the-semantic-cache) may do with the answer"),
    "compression": ("", "`auto`: old turns that do not fit are [shortened](TOKENS.md#old-turns)"),
}
_PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
_SOUND = {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}
_CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
#: What a message may be -> one that is so, and what becomes of it.
MESSAGES: dict[str, tuple[dict[str, Any], str]] = {
    "text": ({"role": "user", "content": "Hi"}, ""),
    "parts of text": (
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        "joined by line breaks",
    ),
    "a picture": ({"role": "user", "content": [_PICTURE]}, "models read text"),
    "sound": ({"role": "user", "content": [_SOUND]}, "models read text"),
    "a file": ({"role": "user", "content": [{"type": "file", "file": {}}]}, "models read text"),
    "role `developer`": ({"role": "developer", "content": "Be brief."}, "as `system`"),
    "role `tool`, `tool_calls` of the assistant": (
        {"role": "assistant", "content": None, "tool_calls": [_CALL]},
        "as the template shows them; a call needs no result",
    ),
    "a result without its call": (
        {"role": "tool", "tool_call_id": "c", "content": "1"},
        "the call stands in a message before it",
    ),
    "a result with a picture": (
        {"role": "tool", "tool_call_id": "c", "content": [_PICTURE]},
        "models read text",
    ),
    "`function_call` of the assistant, role `function`": (
        {"role": "assistant", "content": None, "function_call": _CALL["function"]},
        "as a call and its result",
    ),
    "`reasoning_content` of the assistant": (
        {"role": "assistant", "content": "Hi", "reasoning_content": "They greet."},
        "as the template shows it",
    ),
}
#: Field of an OpenAI answer -> why it never comes.
ABSENT = {
    "system_fingerprint": "models change with their files alone",
    "metadata": "`GET /v1/jobs/{id}` has it",
    "moderation": "nothing is moderated",
    "obfuscation": "chunks have the length of their text",
    "shutdown_date": "models stay as long as their files",
    "annotations": "nothing is searched",
    "audio": "answers are text",
    "audio_tokens": "all tokens are text",
    "image_tokens": "all tokens are text",
    "text_tokens": "all tokens are text",
    "cache_write_tokens": "writing to the cache costs nothing",
}
#: Setting -> what the first design had, and why that was left.
FIRST_DESIGN = {
    "INFERENCE_HOST": (
        "`0.0.0.0`",
        "Without API keys all who reach the port can use the machine. So the service is open to "
        "others once there are keys, or once the host is set.",
    ),
    "INFERENCE_QUEUE_STRATEGY": (
        "`fifo`",
        "Where nobody sends a priority the order is the same. With bulk jobs in the queue a person "
        "who waits would wait for all of them.",
    ),
    "INFERENCE_PRIORITY_ENABLED": (
        "`false`",
        "It says the same as the strategy. Two defaults of which one has to win are one too many.",
    ),
    "OTEL_ENABLED": (
        "`true`",
        "Where nobody runs a collector each process would import the SDK and look for one in vain. "
        "So traces are sent once an endpoint is set.",
    ),
}
