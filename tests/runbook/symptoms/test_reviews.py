"""The page on reviews: one decision at a time, and many at once."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from devenv.stack import Running
from tests.api.people import Person, in_review, reaches
from tests.runbook.commands import Runbook
from tests.runbook.conftest import FOUR_EYES_FROM
from tests.runbook.processes import ExtraProcess, ExtraProcesses
from tests.runbook.row_locks import table_held
from tests.runbook.transfers import details, file_of, recorded_actions
from tests.waiting import until

REVIEWED = 150_00
BY_TWO = FOUR_EYES_FROM * 100
DEPOSITED = 1980_00


def as_staff(runbook: Runbook, person: Person) -> Runbook:
    """The same pages in another person's terminal."""
    return Runbook({**runbook.environment, "STAFF_TOKEN": person.token})


async def approve(runbook: Runbook, transfer_id: str) -> dict[str, Any]:
    """By the API."""
    answer = await runbook.run(
        """act transfers/$TRF/decisions '{"ruling": "approve", "reason": "ticket 4711"}'""", TRF=transfer_id
    )
    return dict(json.loads(answer))


async def reject(runbook: Runbook, transfer_id: str) -> dict[str, Any]:
    """By the API."""
    answer = await runbook.run(
        """act transfers/$TRF/decisions '{"ruling": "approve", "reason": "ticket 4711"}'""",
        {"approve": "reject"},
        TRF=transfer_id,
    )
    return dict(json.loads(answer))


async def decide_in_temporal(runbook: Runbook, transfer: dict[str, Any], decider: str, ruling: str) -> str:
    return await runbook.run(
        """temporal workflow update execute --workflow-id "$ID" --name decide --input '{"decider": "cus_…", "ruling": "reject", "reason": "ticket 4711"}'""",
        {"cus_…": decider, '"reject"': f'"{ruling}"'},
        ID=transfer["workflow_id"],
    )


async def refused_in_temporal(runbook: Runbook, transfer: dict[str, Any], decider: str) -> str:
    return await runbook.run(
        """temporal workflow update execute --workflow-id "$ID" --name decide --input '{"decider": "cus_…", "ruling": "reject", "reason": "ticket 4711"}'""",
        {"cus_…": decider},
        ID=transfer["workflow_id"],
        exits=1,
    )


async def reviewed(staff: Person, payer: Person, payee: Person, amount: int = REVIEWED) -> dict[str, Any]:
    """A transfer in review, as staff read it."""
    return await file_of(staff, await in_review(payer, payee, amount))


async def test_a_review_is_listed_with_its_deadline_and_the_approvals_it_needs(
    runbook: Runbook, operator: Person, payer: Person, payee: Person
) -> None:
    transfer = await reviewed(operator, payer, payee)

    async def is_listed() -> bool:
        line = """temporal workflow list --query "TransferState='in_review' AND ExecutionStatus='Running'\""""
        return transfer["workflow_id"] in await runbook.run(line)

    await until(is_listed, "the filter finds it")
    listed = (await operator.get("/v1/admin/transfers", state="in_review")).json()["items"]
    assert transfer["id"] in [each["id"] for each in listed]
    gauge = re.search(r'remit_transfers_not_final{state="in_review"} (\S+)', (await operator.http.get("/metrics")).text)
    assert gauge is not None
    assert float(gauge[1]) >= 1
    shown = await details(runbook, transfer["workflow_id"])
    assert re.match(r"In review until \d{4}-\d\d-\d\d \d\d:\d\d UTC: 1 approval or one rejection is needed", shown)
    assert "No money has moved." in shown
    assert await payer.balance() == DEPOSITED
    await reject(runbook, transfer["id"])


async def test_one_approval_lets_it_go_on_and_one_rejection_ends_it_by_the_api(
    runbook: Runbook, operator: Person, payer: Person, payee: Person
) -> None:
    first, second = [await in_review(payer, payee, REVIEWED) for _ in range(2)]
    await approve(runbook, first)
    await reaches(payer, first, "completed")
    await reject(runbook, second)
    await reaches(payer, second, "failed")
    assert (await file_of(operator, second))["failure"]["code"] == "review_rejected"
    assert (await payer.balance(), await payee.balance()) == (DEPOSITED - REVIEWED, REVIEWED)
    assert await recorded_actions(runbook, first) == [[operator.id, "approve", "ticket 4711"]]
    assert await recorded_actions(runbook, second) == [[operator.id, "reject", "ticket 4711"]]


async def test_by_the_cli_staff_decide_under_their_id_or_address_and_nobody_else_does(
    runbook: Runbook, operator: Person, payer: Person, payee: Person
) -> None:
    first, second = [await reviewed(operator, payer, payee) for _ in range(2)]
    assert "is no operator or admin" in await refused_in_temporal(runbook, first, payee.id)
    assert "is no operator or admin" in await refused_in_temporal(runbook, first, payer.id)
    await decide_in_temporal(runbook, first, operator.id, "reject")
    await reaches(payer, first["id"], "failed")
    assert (await file_of(operator, first["id"]))["failure"]["code"] == "review_rejected"
    await decide_in_temporal(runbook, second, operator.email, "approve")
    await reaches(payer, second["id"], "completed")
    assert await recorded_actions(runbook, second["id"]) == [[operator.id, "approve", "ticket 4711"]]


async def test_four_eyes_are_two_people_however_often_and_by_which_channel_one_of_them_approves(
    runbook: Runbook, operator: Person, admin: Person, payer: Person, payee: Person
) -> None:
    transfer = await reviewed(operator, payer, payee, BY_TWO)
    assert "2 approvals or one rejection" in await details(runbook, transfer["workflow_id"])
    await approve(runbook, transfer["id"])
    for name in (operator.id, operator.email):
        refused = await refused_in_temporal(runbook, transfer, name)
        assert f"{operator.id} has decided about this transfer already." in refused
    shown = await details(runbook, transfer["workflow_id"])
    assert "1 more approval or one rejection" in shown
    assert f"Approved by {operator.id}." in shown
    await decide_in_temporal(runbook, transfer, admin.id, "approve")
    await reaches(payer, transfer["id"], "completed")


async def test_the_first_decision_of_a_reviewer_is_final(runbook: Runbook, payer: Person, payee: Person) -> None:
    transfer_id = await in_review(payer, payee, BY_TWO)
    first = await approve(runbook, transfer_id)
    assert await approve(runbook, transfer_id) == first
    other = await reject(runbook, transfer_id)
    assert (other["status"], other["code"]) == (409, "decided_already")
    assert (await payer.get(f"/v1/transfers/{transfer_id}")).json()["state"] == "in_review"


async def test_no_party_decides_whatever_their_role(
    runbook: Runbook, operator: Person, admin: Person, payer: Person
) -> None:
    transfer = await reviewed(admin, payer, operator)
    refused = await approve(runbook, transfer["id"])
    assert (refused["status"], refused["code"]) == (403, "conflict_of_interest")
    assert "This concerns yourself" in await refused_in_temporal(runbook, transfer, operator.email)
    assert await recorded_actions(runbook, transfer["id"]) == []
    assert "code" not in await approve(as_staff(runbook, admin), transfer["id"])
    await reaches(payer, transfer["id"], "completed")


async def test_a_decision_that_comes_before_the_review_is_kept_for_it(
    stack: Running, runbook: Runbook, payer: Person, payee: Person
) -> None:
    async with table_held(stack.database_url, "reviews"):
        transfer_id = str((await payer.pay(payee, REVIEWED, prefer="wait=0")).json()["id"])
        assert "code" not in await approve(runbook, transfer_id)
        assert (await payer.get(f"/v1/transfers/{transfer_id}")).json()["state"] == "initiated"
    await reaches(payer, transfer_id, "completed")


async def test_a_decision_that_comes_too_late_is_refused(
    runbook: Runbook, admin: Person, operator: Person, payer: Person, payee: Person
) -> None:
    transfer = await reviewed(operator, payer, payee)
    await approve(runbook, transfer["id"])
    await reaches(payer, transfer["id"], "completed")
    late = await reject(as_staff(runbook, admin), transfer["id"])
    assert (late["status"], late["code"]) == (409, "too_late")

    async def is_closed() -> bool:
        refused = await refused_in_temporal(runbook, transfer, operator.id)
        return "workflow execution already completed" in refused

    await until(is_closed, "Temporal refuses it too")


async def test_reviewers_are_reminded_once_after_three_quarters_of_a_lowered_deadline_and_then_it_expires(
    environment: Mapping[str, str], home: Path, payer: Person, payee: Person
) -> None:
    hasty = {"REMIT_REVIEW_DEADLINE_SECONDS": "4", "REMIT_REVIEW_FROM_MAJOR": "100", "REMIT_LOG_FORMAT": "json"}
    process = ExtraProcesses(environment, home).running("api", "--with-worker", **hasty)
    async with process as api, api.at_its_api(payer) as there:
        transfer_id = await in_review(there, payee, REVIEWED)
        await reaches(there, transfer_id, "failed")
        assert (await there.get(f"/v1/transfers/{transfer_id}")).json()["failure"]["code"] == "review_expired"
    reminders = [line for line in logged(api) if line["event"] == "review still waits for a decision"]
    assert [(line["level"], line["transfer_id"]) for line in reminders] == [("warning", transfer_id)]


def logged(process: ExtraProcess) -> list[dict[str, Any]]:
    """The lines of a JSON log."""
    return [json.loads(line) for line in process.log.read_text().splitlines()]


async def batch(
    runbook: Runbook, owner: Person, largest: int, ruling: str = "approve", total: int = 2
) -> dict[str, Any]:
    """The same decision about all of this owner\'s transfers of up to this amount, as a list has them now."""
    line = """act reviews/decisions '{"ruling": "approve", "reason": "ticket 4711", '"$SEEN"'}'"""
    seen = {"created_before": datetime.now(UTC).isoformat(), "total": total}
    filters = {"currency": "USD", "owner_id": owner.id, "max_amount": largest}
    answer = await runbook.run(line, {'"approve"': f'"{ruling}"'}, SEEN=json.dumps(filters | seen)[1:-1])
    return dict(json.loads(answer))


async def test_transfers_are_decided_by_name(runbook: Runbook, operator: Person, payer: Person, payee: Person) -> None:
    wanted = [await in_review(payer, payee, amount) for amount in (110_01, 110_02)]
    line = (
        """act reviews/decisions '{"ruling": "approve", "reason": "ticket 4711", "transfer_ids": ["trf_…", "trf_…"]}'"""
    )
    assert json.loads(await runbook.run(line, {"trf_…": wanted}))["taken"] == 2


async def test_many_are_decided_at_once_as_the_filter_finds_them(
    runbook: Runbook, operator: Person, payer: Person, payee: Person
) -> None:
    wanted = [await in_review(payer, payee, amount) for amount in (110_01, 110_02)]
    larger = await in_review(payer, payee, 300_00)
    line = """curl -s "$API/v1/admin/transfers?state=in_review&currency=USD" -H "Authorization: Bearer $STAFF_TOKEN\""""
    listed = json.loads(await runbook.run(line, {"=USD": f"=USD&max_amount=11002&owner_id={payer.id}"}))["items"]
    assert sorted(each["id"] for each in listed) == sorted(wanted)
    assert await batch(runbook, payer, 110_02) == {"total": 2, "taken": 2, "refused": []}
    for transfer_id in wanted:
        await reaches(payer, transfer_id, "completed")
    assert (await file_of(operator, larger))["state"] == "in_review"
    await in_review(payer, payee, 300_01)
    assert (await batch(runbook, payer, 400_00, total=1))["code"] == "more_than_seen"


async def test_a_batch_leaves_out_what_its_reviewer_has_decided_about(
    runbook: Runbook, operator: Person, payer: Person, payee: Person
) -> None:
    typed, sent, waiting = [await reviewed(operator, payer, payee, BY_TWO) for _ in range(3)]
    await decide_in_temporal(runbook, typed, operator.id, "approve")
    await reject(runbook, sent["id"])
    await reaches(payer, sent["id"], "failed")
    assert await batch(runbook, payer, BY_TWO) == {"total": 1, "taken": 1, "refused": []}
    assert (await file_of(operator, waiting["id"]))["state"] == "in_review"
    nothing = await batch(runbook, payer, BY_TWO, "reject")
    assert (nothing["status"], nothing["code"]) == (409, "nothing_matches")


async def test_a_batch_with_a_transfer_of_ones_own_in_it_decides_nothing(
    runbook: Runbook, operator: Person, admin: Person, payer: Person, payee: Person
) -> None:
    for party in (payee, operator):
        await reviewed(admin, payer, party)
    refused = await batch(runbook, payer, REVIEWED)
    assert (refused["status"], refused["code"]) == (403, "conflict_of_interest")
    found = await batch(as_staff(runbook, admin), payer, REVIEWED)
    assert (found["total"], found["taken"]) == (2, 2)
