"""Coalescing: requests that ask the same at the same moment are one job with several readers. Pure.

The same is what makes the same answer, for the same API key: everything of a job but its own name
and time. Only answers that would be alike anyway are shared: at temperature 0, or with a seed.
"""

from __future__ import annotations

import hashlib
import json

from workers.contract.job import Job

#: Fields that name one request, and shape nothing of its answer.
_OWN_NAMES = ("id", "created", "request_id", "trace")


def digest(job: Job) -> str | None:
    """What jobs have alike that may be one; None where this one may not be shared."""
    if job.asynchronous or (job.sampling.temperature and job.sampling.seed is None):
        return None
    asked = {name: value for name, value in job.to_dict().items() if name not in _OWN_NAMES}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
