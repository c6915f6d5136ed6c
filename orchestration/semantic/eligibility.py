"""Which requests the semantic cache answers, and keeps the answers of. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from orchestration.semantic.fingerprint import plain_words
from orchestration.semantic.vocabulary import OF_ITS_TIME, OF_TIMES, PERSONAL, TIMES
from workers.contract.job import DEFAULT_MODE, Api, Job

#: Above it an answer is meant to be another each time.
MOST_TEMPERATURE = 0.3
#: Characters of a question: what is longer is a text, and the embedding model reads 256 tokens.
MOST_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class CacheWishes:
    """What a request says of the cache."""

    #: Neither look an answer up nor keep it.
    no_store: bool = False
    #: The answer is for this user alone; False: it is not, whatever the words say.
    user_specific: bool | None = None
    #: The answer holds for a while; False: it stays, whatever the words say.
    time_sensitive: bool | None = None
    #: An answer from the cache will do above `MOST_TEMPERATURE`, too.
    any_temperature: bool = False


def question_of(job: Job) -> str | None:
    """The one question that a job asks after system messages alone; None: there is more."""
    if [each.role for each in job.messages if each.role != "system"] != ["user"]:
        return None
    last = job.messages[-1]
    return last.content or None if last.role == "user" else None


def why_not(job: Job, wishes: CacheWishes) -> str | None:
    """Why neither an answer is looked up for a job nor its own kept, in a word or two; None: both
    are done.
    """
    question = question_of(job)
    if wishes.no_store:
        return "no_store"
    if job.asynchronous or job.api is not Api.CHAT or job.encoder_request is not None:
        return "no_chat"
    if job.mode != DEFAULT_MODE or job.cast:
        return "several_models"
    if job.tools is not None:
        return "tools"
    if job.choices > 1:
        return "several_choices"
    if job.sampling.logprobs is not None:
        return "logprobs"
    if question is None:
        return "several_turns"
    if len(question) > MOST_CHARACTERS:
        return "long_question"
    if job.sampling.temperature > MOST_TEMPERATURE and not wishes.any_temperature:
        return "temperature"
    return _why_not_for_others(question, wishes)


def _why_not_for_others(question: str, wishes: CacheWishes) -> str | None:
    """Why the answer holds for nobody else, or not for long: by the caller's word, else by a plain
    rule for words.
    """
    words = plain_words(question)
    personal = wishes.user_specific
    if personal is None:
        personal = not PERSONAL.isdisjoint(words)
    if personal:
        return "user_specific"
    of_its_time = wishes.time_sensitive
    if of_its_time is None:
        of_its_time = not OF_ITS_TIME.isdisjoint(words) or any(
            first in OF_TIMES and second in TIMES for first, second in pairwise(words)
        )
    return "time_sensitive" if of_its_time else None
