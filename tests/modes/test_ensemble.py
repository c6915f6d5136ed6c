"""Ensembles on real processes: the scripted engine, and the shipped model asking itself."""

import json

import pytest
from websockets.sync.client import connect as open_socket

from tests.modes.conftest import up
from tests.support.jobs import FIRST, LAST, MIDDLE, ask, chunks, content, deltas, steps_of
from tests.support.service import Service
from tests.support.service_fixture import SCRIPTED, service_fixture


def script(*texts, answer="the synthesis of it", **others):
    said = {
        f"member-{place}": text if isinstance(text, dict) else {"text": text}
        for place, text in enumerate(texts, start=1)
    }
    return {"steps": {**said, "answer": {"text": answer}, **others}}


LONG = ["It rains, since it is autumn.", "It is autumn, so there is rain.", "The sun has to shine."]


def test_all_answer_and_one_writes_what_they_say(gathered):
    body = ask(gathered, script("4", "4", "5"))
    assert content(body) == "the synthesis of it"
    assert steps_of(body) == [
        ("member-1", "member", LAST),
        ("member-2", "member", MIDDLE),
        ("member-3", "member", FIRST),
        ("answer", "synthesiser", LAST),
    ]
    orchestration = body["orchestration"]
    assert orchestration["mode"] == "ensemble"
    assert orchestration["confidence"] == orchestration["agreement"]["score"] == 0.667
    assert [len(cluster["steps"]) for cluster in orchestration["agreement"]["clusters"]] == [2, 1]
    assert orchestration["agreement"]["dissent"][0]["answer"] == "5"
    assert "0.7 is asked for" in orchestration["note"]


def test_unanimity_needs_no_synthesis(gathered):
    body = ask(gathered, script("Paris", "It is Paris.", "**Paris**"))
    assert content(body) == "Paris"
    assert len(body["orchestration"]["steps"]) == 3


def test_texts_are_judged_and_the_synthesis_streams(gathered):
    comparison = {"groups": [1, 1, 1], "agreed": ["It rains."], "conflicts": []}
    steps = script(*LONG, judge={"text": json.dumps(comparison)})
    frames = chunks(gathered, steps)
    assert "".join(deltas(frames)) == "the synthesis of it"
    assert len(deltas(frames)) > 1
    orchestration = frames[-1]["orchestration"]
    assert orchestration["agreement"]["method"] == "judge"
    assert orchestration["confidence"] == 1


def test_a_late_member_is_left_out(gathered):
    body = ask(gathered, script("4", "4", {"text": "5", "prefill_s": 30}))
    assert content(body) == "4"
    assert body["orchestration"]["failed_models"][0]["model"] == FIRST


consistent = service_fixture(
    "One scripted model that answers five times; it fails where its answers do not agree.",
    command=up("demo-consistency"),
    INFERENCE_MAX_CONCURRENT_PER_MODEL="8",
    INFERENCE_ENSEMBLE_ON_DISSENT="fail",
    INFERENCE_ENSEMBLE_MIN_AGREEMENT="0.6",
    **SCRIPTED,
)


def test_self_consistency_is_a_vote_of_one_model(consistent):
    body = ask(consistent, script("4", "5", "5", "5", "6"))
    assert content(body) == "5"
    assert body["orchestration"]["models_used"] == [LAST]
    assert body["orchestration"]["confidence"] == 0.6
    assert body["orchestration"]["answer_step"] == "member-2"


def test_dissent_may_be_a_failure(consistent):
    answer = consistent.post(consistent.ask(script("4", "5", "5", "6", "7")))
    assert answer.status_code == 502
    error = answer.json()["error"]
    assert error["code"] == "ORCHESTRATION_FAILED"
    assert "2 of 5 say the same (0.4), and 0.6 is asked for" in error["message"]
    assert len(error["details"]["agreement"]["dissent"]) == 3


@pytest.mark.timeout(240)
def test_the_shipped_model_asks_itself(tmp_path):
    environment = {"INFERENCE_MAX_CONCURRENT_PER_MODEL": "5"}
    with Service(tmp_path / "data", command=up("demo-consistency"), **environment) as service:
        message = {"role": "user", "content": "What is 2 + 2? Answer with one number."}
        client = service.openai().with_options(timeout=120)
        body = client.chat.completions.create(model=LAST, messages=[message], max_tokens=12)
        orchestration = body.model_extra["orchestration"]
        members = [step for step in orchestration["steps"] if step["role"] == "member"]
        assert len(members) == 5
        assert orchestration["agreement"]["method"] in ("exact", "judge", "none")
        assert body.choices[0].message.content


def test_a_socket_tells_of_members_as_they_work(gathered):
    body = gathered.ask(script(*[{"text": "4", "prefill_s": 30}] * 3))
    with open_socket(f"ws://127.0.0.1:{gathered.port}/v1/ws/chat") as socket:
        socket.send(json.dumps({"type": "chat", **body}))
        types = [json.loads(socket.recv(timeout=30))["type"] for _ in range(2)]
        assert types == ["accepted", "started"]
        socket.send('{"type": "cancel"}')
        assert [json.loads(message)["type"] for message in socket][-1] == "cancelled"
