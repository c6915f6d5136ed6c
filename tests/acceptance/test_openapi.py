"""`/openapi.json`, and what happens to bodies made from it and bent away from it."""

import collections

import httpx
import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, strategies
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from tests.support.front_end import MODEL
from workers.contract import errors

#: Bodies tried, good ones and bad ones each.
EXAMPLES = 150
#: The longest any of them may take.
ANSWERED_WITHIN_S = 10.0
#: Fields that hold an answer to what the scripted engine does not say.
CONSTRAINTS = (
    "response_format",
    "structured_outputs",
    "guided_json",
    "guided_regex",
    "guided_choice",
    "guided_grammar",
    "grammar",
    "json_schema",
    "tool_choice",
    "functions",
    "function_call",
)
CHECKS = (not_a_server_error, response_schema_conformance, content_type_conformance)


def document_of(service):
    return service.get("/openapi.json").json()


def test_it_describes_every_endpoint(scripted_service):
    document = scripted_service.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {
        "/infill",
        "/tokenize",
        "/detokenize",
        "/v1/tokenize",
        "/v1/detokenize",
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/rerank",
        "/v2/rerank",
        "/rerank",
        "/v1/messages",
        "/v1/responses",
        "/v1/responses/{response_id}",
        "/v1/responses/{response_id}/cancel",
        "/v1/responses/{response_id}/input_items",
        "/v1/messages/count_tokens",
        "/v1/jobs",
        "/v1/jobs/{job_id}",
        "/v1/jobs/{job_id}/events",
        "/v1/caches",
        "/v1/caches/{name}",
        "/v1/workers",
        "/v1/workers/{worker_id}/drain",
        "/v1/dead-letters",
        "/v1/dead-letters/{job_id}",
        "/v1/dead-letters/{job_id}/retry",
        "/v1/jobs/{job_id}/ws",
        "/v1/ws/chat",
        "/v1/models",
        "/v1/models/{model_id}",
        "/v1/models/{model_id}/load",
        "/v1/models/{model_id}/unload",
        "/health",
        "/health/ready",
        "/metrics",
        "/openapi.json",
    }
    body = document["components"]["schemas"]["ChatCompletionRequest"]
    assert set(body["required"]) == {"model", "messages"}
    assert body["properties"]["temperature"]["maximum"] == 2
    codes = document["components"]["schemas"]["Error"]["properties"]["error"]["properties"]["code"]
    assert set(codes["enum"]) == set(errors.BY_CODE)


@pytest.mark.parametrize("path", ["/v1/models", "/health", "/health/ready"])
def test_what_is_answered_is_what_is_described(scripted_service, path):
    schema = schemathesis.openapi.from_url(f"{scripted_service.url}/openapi.json")
    case = schema[path]["GET"].Case()
    case.validate_response(case.call(timeout=ANSWERED_WITHIN_S), checks=CHECKS)


@pytest.mark.parametrize(
    ("path", "shown_at"),
    [
        ("/v1/models", "/v1/models"),
        (f"/v1/models/{MODEL}", "/v1/models/{model_id}"),
        ("/v1/jobs", "/v1/jobs"),
        ("/health", "/health"),
        ("/health/ready", "/health/ready"),
    ],
)
def test_an_example_has_the_fields_of_a_real_answer(scripted_service, path, shown_at):
    responses = document_of(scripted_service)["paths"][shown_at]["get"]["responses"]
    example = responses["200"]["content"]["application/json"]["example"]
    assert set(example) <= set(scripted_service.get(path).json())


def test_examples_of_completions_and_jobs_have_the_fields_of_real_ones(scripted_service):
    document = document_of(scripted_service)
    for path, status in (("/v1/chat/completions", "200"), ("/v1/jobs", "202")):
        described = document["paths"][path]["post"]
        body = described["requestBody"]["content"]["application/json"]["example"]
        example = described["responses"][status]["content"]["application/json"]["example"]
        answer = httpx.post(f"{scripted_service.url}{path}", json=body, timeout=30)
        assert answer.status_code == int(status)
        assert set(example) <= set(answer.json())
        for field in ("usage", "inference_metadata"):
            assert set(example.get(field, ())) <= set(answer.json().get(field, ()))


@pytest.mark.timeout(180)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
def test_no_body_ends_in_a_500_or_hangs(scripted_service, mode):
    schema = schemathesis.openapi.from_url(f"{scripted_service.url}/openapi.json")
    operation = schema["/v1/chat/completions"]["POST"]
    statuses = collections.Counter()

    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(
        case=operation.as_strategy(generation_mode=mode), possible=strategies.booleans()
    )
    def ask(case, possible):
        if possible and isinstance(case.body, dict):
            # Else hardly one gets past what this model, engine and version have.
            case.body.update(model=MODEL, orchestration_mode=None, **dict.fromkeys(CONSTRAINTS))
            if mode is GenerationMode.POSITIVE:
                case.body.pop("stream_options", None)
                for turn in case.body["messages"]:
                    turn["content"] = f"{turn.get('content')}"
                    if turn["role"] in ("tool", "function"):  # the result of which call?
                        turn["role"] = "user"
                for tool in case.body.get("tools") or ():
                    tool["function"]["parameters"] = None  # hardly any of them is a schema
        answer = case.call(timeout=ANSWERED_WITHIN_S)
        case.validate_response(answer, checks=CHECKS)
        statuses[answer.status_code] += 1

    ask()
    # Both halves were really met: answers, and refusals of what is wrong.
    assert statuses[200 if mode is GenerationMode.POSITIVE else 422] > EXAMPLES / 10


@pytest.mark.timeout(180)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("path", "method", "mode"),
    [
        ("/v1/completions", "POST", GenerationMode.POSITIVE),
        ("/v1/completions", "POST", GenerationMode.NEGATIVE),
        ("/v1/tokenize", "POST", GenerationMode.POSITIVE),
        ("/v1/tokenize", "POST", GenerationMode.NEGATIVE),
        ("/v1/detokenize", "POST", GenerationMode.POSITIVE),
        ("/v1/detokenize", "POST", GenerationMode.NEGATIVE),
        ("/infill", "POST", GenerationMode.POSITIVE),
        ("/infill", "POST", GenerationMode.NEGATIVE),
        ("/v1/jobs", "POST", GenerationMode.POSITIVE),
        ("/v1/jobs", "POST", GenerationMode.NEGATIVE),
        ("/v1/jobs", "GET", GenerationMode.POSITIVE),
        ("/v1/jobs", "GET", GenerationMode.NEGATIVE),
        # Any text may stand where the id stands, so there are no negative ones.
        ("/v1/jobs/{job_id}", "GET", GenerationMode.POSITIVE),
        ("/v1/jobs/{job_id}", "DELETE", GenerationMode.POSITIVE),
        ("/v1/jobs/{job_id}/events", "GET", GenerationMode.POSITIVE),
        ("/v1/models/{model_id}", "GET", GenerationMode.POSITIVE),
        ("/v1/models/{model_id}/load", "POST", GenerationMode.POSITIVE),
        ("/v1/models/{model_id}/unload", "POST", GenerationMode.POSITIVE),
    ],
)
def test_no_address_of_a_job_ends_in_a_500_or_hangs(scripted_service, path, method, mode):
    schema = schemathesis.openapi.from_url(f"{scripted_service.url}/openapi.json")

    @hypothesis.settings(
        max_examples=30,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(case=schema[path][method].as_strategy(generation_mode=mode))
    def ask(case):
        if path.endswith("/unload") and case.path_parameters["model_id"] == MODEL:
            # The example names the model that the other tests of this service ask.
            case.path_parameters["model_id"] = "phi-4"
        case.validate_response(case.call(timeout=ANSWERED_WITHIN_S), checks=CHECKS)

    ask()
