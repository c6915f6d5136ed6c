"""docs/COMPATIBILITY.md: what of other servers' APIs is here, and what each missing part answers.

Made of the OpenAPI document, the schemas, the table of parameters and the settings. Only what has
no other place is written here: what differs, and why.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from web.errors import STATUS, page_of
from web.render import differences, other_servers, tested_clients
from web.render.other_servers import Address, Server
from web.schemas import completion
from web.schemas.parameters import OPENAI, TABLE, Parameter
from workers.contract.errors import InferenceError
from workers.contract.job import Priority
from workers.settings import pages
from workers.settings.table import variables

_HEAD = """\
# Coming from another server

<!-- Written by: inference-service openapi --compatibility > docs/COMPATIBILITY.md -->

You have a client of OpenAI's API, or come from Ollama, llama-server, vLLM or llama-cpp-python:

```
OPENAI_BASE_URL=http://127.0.0.1:8085/v1 OPENAI_API_KEY=none python your_program.py
```

- **Chats** go to `POST /v1/chat/completions`, whole or as a stream. [API.md](API.md) has every
  field.
- **What is not there** is refused or named, in [one form](ERRORS.md); nothing is left out in
  silence.
- **Gateways** have a page of their own, [GATEWAY.md](GATEWAY.md).

"""
_RULE = """\
- **Refused** is only a value that asks for something: `n: 1` is let pass.
- **Ignored** parameters are named in the header `X-Ignored-Parameters`.
- **A name in no table** is ignored, too. If it is nearly a name of ours it is misspelt, and refused
  with 422 `VALIDATION_ERROR`.

"""
_ANSWERS = """\
An answer has the fields that [API.md](API.md) shows; `logprobs` and `refusal` are null. Beside
OpenAI's fields it has `orchestration` and `inference_metadata`: which models answered, and how.
These never come:

"""
_ERRORS = """\
An error has OpenAI's fields `message`, `type`, `param` and `code`. The words of `type` and `code`
are [our own](ERRORS.md). A prompt that is too long says "This model's maximum context length is N
tokens" and `context_length_exceeded`, by which clients know it.

"""
_CLIENTS = """\
`make test-clients` uses these as their users do, in these versions: chats, streams, objects of a
schema, tools whose results come back until an answer ends it, a wrong key, too many requests, a
prompt that is too long, a stream that is left.

"""
_OTHERS = """\
Others are OpenRouter, TGI, SGLang, text-generation-webui, Anthropic, Mistral and DashScope.

"""


def markdown(document: Mapping[str, Any]) -> str:
    """The page, for an OpenAPI document that `web.openapi.assemble` made."""
    return "".join(_page(document))


def answer_of(document: Mapping[str, Any], address: Address) -> str | None:
    """The code that an address answers with; None where it is here."""
    here = {
        re.sub("{.*?}", "{}", path): {method.upper() for method in item}
        for path, item in document["paths"].items()
    }
    methods = here.get(re.sub("{.*?}", "{}", address.path))
    if address.method in (methods or ()):
        return None
    if page_of(address.path) is not None:
        return "NOT_SUPPORTED"
    return "NOT_FOUND" if methods is None else "METHOD_NOT_ALLOWED"


def _page(document: Mapping[str, Any]) -> Iterator[str]:
    yield _HEAD
    yield "## OpenAI\n\n### Endpoints\n\n"
    yield from _addresses(document, other_servers.OPENAI_ADDRESSES)
    yield "### Parameters of a chat completion\n\n"
    obeyed = ((name, "OpenAI", differences.DIFFERENCES[name]) for name in differences.OF_OPENAI)
    yield from _parameters(obeyed, (row for row in TABLE.values() if OPENAI in row.servers))
    yield _RULE
    yield "### Messages\n\n"
    messages = differences.MESSAGES.items()
    rows = [f"{what} | {_answer_to(message)} | {note}" for what, (message, note) in messages]
    yield from _rows("message | here |", rows)
    yield "### Answers\n\n" + _ANSWERS
    yield from _rows("field | because", [f"`{n}` | {why}" for n, why in differences.ABSENT.items()])
    yield _ERRORS
    yield "## Clients\n\n" + _CLIENTS
    yield from _clients()
    yield "## Parameters of other servers\n\n" + _OTHERS
    others = ((name, servers, note) for name, (servers, note) in differences.OF_OTHERS.items())
    yield from _parameters(others, (row for row in TABLE.values() if OPENAI not in row.servers))
    for server in other_servers.OTHER_SERVERS:
        yield from _server(document, server)
    yield from _first_design()


def _clients() -> Iterator[str]:
    rows = [
        f"`{client.package}` | {language} | {client.version} | {client.used_as}"
        for language, clients in tested_clients.BY_LANGUAGE.items()
        for client in clients
    ]
    yield from _rows("package | for | version | as", rows)


def _server(document: Mapping[str, Any], server: Server) -> Iterator[str]:
    yield f"## {server.name}\n\n"
    yield from (f"- {note}\n" for note in server.notes)
    yield "\n"
    yield from _rows("there | here", [f"{there} | {here}" for there, here in server.settings])
    yield from _addresses(document, server.addresses)


def _first_design() -> Iterator[str]:
    settings = {
        variable.name: pages.shown_default(variable, default)
        for _, variable, default in variables()
    }
    yield "## Defaults that are not those of the first design\n\n"
    rows = [
        f"`{name}` | {then} | {settings[name]} | {why}"
        for name, (then, why) in differences.FIRST_DESIGN.items()
    ]
    yield from _rows("setting | first design | now | why", rows)
    levels = ", ".join(f"{level.value} {level.name.lower()}" for level in reversed(Priority))
    yield f"Priorities are {levels}. The last is for jobs alone; see [JOBS.md](JOBS.md).\n"


def _addresses(document: Mapping[str, Any], addresses: Iterable[Address]) -> Iterator[str]:
    rows = []
    for address in addresses:
        code = answer_of(document, address)
        answer = "yes" if code is None else f"{STATUS[code]} `{code}`"
        rows.append(f"`{address.method} {address.path}` | {answer} | {address.instead}")
    yield from _rows("endpoint | here | instead", rows)


def _parameters(
    obeyed: Iterable[tuple[str, str, str]], unknown: Iterable[Parameter]
) -> Iterator[str]:
    """A table: first what schemas know (name, servers, note), then rows of `TABLE`."""
    rows = [f"`{name}` | {servers} | yes | {note}" for name, servers, note in obeyed]
    for (refused, servers, reason), group in groupby(unknown, _rule):
        names = ", ".join(f"`{row.name}`" for row in group)
        answer = "refused, 400 `UNSUPPORTED_PARAMETER`" if refused else "ignored"
        rows.append(f"{names} | {', '.join(servers)} | {answer} | {reason}")
    yield from _rows("parameter | known from | here |", rows)


def _rule(row: Parameter) -> tuple[bool, tuple[str, ...], str]:
    return row.refused, row.servers, row.reason


def _answer_to(message: Mapping[str, Any]) -> str:
    """What a conversation of this message is answered with."""
    body = {"model": "m", "messages": [message]}
    try:
        completion.load(body, Priority.NORMAL, most_messages=1)
    except InferenceError as error:
        return f"{STATUS[error.code]} `{error.code}`"
    return "yes"


def _rows(head: str, rows: list[str]) -> Iterator[str]:
    """A table; head and rows stand without the bars at both ends."""
    yield f"| {head} |\n" + "|---" * (head.count("|") + 1) + "|\n"
    yield from (f"| {row} |\n" for row in rows)
    yield "\n"
