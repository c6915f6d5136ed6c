"""docs/API.md: the OpenAPI document as a page to read."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

_HEAD = """\
# The HTTP API

<!-- Written from the OpenAPI document by: inference-service openapi --markdown > docs/API.md -->

Ask with any HTTP client, or with OpenAI's:

```
curl http://127.0.0.1:8085/v1/models
```

- **Keys**: once there are API keys, send one as `Authorization: Bearer <key>`, or as `x-api-key`.
- **Bodies** are JSON. A field that is null counts as left out.
- **Errors** have one form; [ERRORS.md](ERRORS.md) lists them all. Every address may also answer
  401 `UNAUTHORIZED`, 403 `FORBIDDEN`, 429 `RATE_LIMITED`, 500 `INTERNAL`, 503 `BROKER_UNAVAILABLE`
  and 503 `TEMPORARY_RESOURCE`.
- **Every answer** has `X-Request-ID`: your own, else ours. The log has it on each line of the
  request. Other headers that an answer may have are in [ERRORS.md](ERRORS.md).
- The running service describes itself at `/openapi.json`, for generators of clients.

"""
_STREAM = "text/event-stream"
_HOST = "http://127.0.0.1:8085"


def markdown(document: Mapping[str, Any]) -> str:
    """The page of an OpenAPI document that `web.openapi.assemble` made."""
    operations = sorted(
        (
            (operation["tags"][0], path, method, item.get("parameters", []), operation)
            for path, item in document["paths"].items()
            for method, operation in item.items()
            if method != "parameters"
        ),
        key=lambda entry: entry[:3],
    )
    rows = [
        f"| {operation['summary'].rstrip('.')} "
        f"| [`{method.upper()} {path}`](#{_anchor(method, path)}) |"
        for _, path, method, _, operation in operations
    ]
    parts = [_HEAD, "| what | address |\n|---|---|\n", "\n".join(rows), "\n"]
    section = None
    for tag, path, method, shared, operation in operations:
        if tag != section:
            parts.append(f"\n## {tag}\n")
            section = tag
        parameters = [*shared, *operation.get("parameters", [])]
        parts.append("\n".join(_operation(document, path, method, parameters, operation)))
    return "".join(parts)


def _operation(
    document: Mapping[str, Any],
    path: str,
    method: str,
    parameters: list[Mapping[str, Any]],
    operation: Mapping[str, Any],
) -> Iterator[str]:
    """The lines about one method of one address."""
    yield f"\n### {method.upper()} {path}\n"
    yield f"{operation['summary']}\n"
    if "description" in operation:
        yield f"{operation['description']}\n"
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    rows = [*_parameter_rows(parameters), *_field_rows(document, body)]
    if rows:
        yield "| parameter | in | takes | meaning |\n|---|---|---|---|"
        yield "\n".join(rows) + "\n"
    yield f"```\n{_command(path, method, parameters, body, operation)}\n```\n"
    errors: list[str] = []
    for status, response in operation["responses"].items():
        content = response.get("content", {})
        examples = content.get("application/json", {}).get("examples")
        if status == "default":
            continue
        if examples is not None:
            errors += [
                f"| {status} | `{code}` | {example['value']['error']['message']} |"
                for code, example in examples.items()
            ]
            continue
        yield f"**{status}**: {response['description']}\n"
        yield from _examples(content)
    if errors:
        yield "| status | error | message |\n|---|---|---|"
        yield "\n".join(errors) + "\n"


def _anchor(method: str, path: str) -> str:
    """Where a heading is reached on the page, as GitHub makes it."""
    return re.sub(r"[^a-z0-9_-]", "", f"{method} {path}".lower().replace(" ", "-"))


def _examples(content: Mapping[str, Any]) -> Iterator[str]:
    """What an answer looks like, as JSON and as a stream."""
    for media, described in content.items():
        if "example" not in described:
            continue
        if media == "application/json":
            yield f"```json\n{json.dumps(described['example'], indent=2)}\n```\n"
        else:
            yield f"```\n{described['example'].rstrip()}\n```\n"


def _parameter_rows(parameters: list[Mapping[str, Any]]) -> Iterator[str]:
    for parameter in parameters:
        required = ", required" if parameter.get("required") else ""
        name, takes = parameter["name"], _takes(parameter["schema"])
        place = {"path": "address"}.get(parameter["in"], parameter["in"])
        yield f"| `{name}` | {place}{required} | {takes} | {parameter['description']} |"


def _field_rows(document: Mapping[str, Any], body: Mapping[str, Any] | None) -> Iterator[str]:
    if body is None:
        return
    name = body["schema"]["$ref"].rpartition("/")[2]
    schema = document["components"]["schemas"][name]
    for field, described in schema["properties"].items():
        required = ", required" if field in schema.get("required", ()) else ""
        meaning = described.get("description", "")
        yield f"| `{field}` | body{required} | {_takes(described)} | {meaning} |"


def _takes(schema: Mapping[str, Any]) -> str:
    """The values that a schema takes, in words."""
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"] if value is not None)
    if "anyOf" in schema:
        kinds = [_takes(kind) for kind in schema["anyOf"] if kind.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "$ref" in schema or "allOf" in schema:
        return "an object"
    types = schema.get("type", "object")
    kind = next(kind for kind in ([types] if isinstance(types, str) else types) if kind != "null")
    words = {
        "integer": "a whole number",
        "number": "a number",
        "boolean": "`true` or `false`",
        "string": "a string",
        "array": "a list",
        "object": "an object",
    }[kind]
    if "minimum" in schema and abs(schema["minimum"]) < 2**53:
        words += f", {schema['minimum']:g} to {schema['maximum']:,}"
    if "maxLength" in schema:
        words += f" of at most {schema['maxLength']} characters"
    if "maxItems" in schema:
        words += f" of at most {schema['maxItems']}"
    return words


def _command(
    path: str,
    method: str,
    parameters: list[Mapping[str, Any]],
    body: Mapping[str, Any] | None,
    operation: Mapping[str, Any],
) -> str:
    """A command that asks for this."""
    if samples := operation.get("x-codeSamples"):
        return str(samples[0]["source"])
    for parameter in parameters:
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(parameter["example"]))
    words = "curl"
    words += {"get": "", "post": " -X POST" if body is None else ""}.get(
        method, f" -X {method.upper()}"
    )
    contents = [response.get("content", {}) for response in operation["responses"].values()]
    if any([*content] == [_STREAM] for content in contents):
        words += " --no-buffer"
    command = f"{words} {_HOST}{path}"
    if body is not None:
        command += " -H 'Content-Type: application/json' \\\n"
        command += f"  -d {shlex.quote(json.dumps(body['example']))}"
    return command
