"""Every layout of a models directory: what is a model, and why the rest is none."""

import pytest

from presets.catalogue import SHIPPED, Catalogue
from presets.kind import Kind
from presets.weights import weight_files
from presets.weights.gguf_kind import kind_of, reason_against_serving
from tests.support.gguf import gguf, head, u32


def pooled(architecture, kind):
    return head(u32(f"{architecture}.pooling_type", kind), architecture=architecture)


NO_MODELS = {
    "a projector": head(architecture="clip"),
    "an adapter": gguf(general__type="adapter"),
    "an importance matrix": gguf(general__type="imatrix"),
}


class Models:
    """A models directory: put files in, and look what is made of them."""

    def __init__(self, directory):
        self.directory = directory

    def put(self, name, content=None, size=0):
        file = self.directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes((content or gguf()) + bytes(size))
        return file

    @property
    def catalogue(self):
        return Catalogue.load(self.directory, "llamacpp")

    @property
    def present(self):
        """Own models by id, each with its file as it lies in the directory."""
        return {
            spec.id: str(spec.path.relative_to(self.directory))
            for spec in self.catalogue.present
            if spec.path is not None and spec.path.is_relative_to(self.directory)
        }

    @property
    def unserved(self):
        files = weight_files.unserved(self.directory, self.catalogue.all())
        return {str(file.path.relative_to(self.directory)): file.reason for file in files}


@pytest.fixture
def models(tmp_path):
    return Models(tmp_path)


def test_every_layout_is_found(models, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "weights").write_bytes(gguf())
    (elsewhere / "d").mkdir()
    (elsewhere / "d" / "w.gguf").write_bytes(gguf())
    models.put("flat.gguf")
    models.put("UPPER.GGUF")
    models.put("in-upper/W.GGUF")
    models.put("own/w.gguf")
    models.put("user/nested/w.gguf")
    models.put("split-00001-of-00002.gguf")
    models.put("split-00002-of-00002.gguf")
    (models.directory / "link.gguf").symlink_to(elsewhere / "weights")
    (models.directory / "linked").symlink_to(elsewhere / "d")
    assert models.present == {
        "flat": "flat.gguf",
        "UPPER": "UPPER.GGUF",
        "in-upper": "in-upper/W.GGUF",
        "own": "own/w.gguf",
        "nested": "user/nested/w.gguf",
        "split": "split-00001-of-00002.gguf",
        "link": "link.gguf",
        "linked": "linked/w.gguf",
    }
    assert models.unserved == {}


@pytest.mark.parametrize("what", NO_MODELS)
def test_what_answers_no_chat_is_no_model_and_is_named(models, what):
    models.put("small.gguf", NO_MODELS[what])
    models.put("talks/a-first-by-name.gguf", NO_MODELS[what])
    models.put("talks/weights.gguf", size=1000)
    models.put("only/x.gguf", NO_MODELS[what])
    assert models.present == {"talks": "talks/weights.gguf"}
    assert models.catalogue.wanted(None) == ("talks",)
    assert set(models.unserved) == {
        "small.gguf",
        "talks/a-first-by-name.gguf",
        "only/x.gguf",
    }
    assert all(f"it is {what}" in reason for reason in models.unserved.values())


def test_a_described_model_is_not_its_projector(models):
    models.put("phi-4/mmproj-model-f16.gguf", NO_MODELS["a projector"])
    assert "phi-4" not in models.present
    assert list(models.unserved) == ["phi-4/mmproj-model-f16.gguf"]
    models.put("phi-4/phi-4-Q8_0.gguf")
    assert models.present == {"phi-4": "phi-4/phi-4-Q8_0.gguf"}


@pytest.mark.parametrize(
    ("names", "unserved", "reason"),
    [
        (["a b.gguf"], "a b.gguf", "is no model id"),
        (["a b/w.gguf"], "a b/w.gguf", "is no model id"),
        (["m/a.gguf", "m/b.gguf"], "m/b.gguf", "another file in it"),
        (["m/w.gguf", "u/m/w.gguf"], "u/m/w.gguf", "another model is called m"),
        (["m/w.gguf", "m.gguf"], "m.gguf", "another model is called m"),
        (["phi-4.gguf"], "phi-4.gguf", "another model is called phi-4"),
        (["smollm2-135m.gguf"], "smollm2-135m.gguf", "a described model"),
        (["a/b/c/w.gguf"], "a/b/c/w.gguf", "deeper than 2 directories"),
        (["m-00001-of-00002.GGUF"], "m-00001-of-00002.GGUF", "only by names such as"),
    ],
)
def test_what_is_not_served_says_why(models, names, unserved, reason):
    for name in names:
        models.put(name)
    assert unserved not in models.present.values()
    assert list(models.unserved) == [unserved]
    assert reason in models.unserved[unserved]


def test_a_link_to_nothing_says_so(models):
    (models.directory / "gone.gguf").symlink_to(models.directory / "nowhere")
    assert models.present == {}
    assert "a link to a file that is not there" in models.unserved["gone.gguf"]


def test_hidden_directories_and_links_in_a_circle_are_left_out(models):
    models.put(".cache/w.gguf")
    models.put("m/w.gguf")
    (models.directory / "m" / "again").symlink_to(models.directory)
    assert models.present["m"] == "m/w.gguf"
    assert ".cache/w.gguf" not in models.unserved


def test_a_decoder_may_say_that_it_pools_nothing():
    metadata = {"general.architecture": "llama", "llama.pooling_type": 0}
    assert (reason_against_serving(metadata), kind_of(metadata)) == (None, Kind.GENERATION)
    assert (reason_against_serving({}), kind_of({})) == (None, Kind.GENERATION)
    assert kind_of({**metadata, "llama.pooling_type": 3}) is Kind.EMBEDDING
    assert kind_of({**metadata, "llama.pooling_type": 4}) is Kind.RERANK


def test_an_embedding_model_is_one_by_its_file_and_is_never_wanted_by_itself(models):
    models.put("nomic/w.gguf", head(architecture="nomic-bert"))
    models.put("pooled.gguf", pooled("qwen3", 3))
    models.put("chat.gguf", size=10_000)
    catalogue = models.catalogue
    assert {catalogue.get(name).kind for name in ("nomic", "pooled")} == {Kind.EMBEDDING}
    assert catalogue.get("nomic").roles == ()
    assert catalogue.get("chat").kind is Kind.GENERATION
    assert catalogue.wanted(None) == ("chat",)
    (models.directory / "chat.gguf").unlink()
    assert models.catalogue.wanted(None) == (SHIPPED,)


def test_a_file_changed_since_is_read_anew(models):
    models.put("m.gguf", NO_MODELS["an adapter"])
    assert models.present == {}
    models.put("m.gguf", gguf(general__name="quite another"))
    assert models.present == {"m": "m.gguf"}
