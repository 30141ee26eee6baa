"""Sessions: refresh tokens work once, and every end takes effect in every process at once."""

import asyncio
import email
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from email.policy import default
from pathlib import Path
from typing import Any

import httpx
import pytest

from api_services import compose_api
from customers.postgres import Customers
from customers.sessions.postgres import Sessions, end_sessions, keep_session
from customers.sign_ins.backoff import FREE_FAILURES
from customers.sign_ins.events import AuthEventKind
from customers.sign_ins.networks import client_at
from database.connections import Database
from ledger.ids import CustomerId
from settings import Settings
from tests.api.people import PASSWORD, Person, client_of, register, registration
from tests.connections import Connection

CLIENT = client_at("192.0.2.1")
NEW_PASSWORD = "another horse battery"
REFRESH = "/v1/auth/refresh"


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    return settings.model_copy(update={"mail_folder": tmp_path / "mail"})


@pytest.fixture
async def elsewhere(http: httpx.AsyncClient, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Another process of the API: it shares nothing with the first one but the database."""
    assert settings.database_url is not None
    async with (
        Database(settings.database_url, connections=5) as database,
        client_of(settings, compose_api(settings, database, with_worker=False)) as client,
    ):
        yield client


async def sign_in(http: httpx.AsyncClient, person: Person, password: str = PASSWORD) -> dict[str, Any]:
    answer = await http.post("/v1/auth/login", json={"email": person.email, "password": password})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def refresh(http: httpx.AsyncClient, token: str) -> httpx.Response:
    return await http.post(REFRESH, json={"refresh_token": token})


async def lets_in(http: httpx.AsyncClient, token: str) -> bool:
    answer = await http.get("/v1/auth/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code in (200, 401)
    return answer.status_code == 200


def answered(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def grace_is_over(owner: Connection) -> None:
    await owner.execute("UPDATE sessions SET refreshed_at = refreshed_at - interval '31 seconds'")


async def test_each_refresh_token_works_once_and_its_answer_holds_the_next(
    http: httpx.AsyncClient, owner: Connection
) -> None:
    made = (await http.post("/v1/auth/register", json=registration())).json()
    assert 259_100 < made["refresh_expires_in"] <= 259_200
    token = made["refresh_token"]
    for _ in range(3):
        await grace_is_over(owner)
        answer = await refresh(http, token)
        assert answer.status_code == 200, answer.text
        assert await lets_in(http, answer.json()["access_token"])
        assert answer.json()["refresh_token"] != token
        token = answer.json()["refresh_token"]
    assert await lets_in(http, made["access_token"])


async def test_a_refresh_token_that_is_used_again_later_ends_the_session_in_every_process(
    http: httpx.AsyncClient, elsewhere: httpx.AsyncClient, admin: Person, owner: Connection
) -> None:
    ada = await register(http)
    other, stolen = await sign_in(http, ada), await sign_in(http, ada)
    honest = (await refresh(http, stolen["refresh_token"])).json()
    await grace_is_over(owner)
    assert answered(await refresh(http, stolen["refresh_token"])) == (401, "refresh_token_reused")
    for token in (stolen["access_token"], honest["access_token"]):
        assert not await lets_in(elsewhere, token)
    assert answered(await refresh(elsewhere, honest["refresh_token"])) == (401, "refresh_token_invalid")
    assert await lets_in(elsewhere, other["access_token"])
    events = (await admin.get("/v1/admin/auth-events", customer_id=ada.id, kind="refresh_token_reused")).json()
    assert len(events["items"]) == 1


async def test_refreshes_of_two_tabs_at_once_and_a_lost_answer_lock_nobody_out(
    http: httpx.AsyncClient, elsewhere: httpx.AsyncClient, owner: Connection
) -> None:
    first = await sign_in(http, await register(http))
    token = first["refresh_token"]
    answers = await asyncio.gather(*(refresh(one, token) for one in (http, elsewhere) * 4))
    assert {answer.status_code for answer in answers} == {200}
    tabs = [answer.json() for answer in answers]
    # All hold the same next token: whichever goes on, the others follow within the grace.
    following = [(await refresh(http, tab["refresh_token"])).status_code for tab in tabs]
    assert set(following) == {200}
    # A token of two refreshes ago is too old for any grace.
    assert answered(await refresh(http, token)) == (401, "refresh_token_reused")


async def test_a_session_ends_after_its_time_however_often_it_was_refreshed(
    http: httpx.AsyncClient, owner: Connection
) -> None:
    signed = await sign_in(http, await register(http))
    await owner.execute("UPDATE sessions SET expires_at = clock_timestamp() + interval '5 seconds'")
    answer = (await refresh(http, signed["refresh_token"])).json()
    assert answer["expires_in"] <= 5
    assert answer["refresh_expires_in"] <= 5
    await owner.execute("UPDATE sessions SET expires_at = clock_timestamp()")
    assert answered(await refresh(http, answer["refresh_token"])) == (401, "refresh_token_invalid")
    assert not await lets_in(http, answer["access_token"])


async def test_an_access_token_refreshes_nothing_and_a_refresh_token_lets_nobody_in(http: httpx.AsyncClient) -> None:
    signed = await sign_in(http, await register(http))
    assert answered(await refresh(http, signed["access_token"])) == (401, "refresh_token_invalid")
    assert not await lets_in(http, signed["refresh_token"])


async def test_forged_refresh_tokens_count_as_failed_sign_ins_and_delay_no_honest_one(http: httpx.AsyncClient) -> None:
    signed = await sign_in(http, await register(http))
    answers = [(await refresh(http, "forged")).status_code for _ in range(FREE_FAILURES + 3)]
    assert answers[0] == 401
    assert answers[-1] == 429
    assert (await refresh(http, signed["refresh_token"])).status_code == 200


async def test_a_customer_lists_their_sessions_and_ends_one_or_all_in_every_process(
    http: httpx.AsyncClient, elsewhere: httpx.AsyncClient, ben: Person
) -> None:
    ada = await register(http)
    phone = await http.post(
        "/v1/auth/login", json={"email": ada.email, "password": PASSWORD}, headers={"User-Agent": "a phone"}
    )
    token = phone.json()["access_token"]
    page = (await ada.get("/v1/auth/sessions", limit=1)).json()
    rest = (await ada.get("/v1/auth/sessions", cursor=page["next_cursor"])).json()["items"]
    (newest,) = page["items"]
    assert (newest["user_agent"], newest["current"], newest["client"]) == ("a phone", False, "127.0.0.1")
    assert [session["current"] for session in rest] == [True]
    path = f"/v1/auth/sessions/{newest['id']}"
    bens = {"Authorization": f"Bearer {ben.token}"}
    assert answered(await http.delete(path, headers=bens)) == (404, "session_not_found")
    mine = {"Authorization": f"Bearer {ada.token}"}
    for _ in range(2):
        assert (await http.delete(path, headers=mine)).status_code == 204
    assert not await lets_in(elsewhere, token)
    assert await lets_in(elsewhere, ada.token)
    assert len((await ada.get("/v1/auth/sessions")).json()["items"]) == 1
    third = await sign_in(http, ada)
    assert (await http.delete("/v1/auth/sessions", headers=mine)).status_code == 204
    assert [await lets_in(elsewhere, one) for one in (ada.token, third["access_token"], ben.token)] == [
        False,
        False,
        True,
    ]
    assert answered(await refresh(elsewhere, third["refresh_token"])) == (401, "refresh_token_invalid")


async def test_another_password_ends_all_other_sessions_in_every_process(
    http: httpx.AsyncClient, elsewhere: httpx.AsyncClient
) -> None:
    ada = await register(http)
    other = await sign_in(http, ada)
    wanted = {"current_password": "something else", "new_password": NEW_PASSWORD}
    assert answered(await ada.post("/v1/auth/password", wanted)) == (403, "password_wrong")
    assert await lets_in(elsewhere, other["access_token"])
    wanted["current_password"] = PASSWORD
    assert (await ada.post("/v1/auth/password", wanted)).status_code == 204
    assert not await lets_in(elsewhere, other["access_token"])
    assert answered(await refresh(elsewhere, other["refresh_token"])) == (401, "refresh_token_invalid")
    assert await lets_in(elsewhere, ada.token)
    old = await elsewhere.post("/v1/auth/login", json={"email": ada.email, "password": PASSWORD})
    assert answered(old) == (401, "credentials_invalid")
    await sign_in(elsewhere, ada, NEW_PASSWORD)


async def test_wrong_passwords_at_a_change_count_as_failed_sign_ins(http: httpx.AsyncClient) -> None:
    ada = await register(http)
    wanted = {"current_password": "something else", "new_password": NEW_PASSWORD}
    answers = [(await ada.post("/v1/auth/password", wanted)).status_code for _ in range(FREE_FAILURES + 2)]
    assert answers[-1] == 429
    login = await http.post("/v1/auth/login", json={"email": ada.email, "password": PASSWORD})
    assert answered(login) == (429, "too_many_attempts")


async def test_a_session_that_was_ended_a_moment_before_is_not_kept_by_a_password_change(
    http: httpx.AsyncClient, database: Database
) -> None:
    ada = await register(http)
    customer = await Customers(database).find(CustomerId(ada.id))
    assert customer is not None
    (session,) = (await ada.get("/v1/auth/sessions")).json()["items"]
    sessions = Sessions(database, timedelta(days=3), timedelta(seconds=30))
    await sessions.end_all(customer.id, CLIENT)
    kind = AuthEventKind.PASSWORD_CHANGED
    assert await sessions.set_password(customer, "-", CLIENT, kind, keep=session["id"])
    async with database.transaction() as connection:
        generation = await end_sessions(connection, customer.id)
        await keep_session(connection, customer.id, session["id"], generation)
    assert not await lets_in(http, ada.token)


def mails(settings: Settings) -> list[tuple[str, str]]:
    """To whom each mail went, and the code in it, oldest first."""
    assert settings.mail_folder is not None
    found = []
    for file in sorted(settings.mail_folder.glob("*-password-reset-*.eml")):
        mail = email.message_from_bytes(file.read_bytes(), policy=default)
        code = re.search(r"\S{100,}", mail.get_content())
        assert code
        found.append((mail["To"], code[0]))
    return found


async def test_a_mailed_code_sets_another_password_once_and_ends_all_sessions_in_every_process(
    http: httpx.AsyncClient, elsewhere: httpx.AsyncClient, settings: Settings
) -> None:
    ada, ben = await register(http), await register(http)
    for address in (ada.email.upper(), ada.email, "nobody@example.com"):
        answer = await http.post("/v1/auth/password-reset", json={"email": address})
        assert (answer.status_code, answer.text) == (202, "null")
    ((to, code),) = mails(settings)
    assert to == ada.email
    wanted = {"reset_code": code, "new_password": NEW_PASSWORD}
    path = "/v1/auth/password-reset/confirm"
    forged = await http.post(path, json=wanted | {"reset_code": ben.token})
    assert answered(forged) == (422, "reset_code_invalid")
    answers = await asyncio.gather(*(one.post(path, json=wanted) for one in (http, elsewhere)))
    assert sorted(answer.status_code for answer in answers) == [204, 422]
    assert not await lets_in(elsewhere, ada.token)
    await sign_in(elsewhere, ada, NEW_PASSWORD)
    assert answered(await http.post(path, json=wanted)) == (422, "reset_code_invalid")


async def test_a_mailed_code_of_before_a_password_change_sets_nothing(
    http: httpx.AsyncClient, settings: Settings
) -> None:
    ada = await register(http)
    await http.post("/v1/auth/password-reset", json={"email": ada.email})
    ((_, code),) = mails(settings)
    wanted = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert (await ada.post("/v1/auth/password", wanted)).status_code == 204
    late = await http.post(
        "/v1/auth/password-reset/confirm", json={"reset_code": code, "new_password": "a third horse battery"}
    )
    assert answered(late) == (422, "reset_code_invalid")


async def test_without_mails_nobody_is_promised_one(settings: Settings, database: Database) -> None:
    silent = settings.model_copy(update={"mail_folder": None})
    async with client_of(silent, compose_api(silent, database, with_worker=False)) as client:
        answer = await client.post("/v1/auth/password-reset", json={"email": "ada@example.com"})
    assert answered(answer) == (403, "mail_off")


async def test_a_disabled_customer_is_out_of_every_process_at_once_and_signs_in_only_when_enabled(
    http: httpx.AsyncClient, elsewhere: httpx.AsyncClient, operator: Person, admin: Person
) -> None:
    ada = await register(http)
    signed = await sign_in(http, ada)
    path, why = f"/v1/admin/customers/{ada.id}", {"reason": "Reported as stolen, ticket 4711"}
    answer = await operator.post(f"{path}/disable", why, "once")
    assert (answer.status_code, answer.json()["disabled_at"] is None) == (200, False)
    again = await operator.post(f"{path}/disable", why, "once")
    assert (again.json(), again.headers["Idempotent-Replayed"]) == (answer.json(), "true")
    for token in (ada.token, signed["access_token"]):
        assert not await lets_in(elsewhere, token)
    assert answered(await refresh(elsewhere, signed["refresh_token"])) == (401, "refresh_token_invalid")
    login = {"email": ada.email, "password": PASSWORD}
    assert answered(await elsewhere.post("/v1/auth/login", json=login)) == (403, "customer_disabled")
    wrong = await elsewhere.post("/v1/auth/login", json=login | {"password": "something else"})
    assert answered(wrong) == (401, "credentials_invalid")
    enabled = await operator.post(f"{path}/enable", why)
    assert (enabled.status_code, enabled.json()["disabled_at"]) == (200, None)
    assert not await lets_in(elsewhere, ada.token)
    await sign_in(elsewhere, ada)
    actions = (await admin.get("/v1/admin/actions", subject=ada.id)).json()["items"]
    assert [(one["action"], one["before"], one["after"]) for one in actions] == [
        ("enable_customer", {"disabled": True}, {"disabled": False}),
        ("disable_customer", {"disabled": False}, {"disabled": True}),
    ]


async def test_only_admins_disable_staff_and_nobody_themselves(operator: Person, admin: Person) -> None:
    why = {"reason": "Left the team"}
    assert answered(await operator.post(f"/v1/admin/customers/{admin.id}/disable", why)) == (403, "forbidden")
    assert answered(await admin.post(f"/v1/admin/customers/{admin.id}/disable", why)) == (403, "conflict_of_interest")
    assert (await admin.post(f"/v1/admin/customers/{operator.id}/disable", why)).status_code == 200
    assert (await operator.get("/v1/admin/stats")).status_code == 401
