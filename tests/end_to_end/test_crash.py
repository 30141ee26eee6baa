"""Processes die; accepted transfers do not."""

import asyncio
import os
import random
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from temporalio.client import Client

from customers.documents.sandbox import SLOW_NUMBER
from devenv.stack import Running
from ledger.ids import CustomerId, RebuildId, new_account_id
from ledger.money import MINOR_UNIT_DIGITS
from ledger.workflow_ids import onboarding_workflow_id, rebuild_workflow_id
from tests.api.people import Person, register
from tests.end_to_end.follower import Follower
from tests.waiting import until

# `make chaos` sets both: more rounds, and another seed to repeat what one run found.
ROUNDS = int(os.environ.get("REMIT_CHAOS_ROUNDS", "2"))
SEED = int(os.environ.get("REMIT_CHAOS_SEED", "20261121"))
FINAL = {"completed", "failed", "compensated", "cancelled"}
SETTLES_WITHIN = 120


async def is_ready(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/ready")).status_code == 200
    except httpx.HTTPError:
        return False


async def send(payer: Person, payee: Person, key: str, wait: int = 0) -> dict[str, Any] | None:
    """The accepted transfer, or None where nobody knows: the connection broke, or a server was away."""
    try:
        answer = await payer.pay(payee, 10, key, prefer=f"wait={wait}")
    except httpx.HTTPError:
        return None
    assert answer.status_code in (201, 202, 503), answer.text
    return None if answer.status_code == 503 else dict(answer.json())


async def settle(payer: Person, payee: Person, key: str) -> dict[str, Any]:
    """Repeat the request until its transfer is final, as a client would."""
    # A server that has died again and again is started ten seconds later.
    deadline = asyncio.get_running_loop().time() + SETTLES_WITHIN
    while asyncio.get_running_loop().time() < deadline:
        transfer = await send(payer, payee, key, wait=5)
        if transfer is not None and transfer["state"] in FINAL:
            return transfer
        await asyncio.sleep(0.25 if transfer is None else 0)
    raise AssertionError(f"{key} did not reach a final state")


def kill(stack: Running, victim: str) -> int:
    pid = stack.pids[victim]
    os.kill(pid, signal.SIGKILL)
    return pid


def verify(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", "verify"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def deadlocks(home: Path) -> int:
    return (home / "log" / "postgres.log").read_text().count("deadlock detected")


async def test_api_and_worker_killed_with_a_hundred_transfers_in_flight_lose_none(
    stack: Running, http: httpx.AsyncClient, home: Path, environment: dict[str, str]
) -> None:
    ada, ben = await register(http), await register(http)
    await ada.deposit(50_000)
    keys = [secrets.token_hex(8) for _ in range(100)]
    sending = [asyncio.create_task(send(ada, ben, key)) for key in keys]
    await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
    killed = kill(stack, "api")
    accepted = {key: transfer for key, task in zip(keys, sending, strict=True) if (transfer := await task)}

    async def is_restarted() -> bool:
        return stack.pids.get("api") not in (None, killed) and await is_ready(http)

    await until(is_restarted, "the supervisor starts the API again", 60)
    settled = dict(zip(keys, await asyncio.gather(*(settle(ada, ben, key) for key in keys)), strict=True))
    assert {transfer["state"] for transfer in settled.values()} == {"completed"}
    assert len({transfer["id"] for transfer in settled.values()}) == 100
    for key, transfer in accepted.items():
        assert settled[key]["id"] == transfer["id"]
    assert [await ada.balance(), await ben.balance()] == [49_000, 1_000]
    found = verify(environment)
    assert found.returncode == 0, found.stdout
    assert deadlocks(home) == 0


@pytest.mark.system
@pytest.mark.timeout(120 + 60 * ROUNDS)
async def test_whatever_is_killed_under_opposing_load_every_transfer_settles_once(
    stack: Running, http: httpx.AsyncClient, home: Path, environment: dict[str, str]
) -> None:
    chance = random.Random(SEED)
    ada, ben = await register(http), await register(http)
    for person in (ada, ben):
        await person.deposit(50_000)
    async with Follower(stack.database_url) as follower:
        for _ in range(ROUNDS):
            victim = chance.choice(["api", "temporal", "postgres"])
            pairs = [(ada, ben), (ben, ada)] * 15
            keys = [secrets.token_hex(8) for _ in pairs]
            sending = [asyncio.create_task(send(*pair, key)) for pair, key in zip(pairs, keys, strict=True)]
            enough = chance.randrange(1, len(sending))
            for answered, task in enumerate(asyncio.as_completed(sending)):
                if answered == enough:
                    kill(stack, victim)
                await task

            async def ready() -> bool:
                return await is_ready(http)

            await until(ready, f"the stack is ready again after its {victim} was killed", 60)
            ended = await asyncio.gather(*(settle(*pair, key) for pair, key in zip(pairs, keys, strict=True)))
            assert {transfer["state"] for transfer in ended} == {"completed"}
            assert [await ada.balance(), await ben.balance()] == [50_000, 50_000], victim
        counted = await follower.counted()
    assert (counted.lost, counted.gaps, counted.inversions, counted.missed_by_reader) == (0, 0, 0, 0)
    found = verify(environment)
    assert found.returncode == 0, found.stdout
    assert deadlocks(home) == 0


@pytest.mark.system
async def test_sigterm_lets_the_api_end_its_requests_and_its_worker_its_steps(
    stack: Running, http: httpx.AsyncClient, home: Path
) -> None:
    ada, ben = await register(http), await register(http)
    await ada.deposit(50_000)
    log = home / "log" / "api.log"
    stops = log.read_text().count("api stopped")
    sending = [asyncio.create_task(send(ada, ben, secrets.token_hex(8), wait=30)) for _ in range(30)]
    await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
    terminated = stack.pids["api"]
    os.kill(terminated, signal.SIGTERM)
    await asyncio.gather(*sending)

    async def is_restarted() -> bool:
        return stack.pids.get("api") not in (None, terminated) and await is_ready(http)

    await until(is_restarted, "the supervisor starts the API again", 60)
    assert log.read_text().count("api stopped") == stops + 1


@pytest.mark.long  # the step that died with its process is given up after 20 s
async def test_a_process_killed_while_the_verifier_is_asked_verifies_the_customer_after_its_restart(
    stack: Running, http: httpx.AsyncClient, environment: dict[str, str]
) -> None:
    ada, ben = await register(http, identity_document={"type": "NIN", "number": SLOW_NUMBER}), await register(http)
    await ada.deposit(50_000)
    workflow = (await Client.connect(stack.temporal_address)).get_workflow_handle(
        onboarding_workflow_id(CustomerId(ada.id))
    )

    async def is_asked() -> bool:
        return [one.attempt for one in (await workflow.describe()).raw_description.pending_activities] == [1]

    async def is_verified() -> bool:
        try:
            return bool((await ada.get("/v1/auth/me")).json()["verification"]["state"] == "verified")
        except httpx.HTTPError:
            return False

    await until(is_asked, "the verifier is asked")
    kill(stack, "api")
    await until(is_verified, "another process has asked again", 60)
    assert (await ada.pay(ben, 10)).json()["state"] == "completed"
    assert (await workflow.result()) == "verified"
    assert verify(environment).returncode == 0


async def rebuilt(admin: Person, path: str) -> dict[str, Any]:
    """The report of a rebuild once it is completed, without what each rebuild has of its own."""
    found: dict[str, Any] = {}

    async def is_completed() -> bool:
        try:
            found.update((await admin.get(path)).json())
        except httpx.HTTPError:
            return False
        return found.get("state") == "completed"

    await until(is_completed, "the rebuild is completed", 60)
    differences = sorted(found["differences"], key=lambda each: str(each["account_id"]))
    figures = {name: found[name] for name in ("accounts_done", "accounts_total", "rebuilt", "left_as_they_are")}
    return figures | {"differences": differences, "left": found["left"]}


@pytest.mark.long  # the step that died with its worker is given up after 15 s
async def test_another_worker_ends_a_rebuild_of_all_accounts_whose_worker_was_killed_and_counts_nothing_twice(
    stack: Running, http: httpx.AsyncClient, environment: dict[str, str]
) -> None:
    ada = await register(http)
    owner, other = await asyncpg.connect(stack.database_url), await asyncpg.connect(stack.database_url)
    await owner.execute("UPDATE customers SET role = 'admin' WHERE id = $1", ada.id)
    # A walk notes its place after a hundred accounts.
    more = [(new_account_id(), ada.id, code) for code in sorted(MINOR_UNIT_DIGITS.keys() - {"USD"})[:125]]
    await owner.executemany(
        "INSERT INTO accounts (id, owner_id, currency, head_hash) VALUES ($1, $2, $3, sha256(convert_to($1, 'UTF8')))",
        more,
    )
    accounts = [row["id"] for row in await owner.fetch("SELECT id FROM accounts ORDER BY id")]
    falsified = accounts[5::10]

    async def falsify() -> None:
        for account_id in falsified:
            await owner.execute("UPDATE accounts SET balance_minor = balance_minor + 1 WHERE id = $1", account_id)

    async def requested() -> str:
        answer = await ada.post("/v1/admin/rebuilds", {"all": True, "reason": "ticket 4711"})
        assert answer.status_code == 202, answer.text
        return str(answer.headers["Location"])

    async def is_held_up() -> bool:
        waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return bool(await owner.fetchval(f"SELECT EXISTS ({waiting})"))

    await falsify()
    async with other.transaction():
        await other.execute("SELECT FROM accounts WHERE id = $1 FOR UPDATE", accounts[115])
        path = await requested()
        await until(is_held_up, "the walk waits for an account that somebody holds")
        reached = (await ada.get(path)).json()
        # One was rebuilt behind the place that is noted, and is looked at again.
        assert (reached["accounts_done"], reached["rebuilt"]) == (100, 11)
        killed = kill(stack, "api")
    report = await rebuilt(ada, path)
    workflow = (await Client.connect(stack.temporal_address)).get_workflow_handle(
        rebuild_workflow_id(RebuildId(path.rsplit("/", 1)[1]))
    )
    steps = [event.activity_task_started_event_attributes for event in (await workflow.fetch_history()).events]
    took = [(step.attempt, step.identity) for step in steps if step.identity]
    assert took[0][0] == 2
    assert not any(identity.startswith(f"{killed}@") for _, identity in took)

    assert (report["accounts_done"], report["accounts_total"]) == (len(accounts), len(accounts))
    assert (report["rebuilt"], report["left"]) == (len(falsified), [])
    assert [each["account_id"] for each in report["differences"]] == falsified
    for account_id in falsified:
        assert len((await ada.get("/v1/admin/actions", subject=account_id)).json()["items"]) == 1
    await falsify()
    assert report == await rebuilt(ada, await requested())
    await owner.close()
    await other.close()
    assert verify(environment).returncode == 0


@pytest.mark.system
async def test_verify_names_what_was_tampered_with(
    stack: Running, http: httpx.AsyncClient, environment: dict[str, str]
) -> None:
    ada = await register(http)
    await ada.deposit(50_000)
    connection = await asyncpg.connect(stack.database_url)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await connection.execute("UPDATE entries SET amount_minor = 1 WHERE account_id = $1", ada.account_id)
        async with connection.transaction():
            await connection.execute("SET LOCAL session_replication_role = replica")
            await connection.execute("UPDATE accounts SET balance_minor = 60000 WHERE id = $1", ada.account_id)
        found = verify(environment)
        assert found.returncode == 1
        assert "balance_is_fold" in found.stdout
        assert ada.account_id in found.stdout
    finally:
        await connection.execute("UPDATE accounts SET balance_minor = 50000 WHERE id = $1", ada.account_id)
        await connection.close()
    assert verify(environment).returncode == 0
