"""The catalogue's files: what is shipped, what a user lays over it, what is wrong with it."""

import pytest

from presets.catalogue import Catalogue, UnknownPreset
from presets.schema import CatalogueError
from tests.support.gguf import gguf

GB = 10**9
#: Sizes in GB of the presets' models together.
SIZES = {
    "S1": 7.9,
    "S4": 2.0,
    "S8": 12.8,
    "D1": 9.9,
    "D3": 12.3,
    "D4": 8.8,
    "D15": 24.4,
    "D4v2": 9.4,
    "T3": 10.8,
    "T13": 14.4,
    "Q1": 18.7,
    "Q7": 15.3,
    "P1": 27.3,
    "P4": 43.4,
    "P5": 44.6,
    "P6": 56.2,
}
MODEL = "id: mine\ncontext_length: 4096\nsources: {gguf: {file: mine.gguf}}\n"
#: Its parts add up to 4,094 and the system's.
BUDGETS = (
    "budgets: {{total: {total}, system: {system}, trajectory: 2, handoff: 4, user_query: 8, "
    "generation: 4080}}\n"
)


@pytest.fixture
def catalogue():
    return Catalogue.load(None, "llamacpp")


@pytest.fixture
def own(tmp_path):
    """A user's own catalogue: call it with the texts of a model and of the presets."""
    (tmp_path / "models").mkdir()

    def write(model=None, presets=None):
        if model is not None:
            (tmp_path / "models" / "mine.yaml").write_text(model)
        if presets is not None:
            (tmp_path / "presets.yaml").write_text(presets)
        return Catalogue.load(None, "llamacpp", own=tmp_path)

    return write


def test_every_row_is_shipped(catalogue):
    ids = [preset.id for preset in catalogue.presets()]
    rows = [
        f"{letter}{number}"
        for letter, most in (("S", 8), ("D", 15), ("T", 13), ("Q", 7), ("P", 6))
        for number in range(1, most + 1)
    ]
    assert len(rows) == 49
    kinds = ("single", "critique", "debate", "ensemble", "consistency", "pipeline")
    demos = [f"demo-{kind}" for kind in kinds]
    assert sorted(ids) == sorted([*rows, "D4v2", *demos])


def test_every_preset_names_models_and_parts_that_fit_its_mode(catalogue):
    for preset in catalogue.presets():
        assert all(catalogue.has(model) for model in preset.models)
        several = preset.mode != "single" and preset.members is None
        assert len(preset.models) >= (2 if several else 1)
        assert (preset.mode == "critique") == bool(preset.generator and preset.critic)
        assert (preset.mode == "debate") == (preset.reconciler is not None)
        assert (preset.mode == "ensemble" and several) == (preset.synthesiser is not None)
        if preset.mode == "pipeline":
            # P5 has a model for every stage; some others leave the stages open to the mode.
            assert {stage.model for stage in preset.stages} == set(preset.models)
            assert preset.stages[0].stage == "draft"


@pytest.mark.parametrize(("preset", "gigabytes"), SIZES.items())
def test_sizes_are_the_sums_of_the_models(catalogue, preset, gigabytes):
    sizes = (catalogue.estimate_bytes(catalogue.get(m)) for m in catalogue.preset(preset).models)
    assert sum(sizes) / GB == pytest.approx(gigabytes, abs=0.05)


def test_the_models_of_the_table(catalogue):
    phi = catalogue.get("phi-4")
    assert phi.roles == ("primary", "thinker", "coder")
    assert phi.context_length == 16384
    assert phi.gguf.repo == "microsoft/phi-4-gguf"
    assert phi.hf.repo == "microsoft/phi-4"
    assert catalogue.get("deepseek-r1-7b").reasoning.open == "<think>"
    assert catalogue.get("gpt-oss-20b").reasoning.form == "harmony"
    assert catalogue.get("granite-8b-code-128k").context_length == 131072


def test_the_demos_run_on_the_shipped_file_alone(catalogue):
    paths = {catalogue.get(f"smollm2-135m{end}").path for end in ("", "-b", "-c")}
    assert len(paths) == 1
    assert all(path.is_file() for path in paths)


def test_a_preset_is_wanted_unless_models_are_named(catalogue):
    assert catalogue.wanted(None, "d3") == ("phi-4", "deepseek-r1-7b")
    assert catalogue.wanted(("smollm2-135m",), "D3") == ("smollm2-135m",)
    with pytest.raises(UnknownPreset, match="did you mean 'D3'"):
        catalogue.wanted(None, "D33")


def test_a_file_of_another_name_serves_a_described_model(tmp_path):
    (tmp_path / "phi-4").mkdir()
    (tmp_path / "phi-4" / "other.gguf").write_bytes(gguf(2048, size=100))
    spec = Catalogue.load(tmp_path, "llamacpp").get("phi-4")
    assert spec.path.name == "other.gguf"
    assert spec.roles[0] == "primary"
    assert spec.context_length == 2048  # the file was trained on no more


def test_a_users_own_model_and_preset(own):
    catalogue = own(
        MODEL + "aliases: [my-model]\nroles: [coder]\n",
        "presets:\n- {id: pair, models: [mine, smollm2-135m], mode: debate, reconciler: mine, "
        "hardware: mac}\n",
    )
    assert catalogue.get("my-model").id == "mine"
    assert catalogue.preset("pair").parts() == {"mine": "reconciler", "smollm2-135m": "answers"}
    assert catalogue.preset("D3").mode == "debate"


def test_a_users_own_model_lies_over_a_shipped_one(own):
    catalogue = own(MODEL.replace("id: mine", "id: phi-4") + "roles: [fast]\n")
    assert catalogue.get("phi-4").roles == ("fast",)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("id: mine\n", "context_length is missing"),
        (MODEL + "roles: [boss]\n", "roles"),
        (MODEL + "colour: red\n", "colour is no field"),
        (MODEL.replace("4096", "many"), "context_length"),
        (MODEL.replace("id: mine", "id: a/b"), "id must be letters"),
        (MODEL + "usable_tokens: 9\n", "usable_tokens is said by budgets now"),
        (MODEL + "generation_tokens: 9\n", "generation_tokens is the part generation of budgets"),
        (
            MODEL + BUDGETS.format(total=4096, system=1),
            "budgets.total is 4096, and the parts add up to 4095: system 1 \\+ trajectory 2",
        ),
        (MODEL + BUDGETS.format(total=4097, system=3), "4096, and is 4097"),
        (MODEL + BUDGETS.format(total=4096, system=0), "budgets.system"),
        (MODEL + BUDGETS.format(total=4096, system="two"), "budgets.system"),
        (MODEL + "budgets: {total: 4096}\n", "budgets.system is missing"),
        (MODEL + "budgets: 4096\n", "budgets"),
        (MODEL + "reasoning: loud\n", "reasoning must be harmony"),
        (MODEL + "reasoning: {open: ' ', close: x}\n", "reasoning must be harmony"),
        (MODEL + "reasoning: {open: '|', close: '|'}\n", "reasoning must have two tags"),
        ("- a list\n", "must be an object"),
        ("id: [", "is no YAML"),
        ("[" * 5000, "is no YAML"),
        (MODEL.replace("4096", "9" * 5000), "is no YAML"),
        ("id: !!python/object/apply:os.getpid []", "is no YAML"),
    ],
)
def test_a_model_that_is_wrong_is_named_with_its_field(own, model, message):
    with pytest.raises(CatalogueError, match=message) as wrong:
        own(model)
    assert "mine.yaml" in str(wrong.value)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{id: x, models: [nobody], mode: single, hardware: mac}", "no model 'nobody'"),
        ("{id: x, models: [phi-4], mode: SOLO, hardware: mac}", "mode must be a mode's name"),
        ("{id: x, models: [phi-4, phi-4], mode: debate, hardware: mac}", "twice"),
        ("{id: x, models: [phi-4], mode: critique, hardware: mac, critic: qwen3-8b}", "none of"),
        ("{id: x, models: [], mode: single, hardware: mac}", "models"),
        ("{id: x, models: [phi-4], mode: ensemble, hardware: mac, members: 1}", "members"),
        (
            "{id: x, models: [phi-4, qwen3-8b, b], mode: debate, hardware: mac, members: 2}",
            "not be fewer",
        ),
        ("{id: x, models: [phi-4], mode: ensemble, hardware: mac, temperature: 0}", "temperature"),
        ("words", "entry 1"),
    ],
)
def test_a_preset_that_is_wrong_is_named_with_its_field(own, entry, message):
    with pytest.raises(CatalogueError, match=message) as wrong:
        own(presets=f"presets:\n- {entry}\n")
    assert "presets.yaml" in str(wrong.value)


def test_presets_that_are_no_list(own):
    with pytest.raises(CatalogueError, match="must be a list"):
        own(presets="presets: 5\n")
