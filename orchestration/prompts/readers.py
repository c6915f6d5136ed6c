"""What the fast model is asked between two steps: what a text settles, and what it contradicts."""

from __future__ import annotations

from orchestration.prompts.template import Template

EXTRACT = Template(
    "extract",
    """\
A user asked:
---
{{ request }}
---
This was written:
---
{{ text }}
---
Say in JSON what it settles, and add nothing: decisions lists what it decides, each as one short \
sentence with its numbers and names; constraints lists what it says every answer has to keep to; \
evidence lists quotes from it, word for word, on which a decision rests; open_questions lists what \
it leaves open. A list stays empty where there is nothing.
""",
    {"request": "r", "text": "t"},
)
CONTRADICTIONS = Template(
    "contradictions",
    """\
A user asked:
---
{{ request }}
---
This was settled:
{% for decision in decisions %}
{{ loop.index }}. {{ decision }}
{% endfor %}
---
Then this was written:
---
{{ text }}
---
Does it contradict what was settled? Say in JSON: contradictions has the number of each settled \
statement that it contradicts, with the quote from it, word for word, that does. What is only said \
in other words, left out or added contradicts nothing: then the list is empty.
""",
    {"request": "r", "decisions": ("d",), "text": "t"},
)
