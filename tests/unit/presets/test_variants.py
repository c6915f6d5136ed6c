"""Which of a repository's GGUF files a quantisation names: repositories as people lay them out."""

import pytest

from presets.fetching.repository import HubFile, PullError
from presets.fetching.variants import choose, variants

REPO = "user/repo"


def files(*names):
    """A repository with these files; each is larger than the one before."""
    return [
        HubFile(REPO, "main", name, 10**9 * (number + 1), "0" * 64, "")
        for number, name in enumerate(names)
    ]


USUAL = files(
    "README.md",
    "m-IQ2_M.gguf",
    "m-Q4_K_S.gguf",
    "m-Q4_K_M.gguf",
    "m-Q8_0.gguf",
    "mmproj-m-F16.gguf",
)


@pytest.mark.parametrize(
    ("there", "wanted", "name"),
    [
        (USUAL, None, "m-Q4_K_M.gguf"),
        (USUAL, "Q8_0", "m-Q8_0.gguf"),
        (USUAL, "q4_k_s", "m-Q4_K_S.gguf"),
        (USUAL, "m-iq2_m.GGUF", "m-IQ2_M.gguf"),
        # Without the default: what is nearest to it, else the smallest.
        (files("m-IQ1_S.gguf", "m-Q8_0.gguf", "m-Q4_0.gguf"), None, "m-Q4_0.gguf"),
        (files("m-Q3_K_M.gguf", "m-BF16.gguf"), None, "m-Q3_K_M.gguf"),
        (files("some-model.gguf"), None, "some-model.gguf"),
        (files("Model.F16.GGUF"), "f16", "Model.F16.GGUF"),
        # llama.cpp's, Ollama's and Unsloth's spellings.
        (files("qwen2.5-7b-instruct-q4_k_m.gguf"), "Q4_K_M", "qwen2.5-7b-instruct-q4_k_m.gguf"),
        (files("m.Q4_K_M-imat.gguf"), "Q4_K_M", "m.Q4_K_M-imat.gguf"),
        (files("m-UD-Q4_K_XL.gguf", "m-Q4_1.gguf"), "Q4_K_XL", "m-UD-Q4_K_XL.gguf"),
        (files("m-UD-Q4_K_XL.gguf", "m-Q4_1.gguf"), "UD-Q4_K_XL", "m-UD-Q4_K_XL.gguf"),
        (files("m-UD-Q4_K_M.gguf", "m-Q4_K_M.gguf"), "Q4_K_M", "m-Q4_K_M.gguf"),
        (files("m-MXFP4.gguf"), None, "m-MXFP4.gguf"),
        # A folder that has the name of what is in it.
        (files("BF16/m-00001-of-00002.gguf"), "BF16", "BF16/m-00001-of-00002.gguf"),
        (
            files("Q8_0/m-Q8_0-00002-of-00002.gguf", "Q8_0/m-Q8_0-00001-of-00002.gguf"),
            "Q8_0",
            "Q8_0/m-Q8_0-00001-of-00002.gguf",
        ),
        (
            files("Q8_0/m-Q8_0-00001-of-00002.gguf", "Q8_0/m-Q8_0-00002-of-00002.gguf"),
            "Q8_0/m-Q8_0-00002-of-00002.gguf",
            "Q8_0/m-Q8_0-00001-of-00002.gguf",
        ),
    ],
)
def test_a_model_is_chosen(there, wanted, name):
    assert choose(there, REPO, wanted).name == name


def test_parts_of_a_model_are_counted_together():
    (one,) = variants(files("q/m-Q8_0-00001-of-00002.gguf", "q/m-Q8_0-00002-of-00002.gguf"))
    assert one.size_bytes == 3 * 10**9


@pytest.mark.parametrize(
    ("there", "wanted", "refusal"),
    [
        (USUAL, "Q5_K_M", r"has no Q5_K_M; it has IQ2_M \(2\.00 GB\), Q4_K_S \(3\.00 GB\)"),
        (USUAL, "Q4_K", r"has no Q4_K; it has"),
        (USUAL, "other.gguf", r"has no file other\.gguf; it has m-IQ2_M\.gguf"),
        (USUAL, "../../m-Q8_0.gguf", "has no file"),
        (USUAL, "mmproj-m-F16.gguf", "is a projector of images or sound by its name"),
        (files("mmproj-F16.gguf", "imatrix.gguf"), None, r"mmproj-F16\.gguf are none"),
        (files("my-lora-f16.gguf"), None, "no GGUF file of a chat model"),
        (files("model.safetensors"), None, "--hf downloads those, for vLLM"),
        (files("pytorch_model.bin"), None, "no weights that can be served"),
        ([], None, "no weights that can be served"),
        (files("a\x1b[2J-Q4_K_M.gguf"), None, "no GGUF file of a chat model"),
        (
            files("m-0.5b-q4_k_m.gguf", "m-7b-q4_k_m.gguf"),
            "Q4_K_M",
            r"several models of Q4_K_M: m-0\.5b-q4_k_m\.gguf, .* user/repo:m-0\.5b-q4_k_m\.gguf",
        ),
        (files("m-0.5b-q4_k_m.gguf", "m-7b-q4_k_m.gguf"), None, "several models of Q4_K_M"),
    ],
)
def test_what_cannot_be_chosen_names_the_choices(there, wanted, refusal):
    with pytest.raises(PullError, match=refusal) as refused:
        choose(there, REPO, wanted)
    assert str(refused.value).isprintable()


def test_a_message_has_a_bound():
    many = files(*(f"m{number}-Q4_0.gguf" for number in range(5000)))
    with pytest.raises(PullError) as refused:
        choose(many, REPO, "Q8_0")
    assert len(str(refused.value)) < 2000
