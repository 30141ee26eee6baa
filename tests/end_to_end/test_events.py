"""Everything that writes, numbers or keeps events is killed under load: none is lost, missing or out of order."""

import asyncio
import os
import random
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from devenv.home import Home
from devenv.stack import Running
from tests.api.people import register
from tests.end_to_end.effects import completed_events, effects_at
from tests.end_to_end.follower import Follower
from tests.end_to_end.test_crash import is_ready, kill, send, settle, verify
from tests.waiting import until
from tests.webhooks.receiver import Receiver

# `make check-events` sets both.
TRANSFERS = int(os.environ.get("REMIT_EVENTS_TRANSFERS", "1000"))
SEEDS = int(os.environ.get("REMIT_EVENTS_SEEDS", "10"))
AT_ONCE = 25
ROOT = Path(__file__).resolve().parents[2]


class Workers:
    """Two workers beside the one in the API's process, each with a sequencer. A killed one is started again."""

    def __init__(self, stack: Running, home: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("REMIT_")}
        self._environment = kept | {
            "REMIT_DATABASE_URL": stack.database_url,
            "REMIT_TEMPORAL_ADDRESS": stack.temporal_address,
            "REMIT_FINGERPRINT_KEYS": Home(home).fingerprint_key(),
            "REMIT_ENCRYPTION_KEYS": Home(home).encryption_key(),
            "REMIT_SANDBOX_RAILS": "true",
            "REMIT_WEBHOOK_ALLOW": "127.0.0.1",
        }
        self._running: list[asyncio.subprocess.Process] = []

    async def start(self, many: int = 1) -> None:
        for _ in range(many):
            quiet = asyncio.subprocess.DEVNULL
            command = (sys.executable, "-m", "cli", "worker")
            self._running.append(
                await asyncio.create_subprocess_exec(
                    *command, cwd=ROOT, env=self._environment, stdout=quiet, stderr=quiet
                )
            )

    async def kill_one(self) -> None:
        killed = self._running.pop(0)
        if killed.returncode is None:
            killed.kill()
        await killed.wait()
        await self.start()

    async def end(self) -> None:
        for each in self._running:
            if each.returncode is None:
                each.kill()
            await each.wait()


@asynccontextmanager
async def workers(stack: Running, home: Path) -> AsyncIterator[Workers]:
    running = Workers(stack, home)
    await running.start(2)
    try:
        yield running
    finally:
        await running.end()


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_no_event_is_lost_missing_or_out_of_order_whatever_is_killed(
    seed: int, stack: Running, http: httpx.AsyncClient, home: Path, environment: dict[str, str]
) -> None:
    chance = random.Random(seed)
    people = [await register(http) for _ in range(4)]
    for person in people:
        await person.deposit(50_000)
    kills = []
    async with (
        Receiver.running() as receiver,
        Follower(stack.database_url) as follower,
        workers(stack, home) as beside,
    ):
        wanted = {"url": receiver.url, "types": ["transfer.completed"]}
        assert (await people[0].post("/v1/webhook-endpoints", wanted)).status_code == 201
        before = await completed_events(stack.database_url, people[0].id)
        for began in range(0, TRANSFERS, AT_ONCE):
            among = [chance.sample(people, 2) for _ in range(min(AT_ONCE, TRANSFERS - began))]
            pairs = [(payer, payee) for payer, payee in among]
            keys = [secrets.token_hex(8) for _ in pairs]
            sending = [asyncio.create_task(send(*pair, key)) for pair, key in zip(pairs, keys, strict=True)]
            # The kills are spread over all batches, so that each falls into the middle of one.
            victim = chance.choice(["worker", "worker", "api", "postgres"]) if chance.random() < 0.4 else None
            enough = chance.randrange(len(sending))
            for answered, task in enumerate(asyncio.as_completed(sending)):
                if victim and answered == enough:
                    kills.append(victim)
                    if victim == "worker":
                        await beside.kill_one()
                    else:
                        kill(stack, victim)
                await task

            async def ready() -> bool:
                return await is_ready(http)

            await until(ready, f"the stack is ready again after its {victim} was killed", 60)
            ended = await asyncio.gather(*(settle(*pair, key) for pair, key in zip(pairs, keys, strict=True)))
            assert {transfer["state"] for transfer in ended} == {"completed"}
        counted = await follower.counted()
        effects = await effects_at(receiver, stack.database_url, people[0].id, before)
    print(f"seed {seed}: {TRANSFERS} transfers, killed {', '.join(kills) or 'nothing'}: {counted}, {effects}")
    assert (counted.lost, counted.gaps, counted.inversions, counted.missed_by_reader) == (0, 0, 0, 0)
    assert (effects.lost, effects.doubled, effects.inversions, effects.wrong_figures) == (0, 0, 0, 0)
    found = verify(environment)
    assert found.returncode == 0, found.stdout
