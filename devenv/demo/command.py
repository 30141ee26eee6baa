"""`remit demo`: finds or starts a stack, plays the demo on it, and reports whether every claim held."""

from pathlib import Path

import httpx

from database.connections import Database, Unavailable
from devenv.demo.customers import UnexpectedAnswer
from devenv.demo.output import DemoOutput
from devenv.demo.payments import DECLINE_FROM_MAJOR
from devenv.demo.script import play
from devenv.home import RunRecord, live_run
from devenv.processes.ports import LOCALHOST, free_port, is_free
from devenv.processes.process import Say
from devenv.stack import Prepare, Running, Stack
from settings import Settings
from workflows.search_attributes import SEARCH_ATTRIBUTE_TYPES

REQUEST_SECONDS = 40.0

_PORTS = {"api_port": "the API", "temporal_port": "Temporal", "temporal_ui_port": "Temporal's Web UI"}


async def run_demo(settings: Settings, prepare: Prepare, say: Say, save_svg: Path | None = None) -> bool:
    """Play the demo on the stack that runs on this home, or else on one that is started for it and stopped afterwards.

    True if every claim held. Set-up is reported through `say`. The demo goes to stdout and, as a picture, to
    `save_svg`. Raises `StackError` when the stack cannot start.
    """
    output = DemoOutput(save_svg)
    if running := live_run(settings.home):
        say(f"using the stack that runs on {settings.home}; it is not crashed, because others may use it")
        await _play_on(running, settings, output)
    else:
        settings = _on_free_ports(_self_contained(settings, say), say)
        kept: list[str] = []
        stack = Stack(
            settings,
            prepare,
            search_attributes=SEARCH_ATTRIBUTE_TYPES,
            # Once the demo has begun, the stack's reports matter only if a claim does not hold.
            say=lambda line: kept.append(line) if output.begun else say(line),
        )
        async with stack.running() as started:
            await _play_on(started, settings, output)
        if not output.held:
            for line in kept:
                say(line)
            say(f"the servers' logs are in {stack.home.path / 'log'}")
    return output.held


def _self_contained(settings: Settings, say: Say) -> Settings:
    """The same home, with servers of its own and the limits that the demo counts on."""
    if settings.database_url or settings.temporal_address:
        say("the demo starts its own servers and does not use REMIT_DATABASE_URL and REMIT_TEMPORAL_ADDRESS")
    return settings.model_copy(
        update={
            "database_url": None,
            "temporal_address": None,
            "sandbox_rails": True,
            "decline_from_major": DECLINE_FROM_MAJOR,
        }
    )


def _on_free_ports(settings: Settings, say: Say) -> Settings:
    """The configured ports, with free ones in place of those in use."""
    instead: dict[str, int] = {}
    for name, what in _PORTS.items():
        port = getattr(settings, name)
        if not is_free(port, settings.api_host if name == "api_port" else LOCALHOST):
            instead[name] = free_port()
            say(f"port {port} for {what} is in use; this run takes {instead[name]}")
    return settings.model_copy(update=instead)


async def _play_on(running: RunRecord | Running, settings: Settings, output: DemoOutput) -> None:
    async with (
        httpx.AsyncClient(base_url=running.api_url, trust_env=False, timeout=REQUEST_SECONDS) as http,
        Database(running.database_url, connections=2, application_name="remit-demo") as database,
    ):
        try:
            await play(running, settings, http, database, output)
        except (UnexpectedAnswer, Unavailable) as problem:
            output.stop(str(problem))
        except httpx.HTTPError as error:
            output.stop(f"{running.api_url} does not answer: {type(error).__name__} {error}")
