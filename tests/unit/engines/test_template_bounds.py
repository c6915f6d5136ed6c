"""What a chat template may cost, and how it ends where it costs more."""

import threading
import time
import tracemalloc

import pytest

from tests.support.chat_template_families import BOS, EOS
from workers.contract.errors import ModelLoadFailed, TimeBudgetExceeded, ValidationFailed
from workers.contract.job import Message
from workers.engines.chat_template.template import CHATML, ChatTemplate
from workers.engines.time_budget import Cancelled, TimeBudget


def template(source):
    return ChatTemplate(source, BOS, EOS)


BOMBS = {
    "three loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}"
    "{% endfor %}{% endfor %}{% endfor %}",
    "a large range": "{% for a in range(10**9) %}{% endfor %}",
    "a list of a range": "{{ range(10**9) | list }}",
    "a range that is summed": "{{ range(10**9) | sum }}",
    "a long text": "{{ 'x' * 1000000000 }}",
    "a long text the other way": "{{ 1000000000 * 'x' }}",
    "a callers text, often": "{{ messages[0].content * 1000000000 }}",
    "a long list": "{{ ([0] * 1000000000) | length }}",
    "doubled": "{% set ns = namespace(x='x') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}"
    "{% endfor %}",
    "doubled by a tilde": "{% set ns = namespace(x='x') %}{% for i in range(60) %}"
    "{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "a list doubled": "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}"
    "{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "lists of lists": "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}"
    "{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | string | length }}",
    "lists of lists compared": "{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(60) %}"
    "{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
    "dicts of dicts": "{% set ns = namespace(x=1) %}{% for i in range(60) %}"
    "{% set ns.x = dict(a=ns.x, b=ns.x) %}{% endfor %}{{ ns.x | tojson }}",
    "many long texts": "{% set ns = namespace(x=[]) %}{% for i in range(1000) %}"
    "{% set ns.x = ns.x + ['x' * 1000000 ~ i] %}{% endfor %}",
    "many short texts": "{% set x %}{% for a in range(99999) %}{% for b in range(99999) %}"
    "{{ 'x' * 100 }}{% endfor %}{% endfor %}{% endset %}",
    "a long output": "{% for a in range(99999) %}{{ 'x' * 100000 }}{% endfor %}",
    "a division by zero": "{{ 1 // 0 }}",
    "a power": "{{ 10 ** (10 ** 9) }}",
    "powers of powers": "{% set ns = namespace(x=3) %}{% for i in range(99) %}"
    "{% set ns.x = ns.x * ns.x %}{% endfor %}",
    "a width by percent": "{{ '%1000000000d' % 1 }}",
    "a width by a star": "{{ '%*d' % (1000000000, 1) }}",
    "a precision": "{{ '%.1000000000f' % 1 }}",
    "a width by format": "{{ '{:>1000000000}'.format(1) }}",
    "a width from an argument": "{{ '{:>{}}'.format(1, 1000000000) }}",
    "a filter's width": "{{ 'x' | center(1000000000) }}",
    "a computed filter's width": "{{ 'x' | center(10 ** 9) }}",
    "a method's width": "{{ 'x'.ljust(1000000000) }}",
    "a method of a plain text": "{{ (1 | string).zfill(1000000000) }}",
    "tabs": "{{ '\t'.expandtabs(1000000000) }}",
    "an indent": "{{ [[1]] | tojson(indent=1000000000) }}",
    "a long indent": "{{ [1] * 1000 | tojson(indent='x' * 1000000) }}",
    "a batch": "{{ [1] | batch(1000000000, 'x') | list }}",
    "a round": "{{ 1.5 | round(1000000000, 'ceil') }}",
    "a date's width": "{{ strftime_now('%1000000000Y') }}",
    "bytes": "{{ 'x'.encode().ljust(1000000000) | length }}",
    "bytes of a number": "{{ (1).to_bytes(1000000000, 'big') | length }}",
    "replaced": "{{ ('x' * 100000).replace('x', 'y' * 100000) | length }}",
    "replaced by a filter": "{{ ('x' * 100000) | replace('x', 'y' * 100000) | length }}",
    "joined": "{{ ('y' * 100000).join('x' * 100000) | length }}",
    "a macro that calls itself": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "a macro that calls itself twice": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}"
    "{% endmacro %}{{ m(60) }}",
    "lipsum": "{{ lipsum(n=1000000) }}",
    "python": "{{ ''.__class__.__mro__ }}{{ messages.__class__() }}{{ ''.format.__globals__ }}{{ 1 // 0 }}",
    "an import": "{% import 'x' as y %}",
    "deep": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "long": "x" * 600_000,
    "no template": "{% for %}",
    "a filter that nobody knows": "{{ 1 | nobody }}",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_template_that_costs_too_much_is_refused_when_it_is_loaded(name):
    began = time.monotonic()
    with pytest.raises(ModelLoadFailed, match="chat template") as refused:
        template(BOMBS[name])
    assert time.monotonic() - began < 12
    assert len(refused.value.message) < 1000


@pytest.mark.parametrize(
    "name",
    [
        "a long text",
        "a long list",
        "doubled",
        "a list doubled",
        "many long texts",
        "a long output",
        "many short texts",
        "replaced",
        "joined",
        "a long indent",
        "dicts of dicts",
    ],
)
def test_its_memory_is_bounded(name):
    tracemalloc.start()
    try:
        with pytest.raises(ModelLoadFailed):
            template(BOMBS[name])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 400 * 2**20


@pytest.mark.parametrize("name", ["three loops", "doubled", "a division by zero", "a long output"])
def test_a_template_that_costs_too_much_for_some_request_fails_that_request(name):
    made = template("{% if messages[0].content == 'now' %}" + BOMBS[name] + "{% endif %}ok")
    assert made.render((Message("user", "then"),)) == "ok"
    with pytest.raises((ValidationFailed, TimeBudgetExceeded)):
        made.render((Message("user", "now"),))


def test_a_rendering_ends_with_its_time():
    # Not the first messages, which it is tried with when it is made: that has a budget, too.
    text = "{% for m in messages[9:] %}{% for a in range(99999) %}{% endfor %}{% endfor %}"
    made = template(text)
    with pytest.raises(TimeBudgetExceeded, match="Rendering the chat template") as over:
        made.render((Message("user", "x"),) * 14, budget=TimeBudget(budget_s=0.01))
    assert over.value.details == {"phase": "rendering the chat template", "budget_s": 0.01}


def test_a_rendering_ends_when_nobody_waits_any_longer():
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        template(CHATML).render((Message("user", "x"),), budget=TimeBudget(cancelled))


def test_a_long_conversation_is_within_bounds():
    messages = tuple(Message("user", "x" * 1000) for _ in range(5000))
    assert len(template(CHATML).render(messages)) > 5_000_000
