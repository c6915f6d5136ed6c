"""A counter as the scripted engine counts: words; with it expectations are exact."""

from presets.budgets import Budgets


def words(text):
    """Words in a text."""
    return len(text.split())


class WordCounter:
    """Counts words, whatever the model; `calls` has how many words were counted, call by call."""

    def __init__(self):
        self.calls = []

    def count_messages(self, model, messages, template=None):
        """Words of all contents."""
        self.calls.append(sum(words(turn.content or "") for turn in messages))
        return self.calls[-1]

    def count_prompt(self, model, messages, texts, template=None):
        """Words of all contents, and of each text."""
        return self.count_messages(model, messages), self.count_texts(model, texts)

    def count_texts(self, model, texts):
        """Words of each."""
        counts = tuple(map(words, texts))
        self.calls.append(sum(counts))
        return counts


def budgets_of(**windows):
    """A function that gives each model's budgets, by the pattern; 8,192 where none is named."""
    return lambda model: Budgets.of_context(windows.get(model, 8192))
