"""Files of a user's own, described from their metadata."""

import pytest
import yaml

from presets.catalogue import Catalogue
from presets.fetching.adding import AddError, add
from presets.fetching.description import suggested_id
from presets.kind import Kind
from presets.model import Reasoning
from tests.support.gguf import gguf, head, u32


@pytest.fixture
def places(tmp_path):
    """The directories of models and of the own catalogue."""
    for name in ("models", "own", "downloads"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def add_file(places):
    """Adds a file with this name and content, as the command does."""

    def run(name, content=None, **options):
        file = places / "downloads" / name
        if content is not None:
            file.write_bytes(content)
        models, own = places / "models", places / "own"
        catalogue = Catalogue.load(models, "llamacpp", own=own)
        return add(file, catalogue, models, own, **options)

    return run


def written(places):
    """Everything that lies in the models directory and in the own catalogue."""
    return [p for root in ("models", "own") for p in (places / root).rglob("*") if not p.is_dir()]


def test_a_file_becomes_a_model_of_the_catalogue(places, add_file):
    added = add_file("My-Model-Q4_K_M.gguf", gguf(4096, general__name="My Model 1B"))
    assert added.description == places / "own" / "models" / "my-model.yaml"
    catalogue = Catalogue.load(places / "models", "llamacpp", own=places / "own")
    spec = catalogue.get("my-model")
    assert (spec.context_length, spec.roles, spec.notes) == (
        4096,
        ("primary", "fast"),
        "My Model 1B",
    )
    assert spec.path == places / "models" / "my-model" / "My-Model-Q4_K_M.gguf"
    assert spec.path.is_symlink()
    assert spec in catalogue.present


def test_a_copy_stays_when_the_file_goes(places, add_file):
    add_file("mine.gguf", gguf(), copy=True)
    (places / "downloads" / "mine.gguf").unlink()
    there = places / "models" / "mine" / "mine.gguf"
    assert (there.is_symlink(), there.read_bytes()) == (False, gguf())


def test_a_split_file_is_added_with_all_its_parts(places, add_file):
    (places / "downloads" / "w-00002-of-00002.gguf").write_bytes(bytes(3_000_000))
    added = add_file("w-00001-of-00002.gguf", gguf())
    catalogue = Catalogue.load(places / "models", "llamacpp", own=places / "own")
    assert catalogue.get("w") in catalogue.present
    assert yaml.safe_load(added.description.read_text())["size_gb"] == 0.003


@pytest.mark.parametrize(
    ("template", "reasoning"),
    [
        ("{{ '<think>' }} ... </think>", Reasoning("tags", "<think>", "</think>")),
        ("{% if '</think>' in content %}", Reasoning("tags", "<think>", "</think>")),
        ("<|start|>assistant<|channel|>analysis", Reasoning("harmony")),
        ("{{ messages }}", None),
    ],
)
def test_think_tags_are_those_of_the_template(add_file, template, reasoning):
    spec = add_file("mine.gguf", gguf(tokenizer__chat_template=template)).spec
    assert spec.reasoning == reasoning
    assert ("thinker" in spec.roles) == (reasoning is not None)


def test_roles_of_a_coder_with_a_long_context(add_file):
    spec = add_file("some-coder.gguf", gguf(131_072)).spec
    assert spec.roles == ("coder", "primary", "fast", "longctx")


@pytest.mark.parametrize(
    ("name", "own_name", "expected"),
    [
        ("Phi-4-Q4_K_S.gguf", "x", "phi-4"),
        ("granite.IQ3_XS.gguf", "x", "granite"),
        ("gemma-bf16.gguf", "x", "gemma"),
        ("big-Q4_K_M-00001-of-00003.gguf", "x", "big"),
        ("model-f16.gguf", "Qwen2.5 7B (chat)", "qwen2.5-7b-chat"),
        ("Modell für mich.gguf", "x", "modell-f-r-mich"),
    ],
)
def test_an_id_is_the_files_name_else_the_models(name, own_name, expected):
    assert suggested_id(name, {"general.name": own_name}) == expected


@pytest.mark.parametrize(
    ("name", "content", "options", "refusal"),
    [
        ("x.gguf", None, {}, "there is no file"),
        ("x.gguf", b"PK words", {}, "is no usable GGUF"),
        ("x.gguf", gguf(None), {}, "is no language model"),
        ("x.gguf", gguf(general__type="adapter"), {}, r"is no language model .*an adapter"),
        ("x-00001-of-00003.gguf", gguf(), {}, "x-00002-of-00003.gguf, x-00003-of-00003.gguf are"),
        ("x-00002-of-00002.gguf", gguf(), {}, "x-00001-of-00002.gguf is not beside it"),
        ("phi-4.gguf", gguf(), {}, "there is a model 'phi-4' already; give it another with --id"),
        ("x.gguf", gguf(), {"model_id": "../up"}, "can be no id"),
        ("x.gguf", gguf(), {"model_id": ".hidden"}, "can be no id"),
        ("x.gguf", gguf(), {"model_id": ""}, None),
    ],
)
def test_what_cannot_be_added_is_told_and_leaves_nothing(
    places, add_file, name, content, options, refusal
):
    if refusal is None:
        assert add_file(name, content, **options).spec.id == "x"
        return
    with pytest.raises(AddError, match=refusal):
        add_file(name, content, **options)
    assert written(places) == []


def test_the_same_file_twice(places, add_file):
    add_file("mine.gguf", gguf())
    with pytest.raises(AddError, match="there is a model 'mine' already"):
        add_file("mine.gguf")
    assert add_file("mine.gguf", model_id="mine-2").spec.id == "mine-2"


def test_a_file_that_lies_in_the_models_directory_is_only_described(places, add_file):
    (places / "models" / "own-name").mkdir()
    there = places / "models" / "own-name" / "w.gguf"
    there.write_bytes(gguf(2048))
    added = add_file("../models/own-name/w.gguf")
    assert added.spec.id == "own-name"
    assert (there.is_symlink(), there.read_bytes()) == (False, gguf(2048))
    assert sorted(path.name for path in written(places)) == ["own-name.yaml", "w.gguf"]
    with pytest.raises(AddError, match="already; give it another with --id"):
        add_file("../models/own-name/w.gguf", model_id="own-name")
    assert there.read_bytes() == gguf(2048)


def test_what_others_put_there_is_kept(places, add_file):
    (places / "models" / "mine").mkdir()
    (places / "models" / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(AddError, match="there is something in"):
        add_file("mine.gguf", gguf())
    assert [path.name for path in written(places)] == ["notes.txt"]


def test_a_catalogue_that_is_wrong_elsewhere_takes_nothing_new(places, add_file):
    file = places / "downloads" / "mine.gguf"
    file.write_bytes(gguf())
    catalogue = Catalogue.load(places / "models", "llamacpp")
    (places / "own" / "models").mkdir()
    wrong = places / "own" / "models" / "other.yaml"
    wrong.write_text("id: other\n")
    with pytest.raises(AddError, match=r"other\.yaml: other: context_length is missing"):
        add(file, catalogue, places / "models", places / "own")
    assert written(places) == [wrong]


def test_a_file_that_lies_flat_in_the_models_directory_keeps_its_name(places):
    models, own = places / "models", places / "own"
    (models / "mine.gguf").write_bytes(gguf())
    added = add(models / "mine.gguf", Catalogue.load(models, "llamacpp", own=own), models, own)
    catalogue = Catalogue.load(models, "llamacpp", own=own)
    assert added.spec.id == "mine"
    assert catalogue.get("mine").path == models / "mine" / "mine.gguf"


def test_an_embedding_model_is_described_as_one(places, add_file):
    length = u32("nomic-bert.context_length", 2048)
    added = add_file("x.gguf", head(length, architecture="nomic-bert"))
    assert (added.spec.kind, added.spec.roles) == (Kind.EMBEDDING, ())
    assert "kind: embedding" in (places / "own" / "models" / "x.yaml").read_text()


def test_a_reranker_is_described_as_one(places, add_file):
    fields = (u32("qwen3.pooling_type", 4), u32("qwen3.context_length", 2048))
    added = add_file("x.gguf", head(*fields, architecture="qwen3"))
    assert (added.spec.kind, added.spec.roles) == (Kind.RERANK, ())
    assert "kind: rerank" in (places / "own" / "models" / "x.yaml").read_text()
