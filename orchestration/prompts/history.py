"""How what was said before stands in a conversation whose old turns were shortened."""

from __future__ import annotations

from orchestration.prompts.template import Template

HISTORY = Template(
    "history",
    """\
What was said before, shortened:
{{ text }}
{% for title, entries in [("Decided", decisions), ("To keep to", constraints), ("Still open", \
open_questions), ("Quoted", evidence), ("What went wrong", errors)] %}
{% if entries %}
{{ title }}:
{% for entry in entries %}
- {{ entry }}
{% endfor %}
{% endif %}
{% endfor %}
""",
    {
        "text": "t",
        "decisions": ("d",),
        "constraints": ("c",),
        "open_questions": ("o",),
        "evidence": ("e",),
        "errors": ("e",),
    },
)
