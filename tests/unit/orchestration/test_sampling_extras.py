"""What an engine cannot do is refused by name, before the job is stored."""

import pytest

from orchestration import sampling_extras
from presets import backends
from presets.model import ModelSpec
from tests.unit.contract.test_job import job_factory
from workers.contract.errors import UnsupportedParameter, ValidationFailed
from workers.contract.sampling import EXTRAS, OF_ONE_ANSWER, Sampling

#: A value of each that asks for something.
ASKING = {
    "repetition_penalty": 1.1,
    "repeat_last_n": 32,
    "typical_p": 0.9,
    "top_n_sigma": 1.0,
    "xtc_probability": 0.5,
    "dry_multiplier": 0.8,
    "logit_bias": ((5, 1.0),),
    "min_tokens": 5,
    "ignore_eos": True,
    "stop_token_ids": (5,),
    "include_stop_str_in_output": True,
    "logprobs": 0,
    "prediction": "a text",
}


def model(backend):
    return ModelSpec("m", None, 100, backend=backend)


def test_every_extra_is_one_of_sampling_and_asks_for_nothing_by_itself():
    assert tuple(ASKING) == EXTRAS
    assert Sampling().extras == ()
    assert Sampling(**ASKING).extras == EXTRAS
    assert set(OF_ONE_ANSWER) <= set(EXTRAS)


def test_the_table_of_engines_names_extras_alone():
    for name in backends.names():
        assert backends.get(name).sampling <= set(EXTRAS)
    assert backends.get("llamacpp").sampling == set(EXTRAS)


@pytest.mark.parametrize("name", EXTRAS)
@pytest.mark.parametrize("backend", ["llamacpp", "vllm", "scripted", "somebody-elses"])
def test_each_is_done_or_refused_with_the_engines_name(name, backend):
    job = job_factory(sampling=Sampling(**{name: ASKING[name]}))
    if name in backends.get(backend).sampling:
        sampling_extras.require(job, [model(backend)])
        return
    with pytest.raises(UnsupportedParameter, match=f"{backend} of m does not do '{name}'") as error:
        sampling_extras.require(job, [model(backend)])
    assert error.value.details == {"param": name, "engine": backend, "model": "m"}


@pytest.mark.parametrize("name", EXTRAS)
def test_what_is_of_one_vocabulary_goes_with_one_model(name):
    job = job_factory(sampling=Sampling(**{name: ASKING[name]}), mode="pipeline")
    if name not in OF_ONE_ANSWER:
        sampling_extras.require(job, [model("llamacpp")])
        return
    with pytest.raises(ValidationFailed, match="pipeline"):
        sampling_extras.require(job, [model("llamacpp")])
