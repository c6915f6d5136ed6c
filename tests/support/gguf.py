"""Small GGUF files: a head with metadata, and no tensors."""

import struct


def text(value):
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def gguf(context_length=1024, size=0, **strings):
    """A file with an array in the way, as real ones have it; `size` bytes of it are no metadata.

    `strings` are further metadata, e.g. `general__name`; None leaves out the context's length.
    """
    pairs = [
        text("general.architecture") + struct.pack("<I", 8) + text("llama"),
        text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("b"),
        text("tokenizer.ggml.scores") + struct.pack("<IIQ2f", 9, 6, 2, 0.5, 1.5),
    ]
    if context_length is not None:
        pairs.append(text("llama.context_length") + struct.pack("<II", 4, context_length))
    pairs += [
        text(key.replace("__", ".")) + struct.pack("<I", 8) + text(value)
        for key, value in strings.items()
    ]
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs)) + b"".join(pairs) + bytes(size)


def u32(key, value):
    return text(key) + struct.pack("<II", 4, value)


def head(*pairs, architecture="llama"):
    """The head of a GGUF file with these pairs."""
    named = (text("general.architecture") + struct.pack("<I", 8) + text(architecture), *pairs)
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(named)) + b"".join(named)
