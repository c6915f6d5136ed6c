"""What an endpoint says about itself, beside its view; `web.openapi` makes the document of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from marshmallow import Schema

from workers.contract.errors import InferenceError

_View = TypeVar("_View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Component:
    """A named schema of the document: a JSON Schema, or a marshmallow schema that loads it."""

    name: str
    schema: Mapping[str, Any] | type[Schema]
    #: One value that fits the schema.
    example: Any = None

    @property
    def ref(self) -> dict[str, str]:
        """Where other schemas refer to."""
        return {"$ref": f"#/components/schemas/{self.name}"}


@dataclass(frozen=True, slots=True)
class Answer:
    """One response that is no error."""

    description: str
    #: Of its JSON; None: it has none.
    body: Component | None = None
    #: Instead of the component's own example.
    example: Any = None
    #: It is, or may also be, a stream of server-sent events; this is how one begins.
    stream: str | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of an address."""

    #: Unique; generated clients name a function by it.
    operation_id: str
    #: The section of the document.
    tag: str
    #: A sentence.
    summary: str
    #: Status -> response.
    answers: Mapping[int, Answer]
    #: More than the summary says, in Markdown.
    description: str = ""
    #: As OpenAPI writes them; made by `path`, `query` and `header`.
    parameters: tuple[Mapping[str, Any], ...] = ()
    request: Component | None = None
    #: What goes wrong here and not everywhere.
    errors: tuple[type[InferenceError], ...] = ()
    #: A command that asks, where curl with the examples does not do.
    command: str | None = None


def describe(operation: Operation) -> Callable[[_View], _View]:
    """Let a view say what it does. Goes below the decorator that names its address."""

    def attach(view: _View) -> _View:
        view.operation = operation  # type: ignore[attr-defined]
        return view

    return attach


def path(name: str, description: str, example: str) -> dict[str, Any]:
    """A part of the address."""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string"},
        "example": example,
    }


def query(name: str, description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter after the question mark."""
    return {"name": name, "in": "query", "description": description, "schema": schema}


def header(name: str, description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """A header that the request may have."""
    return {"name": name, "in": "header", "description": description, "schema": schema}
