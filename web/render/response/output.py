"""What a response says, item by item, and the events in which its items come.

Items follow each other: what the model thought, what it said, each of its calls. One is begun, gets
deltas, and is ended before the next. Their ids come from the response's, so that whoever reads the
same tokens makes the same items.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from web.render.logprobs import AnswerLogprobs
from workers.contract.events import Token
from workers.contract.job import Job
from workers.contract.tools import CallPart, join

Bodies = list[dict[str, Any]]

_REASONING, _MESSAGE, _CALL = "reasoning", "message", "function_call"
_IN_PROGRESS, COMPLETED, INCOMPLETE = "in_progress", "completed", "incomplete"
#: Type of an item -> what its id begins with.
_PREFIXES = {_REASONING: "rs", _MESSAGE: "msg", _CALL: "fc"}
_ITEM_ID = re.compile(r"(rs|msg|fc)_(?P<response>[0-9a-f]{32})_\d{1,4}")


def response_of(item_id: str) -> str | None:
    """Id of the response whose output has the item of this id; None where no item has it."""
    named = _ITEM_ID.fullmatch(item_id)
    return None if named is None else f"resp_{named['response']}"


class Output:
    """The items of one response, as its tokens come."""

    def __init__(self, job: Job) -> None:
        self._items: list[dict[str, Any]] = []
        #: Texts of the open item that are not in it yet: added one by one, they would be copied
        #: again and again.
        self._texts: list[str] = []
        self._id = job.id.removeprefix("resp_")
        self._logprobs = AnswerLogprobs(job)
        #: Number of the call that is open; None: none is.
        self._call: int | None = None

    @property
    def items(self) -> list[dict[str, Any]]:
        """As far as they have come."""
        self._settle()
        return [snapshot(item) for item in self._items]

    def take(self, token: Token) -> Bodies:
        """The events of a token of the answer."""
        bodies: Bodies = []
        told = self._logprobs.take(token)
        logprobs = [] if told is None else told["content"]
        if token.reasoning:
            bodies += self._enter(_REASONING)
            bodies += self._add_text("reasoning_text", token.reasoning)
        if token.text:
            bodies += self._enter(_MESSAGE)
            bodies += self._add_text("output_text", token.text, logprobs)
        for part in join(token.calls):
            bodies += self._add_call(part)
        return bodies

    def end(self, status: str = COMPLETED) -> Bodies:
        """End the item that is open, with its status."""
        if not self._items or self._items[-1]["status"] != _IN_PROGRESS:
            return []
        self._settle()
        item, self._call = self._items[-1], None
        item["status"] = status
        done = [self._event("response.output_item.done", item=snapshot(item))]
        if item["type"] == _CALL:
            said = {"name": item["name"], "arguments": item["arguments"]}
            return [self._of_item("response.function_call_arguments.done", **said), *done]
        (part,) = item["content"]
        text = {"text": part["text"]}
        if item["type"] == _MESSAGE:
            text["logprobs"] = part["logprobs"]
        return [
            self._of_part(f"response.{part['type']}.done", **text),
            self._of_part("response.content_part.done", part=dict(part)),
            *done,
        ]

    def _enter(self, kind: str, **said: Any) -> Bodies:
        """Begin an item, unless one of its kind is open."""
        last = self._items[-1] if self._items else None
        if last and last["type"] == kind != _CALL and last["status"] == _IN_PROGRESS:
            return []
        ended = self.end()
        made = {"id": f"{_PREFIXES[kind]}_{self._id}_{len(self._items)}", "type": kind, **said}
        self._items.append({**made, "status": _IN_PROGRESS})
        item = self._items[-1]
        if kind == _CALL:
            return [*ended, self._event("response.output_item.added", item=dict(item))]
        item["content"] = []
        part: dict[str, Any]
        if kind == _REASONING:
            item["summary"] = []
            part = {"type": "reasoning_text", "text": ""}
        else:
            item["role"] = "assistant"
            part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        added = self._event("response.output_item.added", item=snapshot(item))
        item["content"] = [part]
        begun = self._of_part("response.content_part.added", part=snapshot(part))
        return [*ended, added, begun]

    def _add_text(self, kind: str, text: str, logprobs: list[Any] | None = None) -> Bodies:
        (part,) = self._items[-1]["content"]
        self._texts.append(text)
        told = {}
        if logprobs is not None:
            part["logprobs"] += logprobs
            told = {"logprobs": logprobs}
        return [self._of_part(f"response.{kind}.delta", delta=text, **told)]

    def _add_call(self, part: CallPart) -> Bodies:
        bodies: Bodies = []
        if self._call != part.index:
            bodies += self._enter(_CALL, call_id=part.id, name=part.name, arguments="")
            self._call = part.index
        if part.arguments:
            self._texts.append(part.arguments)
            bodies.append(
                self._of_item("response.function_call_arguments.delta", delta=part.arguments)
            )
        return bodies

    def _settle(self) -> None:
        """Put the texts of the open item into it."""
        if not self._texts:
            return
        item, texts, self._texts = self._items[-1], "".join(self._texts), []
        holder, name = (
            (item, "arguments") if item["type"] == _CALL else (item["content"][0], "text")
        )
        holder[name] += texts

    def _of_part(self, kind: str, **said: Any) -> dict[str, Any]:
        return self._of_item(kind, content_index=0, **said)

    def _of_item(self, kind: str, **said: Any) -> dict[str, Any]:
        return self._event(kind, item_id=self._items[-1]["id"], **said)

    def _event(self, kind: str, **said: Any) -> dict[str, Any]:
        return {"type": kind, "output_index": len(self._items) - 1, **said}


def snapshot(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item as it is now: it goes on."""
    return {
        name: [dict(part) if isinstance(part, dict) else part for part in value]
        if isinstance(value, list)
        else value
        for name, value in item.items()
    }
