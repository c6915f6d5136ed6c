"""The cluster's objects, as `kubectl kustomize` renders them."""

import importlib.util
import re
import shutil
import subprocess

import pytest
import yaml

from tests.support.deployed import DEPLOY, check_command, environment
from workers.runtime.ending import AFTER_GRACE_S
from workers.settings import Settings, read

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl")

SETTINGS = read(environment("kubernetes/base/settings.env"), env_file=None)


def render(folder):
    """What `kubectl apply -k` would apply."""
    rendered = subprocess.run(
        ["kubectl", "kustomize", str(DEPLOY / "kubernetes" / folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert rendered.returncode == 0, rendered.stderr
    return [one for one in yaml.safe_load_all(rendered.stdout) if one]


@pytest.fixture(scope="module")
def cluster():
    return render(".")


@pytest.fixture(scope="module")
def scaled():
    return render("models/qwen3-8b")


def of(objects, kind):
    """The objects of a kind, by name."""
    return {one["metadata"]["name"]: one for one in objects if one["kind"] == kind}


def pods(objects):
    """Every pod's specification and labels, by the name of what makes it."""
    makers = of(objects, "Deployment") | of(objects, "StatefulSet")
    return {name: one["spec"]["template"] for name, one in makers.items()}


def test_there_is_all_of_it(cluster):
    assert set(pods(cluster)) == {"web", "orchestration", "valkey", "worker-smollm2-135m"}
    assert set(of(cluster, "Service")) == {"web", "valkey"}
    assert set(of(cluster, "PodDisruptionBudget")) == {
        "web",
        "orchestration",
        "worker-smollm2-135m",
    }


@pytest.mark.parametrize("which", ["cluster", "scaled"])
def test_containers_start_commands_of_ours_on_models_that_exist(which, request):
    for name, pod in pods(request.getfixturevalue(which)).items():
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
            if name == "valkey":
                continue
            model = {one["name"]: one["value"] for one in container.get("env", [])}.get("MODEL")
            check_command(container["args"], model=model)
            assert (model is None) == (not name.startswith("worker-"))
            assert model is None or name == f"worker-{model}"


def test_probes_ask_what_is_served(cluster):
    web = pods(cluster)["web"]["spec"]["containers"][0]
    assert web["ports"] == [{"name": "http", "containerPort": Settings().port}]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert web[probe]["httpGet"] == {"path": "/health", "port": "http"}
    (port,) = of(cluster, "Service")["web"]["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (Settings().port, "http")
    worker = pods(cluster)["worker-smollm2-135m"]["spec"]["containers"][0]
    assert worker["ports"] == [{"name": "metrics", "containerPort": SETTINGS.metrics_port}]
    assert worker["readinessProbe"]["httpGet"] == {"path": "/metrics", "port": "metrics"}
    assert "livenessProbe" not in worker
    assert SETTINGS.metrics_host == "0.0.0.0"


def test_the_grace_is_longer_than_the_processes_own(cluster, scaled):
    for name, pod in (pods(cluster) | pods(scaled)).items():
        if name == "web" or name.startswith("worker-"):
            paused_s = 5 if name == "web" else 0  # its preStop
            least_s = SETTINGS.grace_s + AFTER_GRACE_S + paused_s
            assert pod["spec"]["terminationGracePeriodSeconds"] > least_s


def test_pods_run_without_rights(cluster, scaled):
    for pod in (pods(cluster) | pods(scaled)).values():
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert pod["spec"]["automountServiceAccountToken"] is False
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
            rights = container["securityContext"]
            assert rights["capabilities"] == {"drop": ["ALL"]}
            assert rights["readOnlyRootFilesystem"]
            assert not rights["allowPrivilegeEscalation"]
            assert "memory" in container.get("resources", {}).get("limits", {"memory": 1})


def test_all_but_what_is_named_is_closed(cluster):
    policies = of(cluster, "NetworkPolicy")
    assert "ingress" not in policies["nothing-in"]["spec"]
    closed = policies["nothing-in"]["spec"]["podSelector"]["matchLabels"].items()
    for pod in pods(cluster).values():
        assert closed <= pod["metadata"]["labels"].items()
    (rule,) = policies["service-to-valkey"]["spec"]["ingress"]
    assert rule["ports"] == [{"port": 6379}]
    assert len(rule["from"]) == 1
    (rule,) = policies["callers-to-web"]["spec"]["ingress"]
    assert rule["ports"] == [{"port": Settings().port}]


def test_valkey_keeps_what_it_has_and_asks_for_a_password(cluster):
    arguments = pods(cluster)["valkey"]["spec"]["containers"][0]["args"]
    assert {"--appendonly yes", "--maxmemory-policy noeviction"} <= set(arguments)
    assert "--requirepass $(VALKEY_PASSWORD)" in arguments
    secret = environment("kubernetes/secret.env")
    assert f":{secret['VALKEY_PASSWORD']}@valkey:6379" in secret["INFERENCE_REDIS_URL"]


def test_secrets_are_named_by_what_they_hold(cluster):
    (name,) = of(cluster, "Secret")
    for maker, pod in pods(cluster).items():
        text = yaml.safe_dump(pod)
        assert name in text
        assert maker == "valkey" or "configMapRef" in text


def test_keda_scales_a_model_by_what_waits_and_runs(scaled):
    (name, one) = next(iter(of(scaled, "ScaledObject").items()))
    assert one["spec"]["scaleTargetRef"]["name"] == name == "worker-qwen3-8b"
    assert one["spec"]["minReplicaCount"] == 0
    query = one["spec"]["triggers"][0]["metadata"]["query"]
    assert set(re.findall(r"inference_\w+", query)) == {
        "inference_queue_depth",
        "inference_running_steps",
    }
    assert set(re.findall(r'model="([^"]+)"', query)) == {"qwen3-8b"}


@pytest.mark.skipif(
    importlib.util.find_spec("kubernetes_validate") is None,
    reason="kubernetes-validate is not installed",
)
def test_the_objects_have_the_form_of_their_kind(cluster, scaled):
    import kubernetes_validate

    for one in (*cluster, *scaled):
        if one["kind"] != "ScaledObject":  # KEDA's own
            kubernetes_validate.validate(one, "1.31", strict=True)
