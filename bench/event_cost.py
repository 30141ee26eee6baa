"""What events cost: transfers with events and one endpoint that gets none of them, beside transfers without events.

Both are processes with API and worker, each with its own copy of the same books. They take turns in short rounds.
"""

import httpx

from bench.cases import WITH_EVENTS, WITHOUT_EVENTS, Case
from bench.postgres.event_triggers import disable_event_triggers
from bench.run import Run
from bench.traffic.load import Load
from bench.traffic.population import read
from devenv.processes.ports import free_port

ROUNDS = 8
SECONDS, LEAD_IN = 4.0, 1.5

WITH = Case("events", "with events", "", WITH_EVENTS)
WITHOUT = Case("events", "without events", "", WITHOUT_EVENTS)


async def transfers_with_and_without_events(run: Run, rounds: int = ROUNDS, seconds: float = SECONDS) -> None:
    """Measure pairs of rounds, each of which begins with the other one."""
    servers = run.servers
    run.progress.step("starting the product with events, and without")
    disabled = await disable_event_triggers(servers.database_url(WITHOUT_EVENTS))
    assert disabled, "the migrations make triggers that write events"
    for system, argv in ((WITH_EVENTS, None), (WITHOUT_EVENTS, ("-m", "bench.without_events"))):
        await servers.start_remit(
            system,
            ["api", "--with-worker"],
            free_port(),
            argv=argv,
            database_url=servers.database_url(system),
            task_queue=f"transfers-{system}",
            mail_folder=str(servers.folder / f"{system}-mails"),
        )
    await _add_idle_endpoint(run)
    for case in (WITH, WITHOUT):
        await run.warm_up(case)
    for number in range(rounds):
        for case in (WITH, WITHOUT) if number % 2 else (WITHOUT, WITH):
            load = Load(30, seconds + LEAD_IN, 3000, run.seed * 1000 + number, LEAD_IN, expected=case.expected)
            await run.round(case, "30", number, load)
    await servers.stop([WITH_EVENTS, WITHOUT_EVENTS])
    await run.check_books({WITH_EVENTS, WITHOUT_EVENTS})


async def _add_idle_endpoint(run: Run) -> None:
    """An endpoint of a customer who makes transfers: each event is looked at for it, and it wants none of them."""
    holder = read(run.servers.population)[0]
    api = f"http://127.0.0.1:{run.servers.ports[WITH_EVENTS]}"
    async with httpx.AsyncClient(base_url=api, timeout=30, trust_env=False) as http:
        wanted = {"url": "https://hooks.example.com/", "types": ["dispute.opened"]}
        answer = await http.post(
            "/v1/webhook-endpoints", json=wanted, headers={"Authorization": f"Bearer {holder.token}"}
        )
        answer.raise_for_status()
