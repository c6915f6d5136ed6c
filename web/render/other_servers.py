"""What users of other servers look for: addresses and settings, and where they find the same here.

Data for docs/COMPATIBILITY.md. What each address answers here is not written down: the page takes
it from the OpenAPI document.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Where a chat goes.
_CHAT = "`POST /v1/chat/completions`"
_EMBEDDINGS = "send `input` to `POST /v1/embeddings`"
_TOKENIZE = "send `prompt` to `POST /v1/tokenize`"
_DETOKENIZE = "send `tokens` to `POST /v1/detokenize`"


@dataclass(frozen=True, slots=True)
class Address:
    """A method and an address that another server has."""

    method: str
    path: str
    #: What serves instead, or why nothing does; empty where it is here.
    instead: str = ""


@dataclass(frozen=True, slots=True)
class Server:
    """A server whose users may come here."""

    name: str
    addresses: tuple[Address, ...]
    #: Its command, option or setting -> what does the same here.
    settings: tuple[tuple[str, str], ...]
    #: What is otherwise, one sentence or two each.
    notes: tuple[str, ...]


OPENAI_ADDRESSES = (
    Address("POST", "/v1/chat/completions"),
    Address("GET", "/v1/models"),
    Address("GET", "/v1/models/{model}"),
    Address("DELETE", "/v1/models/{model}", "remove its file; `POST .../unload` frees its memory"),
    Address("GET", "/v1/chat/completions", "`GET /v1/jobs`"),
    Address("GET", "/v1/chat/completions/{id}", "`GET /v1/jobs/{job_id}`: its id is the same"),
    Address("POST", "/v1/completions"),
    Address("POST", "/v1/responses"),
    Address("GET", "/v1/responses/{id}"),
    Address("POST", "/v1/responses/{id}/cancel"),
    Address("DELETE", "/v1/responses/{id}"),
    Address("GET", "/v1/responses/{id}/input_items"),
    Address("POST", "/v1/responses/input_tokens", "`POST /v1/tokenize`"),
    Address("POST", "/v1/responses/compact", "`truncation: auto`"),
    Address("POST", "/v1/conversations", "send `previous_response_id`"),
    Address("POST", "/v1/embeddings"),
    Address("POST", "/v1/batches", "`POST /v1/jobs` with `priority: 0`, one for each request"),
    Address("POST", "/v1/files", "bodies are JSON; nothing is uploaded"),
    Address("POST", "/v1/uploads", "bodies are JSON; nothing is uploaded"),
    Address("POST", "/v1/moderations", "nothing is moderated"),
    Address("POST", "/v1/images/generations", "models answer in text"),
    Address("POST", "/v1/audio/speech", "models answer in text"),
    Address("POST", "/v1/audio/transcriptions", "models read text"),
    Address("POST", "/v1/fine_tuning/jobs", "models are used as they are"),
    Address("POST", "/v1/vector_stores", "nothing is searched"),
    Address("POST", "/v1/assistants", f"send `messages` to {_CHAT}"),
    Address("POST", "/v1/threads", "send the whole conversation each time"),
    Address("POST", "/v1/realtime/sessions", "`GET /v1/ws/chat`, a WebSocket for text"),
    Address("GET", "/v1/realtime", "`GET /v1/ws/chat`, a WebSocket for text"),
)

OLLAMA = Server(
    "Ollama",
    (
        Address("POST", "/api/chat", _CHAT),
        Address("POST", "/api/generate", f"send `messages` to {_CHAT}"),
        Address("GET", "/api/tags", "`GET /v1/models`"),
        Address("GET", "/api/ps", "`status` and `memory_mb` of `GET /v1/models`"),
        Address("POST", "/api/show", "`GET /v1/models/{model_id}`"),
        Address("POST", "/api/pull", "the command `pull`"),
        Address("POST", "/api/create", "a file of the catalogue"),
        Address("POST", "/api/copy", "`aliases` in the catalogue"),
        Address("DELETE", "/api/delete", "remove its file"),
        Address("POST", "/api/push", "models are not given away"),
        Address("POST", "/api/embed", _EMBEDDINGS),
        Address("POST", "/api/embeddings", _EMBEDDINGS),
        Address("GET", "/api/version", "`GET /health`"),
    ),
    (
        ("`ollama serve`", "`inference-service up`"),
        ("`ollama run MODEL`", "`inference-service run MODEL`, while the service runs"),
        ("`ollama ls`, `ps`, `show`, `rm`", "the same names"),
        ("`ollama pull MODEL`", "`inference-service pull MODEL`, `pull hf.co/USER/REPO:Q4_K_M`"),
        ("`ollama stop MODEL`", "`inference-service stop MODEL`"),
        ("a Modelfile", "a YAML file of the catalogue, see [CATALOGUE.md](CATALOGUE.md)"),
        ("`OLLAMA_HOST`", "`INFERENCE_HOST`, `INFERENCE_PORT`"),
        ("`OLLAMA_MODELS`", "`INFERENCE_MODELS_DIR`; `<models dir>/<id>/*.gguf`, no blobs"),
        ("`OLLAMA_KEEP_ALIVE`", "`INFERENCE_IDLE_UNLOAD_S`"),
        ("`OLLAMA_NUM_PARALLEL`", "`INFERENCE_MAX_CONCURRENT_PER_MODEL`"),
        ("`OLLAMA_MAX_LOADED_MODELS`", "`INFERENCE_MEMORY_LIMIT_MB`"),
        ("`OLLAMA_MAX_QUEUE`", "`INFERENCE_MAX_CONCURRENT_REQUESTS`"),
        ("`OLLAMA_ORIGINS`", "`INFERENCE_CORS_ORIGINS`"),
        ("`OLLAMA_CONTEXT_LENGTH`, `num_ctx`", "`context_length` in the catalogue"),
    ),
    (
        "Models are loaded when the service starts. INFERENCE_LOAD_ON_DEMAND=true loads them at "
        "their first request, INFERENCE_SWAP=true makes room for them.",
        "A prompt that is too long is refused; Ollama shortens it.",
        "`seed: -1` is a seed like any other. Leave `seed` out for a fresh one.",
        "Names have no tags: `phi-4`, not `phi4:latest`. An alias may look like one.",
    ),
)

LLAMA_SERVER = Server(
    "llama-server",
    (
        Address("GET", "/health"),
        Address("GET", "/v1/health", "`GET /health`"),
        Address("POST", "/completion", "send `prompt` to `POST /v1/completions`"),
        Address("POST", "/v1/completions"),
        Address("POST", "/v1/messages"),
        Address("POST", "/v1/messages/count_tokens"),
        Address("POST", "/infill"),
        Address("POST", "/tokenize"),
        Address("POST", "/detokenize"),
        Address("POST", "/apply-template", "the worker renders the template"),
        Address("POST", "/embedding", _EMBEDDINGS),
        Address("POST", "/v1/embeddings"),
        Address("POST", "/v1/rerank"),
        Address("GET", "/props", "`GET /v1/models/{model_id}`"),
        Address("GET", "/slots", "`GET /v1/jobs`, and Flower"),
        Address("GET", "/metrics", "its names are in [OBSERVE.md](OBSERVE.md)"),
        Address("GET", "/lora-adapters", "adapters are not loaded"),
    ),
    (
        ("`-m FILE`", "`INFERENCE_MODELS_DIR`, or `inference-service models add`"),
        ("`-hf USER/REPO:Q4_K_M`", "`inference-service pull USER/REPO:Q4_K_M`"),
        ("`-a NAME`", "`aliases` in the catalogue"),
        ("`-c N`", "`context_length` in the catalogue"),
        ("`-np N`", "`INFERENCE_MAX_CONCURRENT_PER_MODEL`"),
        ("`-ngl N`", "`INFERENCE_GPU_LAYERS`"),
        ("`-t N`", "`INFERENCE_ENGINE_THREADS`"),
        ("`--host`, `--port`", "`INFERENCE_HOST`, `INFERENCE_PORT`"),
        ("`--api-key`", "`INFERENCE_API_KEYS`, or `inference-service keys add NAME`"),
        ("`--timeout`", "`INFERENCE_REQUEST_TIMEOUT`"),
        ("`--chat-template-file`", "`chat_template` in the catalogue"),
    ),
    (
        "`/health` says that the front end answers; `/health/ready` that the models do.",
        "Several models run at once, each in a process of its own; `model` chooses.",
        "A request that finds no free place waits in a queue with a priority.",
        "`seed: -1` is a seed like any other. Leave `seed` out for a fresh one.",
        "`/tokenize` and `/detokenize` take vLLM's bodies (`prompt`, not `content`) and answer so.",
        "There is no page for chatting: use `inference-service chat`, or any client.",
    ),
)

VLLM = Server(
    "vLLM's server",
    (
        Address("GET", "/health"),
        Address("GET", "/ping", "`GET /health`"),
        Address("GET", "/version", "`GET /health`"),
        Address("GET", "/load", "`GET /health/ready`"),
        Address("GET", "/metrics", "its names are in [OBSERVE.md](OBSERVE.md)"),
        Address("POST", "/v1/completions"),
        Address("POST", "/v1/responses"),
        Address("POST", "/v1/messages"),
        Address("POST", "/v1/messages/count_tokens"),
        Address("POST", "/v1/embeddings"),
        Address("POST", "/pooling", _EMBEDDINGS),
        Address("POST", "/classify", "models answer in text"),
        Address("POST", "/score", "send `query` and `documents` to `POST /v1/rerank`"),
        Address("POST", "/v1/rerank"),
        Address("POST", "/tokenize"),
        Address("POST", "/detokenize"),
    ),
    (
        (
            "`vllm serve MODEL`",
            "`INFERENCE_BACKEND=vllm inference-service up`, see [VLLM.md](VLLM.md)",
        ),
        ("`--served-model-name`", "`aliases` in the catalogue"),
        ("`--max-model-len`", "`context_length` in the catalogue"),
        ("`--max-num-seqs`", "`INFERENCE_MAX_CONCURRENT_PER_MODEL`"),
        ("`--gpu-memory-utilization`", "`memory_fraction` in the catalogue"),
        ("`--tensor-parallel-size`", "`options` in the catalogue"),
        ("`--api-key`", "`INFERENCE_API_KEYS`, or `inference-service keys add NAME`"),
        ("`--scheduling-policy priority`", "`INFERENCE_QUEUE_STRATEGY=priority`, as it is"),
    ),
    (
        "`priority` counts the other way round: 3 is taken first, 1 last.",
        "Sampling begins at llama.cpp's defaults on this engine too, not at those of "
        "`generation_config.json`.",
        "`seed: -1` is a seed like any other. Leave `seed` out for a fresh one.",
        "Thoughts come as `reasoning_content`, as vLLM called them before `reasoning`.",
    ),
)

LLAMA_CPP_PYTHON = Server(
    "llama-cpp-python's server",
    (
        Address("POST", "/v1/completions"),
        Address("POST", "/v1/engines/copilot-codex/completions", f"send `messages` to {_CHAT}"),
        Address("POST", "/v1/embeddings"),
        Address("POST", "/extras/tokenize", _TOKENIZE),
        Address("POST", "/extras/tokenize/count", _TOKENIZE),
        Address("POST", "/extras/detokenize", _DETOKENIZE),
    ),
    (
        ("`--model FILE`", "`INFERENCE_MODELS_DIR`, or `inference-service models add`"),
        ("`--model_alias`", "`aliases` in the catalogue"),
        ("`--n_ctx`", "`context_length` in the catalogue"),
        ("`--n_gpu_layers`", "`INFERENCE_GPU_LAYERS`"),
        ("`--n_threads`", "`INFERENCE_ENGINE_THREADS`"),
        ("`--chat_format`", "the file's own template; `chat_template` in the catalogue"),
        ("`--api_key`", "`INFERENCE_API_KEYS`, or `inference-service keys add NAME`"),
        ("`--config_file`", "`INFERENCE_PRELOAD_MODELS`, or a preset in `INFERENCE_CONFIG`"),
    ),
    (
        "Many requests run at once, in one batch. A new request interrupts none.",
        "A chat is formatted by the template in the model's file; there are no named formats.",
    ),
)

ANTHROPIC = Server(
    "Anthropic's API",
    (
        Address("POST", "/v1/messages"),
        Address("POST", "/v1/messages/count_tokens"),
        Address("POST", "/v1/messages/batches", "`POST /v1/jobs`, one for each request"),
        Address("POST", "/v1/complete", "`POST /v1/messages`"),
        Address("GET", "/v1/models"),
    ),
    (
        ("`ANTHROPIC_BASE_URL`", "the service's address, without `/v1`"),
        ("`x-api-key`", "the same, or `Authorization: Bearer`"),
    ),
    (
        "[MESSAGES.md](MESSAGES.md) has every field, and what each becomes.",
        "`GET /v1/models` answers in OpenAI's form.",
    ),
)
OTHER_SERVERS = (OLLAMA, LLAMA_SERVER, VLLM, LLAMA_CPP_PYTHON, ANTHROPIC)
