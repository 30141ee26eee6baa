"""`remit api` and `remit worker`: the processes of an installation whose servers run elsewhere."""

from typing import Annotated

import typer

from cli.console import fail, run_async
from settings import Settings


def api(
    with_worker: Annotated[bool, typer.Option(help="Also run a worker in this process: transfers end sooner.")] = False,
) -> None:
    """Serve the HTTP API."""
    from devenv.processes.ports import check_free
    from logs import configure_logging

    settings = required_settings("database_url", "temporal_address", "jwt_secret", "fingerprint_keys")
    check_free(settings.api_port, "REMIT_API_PORT", "the API", settings.api_host)
    if settings.metrics_port is not None:
        check_free(settings.metrics_port, "REMIT_METRICS_PORT", "metrics", settings.api_host)
    configure_logging(settings)
    # It takes seconds to load: what is wrong with the settings is said before.
    from serve import serve_api

    run_async(serve_api(settings, with_worker=with_worker))


def worker() -> None:
    """Run a worker. Start as many as the load needs."""
    from devenv.processes.ports import check_free
    from logs import configure_logging

    settings = required_settings("database_url", "temporal_address", "fingerprint_keys")
    if settings.metrics_port is not None:
        check_free(settings.metrics_port, "REMIT_METRICS_PORT", "metrics", settings.api_host)
    configure_logging(settings, "worker")
    from worker_process import run_worker

    run_async(run_worker(settings))


def required_settings(*names: str) -> Settings:
    """The settings, of which these have values. Otherwise the command ends and names what is missing."""
    settings = Settings()
    if missing := [f"REMIT_{name.upper()}" for name in names if getattr(settings, name) is None]:
        fail(f"Set {' and '.join(missing)}. `remit run` needs no settings: it brings its own servers.", status=2)
    return settings
