"""What `check_native.py` does with a running deployment: customers, money, and a worker that is killed."""

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Any

import httpx

DEPOSIT_MINOR = 500_000
AMOUNT_MINOR = 1_255
BURST = 60
SETTLED_SECONDS = 60


class ScenarioError(Exception):
    """A check failed; the message describes it."""


class RegisteredCustomer:
    """A registered customer with one account."""

    def __init__(self, registered: dict[str, Any]) -> None:
        self.account_id: str = registered["account"]["id"]
        self.headers = {"Authorization": f"Bearer {registered['access_token']}"}


class Scenario:
    """Checks the deployment over HTTP, and passes each result to `say`. Raises ScenarioError at the first failure."""

    def __init__(self, client: httpx.AsyncClient, another: httpx.AsyncClient, say: Callable[[str], None]) -> None:
        """`another` asks another process of the API."""
        self._client = client
        self._another = another
        self._say = say

    async def run(self, kill_worker: Callable[[], None]) -> None:
        """Run all checks, in order."""
        ada, obi = await self._register("Ada Obi"), await self._register("Obi Eze")
        await self._deposit(ada)
        await self._transfer_and_read_back(ada, obi)
        await self._ask_another_process(ada, obi)
        await self._burst(ada, obi, kill_worker)
        await self._longest_key(ada, obi)

    async def _register(self, name: str) -> RegisteredCustomer:
        answer = await self._client.post(
            "/v1/auth/register",
            json={
                "email": f"{name.split(maxsplit=1)[0].lower()}.{secrets.token_hex(4)}@example.com",
                "password": secrets.token_urlsafe(16),
                "full_name": name,
                "currency": "NGN",
                "identity_document": {"type": "NIN", "number": f"{secrets.randbelow(10**11):011d}"},
            },
        )
        return RegisteredCustomer(_expect(answer, 201))

    async def _deposit(self, customer: RegisteredCustomer) -> None:
        answer = await self._client.post(
            f"/v1/accounts/{customer.account_id}/deposits",
            json={"amount": DEPOSIT_MINOR, "currency": "NGN"},
            headers=customer.headers | {"Idempotency-Key": "salary"},
        )
        self._completed("a deposit", _expect(answer, 201))

    async def _transfer_and_read_back(self, source: RegisteredCustomer, destination: RegisteredCustomer) -> None:
        first = _expect(await self._transfer(source, destination, "rent"), 201)
        again = await self._transfer(source, destination, "rent")
        read = await self._client.get(f"/v1/transfers/{first['id']}", headers=source.headers)
        self._completed("a transfer", first)
        self._hold("the same request is the same transfer", _expect(again, 201)["id"] == first["id"])
        self._completed("the transfer that was read back", _expect(read, 200))
        self._hold("its amount arrived", await self._balance(destination) == AMOUNT_MINOR)

    async def _ask_another_process(self, source: RegisteredCustomer, destination: RegisteredCustomer) -> None:
        """A session, a key and a balance are the same at every process of the API."""
        first = _expect(await self._transfer(source, destination, "two doors"), 201)
        again = await self._transfer(source, destination, "two doors", at=self._another)
        self._hold("another process knows the key", _expect(again, 201)["id"] == first["id"])
        read = await self._another.get(f"/v1/accounts/{destination.account_id}", headers=destination.headers)
        self._hold("another process knows the balance", _expect(read, 200)["balance"] == 2 * AMOUNT_MINOR)

    async def _longest_key(self, source: RegisteredCustomer, destination: RegisteredCustomer) -> None:
        """255 characters: the longest workflow ID that Temporal keeps in PostgreSQL."""
        answer = await self._transfer(source, destination, "#" * 255)
        self._completed("a transfer with a key of 255 characters", _expect(answer, 201))

    async def _burst(
        self, source: RegisteredCustomer, destination: RegisteredCustomer, kill_worker: Callable[[], None]
    ) -> None:
        """Send many transfers at once and kill one of two workers meanwhile: every transfer is completed once."""
        began = time.monotonic()
        waiting = [
            asyncio.create_task(self._transfer(source, destination, f"burst {number}", wait_seconds=0))
            for number in range(BURST)
        ]
        while sum(task.done() for task in waiting) < BURST // 3:  # noqa: ASYNC110 - many tasks, one count
            await asyncio.sleep(0.01)
        kill_worker()
        self._say(f"killed a worker with {sum(not task.done() for task in waiting)} of {BURST} requests unanswered")
        accepted = [_expect(answer, 201, 202) for answer in await asyncio.gather(*waiting)]
        running = sum(transfer["state"] not in ("completed", "failed", "compensated") for transfer in accepted)
        self._say(f"all {BURST} are accepted after {time.monotonic() - began:.1f} s, {running} still on their way")
        await asyncio.gather(*(self._settled(source, transfer["id"]) for transfer in accepted))
        self._say(f"all {BURST} are completed after {time.monotonic() - began:.1f} s")
        amount = (BURST + 2) * AMOUNT_MINOR
        self._hold("every amount arrived once", await self._balance(destination) == amount)
        self._hold("and left once", await self._balance(source) == DEPOSIT_MINOR - amount)

    async def _settled(self, owner: RegisteredCustomer, transfer_id: str) -> None:
        deadline = time.monotonic() + SETTLED_SECONDS
        while True:
            found = _expect(await self._client.get(f"/v1/transfers/{transfer_id}", headers=owner.headers), 200)
            if found["state"] == "completed":
                return
            if time.monotonic() > deadline or found["failure"]:
                raise ScenarioError(f"{transfer_id} is {found['state']} after {SETTLED_SECONDS} s: {found['failure']}")
            await asyncio.sleep(0.25)

    async def _transfer(
        self,
        source: RegisteredCustomer,
        destination: RegisteredCustomer,
        key: str,
        wait_seconds: int = 20,
        at: httpx.AsyncClient | None = None,
    ) -> httpx.Response:
        return await (at or self._client).post(
            "/v1/transfers",
            json={
                "source_account_id": source.account_id,
                "destination_account_id": destination.account_id,
                "amount": AMOUNT_MINOR,
                "currency": "NGN",
            },
            headers=source.headers | {"Idempotency-Key": key, "Prefer": f"wait={wait_seconds}"},
        )

    async def _balance(self, customer: RegisteredCustomer) -> int:
        answer = await self._client.get(f"/v1/accounts/{customer.account_id}", headers=customer.headers)
        return int(_expect(answer, 200)["balance"])

    def _completed(self, what: str, transfer: dict[str, Any]) -> None:
        if transfer["state"] != "completed":
            raise ScenarioError(f"{what} is {transfer['state']}: {transfer['failure']}")
        self._say(f"held: {what} is completed")

    def _hold(self, claim: str, holds: bool) -> None:
        if not holds:
            raise ScenarioError(f"this does not hold: {claim}")
        self._say(f"held: {claim}")


def _expect(answer: httpx.Response, *codes: int) -> dict[str, Any]:
    if answer.status_code not in codes:
        raise ScenarioError(
            f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:400]}"
        )
    body: dict[str, Any] = answer.json()
    return body
