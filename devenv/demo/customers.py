"""Customers of the demo, who do everything over the HTTP API."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self, TypeVar

import httpx
from pydantic import BaseModel

from api.accounts.models import AccountOut, EntriesOut, EntryOut
from api.auth.models import RegisteredOut
from api.batches.models import BatchOut
from api.customers.models import CustomerOut
from api.http.problems import ProblemDetails
from api.onboarding.models import DocumentOut, VerificationOut
from api.statements.models import AccountStatementOut
from api.transfers.models import TransferOut
from api.webhooks.models import EndpointSecretOut
from ledger.ids import BatchId, TransferId
from ledger.transfers import Leg

Model = TypeVar("Model", bound=BaseModel)

CURRENCY = "USD"


def new_number() -> str:
    """A number that the verifier of an embedded stack accepts at once."""
    return f"{secrets.randbelow(9 * 10**10) + 10**10}"


class UnexpectedAnswer(Exception):
    """An answer with which the demo cannot continue. The message is a sentence for its reader."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A request to move money and its answer: a transfer or a problem."""

    key: str
    amount_minor: int
    status: int
    transfer: TransferOut | None
    problem: ProblemDetails | None
    replayed: bool
    took_ms: float

    @property
    def accepted(self) -> TransferOut:
        """The transfer. Raises `UnexpectedAnswer` where the answer is a problem."""
        if self.transfer is None:
            raise UnexpectedAnswer(
                f"the API answered {self.status}: {self.problem.detail if self.problem else 'no reason'}"
            )
        return self.transfer

    @property
    def problem_code(self) -> str | None:
        """The code of the problem, if the answer is one."""
        return self.problem.code if self.problem else None


@dataclass(frozen=True, slots=True)
class DemoCustomer:
    """A customer who is signed in and holds one account."""

    name: str
    email: str
    password: str
    account: AccountOut
    _headers: Mapping[str, str]
    _http: httpx.AsyncClient

    @classmethod
    async def register(cls, http: httpx.AsyncClient, full_name: str, number: str | None = None) -> Self:
        """A new customer with a new email address, and with this number of their document, or any."""
        name = full_name.split(maxsplit=1)[0]
        email, password = f"{name.lower()}.{secrets.token_hex(4)}@example.com", secrets.token_urlsafe(9)
        body = {
            "email": email,
            "password": password,
            "full_name": full_name,
            "currency": CURRENCY,
            "identity_document": {"type": "NIN", "number": number or new_number()},
        }
        answer = await http.post("/v1/auth/register", json=body)
        if answer.status_code != httpx.codes.CREATED:
            raise UnexpectedAnswer(f"POST /v1/auth/register answered {answer.status_code}: {answer.text}")
        registered = RegisteredOut.model_validate_json(answer.content)
        headers = {"Authorization": f"Bearer {registered.access_token}"}
        return cls(name, email, password, registered.account, headers, http)

    async def balance(self) -> int:
        """What the account holds now, in minor units."""
        return (await self._get(f"/v1/accounts/{self.account.id}", AccountOut)).balance

    async def entries_of(self, transfer_id: TransferId) -> list[EntryOut]:
        """The entries of one transfer on the newest page of the account's entries, oldest first."""
        page = await self._get(f"/v1/accounts/{self.account.id}/entries", EntriesOut)
        return [entry for entry in reversed(page.items) if entry.transfer_id == transfer_id]

    async def debits_since(self, transfer_id: TransferId) -> list[EntryOut]:
        """The debits on the newest page of the account's entries from this transfer's on, oldest first."""
        page = await self._get(f"/v1/accounts/{self.account.id}/entries?limit=50", EntriesOut)
        debits = [entry for entry in reversed(page.items) if entry.leg is Leg.DEBIT]
        place = next(place for place, entry in enumerate(debits) if entry.transfer_id == transfer_id)
        return debits[place:]

    async def make_statement(self) -> AccountStatementOut:
        """A statement over all entries of the account."""
        path = f"/v1/accounts/{self.account.id}/statements"
        answer = await self._http.post(
            path, json={"from": "2026-01-01", "to": "9998-12-31"}, headers=dict(self._headers)
        )
        if answer.status_code != httpx.codes.CREATED:
            raise UnexpectedAnswer(f"POST {path} answered {answer.status_code}: {answer.text}")
        return AccountStatementOut.model_validate_json(answer.content)

    async def read_file(self, path: str) -> bytes:
        """A file, such as a statement as PDF."""
        answer = await self._http.get(path, headers=dict(self._headers))
        if answer.status_code != httpx.codes.OK:
            raise UnexpectedAnswer(f"GET {path} answered {answer.status_code}: {answer.text}")
        return answer.content

    async def transfer(self, transfer_id: TransferId) -> TransferOut:
        """One of the customer's transfers, in its present state."""
        return await self._get(f"/v1/transfers/{transfer_id}", TransferOut)

    async def deposit(self, amount_minor: int, key: str) -> HttpAnswer:
        """Put money into the account from outside."""
        return await self._move(f"/v1/accounts/{self.account.id}/deposits", amount_minor, key, {}, {})

    async def withdraw(self, amount_minor: int, key: str) -> HttpAnswer:
        """Take money out of the account."""
        return await self._move(f"/v1/accounts/{self.account.id}/withdrawals", amount_minor, key, {}, {})

    async def send(self, to: "DemoCustomer", amount_minor: int, key: str, *, wait: bool = True) -> HttpAnswer:
        """Transfer money. Without `wait`, the answer comes as soon as the transfer is accepted."""
        accounts = {"source_account_id": self.account.id, "destination_account_id": to.account.id}
        return await self._move("/v1/transfers", amount_minor, key, accounts, {} if wait else {"Prefer": "wait=0"})

    async def retry(self, first: HttpAnswer) -> HttpAnswer:
        """Try a transfer that has failed once more."""
        path = f"/v1/transfers/{first.accepted.id}/retry"
        return await self._posted(path, None, first.amount_minor, f"{first.key[:3]}2", {})

    @property
    def authorization(self) -> str:
        """The header with the customer's access token."""
        return self._headers["Authorization"]

    async def send_batch(self, to: "DemoCustomer", amount_minor: int, count: int) -> BatchOut:
        """Transfer the amount so many times, by one request."""
        items = [
            {
                "reference": f"salary-{number}",
                "source_account_id": self.account.id,
                "destination_account_id": to.account.id,
                "amount": amount_minor,
                "currency": CURRENCY,
            }
            for number in range(1, count + 1)
        ]
        headers = {**self._headers, "Idempotency-Key": f"salaries-{secrets.token_hex(4)}"}
        answer = await self._http.post("/v1/batches", json={"items": items}, headers=headers)
        if answer.status_code != httpx.codes.ACCEPTED:
            raise UnexpectedAnswer(f"POST /v1/batches answered {answer.status_code}: {answer.text[:500]}")
        return BatchOut.model_validate_json(answer.content)

    async def batch(self, batch_id: BatchId) -> BatchOut:
        """One of the customer's batches, as it stands."""
        return await self._get(f"/v1/batches/{batch_id}", BatchOut)

    async def add_endpoint(self, url: str, *types: str) -> EndpointSecretOut:
        """Have events of these types sent to a URL."""
        answer = await self._http.post(
            "/v1/webhook-endpoints", json={"url": url, "types": types}, headers=dict(self._headers)
        )
        if answer.status_code != httpx.codes.CREATED:
            raise UnexpectedAnswer(f"POST /v1/webhook-endpoints answered {answer.status_code}: {answer.text}")
        return EndpointSecretOut.model_validate_json(answer.content)

    async def replay(self, endpoint_id: str, since: datetime) -> None:
        """Have all events since then sent to an endpoint now."""
        path = f"/v1/webhook-endpoints/{endpoint_id}/replay"
        answer = await self._http.post(path, json={"since": since.isoformat()}, headers=dict(self._headers))
        if answer.status_code != httpx.codes.ACCEPTED:
            raise UnexpectedAnswer(f"POST {path} answered {answer.status_code}: {answer.text}")

    async def verification(self) -> VerificationOut:
        """Whether the customer is verified, and if not, why."""
        found = (await self._get("/v1/auth/me", CustomerOut)).verification
        if found is None:
            raise UnexpectedAnswer("GET /v1/auth/me tells nothing of the verification")
        return found

    async def send_document(self, kind: str, number: str) -> DocumentOut:
        """Another identity document."""
        path = "/v1/customers/me/documents"
        answer = await self._http.post(path, json={"type": kind, "number": number}, headers=dict(self._headers))
        if answer.status_code != httpx.codes.CREATED:
            raise UnexpectedAnswer(f"POST {path} answered {answer.status_code}: {answer.text}")
        return DocumentOut.model_validate_json(answer.content)

    async def _move(
        self, path: str, amount_minor: int, key: str, accounts: Mapping[str, str], prefer: Mapping[str, str]
    ) -> HttpAnswer:
        body = {"amount": amount_minor, "currency": CURRENCY, **accounts}
        return await self._posted(path, body, amount_minor, key, prefer)

    async def _posted(
        self, path: str, body: object, amount_minor: int, key: str, prefer: Mapping[str, str]
    ) -> HttpAnswer:
        began = time.perf_counter()
        headers = {**self._headers, "Idempotency-Key": key, **prefer}
        answer = await self._http.post(path, json=body, headers=headers)
        took_ms = (time.perf_counter() - began) * 1000
        accepted = answer.status_code in (httpx.codes.CREATED, httpx.codes.ACCEPTED)
        return HttpAnswer(
            key=key,
            amount_minor=amount_minor,
            status=answer.status_code,
            transfer=TransferOut.model_validate_json(answer.content) if accepted else None,
            problem=None if accepted else ProblemDetails.model_validate_json(answer.content),
            replayed=answer.headers.get("Idempotent-Replayed") == "true",
            took_ms=took_ms,
        )

    async def _get(self, path: str, model: type[Model]) -> Model:
        answer = await self._http.get(path, headers=dict(self._headers))
        if answer.status_code != httpx.codes.OK:
            raise UnexpectedAnswer(f"GET {path} answered {answer.status_code}: {answer.text}")
        return model.model_validate_json(answer.content)
