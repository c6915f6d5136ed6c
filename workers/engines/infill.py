"""A prompt whose answer fills a gap: what stands before and after it, between a model's marks.

The order is that of models which were trained on it: other files first, each after a separator and
its name, as Qwen2.5-Coder's report has it (Hui et al. 2024, section 3.2), then prefix, suffix, and
the mark after which the model writes the middle (Bavarian et al. 2022). Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from presets.weights.infill_tokens import INFILL_TOKENS
from workers.contract.prompt import Prompt

#: Tokens of the context that an answer has left where its caller does not say how long it may be.
ROOM_FOR_ANSWER = 512
#: Of what there is room for: the part of the suffix; the rest is the prefix', whose end says more.
_SUFFIX_PART = 0.25
#: Characters that a token has at most, on the safe side: no more of a text is looked at.
_LONGEST_TOKEN = 32
_REPOSITORY_TOKENS = ("<|repo_name|>", "<repo_name>", "<reponame>")
_SEPARATOR_TOKENS = ("<|file_sep|>", "<file_sep>")
#: What stands for the name of the file in which the gap is.
_FILE = "filename\n"
_REPOSITORY = "repository\n"

Tokenize = Callable[[str], list[int]]


@dataclass(frozen=True, slots=True)
class InfillMarks:
    """Ids of the tokens that a model knows a gap by."""

    prefix: int
    suffix: int
    middle: int
    #: Before the name of a repository, and before each of its files; None: it knows none.
    repository: int | None = None
    separator: int | None = None


def marks_among(ids: Mapping[str, int]) -> InfillMarks | None:
    """The marks of a vocabulary, by the texts of its tokens; None: the model knows no gap."""
    for prefix, suffix, middle in INFILL_TOKENS:
        if prefix in ids and suffix in ids and middle in ids:
            repository, separator = (
                next((ids[name] for name in names if name in ids), None)
                for names in (_REPOSITORY_TOKENS, _SEPARATOR_TOKENS)
            )
            return InfillMarks(ids[prefix], ids[suffix], ids[middle], repository, separator)
    return None


def assemble(
    marks: InfillMarks, prompt: Prompt, tokenize: Tokenize, beginning: Sequence[int], room: int
) -> list[int]:
    """The ids of a prompt with a suffix; `room` is what they may take where it may be cut.

    `tokenize` reads nothing in a text as a special token.
    """
    middle = tokenize(prompt.middle)
    if not prompt.may_be_cut:
        before, after, files = tokenize(prompt.text), tokenize(prompt.suffix or ""), []
    else:
        left = max(1, room - len(beginning) - len(middle) - 3)
        before, after = _nearest(prompt, tokenize, left)
        files = _files(marks, prompt, tokenize, left - len(before) - len(after))
    gap = [marks.prefix, *before, marks.suffix, *after, marks.middle, *middle]
    return [*beginning, *files, *gap]


def _nearest(prompt: Prompt, tokenize: Tokenize, room: int) -> tuple[list[int], list[int]]:
    """The end of what stands before the gap and the beginning of what stands after it."""
    characters = room * _LONGEST_TOKEN
    before = tokenize(prompt.text[-characters:])
    after = tokenize((prompt.suffix or "")[:characters])
    of_suffix = max(int(room * _SUFFIX_PART), room - len(before))
    after = after[:of_suffix]
    return before[max(0, len(before) - (room - len(after))) :], after


def _files(marks: InfillMarks, prompt: Prompt, tokenize: Tokenize, room: int) -> list[int]:
    """The files that fit whole, the last ones: editors put the most telling last.

    They end with the first that does not fit, so that no more is tokenised than there is room for.
    """
    if not prompt.files:
        return []
    heading = [] if marks.repository is None else [marks.repository, *tokenize(_REPOSITORY)]
    separator = [] if marks.separator is None else [marks.separator]
    of_gap = [*separator, *tokenize(_FILE)] if separator else []
    room -= len(heading) + len(of_gap)
    kept: list[list[int]] = []
    for file in reversed(prompt.files):
        text = f"{file.filename}\n{file.text}\n"
        if len(text) > room * _LONGEST_TOKEN:
            continue
        ids = [*separator, *tokenize(text)]
        if len(ids) > room:
            break
        kept.append(ids)
        room -= len(ids)
    if not kept:
        return []
    return [*heading, *(token for ids in reversed(kept) for token in ids), *of_gap]
