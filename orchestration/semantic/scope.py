"""The scope of an answer: all that has to be alike for it to hold. Pure.

It is made of everything in a job that is not known to shape nothing: a field that is new in a later
version is a part of it by itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from workers.contract.job import Job

#: Raised when the same scope would mean something else than before.
_FORM = 1
#: Fields of a job that name it, or say when and by whom it is answered and what is told of it. Its
#: `user` is none of them: whom a caller tells apart by it gets no answer of another.
_SHAPES_NOTHING = (
    "id",
    "created",
    "request_id",
    "trace",
    "priority",
    "service_tier",
    "metadata",
    "store",
    "timings",
    "deadline_s",
    "webhook",
    "routing",
    "task_type",
    "version",
)


def scope(
    job: Job, fingerprint: Sequence[str], model_hash: str, embedder_hash: str, *, shared: bool
) -> bytes:
    """SHA-256 of a job's scope; of the messages all but the words of the last one.

    `shared`: answers of one API key are another's too.
    """
    asked = {name: value for name, value in job.to_dict().items() if name not in _SHAPES_NOTHING}
    if shared:
        del asked["owner"]
    *before, last = asked.pop("messages")
    asked["messages"] = [*before, {**last, "content": list(fingerprint)}]
    text = json.dumps([_FORM, model_hash, embedder_hash, asked], sort_keys=True)
    return hashlib.sha256(text.encode()).digest()
