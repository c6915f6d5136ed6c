"""Tuning on the shipped model, with one format beside its own."""

import dataclasses
import json

import pytest
from click.testing import CliRunner

from presets.catalogue import Catalogue
from web.cli.main import cli
from workers.engines.llamacpp import formats, weights
from workers.engines.tuning import Measured, choose

ORIGINAL = Measured(
    form=None,
    size_bytes=100,
    prefill_tokens_s=500,
    decode_tokens_s=50,
    batch_tokens_s=100,
    rows=4,
    perplexity=10.0,
    divergence=0.0,
)
FAST = dataclasses.replace(ORIGINAL, form="q8_0", batch_tokens_s=200, divergence=0.01)
LOSSY = dataclasses.replace(ORIGINAL, form="q4_0", batch_tokens_s=400, divergence=0.3)


@pytest.fixture
def one_format(monkeypatch):
    monkeypatch.setattr(weights, "FORMATS", {"q8_0": weights.FORMATS["q8_0"]})


def test_the_fastest_that_loses_little_is_chosen():
    assert choose([ORIGINAL, FAST, LOSSY], most_loss=0.02) is FAST
    assert choose([ORIGINAL, FAST, LOSSY], most_loss=0.5) is LOSSY
    assert choose([ORIGINAL, FAST, LOSSY], most_loss=0.0) is ORIGINAL


def test_what_is_measured(one_format, cache_dir):
    spec = Catalogue.load(None, "llamacpp").get("smollm2-135m")
    started = []
    original, q8_0 = formats.measure(
        spec, cache_dir, threads=1, rows=2, gpu_layers=0, on_start=started.append
    )
    assert started == ["as it is", "q8_0"]
    assert (original.form, original.divergence) == (None, 0.0)
    assert q8_0.form == "q8_0"
    assert q8_0.size_bytes > original.size_bytes
    # More bits than the file has lose next to nothing of it.
    assert 0 < q8_0.divergence < 0.05
    assert q8_0.perplexity == pytest.approx(original.perplexity, rel=0.05)
    assert 2 < original.perplexity < 100
    for measured in (original, q8_0):
        assert min(measured.prefill_tokens_s, measured.decode_tokens_s, measured.batch_tokens_s) > 0


def test_the_command_keeps_what_is_asked_for(one_format, tmp_path):
    environ = {"INFERENCE_DATA_DIR": str(tmp_path), "INFERENCE_ENGINE_THREADS": "1"}
    result = CliRunner().invoke(cli, ["tune", "smollm2-135m", "--format", "original"], env=environ)
    assert result.exit_code == 0, result.output
    assert "chosen" in result.output
    kept = json.loads((tmp_path / "tuned.json").read_text())
    assert kept == {"smollm2-135m": {"format": None}}


@pytest.mark.parametrize(
    ("arguments", "environ", "said"),
    [
        (["nobody"], {}, "there is no model 'nobody'"),
        (["smollm2-135m"], {"INFERENCE_BACKEND": "scripted"}, "which has one format alone"),
    ],
)
def test_what_cannot_be_tuned_is_said(arguments, environ, said, tmp_path):
    environ = {"INFERENCE_DATA_DIR": str(tmp_path), **environ}
    result = CliRunner().invoke(cli, ["tune", *arguments], env=environ)
    assert result.exit_code != 0
    assert said in result.output
