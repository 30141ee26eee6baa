"""Customers, and the HTTP application that they use, in the test's own process over real servers."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import httpx
from fastapi import FastAPI

from api.app import create_app
from api_services import ApiProcess, compose_api
from background_tasks import keep_registered
from database.connections import Database
from event_tasks import EventTasks
from key_rings import fingerprints_from
from ledger.postgres.book import Book
from settings import Settings
from staff.fundings.postgres import record_funding
from staff.postgres.reversal_record import record_reversal
from tests.waiting import until
from worker_process import open_steps_database, run_until_stopped

if TYPE_CHECKING:
    from temporalio.client import Client

PASSWORD = "correct horse battery"


@dataclass
class Person:
    """A registered customer, and their side of the HTTP API."""

    http: httpx.AsyncClient
    id: str
    account_id: str
    token: str
    email: str

    async def get(self, path: str, **query: object) -> httpx.Response:
        return await self.http.get(path, params=query, headers={"Authorization": f"Bearer {self.token}"})  # type: ignore[arg-type]

    async def post(self, path: str, body: object, key: str | None = None, prefer: str | None = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": key or secrets.token_hex(16)}
        if prefer:
            headers["Prefer"] = prefer
        return await self.http.post(path, json=body, headers=headers)

    async def put(self, path: str, body: object) -> httpx.Response:
        return await self.http.put(path, json=body, headers={"Authorization": f"Bearer {self.token}"})

    async def deposit(self, amount: int, currency: str = "USD") -> dict[str, Any]:
        answer = await self.post(f"/v1/accounts/{self.account_id}/deposits", {"amount": amount, "currency": currency})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def pay(
        self, payee: "Person", amount: int, /, key: str | None = None, prefer: str | None = None, **changes: Any
    ) -> httpx.Response:
        body = transfer_body(self, payee, amount) | changes
        return await self.post("/v1/transfers", body, key, prefer)

    async def paid(self, payee: "Person", amount: int) -> dict[str, Any]:
        """The transfer in its final state."""
        return dict((await self._repeated(payee, amount, "wait=30", until_not=(202, 503))).json())

    async def accepted(self, payee: "Person", amount: int) -> httpx.Response:
        """The first answer about a transfer that nobody waits for."""
        return await self._repeated(payee, amount, "wait=0", until_not=(503,))

    async def _repeated(self, payee: "Person", amount: int, prefer: str, until_not: Sequence[int]) -> httpx.Response:
        """Like any client, repeat under one key while a busy service sends 503."""
        key = secrets.token_hex(8)
        for _ in range(20):
            answer = await self.pay(payee, amount, key=key, prefer=prefer)
            if answer.status_code not in until_not:
                break
        return answer

    async def balance(self) -> int:
        return int((await self.get(f"/v1/accounts/{self.account_id}")).json()["balance"])


def transfer_body(payer: Person, payee: Person, amount: int) -> dict[str, object]:
    return {
        "source_account_id": payer.account_id,
        "destination_account_id": payee.account_id,
        "amount": amount,
        "currency": "USD",
    }


def registration(**changes: object) -> dict[str, object]:
    return {
        "email": f"{secrets.token_hex(8)}@example.com",
        "password": PASSWORD,
        "full_name": "Ada Obi",
        "currency": "USD",
        "identity_document": {"type": "NIN", "number": "22334455667"},
    } | changes


def answered(problem: httpx.Response) -> dict[str, Any]:
    """What a problem tells, without the id of its request, which is never the same."""
    return {name: value for name, value in problem.json().items() if name != "instance"}


async def register(http: httpx.AsyncClient, **changes: object) -> Person:
    body = registration(**changes)
    answer = await http.post("/v1/auth/register", json=body)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    return Person(http, made["customer"]["id"], made["account"]["id"], made["access_token"], str(body["email"]))


class NoEventTasks(EventTasks):
    """Of a worker that only takes steps. What it commits has events, and nobody numbers them or hands them on."""

    def begin(self) -> "list[asyncio.Task[NoReturn] | asyncio.Task[None]]":
        return []

    def begin_waking(self, client: "Client") -> "list[asyncio.Task[NoReturn] | asyncio.Task[None]]":
        return []

    def delivery_worker(self, client: "Client") -> AbstractAsyncContextManager[object]:
        return nullcontext()


# What a worker of `running_api` does beside its steps; the fixture `with_events` decides.
tasks_of_workers: type[EventTasks] = EventTasks


# Applications that no test uses now. To build more than a hundred routes takes longer than most tests.
_IDLE_APPS: list[FastAPI] = []


@asynccontextmanager
async def client_of(settings: Settings, process: ApiProcess) -> AsyncIterator[httpx.AsyncClient]:
    app = _IDLE_APPS.pop() if _IDLE_APPS else create_app(process.services, docs=True)
    app.state.remit = process.services
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    # It speaks to no network, and need not read the certificates of authorities.
    async with httpx.AsyncClient(transport=transport, base_url="http://remit.test", timeout=60, verify=False) as http:
        yield http
    _IDLE_APPS.append(app)


@asynccontextmanager
async def running_api(
    settings: Settings,
    database: Database,
    *,
    worker: bool = True,
    book: type[Book] = Book,
    registers: bool = False,
    reports: Database | None = None,
    events: type[EventTasks] | None = None,
) -> AsyncIterator[httpx.AsyncClient]:
    """The API, connected to Temporal, with a worker whose steps use this `book`, or without any worker.

    `events` is what the worker does beside its steps; None: what the fixture `with_events` says. Only with `registers`
    it registers what Temporal lacks: the schedule of recovery would sweep for all tests.
    """
    process = compose_api(settings, database, with_worker=worker, reports=reports)
    stop = asyncio.Event()
    temporal = process.services.temporal
    async with open_steps_database(settings) as steps_database:
        announce, queues = process.completions.announce, process.queues
        steps_book = book(
            steps_database,
            fingerprints_from(settings),
            record_reversal,
            announce,
            queues=queues,
            record_funding=record_funding,
            limits=settings.limits(),
        )
        beside = (events or tasks_of_workers)(settings)
        running = asyncio.create_task(
            run_until_stopped(temporal, steps_book, settings, stop, with_worker=worker, events=beside)
        )
        registering = asyncio.create_task(keep_registered(temporal, settings)) if registers else None
        try:
            await asyncio.wait_for(temporal.connected.wait(), timeout=20)
            async with client_of(settings, process) as http:
                yield http
        finally:
            if registering:
                registering.cancel()
            stop.set()
            await running


async def reaches(person: Person, transfer_id: str, state: str) -> None:
    async def has() -> bool:
        return bool((await person.get(f"/v1/transfers/{transfer_id}")).json().get("state") == state)

    await until(has, f"the transfer is {state}")


async def sent(payer: Person, payee: Person, amount: int, state: str) -> dict[str, Any]:
    """Send a transfer and wait until it has this state. Returns the answer to the request."""
    answer = await payer.pay(payee, amount, prefer="wait=0")
    assert answer.status_code in (201, 202), answer.text
    transfer = dict(answer.json())
    await reaches(payer, transfer["id"], state)
    return transfer


async def in_review(ada: Person, ben: Person, amount: int) -> str:
    return str((await sent(ada, ben, amount, "in_review"))["id"])
