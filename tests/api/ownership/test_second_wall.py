"""The second wall: with every owner filter torn out of the SQL, a customer still gets nothing of another's."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import structlog
from fastapi import APIRouter
from sqlalchemy import BindParameter, true
from sqlalchemy.sql.elements import BinaryExpression
from sqlalchemy.sql.visitors import replacement_traverse

from api.app import create_app
from api.auth.sessions import CurrentSession, DisputesRead
from api.disputes.models import DisputeOut
from api.http.route import CheckedRoute
from api.ownership import check
from api.services import Remit
from api.tiers.models import TierRequestOut
from api_services import compose_api
from customers.documents.sandbox import REVIEW_NUMBER
from database import answers, statements
from database.connections import Database
from ledger.ids import DisputeId, TierRequestId
from ledger.postgres import transfer_reads
from settings import Settings
from tests.api.people import PASSWORD, Person, register, transfer_body

OWNERS = {"owner_id", "customer_id", "payer_id", "payee_id"}

# Routes whose own filter is in Python, as somebody might write them who forgets it.
careless = APIRouter(prefix="/careless", route_class=CheckedRoute)


@careless.get("/disputes/{dispute_id}")
async def any_dispute(dispute_id: DisputeId, session: DisputesRead, remit: Remit) -> DisputeOut:
    found = await remit.disputes.find(dispute_id)
    assert found is not None
    return DisputeOut.of(*found, as_staff=False)


@careless.get("/tier-requests/{request_id}")
async def any_tier_request(request_id: TierRequestId, session: CurrentSession, remit: Remit) -> TierRequestOut:
    found, _ = await remit.tier_requests.find(request_id)
    return TierRequestOut.of(found)


@contextmanager
def torn(*filters: str) -> Iterator[None]:
    """Every statement of SQLAlchemy finds all rows, whatever value these columns are compared with."""
    compiled = statements._compile  # noqa: SLF001 - every statement passes here

    def everything(element: Any, **_: Any) -> Any:
        if isinstance(element, BinaryExpression) and isinstance(element.right, BindParameter):
            return true() if getattr(element.left, "name", None) in (filters or OWNERS) else None
        return None

    def compile_torn(statement: Any) -> Any:
        return compiled(replacement_traverse(statement, {}, everything) if statement.is_select else statement)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statements, "_compile", compile_torn)
        yield


@contextmanager
def without_the_wall() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(check, "check_is_for", lambda *_: None)
        yield


@pytest.fixture
async def reading(settings: Settings, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """An API that reads, with the careless routes beside its own."""
    app = create_app(compose_api(settings, database, with_worker=False).services, docs=False)
    app.include_router(careless)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://remit.test") as client:
        yield client


async def _made(answering: httpx.Response) -> str:
    assert answering.status_code in (201, 202), answering.text
    return str(answering.json()["id"])


async def test_a_forgotten_owner_filter_shows_nobody_what_is_anothers(
    http: httpx.AsyncClient, reading: httpx.AsyncClient, ada: Person, ben: Person
) -> None:
    eve = await register(http, full_name="Eve Roe")
    transfer = await _made(await ada.pay(ben, 1_000, prefer="wait=10"))
    dispute = await _made(await ada.post(f"/v1/transfers/{transfer}/disputes", {"reason": "It was not me."}))
    document = {"type": "BVN", "number": REVIEW_NUMBER}
    account = f"/v1/accounts/{ada.account_id}"
    tier_request = await _made(await ada.post(f"{account}/tier-requests", {"tier": 2, "document": document}))
    await ada.post("/v1/auth/api-keys", {"name": "Ada's shop", "scopes": ["transfers:read"], "password": PASSWORD})
    # Each path, and what of Ada's it would show.
    nouns = {
        "/v1/accounts": ada.account_id,
        account: ada.account_id,
        f"{account}/balance": ada.account_id,
        f"{account}/stats": ada.account_id,
        f"{account}/limits": ada.account_id,
        f"{account}/entries": transfer,
        "/v1/transfers": transfer,
        f"/v1/transfers/{transfer}": transfer,
        f"/v1/transfers/{transfer}/receipt": transfer,
        f"/v1/transfers/{transfer}/reversals": "left_amount",
        "/v1/disputes": dispute,
        f"/careless/disputes/{dispute}": dispute,
        f"{account}/tier-requests": tier_request,
        f"/careless/tier-requests/{tier_request}": tier_request,
        "/v1/customers/me/documents": ada.id,
        "/v1/auth/sessions": '"current":false',
        "/v1/auth/api-keys": "Ada's shop",
    }
    as_eve = {"Authorization": f"Bearer {eve.token}"}
    for path, hers in nouns.items():
        if not path.startswith("/careless"):
            whole = await reading.get(path, headers=as_eve)
            assert hers not in whole.text, f"{path} with its filter: {whole.text}"
        with torn():
            withheld = await reading.get(path, headers=as_eve)
            assert withheld.status_code == 404, f"{path}: {withheld.status_code} {withheld.text}"
            assert hers not in withheld.text
            with without_the_wall():
                shown = await reading.get(path, headers=as_eve)
            assert shown.status_code == 200, f"{path}: {shown.text}"
            assert hers in shown.text, f"{path}: the hole is none, so the wall was not tried: {shown.text}"


async def test_a_page_of_entries_that_holds_anothers_is_withheld(
    reading: httpx.AsyncClient, ada: Person, ben: Person
) -> None:
    await ada.pay(ben, 1_000, prefer="wait=10")
    as_ada = {"Authorization": f"Bearer {ada.token}"}
    path = f"/v1/accounts/{ada.account_id}/entries"
    assert (await reading.get(path, headers=as_ada)).status_code == 200
    with torn("account_id"):
        withheld = await reading.get(path, headers=as_ada)
    assert (withheld.status_code, withheld.json()["code"]) == (404, "account_not_found")


async def test_a_withheld_answer_is_counted_and_logged(reading: httpx.AsyncClient, ada: Person, ben: Person) -> None:
    counted = check.WITHHELD.labels("AccountOut")._value  # noqa: SLF001 - the client shows it by a scrape only
    before = counted.get()
    with torn(), structlog.testing.capture_logs() as lines:
        await reading.get(f"/v1/accounts/{ada.account_id}", headers={"Authorization": f"Bearer {ben.token}"})
    assert counted.get() == before + 1
    (line,) = (line for line in lines if line["event"] == "withheld what belongs to somebody else")
    assert (line["log_level"], line["answer"], line["owners"]) == ("error", "AccountOut", (ada.id,))


async def test_without_the_filter_of_its_intake_nobody_pays_from_anothers_account(
    http: httpx.AsyncClient, ada: Person, ben: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = transfer_reads._INTAKE  # noqa: SLF001
    assert "a.id = $3 AND a.owner_id = $1" in intake
    monkeypatch.setattr(transfer_reads, "_INTAKE", intake.replace("a.id = $3 AND a.owner_id = $1", "a.id = $3"))
    refused = await ben.post("/v1/transfers", transfer_body(ada, ben, 1_000))
    assert (refused.status_code, refused.json()["code"]) == (404, "account_not_found")
    assert await ada.balance() == 50_000


async def test_without_the_filter_of_kept_answers_nobody_gets_anothers(
    ada: Person, ben: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two customers use one key for equal requests."""
    first = await ada.post("/v1/accounts", {"currency": "EUR"}, key="one")
    filtered = "ON a.owner_id = $1 AND a.idempotency_key = $2"
    assert filtered in answers._FIND  # noqa: SLF001
    monkeypatch.setattr(answers, "_FIND", answers._FIND.replace(filtered, "ON a.idempotency_key = $2"))  # noqa: SLF001
    second = await ben.post("/v1/accounts", {"currency": "EUR"}, key="one")
    assert first.status_code == 201
    assert (second.status_code, second.json()["code"]) == (422, "idempotency_key_reused")
