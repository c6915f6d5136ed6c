"""An answer on the terminal: text, and calls each on a line of its own."""

import pytest

from web.cli.answer_printer import AnswerPrinter

FIRST = [("weather", ""), ("", '{"place": '), ("", '"Oslo"}')]


@pytest.mark.parametrize(
    ("text", "calls", "printed"),
    [
        ("", FIRST, 'weather({"place": "Oslo"})\n'),
        ("I look.", FIRST, 'I look.\nweather({"place": "Oslo"})\n'),
        ("I look.\n", [*FIRST, ("time", "{}")], 'I look.\nweather({"place": "Oslo"})\ntime({})\n'),
        ("Hello.", [], "Hello.\n"),
    ],
)
def test_calls_stand_on_lines_of_their_own(capsys, text, calls, printed):
    printer = AnswerPrinter(shows_reasoning=True)
    printer.say(text)
    for name, arguments in calls:
        printer.call(name, arguments)
    printer.end()
    assert capsys.readouterr().out == printed
