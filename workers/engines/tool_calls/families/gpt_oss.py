"""gpt-oss: a message to a function, in the form of `workers.engines.harmony`.

    <|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{...}<|call|>

`<|call|>` ends the turn, so that an answer has one call. The splitter of thoughts lets such a
message through as content, whole. Described at https://cookbook.openai.com/articles/openai-harmony.
"""

import re
from dataclasses import dataclass

from workers.contract.tools import Tools
from workers.engines.harmony import CALL, CALLING, CHANNEL, CONSTRAIN, END, MESSAGE, START, TAGS
from workers.engines.tool_calls.base import TokenOf
from workers.engines.tool_calls.form import Form
from workers.engines.tool_calls.lark_rules import LarkRules
from workers.engines.tool_calls.named_family import NamedFamily
from workers.engines.tool_calls.registry import register

_JSON = f" {CONSTRAIN}json{MESSAGE}"
_HEAD = re.compile(
    r"(?P<name>[^\s<{]+)\s*(?:<\|channel\|>\s*(?:commentary|analysis)\s*)?"
    r"(?:<\|constrain\|>)?\s*(?:json|code)?\s*<\|message\|>\s*"
)


@dataclass(frozen=True)
class _Harmony(NamedFamily):
    """See `base.Family`."""

    def grammar(self, tools: Tools, token_of: TokenOf) -> str:
        """See `base.Family`: thoughts, then a call."""
        rules = LarkRules(self.marks, token_of)
        rules.add("named", *self._named(rules, tools, _JSON))
        # Text takes no special token; where the tag is spelled, text ends with it.
        thinking = ["thinking", rules.text(END)]
        if token_of(END) is None:
            rules.add("thinking[lazy]", f"/(?s:.*)/ {rules.text(END)}")
            thinking = ["thinking"]
        else:
            rules.add("thinking", "/(?s:.*)/")
        opening = [rules.text(CHANNEL), '("analysis" | "commentary")', rules.text(MESSAGE)]
        again = [rules.text(f"{START}assistant")]
        rules.add("thought", " ".join(opening + thinking + again))
        rules.add("start", f"thought* {rules.text(self.before)} named")
        return str(rules)

    def grammar_after(self, opened: str, tools: Tools, token_of: TokenOf) -> str:
        """See `base.Family`."""
        rules = LarkRules(self.marks, token_of)
        between = f"{CHANNEL}commentary{_JSON}" if opened.startswith(START) else _JSON
        rules.add("named", *self._named(rules, tools, between))
        rules.add("start", f"{rules.said(opened)} named")
        return str(rules)


register(
    _Harmony(
        name="harmony",
        before=CALLING[0],
        between=_JSON,
        after=CALL,
        form=Form(opens=CALLING, closes=(CALL,)),
        head=_HEAD,
        recognise=lambda template: CHANNEL in template and "commentary" in template,
        others=TAGS,
        grammar_covers_thought=True,
    )
)
