"""A Llama of 1.1 billion random weights in Q4_K_M: speed does not depend on what weights say.

Made once and kept outside the tree, with the shipped model's tokenizer; 0.7 GB.
"""

import os
from pathlib import Path

import gguf
import numpy as np

from presets.catalogue import SHIPPED, Catalogue

ID = "random-1.1b"
#: TinyLlama's shape.
LAYERS, WIDTH, FEED_FORWARD, HEADS, KV_HEADS, CONTEXT = 22, 2048, 5632, 32, 4, 8192
#: Bytes of a block of 256 weights, and where its scales in f16 are (ggml-common.h).
_BLOCKS = {
    gguf.GGMLQuantizationType.Q4_K: (144, (0, 2)),
    gguf.GGMLQuantizationType.Q6_K: (210, (208,)),
}


def directory() -> Path:
    """Where it is kept: a models directory for the service."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "inference-service-benchmarks" / "models"


def file() -> Path:
    """The model's file, made if it is not there."""
    path = directory() / ID / f"{ID}.gguf"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        _write(unfinished)
        unfinished.rename(path)
    return path


def _write(path: Path) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    _describe(writer)
    random = np.random.default_rng(1)
    q4, q6 = gguf.GGMLQuantizationType.Q4_K, gguf.GGMLQuantizationType.Q6_K
    vocabulary = len(_field("tokenizer.ggml.tokens"))

    def matrix(name: str, rows: int, columns: int, form: gguf.GGMLQuantizationType = q4) -> None:
        size, scales = _BLOCKS[form]
        blocks = random.integers(0, 256, (rows * columns // 256, size), dtype=np.uint8)
        for at in scales:
            blocks[:, at : at + 2] = np.frombuffer(np.float16(1e-4).tobytes(), np.uint8)
        writer.add_tensor(name, blocks.reshape(rows, -1), raw_dtype=form)

    def ones(name: str) -> None:
        writer.add_tensor(name, np.ones(WIDTH, dtype=np.float32))

    matrix("token_embd.weight", vocabulary, WIDTH)
    matrix("output.weight", vocabulary, WIDTH, q6)
    ones("output_norm.weight")
    kv_width = WIDTH // HEADS * KV_HEADS
    for layer in range(LAYERS):
        # As Q4_K_M has it: more bits for values and the way down, in about half of the layers.
        finer = q6 if layer < LAYERS // 8 or layer >= 7 * LAYERS // 8 or layer % 3 == 2 else q4
        block = f"blk.{layer}"
        matrix(f"{block}.attn_q.weight", WIDTH, WIDTH)
        matrix(f"{block}.attn_k.weight", kv_width, WIDTH)
        matrix(f"{block}.attn_v.weight", kv_width, WIDTH, finer)
        matrix(f"{block}.attn_output.weight", WIDTH, WIDTH)
        matrix(f"{block}.ffn_gate.weight", FEED_FORWARD, WIDTH)
        matrix(f"{block}.ffn_up.weight", FEED_FORWARD, WIDTH)
        matrix(f"{block}.ffn_down.weight", WIDTH, FEED_FORWARD, finer)
        ones(f"{block}.attn_norm.weight")
        ones(f"{block}.ffn_norm.weight")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _describe(writer: gguf.GGUFWriter) -> None:
    writer.add_name(ID)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_K_M)
    writer.add_tokenizer_model(_field("tokenizer.ggml.model"))
    writer.add_tokenizer_pre(_field("tokenizer.ggml.pre"))
    writer.add_token_list(_field("tokenizer.ggml.tokens"))
    writer.add_token_types(_field("tokenizer.ggml.token_type"))
    writer.add_token_merges(_field("tokenizer.ggml.merges"))
    writer.add_bos_token_id(_field("tokenizer.ggml.bos_token_id"))
    writer.add_eos_token_id(_field("tokenizer.ggml.eos_token_id"))
    writer.add_chat_template(_field("tokenizer.chat_template"))


def _field(name: str):
    if not _FIELDS:
        reader = gguf.GGUFReader(Catalogue.load(None, "llamacpp").get(SHIPPED).path)
        _FIELDS.update({key: field.contents() for key, field in reader.fields.items()})
    return _FIELDS[name]


_FIELDS: dict = {}
