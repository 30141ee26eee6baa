"""Accounts by their numbers: what payers learn of a payee, and what the number stands for in a request."""

import secrets

import httpx
import pytest

from database.connections import Database
from ledger.account_numbers import is_account_number
from settings import Settings
from tests.api.people import Person, register, running_api

NOBODYS = "RM04404040404040"


async def number_of(person: Person) -> str:
    return str((await person.get(f"/v1/accounts/{person.account_id}")).json()["number"])


async def test_a_payee_check_shows_a_masked_name_and_the_currency_in_any_spelling(ada: Person, ben: Person) -> None:
    number = await number_of(ben)
    assert is_account_number(number)
    spelt = " ".join(number[at : at + 4] for at in range(0, len(number), 4)).lower()
    for typed in (number, spelt):
        answer = await ada.get(f"/v1/payees/{typed}")
        assert answer.status_code == 200
        assert answer.json() == {"number": number, "masked_name": "B*** S***", "currency": "USD"}


async def test_a_mistyped_number_is_refused_before_anybody_is_looked_for(ada: Person, ben: Person) -> None:
    number = await number_of(ben)
    swapped = number[:-1] + str((int(number[-1]) + 1) % 10)
    answer = await ada.get(f"/v1/payees/{swapped}")
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    paid = await ada.pay(ben, 100, destination_account_id=swapped)
    assert (paid.status_code, paid.json()["code"]) == (422, "validation_failed")
    assert "a digit is wrong" in paid.json()["errors"][0]["message"]


async def test_a_request_by_number_and_by_id_is_the_same_request(ada: Person, ben: Person) -> None:
    key = secrets.token_hex(8)
    first = await ada.pay(ben, 100, key=key, destination_account_id=await number_of(ben))
    assert (first.status_code, first.json()["state"]) == (201, "completed")
    assert first.json()["destination_account_id"] == ben.account_id
    repeat = await ada.pay(ben, 100, key=key)
    assert repeat.headers["Idempotent-Replayed"] == "true"
    assert repeat.json() == first.json()
    assert (await ben.get(f"/v1/accounts/{ben.account_id}")).json()["balance"] == 100


async def test_a_payment_to_nobodys_number_is_refused_and_leaves_its_key_free(ada: Person, ben: Person) -> None:
    key = secrets.token_hex(8)
    refused = await ada.pay(ben, 100, key=key, destination_account_id=NOBODYS)
    assert (refused.status_code, refused.json()["code"]) == (404, "payee_not_found")
    assert (await ada.pay(ben, 100, key=key)).json()["state"] == "completed"


async def test_a_number_of_the_source_itself_is_the_same_account(ada: Person, ben: Person) -> None:
    answer = await ada.pay(ben, 100, destination_account_id=await number_of(ada))
    assert (answer.status_code, answer.json()["code"]) == (422, "same_account")


async def test_who_has_used_up_their_payee_checks_learns_no_more_by_paying(
    settings: Settings, database: Database
) -> None:
    async with running_api(settings.model_copy(update={"payee_checks": 2}), database) as http:
        ada, ben = await register(http), await register(http)
        number = await number_of(ben)
        assert (await ada.get(f"/v1/payees/{number}")).status_code == 200
        assert (await ada.pay(ben, 1, destination_account_id=NOBODYS)).status_code == 404
        for answer in (
            await ada.get(f"/v1/payees/{NOBODYS}"),
            await ada.get(f"/v1/payees/{number}"),
            await ada.pay(ben, 1, destination_account_id=number),
            await ada.pay(ben, 1, destination_account_id=NOBODYS),
        ):
            assert (answer.status_code, answer.json()["code"]) == (429, "too_many_payee_checks")
            assert 0 < int(answer.headers["Retry-After"]) <= 900
        # Another customer has checks of their own, and a payment by id needs none.
        assert (await ben.get(f"/v1/payees/{number}")).status_code == 200
        assert (await ada.pay(ben, 1)).status_code == 201


async def test_a_batch_pays_by_number_and_names_the_lines_of_numbers_that_are_nobodys(
    settings: Settings, database: Database
) -> None:
    async with running_api(settings.model_copy(update={"payee_checks": 2}), database) as http:
        ada, ben = await register(http), await register(http)
        number = await number_of(ben)

        async def sent(*payees: str) -> httpx.Response:
            items = [
                {
                    "reference": f"salary-{line}",
                    "source_account_id": ada.account_id,
                    "destination_account_id": payee,
                    "amount": 1,
                    "currency": "USD",
                }
                for line, payee in enumerate(payees)
            ]
            return await ada.post("/v1/batches", {"items": items})

        refused = await sent(number, NOBODYS)
        assert (refused.status_code, refused.json()["code"]) == (422, "batch_invalid")
        (error,) = refused.json()["errors"]
        assert (error["line"], error["field"], error["code"]) == (
            2,
            "body.items.1.destination_account_id",
            "payee_not_found",
        )
        assert (await sent(ada.account_id)).json()["errors"][0]["code"] == "same_account"
        accepted = await sent(number, f" {number[:4]} {number[4:].lower()} ", ben.account_id)
        assert accepted.status_code == 202, accepted.text
        listed = (await ada.get(f"{accepted.headers['Location']}/items")).json()["items"]
        assert [each["destination_account_id"] for each in listed] == [ben.account_id] * 3
        assert (await sent(NOBODYS)).json()["code"] == "batch_invalid"
        # The third number that is nobody's: who asks by batches learns no more than who asks one by one.
        for answer in (await sent(NOBODYS), await sent(number)):
            assert (answer.status_code, answer.json()["code"]) == (429, "too_many_payee_checks")


async def test_a_closed_account_is_no_payee(ada: Person, ben: Person, admin: Person) -> None:
    number = await number_of(ben)
    closed = await admin.post(f"/v1/admin/accounts/{ben.account_id}/close", {"reason": "They moved away"})
    assert closed.status_code == 200
    answer = await ada.get(f"/v1/payees/{number}")
    assert (answer.status_code, answer.json()["code"]) == (404, "payee_not_found")


@pytest.mark.parametrize("name", ["Holidays", None])
async def test_a_customer_names_their_own_account_and_nobody_elses(ada: Person, ben: Person, name: str | None) -> None:
    def headers(person: Person) -> dict[str, str]:
        return {"Authorization": f"Bearer {person.token}"}

    path = f"/v1/accounts/{ada.account_id}"
    renamed = await ada.http.patch(path, json={"name": name}, headers=headers(ada))
    assert (renamed.status_code, renamed.json()["name"]) == (200, name)
    assert (await ada.get(path)).json()["name"] == name
    stranger = await ada.http.patch(path, json={"name": "Mine"}, headers=headers(ben))
    assert (stranger.status_code, stranger.json()["code"]) == (404, "account_not_found")
    for wrong in ({}, {"name": ""}, {"name": "x" * 61}, {"name": "a", "tier": 3}):
        assert (await ada.http.patch(path, json=wrong, headers=headers(ada))).status_code == 422


async def test_a_second_account_is_opened_in_another_currency_with_a_name(http: httpx.AsyncClient, ada: Person) -> None:
    opened = await ada.post("/v1/accounts", {"currency": "JPY", "name": "Tokyo"})
    assert (opened.status_code, opened.json()["name"], opened.json()["currency"]) == (201, "Tokyo", "JPY")
    again = await ada.post("/v1/accounts", {"currency": "JPY"})
    assert (again.status_code, again.json()["code"]) == (409, "account_exists")
