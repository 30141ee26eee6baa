"""`remit demo`: finds or starts the stack that the story of Ada and Ben is told on, and says whether it held."""

from pathlib import Path

import httpx

from database.connections import Database, Unavailable
from devenv.demo.customers import Unforeseen
from devenv.demo.narration import Narration
from devenv.demo.script import DECLINE_FROM_MAJOR, DemoScript
from devenv.home import RunRecord, live_run
from devenv.processes.ports import LOCALHOST, free_port, is_free
from devenv.processes.process import Say
from devenv.stack import Prepare, Running, Stack
from settings import Settings
from workflows.search_attributes import SEARCH_ATTRIBUTE_TYPES

REQUEST_SECONDS = 40.0

_PORTS = {"api_port": "the API", "temporal_port": "Temporal", "temporal_ui_port": "Temporal's Web UI"}


async def tell(settings: Settings, prepare: Prepare, say: Say, save_svg: Path | None = None) -> bool:
    """Tell the story on the stack that runs on this home, else on one that is started for it and stopped afterwards.

    True if every claim in it held. Set-up is reported through `say`, the story goes to stdout and, as a picture, to
    `save_svg`. Raises StackError when the stack cannot start.
    """
    narration = Narration(save_svg)
    if running := live_run(settings.home):
        say(f"telling the story on the stack that runs on {settings.home}, without its crash: others may use it")
        await _tell_on(running, settings, narration)
    else:
        settings = _on_free_ports(_self_contained(settings, say), say)
        kept: list[str] = []
        stack = Stack(
            settings,
            prepare,
            search_attributes=SEARCH_ATTRIBUTE_TYPES,
            # Once the story has begun it speaks for itself; what else was said matters if it does not hold.
            say=lambda line: kept.append(line) if narration.begun else say(line),
        )
        async with stack.running() as started:
            await _tell_on(started, settings, narration)
        if not narration.held:
            for line in kept:
                say(line)
            say(f"the servers' logs are in {stack.home.path / 'log'}")
    return narration.held


def _self_contained(settings: Settings, say: Say) -> Settings:
    """The same home, with servers of its own and the limits that the story counts on."""
    if settings.database_url or settings.temporal_address:
        say("the demo brings its own servers; those of REMIT_DATABASE_URL and REMIT_TEMPORAL_ADDRESS are left alone")
    return settings.model_copy(
        update={
            "database_url": None,
            "temporal_address": None,
            "sandbox_rails": True,
            "decline_from_major": DECLINE_FROM_MAJOR,
        }
    )


def _on_free_ports(settings: Settings, say: Say) -> Settings:
    """The configured ports, and free ones for those that somebody else has."""
    instead: dict[str, int] = {}
    for name, what in _PORTS.items():
        port = getattr(settings, name)
        if not is_free(port, settings.api_host if name == "api_port" else LOCALHOST):
            instead[name] = free_port()
            say(f"port {port} for {what} is taken: using {instead[name]} this time")
    return settings.model_copy(update=instead)


async def _tell_on(running: RunRecord | Running, settings: Settings, narration: Narration) -> None:
    async with (
        httpx.AsyncClient(base_url=running.api_url, trust_env=False, timeout=REQUEST_SECONDS) as http,
        Database(running.database_url, connections=2, application_name="remit-demo") as database,
    ):
        try:
            await DemoScript(running, settings, http, database, narration).tell()
        except (Unforeseen, Unavailable) as problem:
            narration.break_off(str(problem))
        except httpx.HTTPError as error:
            narration.break_off(f"{running.api_url} does not answer: {type(error).__name__} {error}")
