"""The list of currencies, and the default one."""

import httpx
import pytest
from pydantic import ValidationError

from database.connections import Database
from settings import Settings
from tests.api.people import registration, running_api


async def test_the_list_of_currencies_needs_no_token_and_gives_each_its_digits(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/currencies")
    assert answer.status_code == 200
    listed = {each["code"]: each for each in answer.json()["items"]}
    assert answer.json()["default_currency"] == "INR"
    assert {code: listed[code]["digits"] for code in ("INR", "JPY", "KWD", "NGN")} == {
        "INR": 2,
        "JPY": 0,
        "KWD": 3,
        "NGN": 2,
    }
    assert (listed["INR"]["symbol"], listed["KES"]["symbol"]) == ("₹", None)
    assert list(listed) == sorted(listed)


async def test_a_registration_without_a_currency_opens_an_account_in_the_default_one(
    settings: Settings, database: Database
) -> None:
    in_yen = settings.model_copy(update={"default_currency": "JPY"})
    body = registration()
    del body["currency"]
    async with running_api(in_yen, database, worker=False) as http:
        answer = await http.post("/v1/auth/register", json=body)
        assert (answer.status_code, answer.json()["account"]["currency"]) == (201, "JPY")
        listed = await http.get("/v1/currencies")
        assert listed.json()["default_currency"] == "JPY"


def test_a_default_currency_that_is_none_is_refused_at_the_start() -> None:
    with pytest.raises(ValidationError, match="must be an ISO 4217 code"):
        Settings.model_validate({"default_currency": "XAU"})
