"""The page on disputes: what staff read, what they decide, and which decisions are refused."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from devenv.processes.ports import free_port
from devenv.stack import Running
from tests.api.people import Person, register
from tests.orders import FINGERPRINT_KEY
from tests.runbook.commands import Runbook
from tests.runbook.disputes import Case, opened, opens
from tests.runbook.row_locks import account_held
from tests.waiting import until

REVERSE = """act disputes/$DSP/decisions '{"ruling": "reverse", "reason": "no proof"}'"""
REVERSE_PART = """act disputes/$DSP/decisions '{"ruling": "reverse", "amount": 2500, "reason": "no proof"}'"""
REJECT = """act disputes/$DSP/decisions '{"ruling": "reject", "reason": "delivered"}'"""
UPDATE_REVERSE = """temporal workflow update execute --workflow-id "dispute/$DSP" --name decide --input '{"decider": "cus_…", "ruling": "reverse", "reason": "no proof"}'"""
UPDATE_REVERSE_PART = """temporal workflow update execute --workflow-id "dispute/$DSP" --name decide --input '{"decider": "cus_…", "ruling": "reverse", "amount_minor": 2500, "reason": "no proof"}'"""
UPDATE_REJECT = """temporal workflow update execute --workflow-id "dispute/$DSP" --name decide --input '{"decider": "cus_…", "ruling": "reject", "reason": "delivered"}'"""

DEADLINE_SECONDS = 2
WINDOW_DAYS = 120


@pytest.fixture
async def case(runbook: Runbook, operator: Person, payer: Person, payee: Person, paid: str) -> Case:
    return await opened(runbook, operator, payer, payee, paid)


async def refused_by_cli(case: Case, given: str) -> str:
    """The CLI's answer to a decision with this input."""
    documented = UPDATE_REVERSE.partition("--input '")[2].removesuffix("'")
    return await case.runbook.run(UPDATE_REVERSE, {documented: given}, exits=1, DSP=case.id)


async def decided_by_api(case: Case, line: str) -> dict[str, Any]:
    return dict(json.loads(await case.runbook.run(line, DSP=case.id)))


def problem(answer: Mapping[str, Any]) -> tuple[int, str, str]:
    return answer["status"], answer["code"], answer["detail"]


async def test_every_command_finds_an_open_dispute_and_its_payee_gets_a_message(case: Case) -> None:
    runbook = case.runbook
    shown = await runbook.run(
        """curl -s "$API/v1/admin/disputes?state=open" -H "Authorization: Bearer $STAFF_TOKEN" | python3 -m json.tool"""
    )
    newest, *others = json.loads(shown)["items"]
    assert (newest["id"], newest["transfer_id"]) == (case.id, case.paid)
    assert {each["state"] for each in (newest, *others)} == {"open"}
    rows = await runbook.run(
        """psql "$REMIT_OPERATOR_DATABASE_URL" -c "SELECT id, state, deadline FROM disputes WHERE state IN ('open', 'reversing') ORDER BY deadline\""""
    )
    assert f"{case.id} | open" in rows

    async def listed() -> bool:
        return case.workflow_id in await runbook.run(
            """temporal workflow list --query "WorkflowType='DisputeWorkflow' AND ExecutionStatus='Running'\""""
        )

    await until(listed, "Temporal lists the dispute")
    assert await case.messages() == [(case.payee.account_id, f"{case.id}/opened")]


async def test_staff_read_both_sides_in_the_books_and_until_when_in_temporal(case: Case) -> None:
    for person, text in ((case.payee, "They were sent on Monday"), (case.payer, "Nothing came")):
        answer = await person.post(f"/v1/disputes/{case.id}/statements", {"text": text})
        assert answer.status_code == 201, answer.text
    read = await case.read()
    assert read["reason"] == "The goods never came"
    assert [(each["author"], each["text"]) for each in read["statements"]] == [
        ("payee", "They were sent on Monday"),
        ("payer", "Nothing came"),
    ]
    told = await case.details_say("Statements so far: 2")
    assert re.search(rf"About {case.paid}, paid by {case.payer.id} to {case.payee.id}\. Open until ", told)
    assert "Nothing came" not in told


async def test_staff_see_what_the_payee_has_and_hold_it_until_they_decide(case: Case) -> None:
    line = """curl -s "$API/v1/admin/accounts/acc_…" -H "Authorization: Bearer $STAFF_TOKEN\""""
    account = json.loads(await case.runbook.run(line, {"acc_…": case.payee.account_id}))
    assert account["balance"] == 80_00
    hold = """act disputes/$DSP/hold '{"reason": "ticket 4711"}'"""
    assert (await decided_by_api(case, hold))["held_amount"] == 80_00
    kept = (await case.payee.pay(case.payer, 1_00)).json()
    assert (kept["state"], kept["failure"]["code"]) == ("failed", "insufficient_funds")
    release = """act disputes/$DSP/release '{"reason": "ticket 4711"}'"""
    assert (await decided_by_api(case, release))["held_amount"] == 0
    await decided_by_api(case, hold)
    await decided_by_api(case, REVERSE)
    await case.becomes("reversed")


async def test_an_open_dispute_holds_no_money(case: Case) -> None:
    assert (await case.payee.pay(case.payer, 80_00)).json()["state"] == "completed"


async def test_a_decision_is_not_carried_out_while_the_payee_is_frozen(case: Case) -> None:
    await case.freeze()
    await decided_by_api(case, REVERSE)
    await case.becomes("reversal_failed")
    assert await case.payee.balance() == 80_00


@pytest.mark.parametrize(
    ("line", "state", "moved"),
    [(REVERSE, "reversed", 80_00), (REVERSE_PART, "reversed", 25_00), (REJECT, "rejected", 0)],
    ids=["all", "a-part", "nothing"],
)
async def test_staff_decide_by_the_api(case: Case, line: str, state: str, moved: int) -> None:
    before = await case.payer.balance()
    assert (await decided_by_api(case, line))["state"] in ("reversing", state)
    await case.becomes(state)
    assert [await case.payer.balance() - before, 80_00 - await case.payee.balance()] == [moved, moved]
    assert await recorded(case) == [("decide_dispute", "api")]


@pytest.mark.parametrize(
    ("line", "state", "moved"),
    [
        (UPDATE_REVERSE, "reversed", 80_00),
        (UPDATE_REVERSE_PART, "reversed", 25_00),
        (UPDATE_REJECT, "rejected", 0),
    ],
    ids=["all", "a-part", "nothing"],
)
async def test_staff_decide_by_the_cli(case: Case, operator: Person, line: str, state: str, moved: int) -> None:
    before = await case.payer.balance()
    answer = await case.runbook.run(line, {"cus_…": operator.id}, DSP=case.id)
    assert f"by {operator.id} is recorded." in answer
    await case.becomes(state)
    assert [await case.payer.balance() - before, 80_00 - await case.payee.balance()] == [moved, moved]
    assert await recorded(case) == [("decide_dispute", "temporal")]


async def recorded(case: Case) -> list[tuple[str, str]]:
    """The staff actions about the dispute, with their channels."""
    actions = (await case.operator.get("/v1/admin/actions", subject=case.id)).json()["items"]
    return [(each["action"], each["channel"]) for each in actions]


async def test_both_parties_read_why_it_was_decided(case: Case) -> None:
    await decided_by_api(case, REJECT)
    for person in (case.payer, case.payee):
        assert (await person.get(f"/v1/disputes/{case.id}")).json()["decided_reason"] == "delivered"


async def test_a_mistyped_decision_in_temporal_is_refused_with_the_reason(case: Case) -> None:
    good: dict[str, Any] = {"decider": case.operator.id, "ruling": "reverse", "reason": "no proof"}
    for wrong, words in (
        (
            {"amount": 2500},
            "A decision is a JSON object with the fields decider, ruling, reason, amount_minor, and no others.",
        ),
        ({"reason": None}, "reason is missing, or is not text."),
        ({"ruling": "approve"}, "ruling is reverse or reject."),
        ({"amount_minor": "2500"}, "amount_minor is a whole number, in the minor unit of the currency."),
        ({"decider": "Ike"}, "decider is the customer id, cus_…, of somebody of the staff."),
        ({"decider": case.operator.email}, "decider is the customer id, cus_…, of somebody of the staff."),
    ):
        assert words in await refused_by_cli(case, json.dumps(good | wrong))
    for unread, words in (
        ("reverse it", "input #1 is not valid JSON"),
        ('"reverse it"', "Failed decoding arguments"),
        ("[1]", "Failed decoding arguments"),
    ):
        assert words in await refused_by_cli(case, unread)
    await is_untouched(case)


async def is_untouched(case: Case) -> None:
    assert (await case.read())["state"] == "open"
    assert await case.payee.balance() == 80_00
    assert await recorded(case) == []


async def test_a_decision_that_is_mistyped_to_the_api_is_refused(case: Case) -> None:
    answer = json.loads(await case.runbook.run(REVERSE_PART, {'"amount"': '"amount_minor"'}, DSP=case.id))
    assert (answer["status"], answer["code"]) == (422, "validation_failed")
    assert "amount_minor" in answer["detail"]
    await is_untouched(case)


async def test_neither_a_customer_nor_a_party_decides(case: Case, http: httpx.AsyncClient) -> None:
    word = {"ruling": "reverse", "reason": "no proof"}
    stranger = await register(http)
    output = await refused_by_cli(case, json.dumps(word | {"decider": stranger.id}))
    assert "The role customer does not include decide_dispute." in output
    output = await refused_by_cli(case, json.dumps(word | {"decider": case.payee.id}))
    assert "A party to the dispute cannot decide it." in output
    await is_untouched(case)


async def test_staff_who_were_paid_do_not_decide(runbook: Runbook, payer: Person, operator: Person) -> None:
    paid = (await payer.pay(operator, 80_00)).json()["id"]
    case = await opened(runbook, operator, payer, operator, paid)
    assert problem(await decided_by_api(case, REJECT)) == (
        409,
        "decision_refused",
        "A party to the dispute cannot decide it.",
    )
    output = await case.runbook.run(UPDATE_REJECT, {"cus_…": operator.id}, exits=1, DSP=case.id)
    assert "A party to the dispute cannot decide it." in output
    assert (await operator.get(f"/v1/disputes/{case.id}")).json()["state"] == "open"


async def test_no_more_is_decided_than_is_left(case: Case) -> None:
    given = """reverse "$PAYEE_TOKEN" '{"amount": 4000}'"""
    await case.runbook.run(given, {"4000": "5501"}, PAYEE_TOKEN=case.payee.token, TRF=case.paid)
    assert problem(await decided_by_api(case, REVERSE_PART)) == (
        409,
        "decision_refused",
        "The amount is more than what is left to reverse.",
    )
    output = await case.runbook.run(UPDATE_REVERSE_PART, {"cus_…": case.operator.id}, exits=1, DSP=case.id)
    assert "The amount is more than what is left to reverse." in output
    assert (await case.read())["state"] == "open"
    assert await case.payee.balance() == 24_99


async def test_a_decided_dispute_is_not_decided_again(case: Case) -> None:
    await decided_by_api(case, REJECT)
    assert problem(await decided_by_api(case, REVERSE)) == (409, "dispute_closed", "The dispute is rejected.")

    async def has_ended() -> bool:
        output = await case.runbook.run(UPDATE_REVERSE, {"cus_…": case.operator.id}, exits=1, DSP=case.id)
        return "workflow execution already completed" in output

    await until(has_ended, "the CLI says that the dispute is over")
    assert await case.payee.balance() == 80_00


async def test_a_dispute_whose_reversal_runs_is_not_decided_again(case: Case, stack: Running) -> None:
    async with account_held(stack.database_url, case.payer.account_id):
        await decided_by_api(case, REVERSE_PART)
        await case.details_say("Decided: $25.00 is to go back to the payer.")
        assert problem(await decided_by_api(case, REJECT)) == (409, "dispute_closed", "The dispute is reversing.")
        output = await case.runbook.run(UPDATE_REJECT, {"cus_…": case.operator.id}, exits=1, DSP=case.id)
        assert "The dispute is reversing." in output
    await case.becomes("reversed")


async def test_a_dispute_that_nobody_decides_expires_and_another_one_is_opened_within_the_window(
    runbook: Runbook,
    admins_runbook: Runbook,
    operator: Person,
    payer: Person,
    payee: Person,
    paid: str,
    stack: Running,
    home: Path,
) -> None:
    async with api_beside(stack, home, REMIT_DISPUTE_DEADLINE_SECONDS=str(DEADLINE_SECONDS)) as http:
        case = await opened(runbook, operator, payer, payee, paid, http)
    ended = await case.becomes("expired")
    assert ended["outcome"] == "Nobody decided in time; the transfer stays as it is."
    assert problem(await decided_by_api(case, REVERSE)) == (409, "dispute_closed", "The dispute is expired.")
    assert await payee.balance() == 80_00
    assert (await opened(runbook, operator, payer, payee, paid)).id != case.id
    brought_back = """reverse "$STAFF_TOKEN" '{"amount": 4000, "reason": "ticket 4711"}'"""
    assert json.loads(await admins_runbook.run(brought_back, TRF=paid))["state"] == "completed"


async def test_no_dispute_is_opened_when_the_window_is_over_and_an_admin_reverses_without_one(
    admins_runbook: Runbook, payer: Person, paid: str, stack: Running
) -> None:
    await was_completed_days_ago(stack, paid, WINDOW_DAYS + 1)
    refused = await opens(payer, paid)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_disputable")
    answer = await admins_runbook.run("""reverse "$STAFF_TOKEN" '{"reason": "ticket 4711"}'""", TRF=paid)
    assert json.loads(answer)["state"] == "completed"


async def was_completed_days_ago(stack: Running, transfer_id: str, days: int) -> None:
    """Change the books as only the owner of the tables can."""
    connection = await asyncpg.connect(stack.database_url)
    try:
        aged = "UPDATE transfers SET completed_at = now() - make_interval(days => $2) WHERE id = $1"
        assert await connection.execute(aged, transfer_id, days) == "UPDATE 1"
    finally:
        await connection.close()


@asynccontextmanager
async def api_beside(stack: Running, home: Path, **settings: str) -> AsyncIterator[httpx.AsyncClient]:
    """A second `remit api` on the stack's servers with other settings. The stack's worker runs its workflows."""
    port = str(free_port())
    known = {
        "REMIT_DATABASE_URL": stack.database_url,
        "REMIT_TEMPORAL_ADDRESS": stack.temporal_address,
        "REMIT_JWT_SECRET": (home / "jwt_secret").read_text().strip(),
        "REMIT_FINGERPRINT_KEYS": FINGERPRINT_KEY,
        "REMIT_API_PORT": port,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cli",
        "api",
        env={**os.environ, **known, **settings},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as http:
            await until(lambda: is_ready(http), "the second API is ready")
            yield http
    finally:
        process.terminate()
        await process.wait()


async def is_ready(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/ready")).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
