"""A BERT of random weights, with a vocabulary of single characters: vectors that mean nothing, and
depend on all that is read.
"""

import gguf
import numpy as np

#: The shape of the test model; benchmarks take that of all-MiniLM-L6-v2.
LAYERS, WIDTH, FEED_FORWARD, HEADS, CONTEXT = 2, 32, 64, 4, 64
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?'"


def vocabulary():
    """Tokens as llama.cpp keeps those of WordPiece: what begins a word has the mark before it."""
    begins = [f"▁{letter}" for letter in _LETTERS]
    return [*_SPECIAL, *begins, *_LETTERS]


def write(
    path,
    *,
    layers=LAYERS,
    width=WIDTH,
    feed_forward=FEED_FORWARD,
    heads=HEADS,
    context=CONTEXT,
    pooling=gguf.PoolingType.MEAN,
    seed=1,
):
    """Make the file; returns its path."""
    writer = gguf.GGUFWriter(path, "bert")
    random = np.random.default_rng(seed)
    tokens = vocabulary()
    writer.add_name("random BERT")
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(feed_forward)
    writer.add_head_count(heads)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    writer.add_pooling_type(pooling)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("bert")
    writer.add_token_list(tokens)
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_token_types([control if token in _SPECIAL else normal for token in tokens])
    writer.add_token_type_count(2)
    writer.add_pad_token_id(tokens.index("[PAD]"))
    writer.add_unk_token_id(tokens.index("[UNK]"))
    writer.add_bos_token_id(tokens.index("[CLS]"))
    writer.add_sep_token_id(tokens.index("[SEP]"))
    writer.add_mask_token_id(tokens.index("[MASK]"))

    def matrix(name, rows, columns):
        weights = random.normal(0, 1 / np.sqrt(columns), (rows, columns))
        writer.add_tensor(f"{name}.weight", weights.astype(np.float32))

    def vector(name, value, size=width):
        writer.add_tensor(name, np.full(size, value, dtype=np.float32))

    def linear(name, rows, columns):
        matrix(name, rows, columns)
        vector(f"{name}.bias", 0, rows)

    def norm(name):
        vector(f"{name}.weight", 1)
        vector(f"{name}.bias", 0)

    matrix("token_embd", len(tokens), width)
    matrix("position_embd", context, width)
    matrix("token_types", 2, width)
    norm("token_embd_norm")
    for layer in range(layers):
        block = f"blk.{layer}"
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            linear(f"{block}.{part}", width, width)
        norm(f"{block}.attn_output_norm")
        linear(f"{block}.ffn_up", feed_forward, width)
        linear(f"{block}.ffn_down", width, feed_forward)
        norm(f"{block}.layer_output_norm")
    if pooling is gguf.PoolingType.RANK:
        linear("cls", width, width)
        linear("cls.output", 1, width)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
