"""Bodies: one encoding, one kind of content, and no object that two readers could read in two ways."""

import json
import secrets
import unicodedata

import httpx
import pytest

from tests.api.people import PASSWORD, Person, register, registration, transfer_body


async def send(payer: Person, body: bytes, content_type: str | None = "application/json") -> httpx.Response:
    headers = {"Authorization": f"Bearer {payer.token}", "Idempotency-Key": secrets.token_hex(8)}
    if content_type is not None:
        headers["Content-Type"] = content_type
    return await payer.http.post("/v1/transfers", content=body, headers=headers)


@pytest.mark.usefixtures("nothing_moves")
async def test_an_object_with_one_name_twice_is_refused_and_moves_nothing(ada: Person, ben: Person) -> None:
    body = json.dumps(transfer_body(ada, ben, 1))[:-1]
    for twice in ('"amount": 40000', '"amount": 1', '"metadata": {"a": "1", "a": "2"}', '"\\u0061mount": 2'):
        answer = await send(ada, f"{body}, {twice}}}".encode())
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json"), twice


@pytest.mark.usefixtures("nothing_moves")
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32-be", "utf-8-sig"])
async def test_a_body_in_another_encoding_than_utf8_is_refused(ada: Person, ben: Person, encoding: str) -> None:
    answer = await send(ada, json.dumps(transfer_body(ada, ben, 1)).encode(encoding))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")


@pytest.mark.usefixtures("nothing_moves")
@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "application/json; charset=utf-16",
        "application/json, text/plain",
    ],
)
async def test_a_body_that_is_not_declared_as_json_is_a_415(ada: Person, ben: Person, content_type: str | None) -> None:
    answer = await send(ada, json.dumps(transfer_body(ada, ben, 1)).encode(), content_type)
    assert (answer.status_code, answer.json()["code"]) == (415, "content_type_unsupported")
    assert answer.headers["Accept"] == "application/json"


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON;charset=UTF-8", 'application/json; charset="utf-8"', "application/a.b+json"],
)
async def test_json_is_taken_however_it_is_declared(ada: Person, ben: Person, content_type: str) -> None:
    answer = await send(ada, json.dumps(transfer_body(ada, ben, 1)).encode(), content_type)
    assert (answer.status_code, answer.json()["state"]) == (201, "completed")


@pytest.mark.parametrize("amount", ["100.0", "100.00000000000000000000", "1e2", "1.0E+2", "10000e-2"])
async def test_an_integer_is_taken_however_json_writes_it(ada: Person, ben: Person, amount: str) -> None:
    body = json.dumps(transfer_body(ada, ben, 1)).replace('"amount": 1', f'"amount": {amount}')
    answer = await send(ada, body.encode())
    assert (answer.status_code, answer.json()["amount"]) == (201, 100), answer.text


@pytest.mark.usefixtures("nothing_moves")
@pytest.mark.parametrize(
    "amount",
    ["1e999999999", "1e-999999999", "0e999999999", "9007199254740991.4", "0.1", "1e16", "NaN", "Infinity", "-1.0"],
)
async def test_a_number_that_is_no_amount_is_refused_at_once(ada: Person, ben: Person, amount: str) -> None:
    body = json.dumps(transfer_body(ada, ben, 1)).replace('"amount": 1', f'"amount": {amount}')
    answer = await send(ada, body.encode())
    assert answer.status_code in (400, 422), answer.text
    assert answer.json()["code"] in ("invalid_json", "validation_failed")


async def test_a_password_is_the_same_in_every_form_of_unicode(http: httpx.AsyncClient) -> None:
    composed, apart = (unicodedata.normalize(form, f"Zoë's {PASSWORD}") for form in ("NFC", "NFD"))
    assert composed != apart
    for chosen, typed in ((composed, apart), (apart, composed)):
        person = await register(http, password=chosen)
        login = await http.post("/v1/auth/login", json={"email": person.email, "password": typed})
        assert login.status_code == 200


@pytest.mark.parametrize("control", ["\u0080", "\u009f", "\u200e", "\u202e", "\u2069"])
async def test_controls_of_display_are_no_text_in_a_registration(http: httpx.AsyncClient, control: str) -> None:
    for name in ("email", "password", "full_name"):
        answer = await http.post("/v1/auth/register", json=registration(**{name: f"Ada{control}@example.com"}))
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), name
