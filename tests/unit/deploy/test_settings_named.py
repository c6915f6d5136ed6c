"""Files of `deploy/` set what can be set."""

import pytest

from tests.support.deployed import ROOT, environment, files, variables
from workers.settings import read
from workers.settings.table import variables as table

KNOWN = {variable.name for _, variable, _ in table()}


@pytest.mark.parametrize("file", files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_every_setting_named_is_one(file):
    assert variables(file.read_text()) - KNOWN == set()


def test_the_clusters_settings_are_allowed_together():
    both = environment("kubernetes/base/settings.env") | environment("kubernetes/secret.env")
    settings = read(both, env_file=None)
    assert settings.redis_url.startswith("redis://:")
    assert settings.metrics_port == 9464


def test_a_wrong_name_is_seen():
    assert variables("LLM_GATEWAY_INFERENCE_URL=1 INFERENCE_NO_SUCH=2 ${INFERENCE_PORT:-1}") == {
        "INFERENCE_NO_SUCH",
        "INFERENCE_PORT",
    }
