"""Parameters of other servers: obeyed, refused by name, or named as ignored; never guessed."""

import ast
import importlib.util
import typing
from pathlib import Path

import pytest
from openai.types.chat import completion_create_params

from web.schemas import parameters, unknown_parameters
from web.schemas.completion_schema import CompletionSchema, JobSchema
from web.schemas.parameters import OPENAI, SERVERS, TABLE
from workers.contract.errors import UnsupportedParameter, ValidationFailed

KNOWN = frozenset(CompletionSchema().fields)
#: A value that no parameter takes for "nothing asked".
ASKING = ["something"]


def of_llama_cpp_python():
    """The fields of its server's request, read without importing it: it needs more packages."""
    package = Path(importlib.util.find_spec("llama_cpp").origin).parent
    module = ast.parse((package / "server" / "types.py").read_text())
    (request,) = (
        node
        for node in module.body
        if isinstance(node, ast.ClassDef) and node.name == "CreateChatCompletionRequest"
    )
    return {node.target.id for node in request.body if isinstance(node, ast.AnnAssign)} - {
        "model_config"
    }


#: Of vLLM's `ChatCompletionRequest`, llama-server's page and Ollama's; then what was reported.
NAMED = """
use_beam_search repetition_penalty length_penalty stop_token_ids include_stop_str_in_output
ignore_eos min_tokens skip_special_tokens spaces_between_special_tokens truncate_prompt_tokens
prompt_logprobs allowed_token_ids bad_words echo add_generation_prompt continue_final_message
add_special_tokens documents chat_template chat_template_kwargs mm_processor_kwargs priority
request_id return_tokens_as_token_ids return_token_ids cache_salt kv_transfer_params vllm_xargs
thinking_token_budget include_reasoning

dynatemp_range dynatemp_exponent n_predict n_indent n_keep n_cmpl n_cache_reuse typical_p
repeat_penalty repeat_last_n dry_multiplier dry_base dry_allowed_length dry_penalty_last_n
dry_sequence_breakers xtc_probability xtc_threshold mirostat mirostat_tau mirostat_eta ignore_eos
logit_bias n_probs min_keep t_max_predict_ms id_slot cache_prompt return_tokens samplers
timings_per_token return_progress post_sampling_probs response_fields lora reasoning_format

options keep_alive format think template raw system images suffix num_ctx num_predict num_keep
truncate tfs_z

min_tokens models max_new_tokens top_a ignore_eos repetition_penalty
"""


@pytest.mark.parametrize(
    "name",
    sorted(
        {*typing.get_type_hints(completion_create_params.CompletionCreateParamsBase)}
        | of_llama_cpp_python()
        | {*NAMED.split()}
    ),
)
def test_a_real_name_is_obeyed_refused_by_name_or_named_as_ignored(name):
    if name in KNOWN:
        assert name not in TABLE
        return
    if name in TABLE and TABLE[name].refused:
        with pytest.raises(UnsupportedParameter, match=repr(name)) as refused:
            unknown_parameters.sort_out({name: ASKING}, KNOWN)
        assert refused.value.details["param"] == name
    else:
        assert unknown_parameters.sort_out({name: ASKING}, KNOWN) == ({}, [name])


def test_every_parameter_of_the_openai_api_is_in_the_schema_or_in_the_table():
    names = {*typing.get_type_hints(completion_create_params.CompletionCreateParamsBase)}
    assert len(names) > 30
    unruled = names - KNOWN - {name for name, row in TABLE.items() if OPENAI in row.servers}
    assert unruled == set()


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("max_new_tokens", True),
        ("top_a", True),
        ("rep_pen", True),
        ("models", False),
        ("keep_alive", False),
    ],
)
def test_the_names_that_were_reported(name, refused):
    assert TABLE[name].refused is refused
    assert TABLE[name].asks(ASKING)


def test_the_table_and_the_schemas_have_no_name_in_common():
    """A name that becomes a field leaves the table."""
    assert TABLE.keys() & {*KNOWN, *JobSchema().fields} == set()


def test_a_name_stands_once_and_has_a_reason_that_goes_on_from_a_colon():
    assert len(parameters._ROWS) == len(TABLE)
    for row in TABLE.values():
        assert row.reason
        assert not row.reason.endswith(".")
        assert set(row.servers) <= set(SERVERS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("best_of", 1),
        ("best_of", 1.0),
        ("rep_pen", 1.0),
        ("min_length", 0),
        ("ban_eos_token", False),
        ("n_probs", 0),
        ("modalities", ["text"]),
        ("skip_special_tokens", True),
        ("num_predict", -1),
        ("think", None),
    ],
)
def test_a_value_that_asks_for_what_is_done_anyway_is_let_pass(name, value):
    assert unknown_parameters.sort_out({name: value}, KNOWN) == ({}, [])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("best_of", True),
        ("best_of", 0),
        ("best_of", 2),
        ("rep_pen", True),
        ("think", False),
        ("skip_special_tokens", False),
        ("web_search_options", {}),
    ],
)
def test_a_value_that_asks_for_something_is_refused(name, value):
    with pytest.raises(UnsupportedParameter, match=name):
        unknown_parameters.sort_out({name: value}, KNOWN)


def test_a_name_that_nobody_knows_is_a_mistake_where_it_is_close_to_one_of_ours():
    with pytest.raises(ValidationFailed, match="did you mean 'temperature'"):
        unknown_parameters.sort_out({"temprature": 1}, KNOWN)
    assert unknown_parameters.sort_out({"zebra": 1}, KNOWN) == ({}, ["zebra"])
