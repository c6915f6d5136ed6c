"""`deploy/compose.yaml`: one file that starts all of it, and a profile for each model."""

import re
from urllib.parse import urlsplit

import yaml

from presets.kind import Kind
from tests.support.deployed import CATALOGUE, DEPLOY, check_command, read_yaml
from workers.runtime.ending import AFTER_GRACE_S
from workers.settings import Settings, read

COMPOSE = read_yaml("compose.yaml")
SERVICES = COMPOSE["services"]
#: What runs code of this repository.
OURS = {name: one for name, one in SERVICES.items() if "build" in one}
#: Weights of a model that is another one's under another name.
_COPIES = ("smollm2-135m-b", "smollm2-135m-c")


def resolved(text):
    """A value with every ${NAME:-default} at its default."""
    text = re.sub(r"\$\{\w+:\+[^}]*\}", "", str(text))
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def test_one_command_starts_the_whole_and_one_model():
    started = {name for name, one in SERVICES.items() if "profiles" not in one}
    assert started == {
        "valkey", "web", "orchestration", "smollm2-135m", "flower",
        "collector", "jaeger", "prometheus", "grafana",
    }  # fmt: skip


def test_each_model_that_writes_is_a_profile_of_its_name():
    models = {spec.id for spec in CATALOGUE.all() if spec.kind is Kind.GENERATION} - {*_COPIES}
    for model in models:
        service = SERVICES[model]
        assert service["command"] == ["worker", model]
        assert service.get("profiles", [model]) == [model]


def test_commands_and_environments_are_the_services_own():
    for service in OURS.values():
        check_command([resolved(word) for word in service["command"]])
        environment = {name: resolved(value) for name, value in service["environment"].items()}
        settings = read(environment, env_file=None)
        assert urlsplit(settings.redis_url).hostname in SERVICES
        assert "web" in environment["INFERENCE_ALLOWED_HOSTS"].split(",")
        assert int(service["stop_grace_period"][:-1]) > settings.grace_s + AFTER_GRACE_S


def test_what_is_published_is_served_and_on_loopback():
    for service in SERVICES.values():
        for port in service.get("ports", []):
            assert resolved(port).startswith("127.0.0.1:")
    assert resolved(SERVICES["web"]["ports"][0]).endswith(f":{Settings().port}")
    assert resolved(SERVICES["flower"]["ports"][0]).endswith(f":{Settings().flower_port}")
    assert SERVICES["web"]["healthcheck"]["test"][-1].endswith(f":{Settings().port}/health")


def test_valkey_keeps_what_it_has_and_evicts_nothing():
    command = SERVICES["valkey"]["command"]
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command
    assert SERVICES["valkey"]["volumes"] == ["valkey:/data"]


def test_files_and_volumes_that_it_names_are_there():
    for service in SERVICES.values():
        for source, *_ in (volume.split(":") for volume in service.get("volumes", [])):
            known = (DEPLOY / source).exists() if source.startswith(".") else None
            assert known or source in COMPOSE["volumes"], source
        if "build" in service:
            assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).exists()


def test_prometheus_scrapes_the_front_end_as_the_example_does():
    ours = yaml.safe_load(COMPOSE["configs"]["prometheus"]["content"])
    example = read_yaml("prometheus/prometheus.yml")
    assert ours["rule_files"] == example["rule_files"]
    assert ours["scrape_configs"][0]["job_name"] == example["scrape_configs"][0]["job_name"]
    target = f"web:{Settings().port}"
    assert ours["scrape_configs"][0]["static_configs"] == [{"targets": [target]}]


def test_traces_reach_jaeger():
    collector = read_yaml("collector/config.yaml")
    sent_to = urlsplit(SERVICES["web"]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"])
    listens = collector["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"]
    assert (sent_to.hostname, listens) == ("collector", f"0.0.0.0:{sent_to.port}")
    (exporter,) = collector["service"]["pipelines"]["traces"]["exporters"]
    assert collector["exporters"][exporter]["endpoint"].split(":")[0] in SERVICES


def test_a_gateway_finds_the_front_end():
    address = SERVICES["gateway"]["environment"]["LLM_GATEWAY_INFERENCE_SERVICE_URL"]
    assert address == f"http://web:{Settings().port}"


def test_grafana_finds_prometheus_and_the_dashboards():
    (source,) = read_yaml("grafana/provisioning/datasources/prometheus.yaml")["datasources"]
    assert urlsplit(source["url"]).hostname in SERVICES
    (provider,) = read_yaml("grafana/provisioning/dashboards/inference-service.yaml")["providers"]
    assert f"./grafana:{provider['options']['path']}:ro" in SERVICES["grafana"]["volumes"]
