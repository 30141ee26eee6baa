"""What HTTP asks of every path: methods, spellings, headers; and that a defect tells nobody anything."""

import logging

import httpx
import pytest
import structlog
from fastapi import FastAPI

from api.auth.models import LoginIn
from api.error_responses import handle_problems
from database.connections import Database
from logs import configure_logging
from settings import Settings
from tests.api.people import Person, register, running_api, transfer_body


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/transfers", "GET, HEAD, POST"),
        ("DELETE", "/v1/accounts", "GET, HEAD, POST"),
        ("GET", "/v1/auth/login", "POST"),
        ("POST", "/v1/accounts/acc_x", "GET, HEAD, PATCH"),
        ("POST", "/health", "GET, HEAD"),
    ],
)
async def test_a_refused_method_names_all_that_the_path_takes(
    http: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    answer = await http.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == allowed


async def test_a_path_has_one_spelling(ada: Person, ben: Person) -> None:
    for path in ("/v1/transfers/", "/v1/accounts/", "/health/", f"/v1/accounts/{ada.account_id}/"):
        answer = await ada.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
    assert (await ada.post("/v1/transfers/", transfer_body(ada, ben, 100))).status_code == 404


@pytest.mark.parametrize(
    ("sent", "applied"),
    [
        (["wait=10"], "wait=10"),
        (["wait=31"], "wait=30"),
        (["wait=10000000000000000000000"], "wait=30"),
        (["respond-async", "wait=31"], "wait=30"),
        (["wait=31", "wait=1"], "wait=30"),
        (['foo="a, b"', "wait=31"], "wait=30"),
        (['foo="a\\", b", wait=31'], "wait=30"),
        (["WAIT = 99; foo"], "wait=30"),
        (["wait; foo=3"], None),
        (['wait="10'], None),
        (["wait=soon"], None),
        (["wait=-1"], None),
        (["wait"], None),
        (['foo="a, wait=31"'], None),
        (['foo="wait=31, b", wait=10'], "wait=10"),
        (['foo; bar="x=1; wait=31"', "wait=10"], "wait=10"),
        (["wait=10", "wait=31"], "wait=10"),
        (['wait="10"; foo="a, wait=31"'], "wait=10"),
        (['foo="never closed, wait=31'], None),
        (["", ",,", "=", ";"], None),
    ],
)
async def test_a_wait_is_clamped_to_the_limit_and_the_answer_says_what_was_applied(
    ada: Person, ben: Person, sent: list[str], applied: str | None
) -> None:
    answer = await pay(ada, ben, sent)
    assert (answer.status_code, answer.json().get("state")) == (201, "completed")
    assert answer.headers.get("Preference-Applied") == applied


async def test_a_202_says_where_and_when_to_read_the_transfer_again(settings: Settings, database: Database) -> None:
    nobody_works = settings.model_copy(update={"task_queue": "nobody works here"})
    async with running_api(nobody_works, database, worker=False) as http:
        ada = await register(http)
        path = f"/v1/accounts/{ada.account_id}/deposits"
        answer = await ada.post(path, {"amount": 100, "currency": "USD"}, prefer="wait=0")
        assert (answer.status_code, answer.headers["Preference-Applied"]) == (202, "wait=0")
        assert answer.headers["Retry-After"] == "1"
        assert (await ada.get(answer.headers["Location"])).json() == answer.json()


async def pay(payer: Person, payee: Person, prefer: list[str]) -> httpx.Response:
    headers = [("Authorization", f"Bearer {payer.token}"), ("Idempotency-Key", "k")]
    headers += [("Prefer", one) for one in prefer]
    return await payer.http.post("/v1/transfers", json=transfer_body(payer, payee, 100), headers=headers)


@pytest.mark.parametrize("log_format", ["console", "json"])
@pytest.mark.usefixtures("own_logging")
async def test_a_defect_writes_no_password_to_the_log(capsys: pytest.CaptureFixture[str], log_format: str) -> None:
    configure_logging(Settings(log_format=log_format))
    app = FastAPI()
    handle_problems(app)
    marker = "marker-7f3a-password!"

    @app.post("/login")
    async def login(wanted: LoginIn) -> None:
        password = wanted.password.get_secret_value()
        raise RuntimeError(f"a defect with {len(password)} characters in a local variable")

    transport = httpx.ASGITransport(app, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://remit.test") as http:
        with pytest.raises(RuntimeError) as defect:
            await http.post("/login", json={"email": "ada@example.com", "password": marker})
    # As a server logs it.
    logging.getLogger("uvicorn.error").error("Exception in ASGI application", exc_info=defect.value)
    structlog.get_logger().error("a defect", exc_info=defect.value)
    written = capsys.readouterr().err
    assert written.count("a defect with 21 characters") == 2
    assert marker not in written
