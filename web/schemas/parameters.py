"""Parameters that other servers know and this one does not: one rule for each, with a reason.

What would change the answer is refused by its name. What changes nothing about the text is taken,
and named in the header `X-Ignored-Parameters`. A value that asks for what is done anyway, such as
`n: 1`, is neither. docs/COMPATIBILITY.md shows this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

OPENAI, OLLAMA, LLAMA_SERVER = "OpenAI", "Ollama", "llama-server"
VLLM, LLAMA_CPP_PYTHON, OTHERS = "vLLM", "llama-cpp-python", "others"
#: Whose names there are, in the order in which pages show them. Others: OpenRouter, TGI, SGLang,
#: text-generation-webui, LiteLLM, Anthropic, Mistral and DashScope.
SERVERS = (OPENAI, OLLAMA, LLAMA_SERVER, VLLM, LLAMA_CPP_PYTHON, OTHERS)
#: Values that ask for nothing.
_NOTHING: tuple[Any, ...] = (None, False, 0, "", [], {})


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter that the schemas of this service do not have."""

    name: str
    #: The servers that know it.
    servers: tuple[str, ...]
    #: It would change the answer.
    refused: bool
    #: Why, or what to send instead; goes on from a colon.
    reason: str
    #: Values that ask for what is done anyway.
    neutral: tuple[Any, ...] = _NOTHING

    def asks(self, value: Any) -> bool:
        """Whether this value of it asks for anything."""
        return not any(
            value == same and isinstance(value, bool) is isinstance(same, bool)
            for same in self.neutral
        )


def _refused(names: str, servers: str, reason: str, *neutral: Any) -> list[Parameter]:
    values = (None, *neutral) if neutral else _NOTHING
    return [Parameter(name, _servers(servers), True, reason, values) for name in names.split()]


def _ignored(names: str, servers: str, reason: str) -> list[Parameter]:
    return [Parameter(name, _servers(servers), False, reason, (None,)) for name in names.split()]


def _servers(names: str) -> tuple[str, ...]:
    servers = tuple(names.split(", "))
    if unknown := set(servers) - set(SERVERS):
        raise ValueError(f"{unknown} is no server of this table")
    return servers


_EVERYWHERE = "OpenAI, Ollama, llama-server, vLLM, llama-cpp-python"
_LLAMA_CPP = "llama-server, llama-cpp-python"
_ROWS = [
    # What the OpenAI API has.
    *_refused("audio", OPENAI, "answers are text"),
    *_refused("modalities", OPENAI, "answers are text", ["text"]),
    *_refused("web_search_options", OPENAI, "nothing is searched", None),
    *_refused("moderation", OPENAI, "nothing is moderated"),
    *_ignored(
        "prompt_cache_options prompt_cache_retention", OPENAI,
        "prefixes are kept by what they say, and as long as there is room",
    ),
    *_ignored("safety_identifier", OPENAI, "send `user`; it is kept with the job"),
    *_ignored("verbosity", OPENAI, "only models of OpenAI read it"),
    # Of OpenAI's other endpoints.
    *_refused("prompt suffix", "OpenAI, llama-server, vLLM, llama-cpp-python",
              "send `messages`, or a prompt to `POST /v1/completions`"),
    *_refused("input", OPENAI, "send `messages`, or texts to `POST /v1/embeddings`"),
    *_refused("instructions system", "OpenAI, Ollama, others",
              "send a message of the role `system`"),
    *_refused("best_of", "OpenAI, vLLM, others", "one answer is given", 1),
    *_refused("echo", "OpenAI, vLLM, llama-cpp-python", "`POST /v1/completions` takes it"),
    # How many tokens.
    *_refused("max_output_tokens max_new_tokens max_length max_tokens_to_sample", "OpenAI, others",
              "send `max_tokens`"),
    *_refused("n_predict num_predict", "llama-server, Ollama", "send `max_tokens`", -1),
    *_refused("min_length", OTHERS, "send `min_tokens`", 0),
    *_refused("ban_eos_token", OTHERS, "send `ignore_eos`"),
    *_refused("t_max_predict_ms", LLAMA_SERVER, "send `max_tokens`, or a job with `deadline_s`"),
    *_refused("truncate", "Ollama, others", "`POST /v1/embeddings` and `/v1/rerank` take it"),
    *_refused("truncate_prompt_tokens transforms", "vLLM, others",
              "a prompt is taken whole or refused; shorten it"),
    *_ignored("truncation_side", VLLM, "a prompt is taken whole or refused"),
    *_ignored("n_keep num_keep", "llama-server, Ollama", "nothing of a prompt is dropped"),
    *_ignored("num_ctx", OLLAMA, "the context is the model's; `GET /v1/models` has it"),
    # Where an answer ends.
    *_refused("stop_sequences stopping_strings", OTHERS, "send `stop`"),
    *_refused("stop_regex", OTHERS, "send `stop`, as text"),
    *_refused("no_stop_trim", OTHERS, "send `include_stop_str_in_output`"),
    *_refused("repetition_detection", VLLM, "send `max_tokens`"),
    # How tokens are chosen.
    *_refused("rep_pen", OTHERS, "send `repetition_penalty`", 1),
    *_refused("rep_pen_range", OTHERS, "send `repeat_last_n`"),
    *_refused("encoder_repetition_penalty", OTHERS, "send `repetition_penalty`", 1),
    *_refused("penalize_nl no_repeat_ngram_size penalty_alpha", "Ollama, others",
              "send `repetition_penalty` or `dry_multiplier`"),
    *_refused("random_seed", OTHERS, "send `seed`", None),
    *_refused("do_sample", OTHERS, "send `temperature: 0` for the most likely tokens", True),
    *_refused("top_a top_n_tokens epsilon_cutoff eta_cutoff smoothing_factor min_keep",
              "llama-server, others", "send `top_k`, `top_p` or `min_p`"),
    *_refused("tfs tfs_z", "Ollama, llama-server, others",
              "send `top_k`, `top_p` or `min_p`", 1),
    *_refused("typ_p", OTHERS, "send `typical_p`", 1),
    *_refused("dynatemp_range dynamic_temperature", "llama-server, others",
              "send one `temperature`"),
    *_ignored("dynatemp_exponent smoothing_curve", "llama-server, others",
              "the parameter it goes with is refused"),
    *_refused("temperature_last samplers sampler_priority", "llama-server, others",
              "the order is the engine's own, see ENGINES.md"),
    *_refused("mirostat mirostat_mode", "Ollama, llama-server, llama-cpp-python, others",
              "tokens are chosen by `temperature`, `top_k`, `top_p`, `min_p` and penalties"),
    *_ignored("mirostat_tau mirostat_eta", "Ollama, llama-server, llama-cpp-python, others",
              "the parameter it goes with is refused"),
    *_refused("use_beam_search num_beams", "vLLM, others", "tokens are drawn one by one", False, 1),
    *_ignored("length_penalty early_stopping", "vLLM, others", "there are no beams"),
    *_refused("guidance_scale", OTHERS, "a second prompt is not read", 1),
    *_refused("negative_prompt", OTHERS, "a second prompt is not read"),
    *_refused("allowed_token_ids bad_words custom_token_bans logits_processors "
              "custom_logit_processor", "vLLM, others",
              "send `logit_bias`"),
    *_refused("logit_bias_type", LLAMA_CPP_PYTHON, "`logit_bias` names token ids", "token_ids"),
    *_refused("watermark watermarking", "vLLM, others", "answers bear no watermark"),
    *_refused("n_indent", LLAMA_SERVER, "lines are indented as the model writes them"),
    *_refused("n_cmpl", LLAMA_SERVER, "send `n`", 1),
    *_refused("lora lora_path adapter_id", "llama-server, others", "name another `model`"),
    *_refused("vllm_xargs kv_transfer_params ec_transfer_params", VLLM,
              "the worker's engine is not reached from outside"),
    # What a format is.
    *_refused("format", OLLAMA, "send `response_format`"),
    *_refused("regex ebnf", OTHERS, "send `structured_outputs`"),
    *_refused("guided_whitespace_pattern structural_tag", "vLLM, others",
              "an answer is held to what `structured_outputs` says"),
    *_ignored("guided_decoding_backend", VLLM, "llguidance holds all answers"),
    # What the model reads.
    *_refused("options", OLLAMA,
              "send its fields beside `model`, such as `temperature` and `max_tokens`"),
    *_refused("template chat_template raw", "Ollama, vLLM",
              "the chat template is the model's; send `chat_template_kwargs`"),
    *_refused("documents", "vLLM, others",
              "send them as text of `messages`, or to `POST /v1/rerank`"),
    *_refused("rank_fields max_chunks_per_doc max_tokens_per_doc", OTHERS,
              "a document is one text; `truncate: true` reads it as far as it fits"),
    *_refused("images", OLLAMA, "models read text"),
    *_ignored("media_io_kwargs mm_processor_kwargs", VLLM, "models read text"),
    *_refused("add_special_tokens", VLLM, "the chat template adds them"),
    *_refused("think thinking enable_thinking", "Ollama, others",
              "send `reasoning_effort` or `chat_template_kwargs`", None),
    *_refused("reasoning", OTHERS, "send `reasoning_effort`"),
    *_refused("thinking_budget thinking_token_budget reasoning_budget thinking_budget_tokens",
              "llama-server, vLLM, others", "send `reasoning_effort` or `max_tokens`", -1),
    *_refused("prompt_mode safe_prompt", OTHERS, "send a message of the role `system`"),
    *_refused("plugins enable_search", OTHERS, "nothing is searched"),
    *_refused("preset", OTHERS, "presets are the operator's: INFERENCE_CONFIG"),
    # What the answer shows.
    *_refused("skip_special_tokens", "vLLM, others", "special tokens are no text", True),
    *_ignored("spaces_between_special_tokens", VLLM, "special tokens are no text"),
    *_refused("n_probs", LLAMA_SERVER, "send `logprobs` and `top_logprobs`"),
    *_refused("prompt_logprobs logprob_token_ids", VLLM, "`logprobs` tells of the answer", None),
    *_refused("post_sampling_probs return_tokens_as_token_ids", "llama-server, vLLM",
              "`logprobs` are the model's own, with texts and `id`"),
    *_refused("return_token_ids return_tokens return_prompt_text return_token_offsets "
              "return_full_text return_hidden_states decoder_input_details",
              "llama-server, vLLM, others", "answers are text, without the prompt"),
    *_refused("reasoning_format", LLAMA_SERVER,
              "thoughts come as `reasoning_content`", "auto", "deepseek"),
    *_ignored("include_reasoning separate_reasoning stream_reasoning", "vLLM, others",
              "thoughts come as `reasoning_content`, beside `content`"),
    *_ignored("timings_per_token", LLAMA_SERVER, "send `timings` for those of the whole answer"),
    *_ignored("return_progress response_fields details usage",
              "llama-server, others", "`usage` and `orchestration` always come"),
    *_ignored("sse_ping_interval stream_interval", "llama-server, vLLM",
              "deltas come as tokens are made, comments every 10 s of silence"),
    # Who answers, and with which caches.
    *_ignored("models provider route fallbacks", OTHERS,
              "the model that is named answers, or its error comes"),
    *_ignored("keep_alive", OLLAMA, "the operator says it: INFERENCE_IDLE_UNLOAD_S"),
    *_ignored("cache_prompt n_cache_reuse id_slot cache_salt", "llama-server, vLLM",
              "prefixes are kept by what they say, and as long as there is room"),
    *_ignored("request_id rid session_id trace", "vLLM, others", "send the header `X-Request-ID`"),
]
#: Name -> the parameter.
TABLE: dict[str, Parameter] = {row.name: row for row in _ROWS}
