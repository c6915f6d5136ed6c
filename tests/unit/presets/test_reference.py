"""Names of models on the hub, in every form in which people have them."""

import pytest

from presets.fetching.reference import Reference, is_reference, parse
from presets.fetching.repository import PullError


@pytest.mark.parametrize(
    ("name", "repo", "variant"),
    [
        ("hf.co/user/repo", "user/repo", None),
        ("hf.co/user/repo:Q4_K_M", "user/repo", "Q4_K_M"),
        ("HF.co/user/repo:latest", "user/repo", None),
        ("huggingface.co/user/repo:q8_0", "user/repo", "q8_0"),
        ("user/repo", "user/repo", None),
        ("user/repo:IQ3_XS", "user/repo", "IQ3_XS"),
        ("user/repo:Q4/w-00001-of-00002.gguf", "user/repo", "Q4/w-00001-of-00002.gguf"),
        ("https://huggingface.co/user/repo", "user/repo", None),
        ("https://huggingface.co/user/repo/", "user/repo", None),
        ("https://huggingface.co/user/repo/tree/main", "user/repo", None),
        ("https://huggingface.co/user/repo/blob/main/q/w.gguf", "user/repo", "q/w.gguf"),
        (
            "https://huggingface.co/user/repo/resolve/main/w.gguf?download=true",
            "user/repo",
            "w.gguf",
        ),
    ],
)
def test_forms_of_a_name(name, repo, variant):
    assert is_reference(name)
    assert parse(name) == Reference(repo, variant)


@pytest.mark.parametrize(
    "name",
    [
        "/",
        "hf.co/",
        "hf.co/user",
        "user/",
        "/repo",
        "user/repo:",
        "user/repo/more",
        "user/repo/more:Q4_0",
        "../../etc/passwd",
        "user/..",
        "../models",
        "https://elsewhere.example/user/repo",
        "https://huggingface.co/user/repo/blob/other-branch/w.gguf",
        "user/re\x1bpo",
        "user/repo\n",
        "u/" + "r" * 600,
    ],
)
def test_what_names_no_repository(name):
    with pytest.raises(PullError, match=r"is no repository of a hub, such as hf\.co/user/repo"):
        parse(name)


def test_names_of_the_catalogue_are_none_of_the_hub():
    assert not is_reference("phi-4")
