"""Signing up, in and out, and opening accounts."""

import secrets
from datetime import UTC, datetime, timedelta, tzinfo

import argon2
import httpx
import pytest

from api.auth import passwords, tokens
from api.auth.tokens import Tokens
from database.connections import Database
from settings import Settings
from staff.permissions import Role
from tests.api.people import PASSWORD, Person, answered, register, registration
from tests.orders import promoted


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
    assert answered(wrong) == answered(nobody)


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


@pytest.mark.parametrize("password", ["password", "PASSWORD", "12345678", "iloveyou", "trustno1"])
async def test_a_password_that_many_people_use_is_refused(http: httpx.AsyncClient, password: str) -> None:
    answer = await http.post("/v1/auth/register", json=registration(password=password))
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "body.password")


async def test_a_token_from_a_clock_that_is_a_little_ahead_is_taken(
    http: httpx.AsyncClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await register(http)
    assert settings.jwt_secret is not None
    keys = [settings.jwt_secret.get_secret_value()]
    claims = Tokens(keys, 900).read(ada.token)

    def issued(ahead: timedelta) -> str:
        class Ahead(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> "Ahead":
                return cls.fromtimestamp((datetime.now(UTC) + ahead).timestamp(), tz)

        with monkeypatch.context() as patch:
            patch.setattr(tokens, "datetime", Ahead)
            ends = Ahead.now(UTC) + timedelta(seconds=900)
            return Tokens(keys, 900).issue_access(claims.customer_id, claims.session_id, ends)

    for ahead, status in ((2, 200), (50, 200), (-930, 200), (120, 401), (-1_000, 401)):
        ada.token = issued(timedelta(seconds=ahead))
        assert (await ada.get("/v1/auth/me")).status_code == status, ahead


async def test_an_address_is_verified_by_who_reads_its_mail_and_two_admins_make_staff(
    http: httpx.AsyncClient, admin: Person, database: Database
) -> None:
    ada, eve, second, third = [await register(http) for _ in range(4)]
    for other in (second, third):
        await promoted(database, other.id, Role.ADMIN)
    role, why = f"/v1/admin/customers/{ada.id}/role", {"role": "operator", "reason": "Joins the team"}
    refused = await admin.post(role, why)
    assert (refused.status_code, refused.json()["code"]) == (409, "email_not_verified")
    issued = await third.post(f"/v1/admin/customers/{ada.id}/email-verification", {"reason": "Joins the team"})
    code = {"code": issued.json()["code"]}
    for who, sent in ((eve, code), (ada, {"code": ada.token}), (ada, {"code": code["code"] + "x"})):
        answer = await who.post("/v1/auth/email-verification", sent)
        assert (answer.status_code, answer.json()["code"]) == (422, "verification_code_invalid")
    assert not (await ada.get("/v1/auth/me")).json()["email_verified"]
    for _ in range(2):
        assert (await ada.post("/v1/auth/email-verification", code)).json()["email_verified"]
    assert (await http.get("/v1/auth/me", headers={"Authorization": f"Bearer {code['code']}"})).status_code == 401
    refused = await third.post(role, why)
    assert (refused.status_code, refused.json()["code"]) == (403, "address_vouched_for")
    alone = [await admin.post(role, why) for _ in range(2)]
    assert [(answer.status_code, answer.json()["role"]) for answer in alone] == [(202, "customer")] * 2
    assert (await ada.get("/v1/admin/stats")).status_code == 403
    granted = await second.post(role, why)
    assert (granted.status_code, granted.json()["role"]) == (200, "operator")
    assert (await ada.get("/v1/admin/stats")).status_code == 200


async def test_sign_ins_refusals_and_reads_by_staff_leave_a_trail(
    http: httpx.AsyncClient, admin: Person, operator: Person
) -> None:
    ada = await register(http)
    for password in ("something else", PASSWORD):
        await http.post("/v1/auth/login", json={"email": ada.email, "password": password})
    for _ in range(3):
        assert (await ada.get("/v1/admin/stats")).status_code == 403
    await operator.get(f"/v1/admin/customers/{ada.id}")
    await operator.post("/v1/admin/customers/search", {"email": ada.email})
    await ada.post("/v1/auth/logout", None)
    path = "/v1/admin/auth-events"
    assert (await operator.get(path)).status_code == 403
    found = (await admin.get(path, customer_id=ada.id)).json()["items"]
    assert [(event["kind"], event["actor_id"]) for event in found[::-1]] == [
        ("registered", ada.id),
        ("sign_in_failed", None),
        ("signed_in", ada.id),
        ("access_refused", ada.id),
        ("customer_read", operator.id),
        ("signed_out", ada.id),
    ]
    assert {event["client"] for event in found} == {"127.0.0.1"}
    (listed,) = (await admin.get(path, actor_id=operator.id, kind="customers_listed")).json()["items"]
    assert listed["facts"] == {"customers": [ada.id]}
    assert ada.email not in (await admin.get(path, limit=50)).text
    page = (await admin.get(path, customer_id=ada.id, limit=4)).json()
    rest = (await admin.get(path, customer_id=ada.id, limit=4, cursor=page["next_cursor"])).json()
    assert [*page["items"], *rest["items"]] == found


def test_passwords_are_kept_by_argon2id_with_the_parameters_of_rfc_9106() -> None:
    kept = passwords.PARAMETERS
    assert (kept.type, kept.memory_cost, kept.time_cost) == (argon2.Type.ID, 65_536, 3)
