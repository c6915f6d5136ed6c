"""Parts of a grammar in Lark's form: texts, and JSON that obeys a schema."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

#: White space between the parts of JSON. Without an end to it a small model writes nothing else;
#: ten levels of an indentation of four are in it.
WHITE_SPACE = r"[ \t\n\r]{0,40}"
#: Runs of text, and single control characters other than a newline and a tab.
_CONTROL = re.compile(r"([^\x00-\x08\x0b-\x1f\x7f]+)|([\x00-\x08\x0b-\x1f\x7f])")


def literal(text: str) -> str:
    """A text: strings, and expressions for what strings have no escape for."""
    parts = []
    for raw, marked in _CONTROL.findall(text):
        if marked:
            parts.append(f"/\\x{ord(marked):02x}/")
        else:
            escaped = raw.replace("\\", "\\\\").replace('"', '\\"')
            parts.append('"' + escaped.replace("\n", "\\n").replace("\t", "\\t") + '"')
    return " ".join(parts) or '""'


def json_value(schema: Mapping[str, Any], *, lenient: bool = False) -> str:
    """A JSON value that obeys a schema; its `x-guidance` is ours, whatever it has.

    `lenient`: what llguidance does not know of the schema is passed over.
    """
    options = {"whitespace_pattern": WHITE_SPACE, "lenient": lenient, "coerce_one_of": True}
    return "%json " + json.dumps({**schema, "x-guidance": options})
