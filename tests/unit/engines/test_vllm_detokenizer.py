"""Text of vLLM's answers, whole characters at a time; the library `tokenizers` is all it needs."""

from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from workers.engines.vllm.vocabulary import Detokenizer, Vocabulary


@pytest.fixture(scope="module")
def vocabulary():
    """A token for each byte."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    fast = Tokenizer(models.BPE({letter: id_ for id_, letter in enumerate(letters)}, []))
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    tokenizer = SimpleNamespace(
        _tokenizer=fast, chat_template="", bos_token=None, eos_token=None, eos_token_id=None
    )
    return Vocabulary("m", tokenizer, {})


def text_of(vocabulary, ids, *, cut):
    characters = Detokenizer(vocabulary, vocabulary.tokenize("prompt"))
    return "".join(characters.push(token) for token in ids) + characters.finish(cut=cut)


@pytest.mark.parametrize("left_out", [1, 2, 3])
def test_a_cut_inside_a_character_leaves_no_part_of_it(vocabulary, left_out):
    ids = vocabulary.tokenize("né 🙂")[:-left_out]
    assert text_of(vocabulary, ids, cut=True) == "né "


def test_bytes_that_the_model_left_incomplete_are_replaced(vocabulary):
    assert text_of(vocabulary, vocabulary.tokenize("né 🙂")[:-1], cut=False) == "né \ufffd"


@pytest.mark.parametrize("cut", [True, False])
def test_whole_text_comes_whole(vocabulary, cut):
    assert text_of(vocabulary, vocabulary.tokenize("né 🙂"), cut=cut) == "né 🙂"
