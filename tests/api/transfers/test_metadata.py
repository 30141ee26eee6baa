"""Metadata: a small map of strings that belongs to the request, is kept with the transfer, and is its owner's."""

import json
import secrets
from typing import Any

import asyncpg
import pytest

from tests.api.people import Person
from tests.connections import Connection

INVOICE = {"invoice": "2026-0042", "cost.centre": "Köln 7"}


async def test_metadata_is_given_back_to_the_owner_and_to_staff_and_not_to_the_payee(
    ada: Person, ben: Person, admin: Person
) -> None:
    paid = (await ada.pay(ben, 100, metadata=INVOICE)).json()
    assert paid["metadata"] == INVOICE
    path = f"/v1/transfers/{paid['id']}"
    assert (await ada.get(path)).json()["metadata"] == INVOICE
    assert (await ben.get(path)).json()["metadata"] is None
    assert (await admin.get(f"/v1/admin/transfers/{paid['id']}")).json()["metadata"] == INVOICE


async def test_a_deposit_and_a_withdrawal_take_metadata_too(ada: Person) -> None:
    for rail in ("deposits", "withdrawals"):
        body = {"amount": 100, "currency": "USD", "metadata": INVOICE}
        answer = await ada.post(f"/v1/accounts/{ada.account_id}/{rail}", body)
        assert (answer.status_code, answer.json()["metadata"]) == (201, INVOICE)


async def test_a_key_with_other_metadata_is_another_request_and_moves_nothing(ada: Person, ben: Person) -> None:
    key = secrets.token_hex(16)
    first = await ada.pay(ben, 100, key, metadata=INVOICE)
    for other in (None, {}, {"invoice": "2026-0043"}, INVOICE | {"more": "x"}):
        answer = await ada.pay(ben, 100, key, metadata=other)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    turned = dict(reversed(INVOICE.items()))
    again = await ada.pay(ben, 100, key, metadata=turned)
    assert (again.json()["id"], again.headers["Idempotent-Replayed"]) == (first.json()["id"], "true")
    assert await ben.balance() == 100


async def test_empty_metadata_is_none(ada: Person, ben: Person) -> None:
    key = secrets.token_hex(16)
    assert (await ada.pay(ben, 100, key, metadata={})).json()["metadata"] is None
    assert (await ada.pay(ben, 100, key)).headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize(
    "metadata",
    [
        {"amount": 1},
        {"nested": {"a": "b"}},
        {"": "empty name"},
        {"a name": "with a space"},
        {"a" * 41: "long name"},
        {"empty": ""},
        {"long": "x" * 201},
        {"lines": "a\nb"},
        {"half": "\ud800"},
        {str(number): "x" for number in range(21)},
        ["a list"],
        "text",
    ],
)
async def test_metadata_that_is_no_small_map_of_strings_is_refused(ada: Person, ben: Person, metadata: object) -> None:
    body: dict[str, Any] = {
        "source_account_id": ada.account_id,
        "destination_account_id": ben.account_id,
        "amount": 100,
        "currency": "USD",
        "metadata": metadata,
    }
    headers = {"Authorization": f"Bearer {ada.token}", "Idempotency-Key": "k", "Content-Type": "application/json"}
    answer = await ada.http.post("/v1/transfers", content=json.dumps(body).encode(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert await ben.balance() == 0


async def test_metadata_of_an_accepted_transfer_never_changes(ada: Person, ben: Person, owner: Connection) -> None:
    paid = (await ada.pay(ben, 100, metadata=INVOICE)).json()
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await owner.execute("UPDATE transfers SET metadata = NULL WHERE id = $1", paid["id"])
