"""Staff keep lists of accounts and customers, and rules look at them."""

import secrets

from database.connections import Database
from tests.api.people import Person, register

BLOCKED = "/v1/admin/lists/blocked/members"
WHY = {"reason": "Police report 4711"}


async def paid(payer: Person, payee: Person) -> str:
    """The state that a payment of 1.00 ends in, or the code of its failure."""
    transfer = (await payer.pay(payee, 100)).json()
    return str(transfer["failure"]["code"] if transfer["failure"] else transfer["state"])


async def test_a_listed_payee_is_declined_from_the_answer_on_and_pays_as_before(
    ada: Person, ben: Person, operator: Person
) -> None:
    assert await paid(ada, ben) == "completed"
    key = secrets.token_hex(8)
    added, again = [await operator.post(BLOCKED, {"member_id": ben.account_id} | WHY, key) for _ in range(2)]
    assert (added.status_code, again.json()) == (200, added.json())
    assert await paid(ada, ben) == "fraud_declined"
    assert await paid(ben, ada) == "completed"
    assert (await operator.get(BLOCKED)).json()["items"] == [added.json()]
    assert (await operator.get("/v1/admin/lists")).json() == {"items": [{"list": "blocked", "members": 1}]}

    removed = await operator.post(f"{BLOCKED}/{ben.account_id}/remove", WHY)
    assert removed.status_code == 200
    assert await paid(ada, ben) == "completed"
    actions = (await operator.get("/v1/admin/actions", subject=ben.account_id)).json()["items"]
    assert [(each["action"], each["asked"]) for each in actions] == [
        ("remove_from_list", {"list": "blocked"}),
        ("add_to_list", {"list": "blocked"}),
    ]


async def test_a_verdict_about_a_listed_payee_names_the_list(ada: Person, ben: Person, operator: Person) -> None:
    await operator.post(BLOCKED, {"member_id": ben.account_id} | WHY)
    transfer = (await ada.pay(ben, 100)).json()
    path = f"/v1/admin/transfers/{transfer['id']}/verdicts"
    found = (await operator.get(path)).json()
    (verdict,) = found["items"]
    assert (verdict["answer"], verdict["facts"]) == ("decline", {"payee_lists": ["blocked"]})
    assert [finding["rule"] for finding in verdict["findings"]] == ["listed_payee"]
    assert found["screened_by"] is None
    rules = (await operator.get(f"/v1/admin/rule-sets/{verdict['rule_set_id']}")).json()["rules"]
    assert {"kind": "listed", "list": "blocked", "party": "payee"}.items() <= rules[-1].items()
    assert transfer["failure"]["message"] == "The transfer was declined by screening."


async def test_a_listed_customer_is_declined_with_every_account_also_one_that_they_open_later(
    ada: Person, ben: Person, operator: Person
) -> None:
    await operator.post(BLOCKED, {"member_id": ben.id} | WHY)
    assert await paid(ada, ben) == "fraud_declined"
    opened = (await ben.post("/v1/accounts", {"currency": "EUR"})).json()
    rich = await register(ada.http, currency="EUR")
    await rich.deposit(500, "EUR")
    # An account that is opened is known to every process within a lease.
    await operator.post(f"{BLOCKED}/{ada.id}/remove", WHY)
    await operator.post("/v1/admin/lists/watched/members", {"member_id": ada.id} | WHY)
    answer = await rich.pay(ben, 100, destination_account_id=opened["id"], currency="EUR")
    assert answer.json()["failure"]["code"] == "fraud_declined"


async def test_a_list_takes_no_unknown_member_and_no_account_of_whoever_asks(
    ada: Person, operator: Person, database: Database
) -> None:
    asked = {
        "acc_aaaaaaaaaaaaaaaaaaaaaaaaaa": (404, "account_not_found"),
        "cus_aaaaaaaaaaaaaaaaaaaaaaaaaa": (404, "customer_not_found"),
        operator.account_id: (403, "conflict_of_interest"),
        operator.id: (403, "conflict_of_interest"),
        "blocked": (422, "validation_failed"),
    }
    found = {each: await operator.post(BLOCKED, {"member_id": each} | WHY) for each in asked}
    assert {each: (answer.status_code, answer.json()["code"]) for each, answer in found.items()} == asked
    nobody = await operator.post(f"{BLOCKED}/{ada.account_id}/remove", WHY)
    assert (nobody.status_code, nobody.json()["code"]) == (404, "member_not_found")
    assert (await operator.post("/v1/admin/lists/Blocked/members", {"member_id": ada.id} | WHY)).status_code == 422
