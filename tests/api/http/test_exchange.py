"""What holds for every exchange: the request's id, headers that occur once, HEAD, and validators."""

import asyncio
import logging

import httpx
import pytest
import structlog
from fastapi import FastAPI

from api.error_responses import handle_problems
from api.http.exchange import Exchange
from tests.api.people import Person, transfer_body

MINE = "checkout-7f3a/attempt:2"


async def test_a_requests_id_comes_back_and_names_the_request_in_its_problem(ada: Person) -> None:
    headers = {"Authorization": f"Bearer {ada.token}", "Request-Id": MINE}
    found = await ada.http.get("/v1/accounts", headers=headers)
    assert (found.status_code, found.headers["Request-Id"]) == (200, MINE)
    missing = await ada.http.get("/v1/transfers/trf_none", headers=headers)
    assert (missing.status_code, missing.headers["Request-Id"]) == (404, MINE)
    assert missing.json()["instance"] == f"urn:remit:request:{MINE}"


@pytest.mark.parametrize("given", [None, "", "with space", "x" * 129, "ünïcode".encode(), "line\x0bbreak"])
async def test_a_request_without_a_usable_id_gets_a_new_one(http: httpx.AsyncClient, given: str | bytes | None) -> None:
    given = given.encode() if isinstance(given, str) else given
    headers = [] if given is None else [(b"Request-Id", given)]
    answers = [await http.get("/v1/accounts", headers=headers) for _ in range(2)]
    ids = {answer.headers["Request-Id"] for answer in answers}
    assert len(ids) == 2
    assert all(each.startswith("req_") for each in ids)
    assert answers[0].json()["instance"].endswith(answers[0].headers["Request-Id"])


async def test_every_log_line_of_a_request_holds_its_id_and_no_other_requests() -> None:
    app = FastAPI()
    app.add_middleware(Exchange)
    arrived = asyncio.Barrier(2)

    @app.get("/")
    async def route() -> str:
        await arrived.wait()
        return str(structlog.contextvars.get_contextvars()["request_id"])

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://remit.test") as http:
        answers = await asyncio.gather(*(http.get("/", headers={"Request-Id": name}) for name in ("one", "two")))
    assert [answer.json() for answer in answers] == ["one", "two"]


async def test_no_answer_is_stored_or_sniffed(ada: Person) -> None:
    for path in ("/v1/accounts", "/v1/transfers/trf_none", "/v2", "/health"):
        answer = await ada.get(path)
        assert (answer.headers["Cache-Control"], answer.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")


async def test_a_defect_is_a_problem_with_the_requests_id_and_the_same_headers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL)
    app = FastAPI()
    handle_problems(app)
    app.add_middleware(Exchange)

    @app.get("/defect")
    async def defect() -> None:
        raise RuntimeError("a defect")

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://remit.test") as http:
        answer = await http.get("/defect", headers={"Request-Id": MINE})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert answer.json()["instance"] == f"urn:remit:request:{MINE}"
    assert (answer.headers["Request-Id"], answer.headers["Cache-Control"]) == (MINE, "no-store")


@pytest.mark.parametrize("path", ["/v1/accounts", "/v1/transfers", "/v1/auth/me", "/health", "/v2"])
async def test_whatever_is_read_by_get_can_be_asked_for_by_head(ada: Person, path: str) -> None:
    headers = {"Authorization": f"Bearer {ada.token}", "Request-Id": MINE}
    get = await ada.http.get(path, headers=headers)
    head = await ada.http.head(path, headers=headers)
    # Each request counts, so this one differs.
    for answer in (get, head):
        answer.headers.pop("RateLimit", None)
    assert (head.status_code, dict(head.headers), head.content) == (get.status_code, dict(get.headers), b"")


async def test_an_unchanged_list_is_not_sent_again_to_whoever_has_its_etag(ada: Person, ben: Person) -> None:
    headers = {"Authorization": f"Bearer {ada.token}"}
    first = await ada.http.get("/v1/transfers", headers=headers)
    tag = first.headers["ETag"]
    for sent in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await ada.http.get("/v1/transfers", headers=headers | {"If-None-Match": sent})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag), sent
        assert "Content-Length" not in again.headers
    await ada.pay(ben, 100)
    changed = await ada.http.get("/v1/transfers", headers=headers | {"If-None-Match": tag})
    assert (changed.status_code, len(changed.json()["items"])) == (200, 2)
    assert changed.headers["ETag"] != tag


async def test_a_problem_and_an_answer_to_a_post_have_no_etag(ada: Person, ben: Person) -> None:
    assert "ETag" not in (await ada.get("/v1/transfers/trf_none")).headers
    assert "ETag" not in (await ada.pay(ben, 100)).headers


@pytest.mark.parametrize(
    "twice",
    [
        [("Authorization", "Bearer other")],
        [("Content-Type", "application/json")],
        [("content-type", "text/plain")],
    ],
)
async def test_a_second_authorization_or_content_type_header_is_refused_and_moves_nothing(
    ada: Person, ben: Person, twice: list[tuple[str, str]]
) -> None:
    headers = [
        ("Authorization", f"Bearer {ada.token}"),
        ("Content-Type", "application/json"),
        ("Idempotency-Key", "k"),
        *twice,
    ]
    answer = await ada.http.post("/v1/transfers", json=transfer_body(ada, ben, 100), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "header_repeated")
    assert await ben.balance() == 0


async def test_an_id_is_one_segment_of_the_path_also_with_an_escaped_slash(ada: Person, ben: Person) -> None:
    paid = (await ada.pay(ben, 100)).json()["id"]
    for path in (f"/v1/transfers/{paid}%2Freceipt", f"/v1/transfers/{paid}%2freceipt", "/v1%2Faccounts"):
        answer = await ada.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
