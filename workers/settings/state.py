"""Settings of what is kept, and where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workers.settings import kinds, redis_url
from workers.settings.variable import setting


def default_data_dir() -> Path:
    """Where state lives when nothing is said: under the user's home.

    Of a user without a home it stays a relative path, which no setting can be.
    """
    path = Path("~/.local/share/inference-service")
    try:
        return path.expanduser()
    except RuntimeError:
        return path


@dataclass(frozen=True, kw_only=True)
class StateSettings:
    """Redis, the data directory, and how long results stay."""

    data_dir: Path = setting(
        "INFERENCE_DATA_DIR", default_data_dir(), kinds.PLACE,
        "Directory of all state: the embedded server's files, API keys, caches, logs. A second "
        "service needs a second one.",
        unset="~/.local/share/inference-service",
    )
    redis_url: str | None = setting(
        "INFERENCE_REDIS_URL", None, redis_url.KIND,
        "Redis or Valkey server to use: over TCP, TLS or a socket, or through Sentinel "
        "(RECOVERY.md, \"A Redis of your own\").",
        unset="`up` starts an embedded Valkey in the data directory",
        secret=True,
    )
    redis_memory_mb: int = setting(
        "INFERENCE_REDIS_MEMORY_MB", 1024, kinds.integer(16, 1_048_576),
        "Megabytes that the embedded Valkey may use. Above 90 % no new work is accepted; accepted "
        "work still ends.",
    )
    cache_mb: int = setting(
        "INFERENCE_CACHE_MB", 64, kinds.integer(0, 65_536),
        "Megabytes in Redis that each cache may take (CACHES.md); 0: nothing is cached.",
    )
    semantic_cache: bool = setting(
        "INFERENCE_SEMANTIC_CACHE", False, kinds.BOOLEAN,
        "Answer a question as one was that asks the same in other words (CACHES.md). It needs its "
        "embedding model loaded.",
    )
    semantic_cache_model: str = setting(
        "INFERENCE_SEMANTIC_CACHE_MODEL", "all-minilm-l6-v2", kinds.TEXT,
        "The embedding model that compares questions. Another one wants another threshold.",
    )
    semantic_cache_threshold: float = setting(
        "INFERENCE_SEMANTIC_CACHE_THRESHOLD", 0.95, kinds.number(0.8, 1),
        "How much two questions have to sound alike: the cosine of their vectors.",
    )
    semantic_cache_shared: bool = setting(
        "INFERENCE_SEMANTIC_CACHE_SHARED", False, kinds.BOOLEAN,
        "Give an answer to another API key, too. While false each key has answers of its own.",
    )
    result_ttl_s: int = setting(
        "INFERENCE_RESULT_TTL_S", 86_400, kinds.integer(60, 30 * 86_400),
        "Seconds that the result of an asynchronous job, or of a response that is stored, is kept "
        "after its end.",
    )
    jobs_fsync: bool = setting(
        "INFERENCE_JOBS_FSYNC", False, kinds.BOOLEAN,
        "Acknowledge an asynchronous job only when Redis has it on disk. This costs up to 1 s.",
    )
    jobs_replicas: int = setting(
        "INFERENCE_JOBS_REPLICAS", 0, kinds.integer(0, 16),
        "Acknowledge an asynchronous job only when so many replicas of Redis have it, so that a "
        "failover loses none. While fewer are there, jobs are refused.",
    )
