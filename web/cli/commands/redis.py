"""`inference-service redis`: the embedded server alone, and the repair of its append-only file."""

from __future__ import annotations

import sys

import click

from web.cli.startup import load_settings, prepare_data_directory
from workers.contract.errors import BrokerUnavailable
from workers.runtime.ending import end_with_supervisor_after_exec
from workers.settings import Settings
from workers.store import append_only, embedded


@click.command()
@click.option("--repair", is_flag=True, help="Repair a damaged append-only file, and exit.")
def redis(repair: bool) -> None:
    """Run the embedded Valkey alone, in the foreground."""
    sys.exit(_run(load_settings(), repair=repair))


def _run(settings: Settings, *, repair: bool) -> int:
    """Become the embedded server, or mend its file; returns the exit status."""
    if settings.redis_url:
        click.echo(
            "INFERENCE_REDIS_URL is set, so the embedded server is not used. "
            "Unset it to run this command.",
            err=True,
        )
        return 2
    prepare_data_directory(settings)
    try:
        if repair:
            _repair(settings)
            return 0
        end_with_supervisor_after_exec()
        embedded.exec_server(settings.data_dir, settings.redis_memory_mb)
    except (
        embedded.AlreadyRunning,
        BrokerUnavailable,
        append_only.NotMendable,
        OSError,
    ) as error:
        click.echo(f"inference-service redis: {error}", err=True)
        return 2


def _repair(settings: Settings) -> None:
    done = embedded.repair(settings.data_dir)
    if done is None:
        click.echo("The append-only file is not damaged.")
        return
    cut_bytes = done.size_bytes - done.kept_bytes
    click.echo(
        f"{done.file}: the last {cut_bytes} of {done.size_bytes} bytes could not be read and are "
        f"removed. The file as it was is kept: {done.backup}"
    )
