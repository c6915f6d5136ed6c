"""Grammars in llama.cpp's GBNF, as Lark's form."""

from __future__ import annotations

import re

from llguidance.gbnf_to_lark import GrammarParser, is_lark_syntax, resolve

from workers.constraints.bounds import MOST_BYTES, MOST_GBNF_RULES, TooLarge

#: Escapes by code point, which the converter or llguidance 1.7 garbles: `\\x41`, `\\u0041`,
#: `\\U00000041`. A backslash before another one is passed over.
_CODE_POINT = re.compile(r"\\(?:\\|(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})))")
#: Characters that mean something in a text, a class or an expression; they stay escaped.
_MARKS = frozenset('"\\[]^-/')


def to_lark(text: str) -> str:
    """A grammar in Lark's form, from one in that form or in GBNF.

    Every rule stays a rule: made into a terminal it would take as much text as it can, and leave
    nothing to what comes after it, which is not what GBNF says.

    Raises:
        ValueError: it is no grammar in GBNF, or too large a one.
    """
    if len(text) > MOST_BYTES:
        raise TooLarge(f"has {len(text)} characters; {MOST_BYTES} are taken at most")
    if is_lark_syntax(text):
        return text
    if text.count("::=") > MOST_GBNF_RULES:
        raise TooLarge(f"has more than {MOST_GBNF_RULES} rules")
    try:
        rules = GrammarParser().parse(_CODE_POINT.sub(_spelled, text))
        resolve(rules)
    except RecursionError:
        raise TooLarge("is nested too deeply") from None
    except Exception as error:  # noqa: BLE001 - the converter raises plain ones
        raise ValueError(f"is neither Lark nor GBNF: {error}") from None
    for number, rule in enumerate(rules.values()):
        rule.comment = ""
        if rule.name != "start":
            rule.name = f"rule_{number}"
    return "%llguidance {}\n" + "\n".join(str(rule) for rule in rules.values()) + "\n"


def _spelled(escape: re.Match[str]) -> str:
    digits = escape[1] or escape[2] or escape[3]
    if digits is None:
        return escape[0]
    character = chr(int(digits, 16))
    if character.isprintable() and character not in _MARKS:
        return character
    return f"\\x{ord(character):02x}" if ord(character) < 0x80 else character
