"""The prefix tree: the longest common beginning, and whom it shows."""

from hypothesis import given, settings
from hypothesis import strategies as st

from workers.engines.llamacpp.prefix_tree import PrefixTree

TOKENS = st.lists(st.integers(0, 2), max_size=8)


class Entry:
    def __init__(self, tokens, owner="a"):
        self.tokens, self.owner = tokens, owner


def common(one, other):
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


@settings(deadline=None)
@given(st.lists(st.tuples(TOKENS, st.sampled_from("ab"), st.booleans()), max_size=12), TOKENS)
def test_it_finds_what_a_search_through_all_finds(given_, asked):
    tree, kept = PrefixTree(), []
    for tokens, owner, stays in given_:
        entry = Entry(tokens, owner)
        tree.add(entry, tokens, owner)
        if stays:
            kept.append(entry)
        else:
            tree.remove(entry)
    assert len(tree) == len(kept)
    shared = [(length, e) for length, entries in tree.shared(asked, len(asked)) for e in entries]
    expected = {e: n for e in kept if (n := common(e.tokens, asked))}
    assert {entry: length for length, entry in shared} == expected
    assert [length for length, _ in shared] == sorted(expected.values(), reverse=True)
    whole = [e for e in kept if e.tokens and e.tokens == asked[: len(e.tokens)]]
    assert set(tree.contained(asked, len(asked))) == set(whole)


def test_what_one_key_sent_shows_to_it_alone():
    tree = PrefixTree()
    tree.add(Entry([1, 2, 3, 4]), [1, 2, 3, 4], "a")
    assert tree.visible_length([1, 2, 3, 9], "a") == 3
    assert tree.visible_length([1, 2, 3, 9], "b") == 0
    assert tree.visible_length([1, 2, 3, 9], None) == 0


def test_what_two_keys_sent_shows_to_all_and_nothing_after_it():
    tree = PrefixTree()
    tree.add(Entry([1, 2, 3, 4]), [1, 2, 3, 4], "a")
    tree.add(Entry([1, 2, 7]), [1, 2, 7], "b")
    assert tree.visible_length([1, 2, 3, 4], "c") == 2
    assert tree.visible_length([1, 2, 7], "a") == 2
    assert tree.visible_length([1, 2, 3, 4], "a") == 4


def test_what_a_key_sent_is_gone_with_its_entry():
    tree = PrefixTree()
    of_a, of_b = Entry([1, 2, 3]), Entry([1, 2, 4])
    tree.add(of_a, [1, 2, 3], "a")
    tree.remove(of_a)
    tree.add(of_b, [1, 2, 4], "b")
    assert tree.visible_length([1, 2], "a") == 0
