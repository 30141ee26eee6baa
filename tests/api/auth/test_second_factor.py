"""Second factors: each code once, wrong ones wait together, and staff may be required to show one."""

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Any

import httpx
import pyotp
import pytest

from api_services import compose_api
from customers.sign_ins.backoff import FREE_FAILURES
from database.connections import Database
from settings import Settings
from tests.api.people import PASSWORD, Person, client_of, registration
from tests.connections import Connection

PATH = "/v1/auth/second-factor"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_validate(settings.model_dump() | {"encryption_keys": "e" * 32})


def answered(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def code_of(secret: str, owner: Connection) -> str:
    """The present code, by PostgreSQL's clock."""
    now: datetime = await owner.fetchval("SELECT clock_timestamp()")
    return str(pyotp.TOTP(secret).at(now))


async def enrolled(person: Person, owner: Connection) -> tuple[str, list[str]]:
    """The secret and the recovery codes."""
    begun = await person.post(PATH, {"password": PASSWORD})
    assert begun.status_code == 201, begun.text
    secret = begun.json()["secret"]
    assert pyotp.parse_uri(begun.json()["uri"]).secret == secret
    confirmed = await person.post(f"{PATH}/confirm", {"second_factor": await code_of(secret, owner)})
    assert confirmed.status_code == 200, confirmed.text
    # As if the app had been added a while ago: the present code is left for the test.
    await owner.execute("UPDATE second_factors SET last_step = last_step - 5")
    return secret, confirmed.json()["recovery_codes"]


async def sign_in(http: httpx.AsyncClient, person: Person, code: str | None = None) -> httpx.Response:
    body: dict[str, Any] = {"email": person.email, "password": PASSWORD}
    return await http.post("/v1/auth/login", json=body | ({"second_factor": code} if code else {}))


async def test_after_enrolment_a_sign_in_needs_a_code_and_other_sessions_end(
    http: httpx.AsyncClient, ada: Person, owner: Connection
) -> None:
    other = replace(ada, token=(await sign_in(http, ada)).json()["access_token"])
    wrong = await ada.post(PATH, {"password": "something else"})
    assert answered(wrong) == (403, "password_wrong")
    secret, codes = await enrolled(ada, owner)
    assert len(set(codes)) == 10
    assert (await other.get("/v1/auth/me")).status_code == 401
    (session,) = (await ada.get("/v1/auth/sessions")).json()["items"]
    assert session["second_factor"] is True
    assert answered(await sign_in(http, ada)) == (401, "second_factor_required")
    assert answered(await sign_in(http, ada, "000000")) == (401, "second_factor_invalid")
    answer = await sign_in(http, ada, await code_of(secret, owner))
    assert answer.status_code == 200
    assert answered(await ada.post(PATH, {"password": PASSWORD})) == (409, "second_factor_exists")


async def test_a_code_and_a_recovery_code_let_in_once_also_if_two_come_at_once(
    http: httpx.AsyncClient, settings: Settings, database: Database, ada: Person, admin: Person, owner: Connection
) -> None:
    secret, codes = await enrolled(ada, owner)
    async with client_of(settings, compose_api(settings, database, with_worker=False)) as elsewhere:
        for code in (await code_of(secret, owner), codes[0].upper()):
            answers = await asyncio.gather(*(sign_in(one, ada, code) for one in (http, elsewhere)))
            assert sorted(answer.status_code for answer in answers) == [200, 401]
            assert answered(await sign_in(http, ada, code))[0] in (401, 429)
            await owner.execute("DELETE FROM sign_in_failures")
            await owner.execute("UPDATE second_factors SET failures = 0, failed_at = NULL")
    events = (await admin.get("/v1/admin/auth-events", customer_id=ada.id, limit=50)).json()["items"]
    kinds = [event["kind"] for event in events]
    assert (kinds.count("recovery_code_used"), kinds.count("second_factor_added")) == (1, 1)


async def test_wrong_codes_wait_together_from_wherever_they_come(
    http: httpx.AsyncClient, ada: Person, owner: Connection
) -> None:
    secret, _ = await enrolled(ada, owner)
    for _ in range(FREE_FAILURES + 2):
        await sign_in(http, ada, "000000")
        # As if each came from another network.
        await owner.execute("DELETE FROM sign_in_failures")
    answer = await sign_in(http, ada, await code_of(secret, owner))
    assert answered(answer) == (429, "too_many_attempts")
    assert int(answer.headers["Retry-After"]) >= 1


async def test_the_secret_and_the_recovery_codes_are_not_in_the_clear(ada: Person, owner: Connection) -> None:
    secret, codes = await enrolled(ada, owner)
    rows = str(await owner.fetch("SELECT * FROM second_factors, recovery_codes"))
    assert secret not in rows
    assert not [code for code in codes if code in rows or code.replace("-", "") in rows]


async def test_other_recovery_codes_replace_the_former_and_a_removed_factor_is_asked_for_no_more(
    http: httpx.AsyncClient, ada: Person, owner: Connection
) -> None:
    _, codes = await enrolled(ada, owner)
    others = await ada.post(f"{PATH}/recovery-codes", {"second_factor": codes[0]})
    assert others.status_code == 200
    assert answered(await sign_in(http, ada, codes[1])) == (401, "second_factor_invalid")
    removed = await ada.post(f"{PATH}/remove", {"second_factor": others.json()["recovery_codes"][0]})
    assert removed.status_code == 204
    assert (await sign_in(http, ada)).status_code == 200


async def test_staff_who_are_required_to_show_one_reach_their_routes_only_with_it(
    settings: Settings, database: Database, ada: Person, ben: Person, admin: Person, operator: Person, owner: Connection
) -> None:
    paid = (await ada.pay(ben, 700)).json()["id"]
    dispute = (await ada.post(f"/v1/transfers/{paid}/disputes", {"reason": "It was not me."})).json()["id"]
    strict = settings.model_copy(update={"staff_second_factor": "required"})
    async with client_of(strict, compose_api(strict, database, with_worker=False)) as http:
        there = replace(admin, http=http)
        assert answered(await there.get("/v1/admin/stats")) == (403, "second_factor_missing")
        # Nor do they get at anybody's money by the routes that customers and staff share.
        key = {"name": "A bank", "scopes": ["rails:write"], "password": PASSWORD}
        assert answered(await there.post("/v1/auth/api-keys", key)) == (403, "second_factor_missing")
        reversal = {"amount": 1, "reason": "Asked for by the bank"}
        assert answered(await there.post(f"/v1/transfers/{paid}/reversals", reversal)) == (404, "transfer_not_found")
        assert answered(await there.get(f"/v1/transfers/{paid}/reversals")) == (404, "transfer_not_found")
        assert answered(await there.get(f"/v1/disputes/{dispute}")) == (404, "dispute_not_found")
        secret, _ = await enrolled(there, owner)
        assert (await there.get("/v1/admin/stats")).status_code == 200
        assert (await there.get(f"/v1/disputes/{dispute}")).status_code == 200
        there.token = (await sign_in(http, admin, await code_of(secret, owner))).json()["access_token"]
        assert (await there.get("/v1/admin/stats")).status_code == 200
        assert answered(await replace(operator, http=http).get("/v1/admin/stats")) == (403, "second_factor_missing")


async def test_whoever_has_a_second_factor_shows_it_to_make_an_api_key(admin: Person, owner: Connection) -> None:
    secret, _ = await enrolled(admin, owner)
    key = {"name": "A bank", "scopes": ["rails:write"], "password": PASSWORD}
    assert answered(await admin.post("/v1/auth/api-keys", key)) == (401, "second_factor_required")
    wrong = await admin.post("/v1/auth/api-keys", key | {"second_factor": "000000"})
    assert answered(wrong) == (401, "second_factor_invalid")
    right = await admin.post("/v1/auth/api-keys", key | {"second_factor": await code_of(secret, owner)})
    assert right.status_code == 201, right.text


async def test_an_admin_removes_the_factor_of_somebody_who_lost_it_on_record(
    http: httpx.AsyncClient, ada: Person, admin: Person, operator: Person, owner: Connection
) -> None:
    await enrolled(ada, owner)
    path, why = f"/v1/admin/customers/{ada.id}/second-factor/remove", {"reason": "Lost the phone, seen in person"}
    assert answered(await operator.post(path, why)) == (403, "forbidden")
    assert (await admin.post(path, why)).status_code == 200
    assert (await ada.get("/v1/auth/me")).status_code == 401
    assert (await sign_in(http, ada)).status_code == 200
    (action,) = (await admin.get("/v1/admin/actions", subject=ada.id)).json()["items"]
    assert (action["action"], action["after"]) == ("remove_second_factor", {"second_factor": False})


async def test_a_process_without_the_key_of_the_secret_lets_nobody_in_without_the_factor(
    settings: Settings, database: Database, ada: Person, owner: Connection
) -> None:
    secret, _ = await enrolled(ada, owner)
    other = settings.model_validate(settings.model_dump() | {"encryption_keys": "f" * 32})
    async with client_of(other, compose_api(other, database, with_worker=False)) as http:
        assert answered(await sign_in(http, ada, await code_of(secret, owner))) == (503, "encryption_key_missing")
        assert answered(await sign_in(http, ada)) == (401, "second_factor_required")


async def test_a_repeated_registration_is_no_way_around_the_factor(http: httpx.AsyncClient, owner: Connection) -> None:
    body, key = registration(), {"Idempotency-Key": "once"}
    made = (await http.post("/v1/auth/register", json=body, headers=key)).json()
    ada = Person(http, made["customer"]["id"], made["account"]["id"], made["access_token"], str(body["email"]))
    assert (await http.post("/v1/auth/register", json=body, headers=key)).status_code == 201
    await enrolled(ada, owner)
    repeat = await http.post("/v1/auth/register", json=body, headers=key)
    assert answered(repeat) == (401, "second_factor_required")
