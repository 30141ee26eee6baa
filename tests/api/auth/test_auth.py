"""Signing up, in and out, and opening accounts."""

import secrets

import argon2
import httpx
import pytest

from api.auth import passwords
from tests.api.people import PASSWORD, Person, register, registration


async def test_registering_opens_a_first_account_and_signs_in(http: httpx.AsyncClient) -> None:
    body = registration(email="Ada.Obi@Example.com", currency="NGN")
    answer = await http.post("/v1/auth/register", json=body)
    made = answer.json()
    assert answer.status_code == 201
    assert made["customer"]["email"] == "ada.obi@example.com"
    assert made["customer"]["role"] == "customer"
    assert made["account"] == made["account"] | {"currency": "NGN", "balance": 0, "status": "active", "version": 0}
    assert made["account"]["owner_id"] == made["customer"]["id"]
    assert (made["token_type"], made["expires_in"]) == ("bearer", 900)
    me = await http.get("/v1/auth/me", headers={"Authorization": f"Bearer {made['access_token']}"})
    assert me.json() == made["customer"]
    assert "22334455667" not in answer.text + me.text


async def test_an_email_registers_once_whatever_its_case(http: httpx.AsyncClient) -> None:
    person = await register(http)
    again = await http.post("/v1/auth/register", json=registration(email=person.email.upper()))
    assert (again.status_code, again.json()["code"]) == (409, "email_taken")


@pytest.mark.parametrize(
    ("registered", "typed", "kept"),
    [
        ("Jose\u0301.{}@Example.com", " jos\u00e9.{}@EXAMPLE.com ", "jos\u00e9.{}@example.com"),
        ("ada.{}@B\u00dcCHER.example.com", "ADA.{}@xn--bcher-kva.example.com", "ada.{}@b\u00fccher.example.com"),
    ],
    ids=["NFC", "IDN"],
)
async def test_an_email_is_the_same_however_it_is_typed(
    http: httpx.AsyncClient, registered: str, typed: str, kept: str
) -> None:
    some = secrets.token_hex(4)
    answer = await http.post("/v1/auth/register", json=registration(email=registered.format(some)))
    assert answer.status_code == 201, answer.text
    assert answer.json()["customer"]["email"] == kept.format(some)
    again = await http.post("/v1/auth/register", json=registration(email=typed.format(some)))
    assert (again.status_code, again.json()["code"]) == (409, "email_taken")
    for email in (registered, typed, kept):
        login = await http.post("/v1/auth/login", json={"email": email.format(some), "password": PASSWORD})
        assert login.status_code == 200, login.text


async def test_a_name_with_an_address_in_brackets_registers_nobody(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/auth/register", json=registration(email="Bob Smith <bob@example.com>"))
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "body.email")


@pytest.mark.parametrize("email", ["nobody", "", "Bob Smith <bob@example.com>", "a@b@c", "ada@" + "x" * 200])
async def test_an_unusable_email_is_a_wrong_one(http: httpx.AsyncClient, email: str) -> None:
    answer = await http.post("/v1/auth/login", json={"email": email, "password": PASSWORD})
    assert (answer.status_code, answer.json()["code"]) == (401, "credentials_invalid")


async def test_login_takes_the_right_password_only(http: httpx.AsyncClient) -> None:
    person = await register(http)
    right = await http.post("/v1/auth/login", json={"email": person.email.upper(), "password": PASSWORD})
    assert right.status_code == 200
    person.token = right.json()["access_token"]
    assert (await person.get("/v1/auth/me")).json()["id"] == person.id
    wrong = await http.post("/v1/auth/login", json={"email": person.email, "password": "something else"})
    nobody = await http.post("/v1/auth/login", json={"email": "nobody@example.com", "password": PASSWORD})
    assert wrong.status_code == nobody.status_code == 401
    assert wrong.json() == nobody.json()


async def test_logout_ends_this_token_and_no_other(http: httpx.AsyncClient) -> None:
    person = await register(http)
    other = (await http.post("/v1/auth/login", json={"email": person.email, "password": PASSWORD})).json()
    assert (await person.post("/v1/auth/logout", None)).status_code == 204
    assert (await person.get("/v1/auth/me")).status_code == 401
    person.token = other["access_token"]
    assert (await person.get("/v1/auth/me")).status_code == 200


async def test_a_customer_holds_one_account_per_currency(ada: Person) -> None:
    opened = await ada.post("/v1/accounts", {"currency": "EUR"})
    assert (opened.status_code, opened.json()["currency"]) == (201, "EUR")
    again = await ada.post("/v1/accounts", {"currency": "EUR"})
    assert (again.status_code, again.json()["code"]) == (409, "account_exists")
    held = (await ada.get("/v1/accounts")).json()["items"]
    assert [account["currency"] for account in held] == ["USD", "EUR"]
    assert (await ada.get(opened.headers["Location"])).json() == opened.json()


def test_passwords_are_kept_by_argon2id_with_the_parameters_of_rfc_9106() -> None:
    kept = passwords.PARAMETERS
    assert (kept.type, kept.memory_cost, kept.time_cost) == (argon2.Type.ID, 65_536, 3)
