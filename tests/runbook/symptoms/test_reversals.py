"""The page on reversals: giving money back, and a reversal that is refused."""

import asyncio
import json
import secrets
from typing import Any

import httpx
import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from devenv.stack import Running
from ledger.ids import CustomerId
from ledger.workflow_ids import transfer_workflow_id
from tests.api.people import Person, in_review, register
from tests.runbook.commands import Runbook
from tests.runbook.row_locks import transfer_held
from tests.waiting import until

REVIEWED = 150_00


async def back(runbook: Runbook, payee: Person, transfer_id: str, key: str = "ticket-4711") -> dict[str, Any]:
    """The API's answer when the payee gives back all that is left."""
    answer = await runbook.run("""reverse "$PAYEE_TOKEN" '{}'""", PAYEE_TOKEN=payee.token, TRF=transfer_id, KEY=key)
    return dict(json.loads(answer))


async def back_in_part(
    runbook: Runbook, payee: Person, transfer_id: str, amount: int = 40_00, key: str = "a-part"
) -> dict[str, Any]:
    """The API's answer when the payee gives this amount back."""
    line = """reverse "$PAYEE_TOKEN" '{"amount": 4000}'"""
    fill = {"4000": str(amount)}
    return dict(json.loads(await runbook.run(line, fill, PAYEE_TOKEN=payee.token, TRF=transfer_id, KEY=key)))


async def back_by_staff(runbook: Runbook, transfer_id: str) -> dict[str, Any]:
    answer = await runbook.run("""reverse "$STAFF_TOKEN" '{"reason": "ticket 4711"}'""", TRF=transfer_id)
    return dict(json.loads(answer))


async def retried(runbook: Runbook, reversal_id: str) -> dict[str, Any]:
    line = """act "transfers/trf_…/retry" '{"reason": "ticket 4711: unfrozen"}'"""
    return dict(json.loads(await runbook.run(line, {"trf_…": reversal_id})))


async def freeze(runbook: Runbook, account_id: str) -> None:
    frozen = await runbook.run("""act accounts/acc_…/freeze '{"reason": "ticket 4711"}'""", {"acc_…": account_id})
    assert json.loads(frozen)["status"] == "frozen"


async def unfreeze(runbook: Runbook, account_id: str) -> None:
    opened = await runbook.run("""act accounts/acc_…/unfreeze '{"reason": "ticket 4711"}'""", {"acc_…": account_id})
    assert json.loads(opened)["status"] == "active"


async def close(runbook: Runbook, account_id: str) -> None:
    closed = await runbook.run("""act accounts/acc_…/close '{"reason": "ticket 4711"}'""", {"acc_…": account_id})
    assert json.loads(closed)["status"] == "closed"


async def listed(runbook: Runbook, transfer_id: str) -> dict[str, Any]:
    """The reversed amount of a transfer, the rest, and each reversal."""
    line = (
        """curl -s "$API/v1/transfers/$TRF/reversals" -H "Authorization: Bearer $STAFF_TOKEN" | python3 -m json.tool"""
    )
    return dict(json.loads(await runbook.run(line, TRF=transfer_id)))


async def details(runbook: Runbook, workflow_id: str) -> str:
    line = "temporal workflow metadata --workflow-id 'transfer/cus_…/ticket-4711'"
    return await runbook.run(line, {"transfer/cus_…/ticket-4711": workflow_id})


async def withdraw_all(person: Person) -> None:
    body = {"amount": await person.balance(), "currency": "USD"}
    answer = await person.post(f"/v1/accounts/{person.account_id}/withdrawals", body)
    assert answer.json()["state"] == "completed", answer.text


def failure(reversal: dict[str, Any]) -> tuple[str, str, str]:
    return reversal["state"], reversal["failure"]["code"], reversal["failure"]["message"]


async def test_a_payee_gives_back_all_that_is_left_and_the_same_key_is_the_same_reversal(
    runbook: Runbook, payer: Person, payee: Person, paid: str
) -> None:
    before = await payer.balance()
    made = await back(runbook, payee, paid)
    assert (made["kind"], made["state"], made["amount"]) == ("reversal", "completed", 80_00)
    assert (await back(runbook, payee, paid))["id"] == made["id"]
    assert [await payer.balance() - before, await payee.balance()] == [80_00, 0]
    assert (await payer.get(f"/v1/transfers/{paid}")).json()["state"] == "completed"


async def test_a_payee_gives_back_a_part_and_reads_how_much_is_left(runbook: Runbook, payee: Person, paid: str) -> None:
    assert (await back_in_part(runbook, payee, paid))["state"] == "completed"
    refused = await back_in_part(runbook, payee, paid, 40_01, "another-part")
    assert (refused["status"], refused["code"]) == (409, "reversal_too_large")
    assert refused["detail"] == "At most $40.00 is left to reverse."
    assert await payee.balance() == 40_00


async def test_an_admin_brings_money_back_and_an_operator_does_not(
    runbook: Runbook, admins_runbook: Runbook, payee: Person, paid: str
) -> None:
    refused = await back_by_staff(runbook, paid)
    assert (refused["status"], refused["code"]) == (403, "forbidden")
    part = await admins_runbook.run(
        """reverse "$STAFF_TOKEN" '{"amount": 4000, "reason": "ticket 4711"}'""", TRF=paid, KEY="a-part"
    )
    assert (json.loads(part)["state"], json.loads(part)["amount"]) == ("completed", 40_00)
    rest = await back_by_staff(admins_runbook, paid)
    assert (rest["state"], rest["amount"]) == ("completed", 40_00)
    assert await payee.balance() == 0


async def test_an_admin_does_not_bring_back_what_they_paid_themselves(
    admins_runbook: Runbook, admin: Person, payee: Person
) -> None:
    await admin.deposit(5_00)
    paid = (await admin.pay(payee, 5_00)).json()["id"]
    refused = await back_by_staff(admins_runbook, paid)
    assert (refused["status"], refused["code"]) == (403, "conflict_of_interest")


async def test_only_a_completed_transfer_between_customers_is_reversible(
    runbook: Runbook, admins_runbook: Runbook, payer: Person, payee: Person, paid: str
) -> None:
    made = await back_in_part(runbook, payee, paid)
    deposit = await payer.deposit(1_00)
    out = await payer.post(f"/v1/accounts/{payer.account_id}/withdrawals", {"amount": 1_00, "currency": "USD"})
    under_way = await in_review(payer, payee, REVIEWED)
    poor = (await payee.pay(payer, 99_00)).json()
    for transfer_id, why in (
        (made["id"], "it is a reversal itself"),
        (deposit["id"], "it is a deposit, whose other side is outside"),
        (out.json()["id"], "it is a withdrawal, whose other side is outside"),
        (under_way, "it is in_review, and only what was completed is reversed"),
        (poor["id"], "it is failed, and only what was completed is reversed"),
    ):
        refused = await back_by_staff(admins_runbook, transfer_id)
        assert (refused["status"], refused["code"]) == (409, "not_reversible")
        assert why in refused["detail"]


async def test_the_lines_list_what_was_reversed_of_a_transfer(
    runbook: Runbook, payer: Person, payee: Person, paid: str, client: Client
) -> None:
    made = await back_in_part(runbook, payee, paid)
    found = await listed(runbook, paid)
    assert (found["reversed_amount"], found["left_amount"]) == (40_00, 40_00)
    assert [each["id"] for each in found["items"]] == [made["id"]]
    newest = json.loads(
        await runbook.run(
            """curl -s "$API/v1/admin/transfers?kind=reversal" -H "Authorization: Bearer $STAFF_TOKEN\""""
        )
    )["items"]
    assert made["id"] in [each["id"] for each in newest]
    assert {each["kind"] for each in newest} == {"reversal"}
    assert [each["created_at"] for each in newest] == sorted((each["created_at"] for each in newest), reverse=True)
    rows = await runbook.run(
        """psql "$REMIT_OPERATOR_DATABASE_URL" -c "SELECT id, state, amount_minor, failure_code, workflow_id FROM transfers WHERE reverses_transfer_id = 'trf_…'\"""",
        {"trf_…": paid},
    )
    assert made["id"] in rows
    assert "(1 row)" in rows
    await is_listed(runbook, payee, payer, made["id"], rows)
    workflow_id = next(word for word in rows.split() if word.startswith("transfer/"))
    summary = await client.get_workflow_handle(workflow_id).describe()
    expected = f"Reversal of {paid}: $40.00 {payee.account_id} → {payer.account_id}, {made['id']}"
    assert await summary.static_summary() == expected


async def is_listed(runbook: Runbook, payee: Person, payer: Person, made: str, rows: str) -> None:
    """Temporal's list shows the reversal, not the transfer that it reverses."""
    line = """temporal workflow list --query "SourceAccount='acc_…' AND DestinationAccount='acc_…'\""""

    async def shows() -> bool:
        shown = await runbook.run(line, {"acc_…": (payee.account_id, payer.account_id)})
        return shown.count("TransferWorkflow") == 1

    await until(shows, f"{made} is listed, and nothing else")


async def test_a_reversal_is_not_reviewed_however_large(runbook: Runbook, payer: Person, payee: Person) -> None:
    large = await in_review(payer, payee, REVIEWED)
    await runbook.run("""act transfers/$TRF/decisions '{"ruling": "approve", "reason": "ticket 4711"}'""", TRF=large)

    async def arrived() -> bool:
        return await payee.balance() == REVIEWED

    await until(arrived, "the approved transfer is delivered")
    made = await back(runbook, payee, large)
    assert (made["state"], made["amount"]) == ("completed", REVIEWED)


async def test_a_reversal_of_spent_money_fails_and_a_part_or_a_later_retry_succeeds(
    runbook: Runbook, admins_runbook: Runbook, payer: Person, payee: Person, admin: Person, paid: str
) -> None:
    await payee.pay(payer, 30_00)
    refused = await back_by_staff(admins_runbook, paid)
    assert failure(refused) == ("failed", "insufficient_funds", "The source account is short by $30.00.")
    assert await payee.balance() == 50_00
    told = await details(runbook, transfer_workflow_id(CustomerId(admin.id), "ticket-4711"))
    assert "Failed: the amount never left the source. Reason: The source account is short by $30.00." in told
    assert (await back_in_part(runbook, payee, paid, 20_00))["state"] == "completed"
    await payee.deposit(99_00)
    too_much = await retried(admins_runbook, refused["id"])
    assert (too_much["status"], too_much["code"]) == (409, "reversal_too_large")
    assert too_much["detail"] == "At most $60.00 is left to reverse."


async def test_a_reversal_that_the_payee_could_not_pay_is_retried_once_there_is_money(
    admins_runbook: Runbook, payer: Person, payee: Person, paid: str
) -> None:
    await payee.pay(payer, 30_00)
    refused = await back_by_staff(admins_runbook, paid)
    await payee.deposit(30_00)
    again = await retried(admins_runbook, refused["id"])
    assert (again["id"], again["state"], again["attempt"]) == (refused["id"], "completed", 2)
    assert await payee.balance() == 0


async def test_a_failed_reversal_is_retried_by_the_payee_or_an_admin_and_not_by_an_operator(
    runbook: Runbook, payer: Person, payee: Person, paid: str
) -> None:
    await payee.pay(payer, 30_00)
    refused = await back(runbook, payee, paid)
    await payee.deposit(30_00)
    answer = await retried(runbook, refused["id"])
    assert (answer["status"], answer["code"]) == (403, "forbidden")
    again = (await payee.post(f"/v1/transfers/{refused['id']}/retry", None)).json()
    assert (again["state"], again["attempt"]) == ("completed", 2)


@pytest.mark.parametrize("side", ["source", "destination"])
async def test_a_frozen_account_refuses_a_reversal_which_is_retried_while_it_is_open_again(
    admins_runbook: Runbook, payer: Person, payee: Person, paid: str, side: str
) -> None:
    account_id = payee.account_id if side == "source" else payer.account_id
    await freeze(admins_runbook, account_id)
    refused = await back_by_staff(admins_runbook, paid)
    assert failure(refused) == ("failed", "account_frozen", f"The {side} account is frozen.")
    assert await payee.balance() == 80_00
    await unfreeze(admins_runbook, account_id)
    assert (await retried(admins_runbook, refused["id"]))["state"] == "completed"
    await freeze(admins_runbook, account_id)
    assert await payee.balance() == 0


async def test_a_closed_account_of_the_payee_refuses_a_reversal_for_good(
    admins_runbook: Runbook, payee: Person, paid: str
) -> None:
    await withdraw_all(payee)
    await close(admins_runbook, payee.account_id)
    refused = await back_by_staff(admins_runbook, paid)
    assert failure(refused) == ("failed", "account_closed", "The source account is closed.")


async def test_a_closed_account_of_the_payer_refuses_a_reversal_and_they_get_no_other_one(
    admins_runbook: Runbook, http: httpx.AsyncClient, payee: Person
) -> None:
    payer = await register(http)
    await payer.deposit(80_00)
    paid = (await payer.pay(payee, 80_00)).json()["id"]
    await close(admins_runbook, payer.account_id)
    refused = await back_by_staff(admins_runbook, paid)
    assert failure(refused) == ("failed", "account_closed", "The destination account is closed.")
    assert await payee.balance() == 80_00
    other = await payer.post("/v1/accounts", {"currency": "USD"})
    assert (other.status_code, other.json()["code"]) == (409, "account_exists")


async def test_of_two_reversals_at_once_the_slower_one_fails_and_says_how_much_is_left(
    runbook: Runbook, payee: Person, paid: str, stack: Running, client: Client
) -> None:
    keys = [secrets.token_hex(4) for _ in range(2)]

    async def both_are_under_way() -> bool:
        return all([await is_known(client, transfer_workflow_id(CustomerId(payee.id), key)) for key in keys])

    await payee.deposit(99_00)
    async with transfer_held(stack.database_url, paid):
        asked = [asyncio.create_task(back_in_part(runbook, payee, paid, 50_00, key)) for key in keys]
        await until(both_are_under_way, "both reversals have begun, and neither has taken its part")
    first, second = sorted(await asyncio.gather(*asked), key=lambda made: str(made["state"]))
    assert first["state"] == "completed"
    message = "Of the transfer to be reversed, at most $30.00 is left to give back."
    assert failure(second) == ("failed", "limit_exceeded", message)
    assert (await listed(runbook, paid))["left_amount"] == 30_00


async def is_known(client: Client, workflow_id: str) -> bool:
    try:
        await client.get_workflow_handle(workflow_id).describe()
    except RPCError:
        return False
    return True
