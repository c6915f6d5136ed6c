"""What the fast model is asked where a text is too long for those who go on from it."""

from __future__ import annotations

from orchestration.prompts.template import Template

COMPRESS = Template(
    "compress",
    """\
A user asked:
---
{{ request }}
---
{% if pieces > 1 %}
This is part {{ piece }} of {{ pieces }} of what was written:
{% else %}
This was written:
{% endif %}
---
{{ text }}
---
Shorten it, in JSON, for those who go on from it, and add nothing. context says in at most \
{{ words }} words what was found: no reasoning, no wordiness, no stack traces, no intermediate \
output, nothing that was resolved. decisions, constraints and open_questions list these, each in \
one short sentence; evidence lists quotes and references, word for word; errors lists what went \
wrong and still matters.
{% if keep %}
This has to stand in it word for word:
{% for fact in keep %}
- {{ fact }}
{% endfor %}
{% endif %}
""",
    {"request": "r", "text": "t", "piece": 1, "pieces": 2, "words": 100, "keep": ("k",)},
)
