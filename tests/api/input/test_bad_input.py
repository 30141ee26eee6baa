"""Bad input gets a clear problem, moves nothing and consumes no key."""

import json
import secrets
from dataclasses import replace
from typing import Any

import httpx
import jwt
import pytest

from api.auth.tokens import ALGORITHM, AUDIENCE, ISSUER
from settings import Settings
from tests.api.people import Person, registration, transfer_body

PROBLEM = "application/problem+json"


def assert_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, PROBLEM), answer.text
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"]
    assert problem["title"]
    assert problem["detail"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount": 0}, "body.amount"),
        ({"amount": -1}, "body.amount"),
        ({"amount": 1.5}, "body.amount"),
        ({"amount": 9007199254740992.0}, "body.amount"),
        ({"amount": "10"}, "body.amount"),
        ({"amount": True}, "body.amount"),
        ({"amount": None}, "body.amount"),
        ({"amount": 2**53}, "body.amount"),
        ({"amount": 10**400}, "body.amount"),
        ({"currency": "XYZ"}, "body.currency"),
        ({"currency": "usd"}, "body.currency"),
        ({"currency": "XAU"}, "body.currency"),
        ({"fee": 1}, "body.fee"),
        ({"source_account_id": "world"}, "body.source_account_id"),
        ({"destination_account_id": "clearing"}, "body.destination_account_id"),
        ({"note": "x" * 141}, "body.note"),
        ({"note": "two\nlines"}, "body.note"),
        ({"note": "nul\u0000"}, "body.note"),
        ({"note": "next\u0085line"}, "body.note"),
        ({"note": "csi\u009b2J"}, "body.note"),
        ({"note": "line\u2028separator"}, "body.note"),
        ({"note": "to \u202egnp.exe"}, "body.note"),
        ({"note": "isolate \u2066"}, "body.note"),
        ({"note": "mark \u200f"}, "body.note"),
        ({"note": "arabic mark \u061c"}, "body.note"),
    ],
)
async def test_a_field_that_is_not_valid_is_named_and_its_key_stays_free(
    ada: Person, ben: Person, changes: dict[str, Any], field: str
) -> None:
    key = secrets.token_hex(16)
    answer = await ada.pay(ben, 100, key, **changes)
    assert_problem(answer, 422, "validation_failed")
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert (await ada.pay(ben, 100, key)).json()["state"] == "completed"


@pytest.mark.usefixtures("nothing_moves")
async def test_source_and_destination_must_differ(ada: Person) -> None:
    key = secrets.token_hex(16)
    assert_problem(await ada.pay(ada, 100, key), 422, "same_account")


@pytest.mark.usefixtures("nothing_moves")
async def test_another_customers_source_account_does_not_exist(ada: Person, ben: Person) -> None:
    key = secrets.token_hex(16)
    assert_problem(await ben.post("/v1/transfers", transfer_body(ada, ben, 100), key), 404, "account_not_found")


async def test_accounts_and_transfers_of_others_are_not_found(ada: Person, ben: Person) -> None:
    failed = (await ada.pay(ben, 99_999)).json()
    for path in (f"/v1/accounts/{ada.account_id}", f"/v1/accounts/{ada.account_id}/entries"):
        assert_problem(await ben.get(path), 404, "account_not_found")
    for path in (f"/v1/transfers/{failed['id']}", f"/v1/transfers/{failed['id']}/receipt"):
        assert_problem(await ben.get(path), 404, "transfer_not_found")
    for rail in ("deposits", "withdrawals"):
        body = {"amount": 100, "currency": "USD"}
        assert_problem(await ben.post(f"/v1/accounts/{ada.account_id}/{rail}", body), 404, "account_not_found")


@pytest.mark.usefixtures("nothing_moves")
@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ([], "idempotency_key_missing"),
        ([""], "idempotency_key_missing"),
        (["k" * 256], "idempotency_key_invalid"),
        (['""'], "idempotency_key_invalid"),
        (["tab\there"], "idempotency_key_invalid"),
        (["naïve".encode()], "idempotency_key_invalid"),
        (["one", "two"], "idempotency_key_invalid"),
    ],
)
async def test_a_key_that_is_missing_or_not_valid_is_refused(
    ada: Person, ben: Person, keys: list[str | bytes], code: str
) -> None:
    headers: list[tuple[bytes, bytes]] = [(b"Authorization", f"Bearer {ada.token}".encode())]
    headers += [(b"Idempotency-Key", key.encode() if isinstance(key, str) else key) for key in keys]
    answer = await ada.http.post("/v1/transfers", json=transfer_body(ada, ben, 100), headers=headers)
    assert_problem(answer, 400, code)


async def test_the_longest_key_is_taken(ada: Person, ben: Person) -> None:
    assert (await ada.pay(ben, 100, "k" * 255)).json()["state"] == "completed"


async def test_preferences_that_are_not_known_are_ignored(ada: Person, ben: Person) -> None:
    assert (await ada.pay(ben, 100, prefer="respond-async, wait=10")).json()["state"] == "completed"


@pytest.mark.parametrize(
    "body",
    [b'{"note": "\xff\xfe"}', b"[" * 60_000, b'{"amount": ' + b"9" * 5_000 + b"}"],
    ids=["no UTF-8", "nested", "long number"],
)
async def test_json_that_cannot_be_read_is_refused_with_what_to_do(ada: Person, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {ada.token}", "Idempotency-Key": "k", "Content-Type": "application/json"}
    answer = await ada.http.post("/v1/transfers", content=body, headers=headers)
    assert_problem(answer, 400, "invalid_json")
    assert "UTF-8" in answer.json()["detail"]


@pytest.mark.parametrize("body", [b"", b"{", b"[1", b"\xff\xfe", b'{"amount": NaN}', b"null", b"[]"])
async def test_a_body_that_is_not_a_json_object_is_refused(ada: Person, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {ada.token}", "Idempotency-Key": "k", "Content-Type": "application/json"}
    answer = await ada.http.post("/v1/transfers", content=body, headers=headers)
    assert answer.headers["Content-Type"] == PROBLEM, answer.text
    assert answer.status_code in (400, 422)
    assert answer.json()["code"] in ("invalid_json", "validation_failed")


async def test_a_body_of_two_megabytes_is_refused_before_it_is_read(ada: Person) -> None:
    headers = {"Authorization": f"Bearer {ada.token}", "Idempotency-Key": "k", "Content-Type": "application/json"}
    answer = await ada.http.post("/v1/transfers", content=b" " * 2_000_000, headers=headers)
    assert_problem(answer, 413, "body_too_large")


async def test_deeply_nested_json_is_refused(ada: Person) -> None:
    headers = {"Authorization": f"Bearer {ada.token}", "Idempotency-Key": "k", "Content-Type": "application/json"}
    answer = await ada.http.post("/v1/transfers", content=b"[" * 30_000, headers=headers)
    assert answer.status_code in (400, 422)
    assert answer.headers["Content-Type"] == PROBLEM


def token_with(settings: Settings, person: Person, secret: str | None = None, **claims: object) -> str:
    assert settings.jwt_secret is not None
    whole = {"iss": ISSUER, "aud": AUDIENCE, "sub": person.id, "sid": "ses_", "iat": 1, "exp": 2**40} | claims
    return jwt.encode(
        {name: claim for name, claim in whole.items() if claim is not None},
        secret or settings.jwt_secret.get_secret_value(),
        ALGORITHM,
    )


@pytest.mark.usefixtures("nothing_moves")
async def test_an_expired_token_says_so(settings: Settings, ada: Person, ben: Person) -> None:
    late = replace(ada, token=token_with(settings, ada, exp=1_700_000_000))
    answer = await late.pay(ben, 100)
    assert_problem(answer, 401, "token_expired")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_a_token_that_is_not_ours_is_refused(settings: Settings, ada: Person) -> None:
    forged = [
        token_with(settings, ada, secret="x" * 64),
        token_with(settings, ada, iss="elsewhere"),
        token_with(settings, ada, aud="elsewhere"),
        token_with(settings, ada, exp=None),
        jwt.encode({"sub": ada.id}, "", "none"),
        "nonsense",
    ]
    for token in forged:
        forger = replace(ada, token=token)
        assert_problem(await forger.get("/v1/auth/me"), 401, "not_authenticated")


async def test_without_a_token_nothing_is_told(http: httpx.AsyncClient) -> None:
    for path in ("/v1/auth/me", "/v1/accounts", "/v1/transfers", "/v1/transfers/trf_x", "/v1/accounts/acc_x/entries"):
        assert_problem(await http.get(path), 401, "not_authenticated")


@pytest.mark.parametrize(
    "changes",
    [
        {"email": "nobody"},
        {"password": "short"},
        {"full_name": ""},
        {"currency": "XXX"},
        {"identity_document": {"type": "PASSPORT", "number": "123456"}},
        {"role": "admin"},
    ],
)
async def test_a_registration_that_is_not_valid_is_refused(http: httpx.AsyncClient, changes: dict[str, object]) -> None:
    assert_problem(await http.post("/v1/auth/register", json=registration(**changes)), 422, "validation_failed")


async def test_a_refused_registration_never_repeats_the_password(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/auth/register", json=registration(password="hunter2"))
    assert answer.status_code == 422
    assert "hunter2" not in answer.text


@pytest.mark.parametrize("limit", [0, 51, "many"])
async def test_pages_have_a_size_from_one_to_fifty(ada: Person, limit: object) -> None:
    assert_problem(await ada.get("/v1/transfers", limit=limit), 422, "validation_failed")


async def test_paths_and_methods_that_do_not_exist_are_problems_too(ada: Person) -> None:
    assert_problem(await ada.get("/v2/transfers"), 404, "not_found")
    assert_problem(await ada.http.put("/v1/transfers", json={}), 405, "method_not_allowed")


async def test_a_zero_character_is_refused_wherever_it_stands(ada: Person, http: httpx.AsyncClient) -> None:
    for path in ("/v1/accounts/%00", "/v1/transfers/trf_%00", "/v1/accounts/acc_%00/entries"):
        assert_problem(await ada.get(path), 422, "validation_failed")
    assert_problem(await ada.get("/v1/transfers", account_id="\0"), 422, "validation_failed")
    login = await http.post("/v1/auth/login", json={"email": "\0", "password": "correct horse battery"})
    assert_problem(login, 422, "validation_failed")


HALF = "\ud800"


def as_json(body: object) -> dict[str, Any]:
    """What httpx would not send: JSON's escapes can say halves of surrogate pairs."""
    return {"content": json.dumps(body).encode(), "headers": {"Content-Type": "application/json"}}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"password": "correct horse" + HALF}, "body.password"),
        ({"email": f"ada{HALF}@example.com"}, "body.email"),
        ({"full_name": HALF}, "body.full_name"),
        ({"currency": HALF}, "body.currency"),
        ({"identity_document": {"type": HALF, "number": "22334455667"}}, "body.identity_document.type"),
        ({"identity_document": {"type": "NIN", "number": "2233" + HALF}}, "body.identity_document.number"),
        ({HALF: 1}, "body"),
    ],
)
async def test_half_of_a_surrogate_pair_is_no_text_in_a_registration(
    http: httpx.AsyncClient, changes: dict[str, object], field: str
) -> None:
    answer = await http.post("/v1/auth/register", **as_json(registration(**changes)))
    assert_problem(answer, 422, "validation_failed")
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("name", ["email", "password"])
@pytest.mark.parametrize("text", [HALF, "\0"])
async def test_a_login_with_unstorable_text_is_refused(http: httpx.AsyncClient, name: str, text: str) -> None:
    login = {"email": "ada@example.com", "password": "correct horse battery"} | {name: text}
    assert_problem(await http.post("/v1/auth/login", **as_json(login)), 422, "validation_failed")


@pytest.mark.usefixtures("nothing_moves")
async def test_half_of_a_surrogate_pair_is_no_text_in_a_movement(ada: Person, ben: Person) -> None:
    cash = {"amount": 1, "currency": "USD"}
    for path, body in (
        ("/v1/transfers", transfer_body(ada, ben, 1) | {"note": HALF}),
        ("/v1/transfers", transfer_body(ada, ben, 1) | {"currency": HALF}),
        (f"/v1/accounts/{ada.account_id}/deposits", cash | {"transaction_id": HALF}),
        ("/v1/accounts", {"currency": HALF}),
    ):
        sent = as_json(body)
        sent["headers"] |= {"Authorization": f"Bearer {ada.token}", "Idempotency-Key": "k"}
        assert_problem(await ada.http.post(path, **sent), 422, "validation_failed")
