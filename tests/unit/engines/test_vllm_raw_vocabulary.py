"""A tokenizer of vLLM's, as a caller's own prompt is read with it; `tokenizers` is all it needs."""

import types

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from workers.contract.prompt import Prompt
from workers.contract.sampling import Sampling
from workers.engines.infill import InfillMarks
from workers.engines.raw_prompts import RawPrompts
from workers.engines.time_budget import TimeBudget
from workers.engines.vllm.prompt_tokens import PromptTokens
from workers.engines.vllm.raw_vocabulary import RawVocabulary
from workers.engines.vllm.vocabulary import Vocabulary

MARKS = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")


def vocabulary(*special, begins=True):
    letters = {
        letter: id_ for id_, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))
    }
    fast = Tokenizer(models.BPE(letters, []))
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    fast.add_special_tokens([AddedToken(text, special=True) for text in ("<s>", "</s>", *special)])
    if begins:
        bos = ("<s>", fast.token_to_id("<s>"))
        fast.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[bos])
    tokenizer = types.SimpleNamespace(
        _tokenizer=fast,
        chat_template=None,
        bos_token="<s>",
        eos_token="</s>",
        eos_token_id=fast.token_to_id("</s>"),
    )
    return fast, RawVocabulary(
        Vocabulary("m", tokenizer, {}), PromptTokens("m", fast, frozenset(), 100)
    )


def ids(raw, prompt):
    return RawPrompts("m", raw, 100).of(prompt, Sampling(), TimeBudget())


def test_special_tokens_are_read_unless_they_are_to_be_text():
    fast, raw = vocabulary()
    bos, eos = fast.token_to_id("<s>"), fast.token_to_id("</s>")
    letter = fast.token_to_id("a")
    assert ids(raw, Prompt("a</s>")) == [bos, letter, eos]
    assert ids(raw, Prompt("<s>a")) == [bos, letter]
    assert len(ids(raw, Prompt("a</s>", parse_special=False))) == 6
    assert ids(vocabulary(begins=False)[1], Prompt("a")) == [letter]


def test_a_gap_stands_between_the_marks_of_its_vocabulary():
    fast, raw = vocabulary(*MARKS)
    prefix, suffix, middle = (fast.token_to_id(mark) for mark in MARKS)
    assert raw.infill_marks == InfillMarks(prefix, suffix, middle)
    a, b, bos = (fast.token_to_id(text) for text in ("a", "b", "<s>"))
    assert ids(raw, Prompt("a", suffix="b")) == [bos, prefix, a, suffix, b, middle]
    assert vocabulary()[1].infill_marks is None


def test_the_text_of_ids_has_special_tokens_too():
    fast, raw = vocabulary()
    assert raw.whole_text([fast.token_to_id(text) for text in ("a", "</s>")]) == "a</s>"
    assert raw.size == fast.get_vocab_size()
