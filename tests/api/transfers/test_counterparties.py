"""The other side of a transfer: who is named in lists, receipts and batches, by how much of the name, and when."""

from typing import Any

from tests.api.people import Person, register, transfer_body
from tests.waiting import until


async def counterparty(person: Person, masked_name: str) -> dict[str, dict[str, str]]:
    """As others see this customer."""
    account = (await person.get(f"/v1/accounts/{person.account_id}")).json()
    return {account["id"]: {"number": account["number"], "masked_name": masked_name}}


async def listed(person: Person, **filters: object) -> dict[str, Any]:
    return dict((await person.get("/v1/transfers", **filters)).json()["counterparties"])


async def test_both_sides_of_a_transfer_read_each_others_number_and_masked_name(ada: Person, ben: Person) -> None:
    paid = await ada.paid(ben, 100)
    as_ada, as_ben = await counterparty(ada, "A*** O***"), await counterparty(ben, "B*** S***")
    assert await listed(ada) == as_ben
    assert await listed(ben) == as_ada
    for person, other in ((ada, as_ben), (ben, as_ada)):
        receipt = (await person.get(f"/v1/transfers/{paid['id']}/receipt")).json()
        assert [receipt["counterparty"]] == list(other.values())
    assert await listed(ada, kind="deposit") == {}


async def test_a_refused_transfer_names_no_counterparty(ada: Person, ben: Person) -> None:
    refused = (await ada.pay(ben, 99_999_99)).json()
    assert refused["state"] == "failed"
    assert await listed(ada) == {}
    assert (await ada.get(f"/v1/transfers/{refused['id']}/receipt")).json()["counterparty"] is None


async def test_a_batch_names_counterparties_whom_it_has_paid_and_tells_staff_every_holder(
    ada: Person, ben: Person, operator: Person
) -> None:
    cleo = await register(ada.http, full_name="Cleo Nwosu")
    items = [
        transfer_body(ada, payee, amount) | {"reference": payee.id} for payee, amount in ((ben, 5), (cleo, 99_999_99))
    ]
    batch_id = (await ada.post("/v1/batches", {"items": items})).json()["id"]

    async def is_over() -> bool:
        return bool((await ada.get(f"/v1/batches/{batch_id}")).json()["state"] == "completed")

    await until(is_over, "the batch is over")
    own = (await ada.get(f"/v1/batches/{batch_id}/items")).json()
    assert [item["state"] for item in own["items"]] == ["completed", "failed"]
    assert own["counterparties"] == await counterparty(ben, "B*** S***")
    holders = (await operator.get(f"/v1/admin/batches/{batch_id}/items")).json()["holders"]
    assert {(holder["owner_id"], holder["full_name"]) for holder in holders.values()} == {
        (ada.id, "Ada Obi"),
        (ben.id, "Ben Sow"),
        (cleo.id, "Cleo Nwosu"),
    }
