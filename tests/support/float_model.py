"""The shipped model in 32 bits, or its first layers alone.

In 32 bits the shapes of batches do not move its logits, so that a wrong cell of the KV pool shows,
and a CPU reads it twice as fast as in 16. The first layers read ten times as fast again. What they
say makes no sense, but it depends on all that they read, as a whole model's words do.
"""

import ctypes
from pathlib import Path

import gguf
import llama_cpp

from presets.catalogue import SHIPPED, Catalogue

#: Of the shipped model's 30.
SHORT = 4


def write(directory: Path, layers: int | None = None) -> Path:
    """Make the file in this directory, of so many layers or all; returns its path."""
    source, path = Catalogue.load(None, "llamacpp").get(SHIPPED).path, directory / "f32.gguf"
    if layers is not None:
        source = _write_layers(source, directory / "short.gguf", layers)
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = llama_cpp.LLAMA_FTYPE_ALL_F32
    parameters.allow_requantize = True
    failed = llama_cpp.llama_model_quantize(
        str(source).encode(), str(path).encode(), ctypes.byref(parameters)
    )
    assert not failed
    return path


def _write_layers(source: Path, path: Path, layers: int) -> Path:
    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(path, architecture)
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue  # the writer has its own
        value = layers if name == f"{architecture}.block_count" else field.contents()
        of_items = field.types[-1] if len(field.types) > 1 else None
        writer.add_key_value(name, value, field.types[0], sub_type=of_items)
    for tensor in reader.tensors:
        if not tensor.name.startswith("blk.") or int(tensor.name.split(".")[1]) < layers:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
