"""The shipped GGUF as safetensors, for engines that read nothing else.

`python -m tests.vllm.convert DIR` makes it once: a directory that holds the model is left alone.
"""

import os
import sys
import tempfile
from pathlib import Path

from presets.catalogue import SHIPPED, Catalogue
from presets.weights import safetensors


def convert(models_dir):
    """`<models_dir>/smollm2-135m/` with the weights in bfloat16; returns it."""
    target = Path(models_dir) / SHIPPED
    if safetensors.holds_model(target):
        return target
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = Catalogue.load(None, "llamacpp").get(SHIPPED).path
    target.parent.mkdir(parents=True, exist_ok=True)
    model = AutoModelForCausalLM.from_pretrained(
        source.parent, gguf_file=source.name, dtype=torch.bfloat16
    )
    # They are dequantised now; what still calls them quantised keeps them from being saved.
    model.hf_quantizer = None
    model._is_quantized_training_enabled = False
    del model.config.quantization_config
    with tempfile.TemporaryDirectory(dir=target.parent) as unfinished:
        model.save_pretrained(unfinished)
        AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(
            unfinished
        )
        os.chmod(unfinished, 0o755)
        os.rename(unfinished, target)
        os.mkdir(unfinished)  # for the context manager to remove
    return target


if __name__ == "__main__":
    print(convert(sys.argv[1]))
