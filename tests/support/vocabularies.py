"""Vocabularies of other families than the shipped model's, as GGUF files without weights."""

import contextlib

import gguf
import llama_cpp

from tests.support.chat_template_families import FAMILIES

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6
LETTERS = (
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789<>|/_-:;.,!?'\"()[]{}=+*#@\\"
)


def _writer(path, family):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(family)
    writer.add_context_length(4096)
    writer.add_embedding_length(8)
    writer.add_block_count(1)
    writer.add_feed_forward_length(8)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_chat_template(FAMILIES[family])
    return writer


def _write(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def phi(path):
    """A SentencePiece vocabulary as Phi-3 has it: a space before every text, and merges that lead
    to the text of the end of a sequence."""
    tokens = [("<unk>", UNKNOWN, 0.0), ("<s>", CONTROL, 0.0), ("</s>", CONTROL, 0.0)]
    tokens += [(f"<0x{byte:02X}>", BYTE, 0.0) for byte in range(256)]
    pieces = ["▁", *LETTERS, "</", "s>", "▁H", "Hi", "▁Hi", "he", "ll", "hell", "hello", "▁hello"]
    pieces += ["in", "▁in", "st", "us", "er", "user", "▁user"]
    tokens += [(piece, NORMAL, -float(rank)) for rank, piece in enumerate(pieces, 1)]
    tokens += [(f"<|{name}|>", CONTROL, 0.0) for name in ("system", "user", "assistant", "end")]
    tokens.append(("<|words|>", USER_DEFINED, 0.0))
    writer = _writer(path, "phi")
    writer.add_tokenizer_model("llama")
    writer.add_token_list([text for text, _, _ in tokens])
    writer.add_token_scores([score for _, _, score in tokens])
    writer.add_token_types([kind for _, kind, _ in tokens])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(True)
    _write(writer)
    return path


def deepseek(path):
    """A byte-level BPE as DeepSeek has it: its turns begin with tokens that were added as words."""
    letters = bytes_as_letters()
    merges = ["l l", "h e", "he ll", "hell o", "Ġ h", "u s", "e r", "us er", "Ġ user", "i n"]
    tokens = [(letter, NORMAL) for letter in letters]
    tokens += [(merge.replace(" ", ""), NORMAL) for merge in merges]
    begin = len(tokens)
    tokens += [("<｜begin▁of▁sentence｜>", CONTROL), ("<｜end▁of▁sentence｜>", CONTROL)]
    added = "<｜User｜>", "<｜Assistant｜>", "<think>", "</think>", "<｜tool▁sep｜>", "<｜nobody｜>"
    tokens += [(text, USER_DEFINED) for text in added]
    writer = _writer(path, "deepseek")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([text for text, _ in tokens])
    writer.add_token_types([kind for _, kind in tokens])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(begin)
    writer.add_eos_token_id(begin + 1)
    writer.add_add_bos_token(True)
    _write(writer)
    return path


def bytes_as_letters():
    """The letters that byte-level vocabularies write bytes with (GPT-2)."""
    shown = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    table = {byte: chr(byte) for byte in shown} | {
        byte: chr(256 + place) for place, byte in enumerate(hidden)
    }
    return [table[byte] for byte in range(256)]


class VocabularyOnly:
    """A model of which llama.cpp loads the vocabulary alone."""

    def __init__(self, path):
        parameters = llama_cpp.llama_model_default_params()
        parameters.vocab_only = True
        self.pointer = llama_cpp.llama_model_load_from_file(str(path).encode(), parameters)
        assert self.pointer, f"llama.cpp cannot read {path}"

    def chat_template(self):
        return llama_cpp.llama_model_chat_template(self.pointer, None).decode()


@contextlib.contextmanager
def vocabulary_of(path):
    model = VocabularyOnly(path)
    yield model
    llama_cpp.llama_model_free(model.pointer)
