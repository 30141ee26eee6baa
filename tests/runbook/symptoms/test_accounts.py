"""The page on accounts, admins and books that are not clean."""

import asyncio
import fcntl
import json
import os
import re
import secrets
import termios
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest

from database.connections import Database
from devenv.processes.ports import free_port
from devenv.stack import Running
from staff.permissions import Role
from tests.api.people import PASSWORD, Person, reaches, register, sent
from tests.orders import promoted
from tests.runbook.commands import Runbook
from tests.runbook.installation import remit
from tests.runbook.row_locks import account_held

AMOUNT = 99_00
ADMIN = "remit admin create --email ops@example.com --full-name 'Olu Ade'       # asks for a password"
FREEZE = """act accounts/acc_…/freeze   '{"reason": "ticket 4711"}'    # staff"""
UNFREEZE = """act accounts/acc_…/unfreeze '{"reason": "ticket 4711"}'    # staff"""
CLOSE = """act accounts/acc_…/close    '{"reason": "ticket 4711"}'    # admins; empty, and no transfer from or to it in progress"""
REBUILD_ALL = """remit rebuild --api "$API" --all --reason 'ticket 4711'                # as the admin whose token is in STAFF_TOKEN"""
REBUILD_ONE = """remit rebuild --api "$API" --account acc_… --reason 'ticket 4711'"""
REBUILD = """act accounts/acc_…/rebuild  '{"reason": "ticket 4711"}'    # admins"""


class Terminal(Runbook):
    """The pages in a terminal where somebody types the password at each prompt."""

    async def _shell(self, command: str, variables: Mapping[str, str]) -> tuple[int, str]:
        ours, theirs = os.openpty()
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", command),
            env={**self.environment, **variables},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
        shown = await asyncio.to_thread(_type_passwords, ours)
        return await process.wait(), shown


def _type_passwords(terminal: int) -> str:
    shown, asked = "", 0
    with os.fdopen(terminal, "r+b", buffering=0) as keyboard:
        while True:
            try:
                read = keyboard.read(1000)
            except OSError:  # how Linux says that the other side has closed
                return shown
            if not read:
                return shown
            shown += read.decode()
            if shown.count(": ") > asked and shown.endswith(": "):
                asked += 1
                keyboard.write(f"{PASSWORD}\n".encode())


@pytest.fixture
async def payer(http: httpx.AsyncClient) -> Person:
    person = await register(http, full_name="Ada Obi")
    await person.deposit(AMOUNT)
    return person


@pytest.fixture
def as_admin(environment: dict[str, str], admin: Person) -> Runbook:
    return Runbook({**environment, "STAFF_TOKEN": admin.token})


@asynccontextmanager
async def tampering(stack: Running) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A superuser's transaction with the triggers off."""
    connection = await asyncpg.connect(stack.database_url)
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL session_replication_role = replica")
            yield connection
    finally:
        await connection.close()


async def act(runbook: Runbook, line: str, account_id: str) -> dict[str, Any]:
    return dict(json.loads(await runbook.run(line, {"acc_…": account_id})))


async def verify(runbook: Runbook, exits: int, **variables: str) -> str:
    return await remit({**runbook.environment, **variables}, "verify", exits=exits)


async def sign_in(http: httpx.AsyncClient, email: str) -> Person:
    answer = await http.post("/v1/auth/login", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    person = Person(http, "", "", answer.json()["access_token"], email)
    person.id = (await person.get("/v1/auth/me")).json()["id"]
    return person


async def test_an_admin_is_created_with_a_typed_password_and_signs_in(
    environment: dict[str, str], http: httpx.AsyncClient
) -> None:
    email = f"{secrets.token_hex(8)}@example.com"
    shown = await Terminal(environment).run(ADMIN, {"ops@example.com": email})
    assert "is an admin now" in shown
    assert PASSWORD not in shown
    made = await sign_in(http, email)
    assert (await made.get("/v1/auth/me")).json()["role"] == "admin"


async def test_without_a_terminal_the_command_asks_for_no_password(environment: dict[str, str]) -> None:
    output = await Runbook(environment).run(ADMIN, {"ops@example.com": f"{secrets.token_hex(8)}@example.com"}, exits=2)
    assert "--password-stdin" in output


async def test_the_first_admins_password_comes_from_a_pipe(
    environment: dict[str, str], http: httpx.AsyncClient
) -> None:
    email = f"{secrets.token_hex(8)}@example.com"
    output = await Runbook(environment).run(
        """printf '%s\\n' "$PASSWORD" | remit admin create --email ops@example.com --full-name 'Olu Ade' --password-stdin""",
        {"ops@example.com": email},
        PASSWORD=PASSWORD,
    )
    assert "is an admin now, and signs in" in output
    assert (await (await sign_in(http, email)).get("/v1/auth/me")).json()["full_name"] == "Olu Ade"


async def test_a_registered_customer_becomes_an_admin_by_name_with_a_new_password(
    environment: dict[str, str], http: httpx.AsyncClient
) -> None:
    person = await register(http, full_name="Ada Obi", password="something of theirs")
    by_address = """printf '%s\\n' "$PASSWORD" | remit admin create --email ops@example.com --full-name 'Olu Ade' --password-stdin"""
    fill = {"ops@example.com": person.email}
    output = await Runbook(environment).run(by_address, fill, exits=1, PASSWORD=PASSWORD)
    assert f"--promote {person.id}" in output
    by_name = (
        """printf '%s\\n' "$PASSWORD" | remit admin create --email ops@example.com --promote cus_… --password-stdin"""
    )
    output = await Runbook(environment).run(by_name, fill | {"cus_…": person.id}, PASSWORD=PASSWORD)
    assert "is an admin now" in output
    assert (await person.get("/v1/auth/me")).status_code == 401
    me = (await (await sign_in(http, person.email)).get("/v1/auth/me")).json()
    assert (me["role"], me["full_name"]) == ("admin", "Ada Obi")


async def test_two_admins_make_an_operator_and_one_takes_the_role_away(
    environment: dict[str, str], as_admin: Runbook, admin: Person, payee: Person, database: Database
) -> None:
    line = """act customers/cus_…/role '{"role": "operator", "reason": "joins the team"}'"""
    assert json.loads(await as_admin.run(line, {"cus_…": payee.id}))["code"] == "email_not_verified"
    mail = """act customers/cus_…/email-verification '{"reason": "joins the team"}'  # code"""
    other, third = await register(payee.http), await register(payee.http)
    for each in (other, third):
        await promoted(database, each.id, Role.ADMIN)
    code = json.loads(await Runbook({**environment, "STAFF_TOKEN": third.token}).run(mail, {"cus_…": payee.id}))["code"]
    assert (await payee.post("/v1/auth/email-verification", {"code": code})).status_code == 200
    assert json.loads(await as_admin.run(line, {"cus_…": payee.id}))["role"] == "customer"
    second = Runbook({**environment, "STAFF_TOKEN": other.token})
    assert json.loads(await second.run(line, {"cus_…": payee.id}))["role"] == "operator"
    assert (await payee.get("/v1/admin/stats")).status_code == 200
    leaves = """act customers/cus_…/role '{"role": "customer", "reason": "leaves the team"}'"""
    assert json.loads(await as_admin.run(leaves, {"cus_…": payee.id}))["role"] == "customer"
    without = await admin.post(f"/v1/admin/customers/{payee.id}/role", {"role": "admin"})
    assert (without.status_code, without.json()["code"]) == (422, "validation_failed")


async def test_admins_see_who_tried_to_sign_in(as_admin: Runbook, payee: Person) -> None:
    wrong = {"email": payee.email, "password": "something else"}
    assert (await payee.http.post("/v1/auth/login", json=wrong)).status_code == 401
    line = """curl -s "$API/v1/admin/auth-events?customer_id=cus_…" -H "Authorization: Bearer $STAFF_TOKEN" | python3 -m json.tool"""
    found = json.loads(await as_admin.run(line, {"cus_…": payee.id}))["items"]
    assert [(event["kind"], event["client"]) for event in found] == [
        ("sign_in_failed", "127.0.0.1"),
        ("registered", "127.0.0.1"),
    ]


async def test_the_owner_of_the_tables_removes_old_events(environment: dict[str, str], payee: Person) -> None:
    line = """psql "$REMIT_DATABASE_URL" -c "DELETE FROM auth_events WHERE recorded_at < now() - interval '1 year'\""""
    assert "DELETE 0" in await Runbook(environment).run(line)


async def test_operators_freeze_and_unfreeze_and_admins_do_the_rest(runbook: Runbook, payee: Person) -> None:
    assert (await act(runbook, FREEZE, payee.account_id))["status"] == "frozen"
    assert (await act(runbook, UNFREEZE, payee.account_id))["status"] == "active"
    for line in (CLOSE, REBUILD):
        assert (await act(runbook, line, payee.account_id))["code"] == "forbidden"


async def test_no_money_moves_from_or_to_a_frozen_account(runbook: Runbook, payer: Person, payee: Person) -> None:
    for frozen in (payer, payee):
        await act(runbook, FREEZE, frozen.account_id)
        answer = (await payer.pay(payee, AMOUNT)).json()
        assert answer["failure"]["code"] == "account_frozen"
        assert (await payer.balance(), await payee.balance()) == (AMOUNT, 0)
        await act(runbook, UNFREEZE, frozen.account_id)
    assert (await payer.pay(payee, AMOUNT)).json()["state"] == "completed"


async def test_an_amount_comes_back_to_a_frozen_account(
    stack: Running, runbook: Runbook, payer: Person, payee: Person
) -> None:
    async with account_held(stack.database_url, payee.account_id):
        transfer = await sent(payer, payee, AMOUNT, "debited")
        await act(runbook, FREEZE, payer.account_id)
        line = """act transfers/$TRF/give-back '{"reason": "ticket 4711"}'"""
        await runbook.run(line, TRF=transfer["id"])
    await reaches(payer, transfer["id"], "compensated")
    assert await payer.balance() == AMOUNT


async def test_freezing_waits_for_whoever_holds_the_account(stack: Running, runbook: Runbook, payee: Person) -> None:
    async with account_held(stack.database_url, payee.account_id) as hold:
        freezing = asyncio.create_task(act(runbook, FREEZE, payee.account_id))
        await hold.is_waited_for()
        assert not freezing.done()
        await hold.release()
        assert (await freezing)["status"] == "frozen"


async def test_a_refused_close_names_what_prevents_it_and_a_closed_account_stays_closed(
    stack: Running, as_admin: Runbook, payer: Person, payee: Person
) -> None:
    assert (await act(as_admin, CLOSE, payer.account_id))["code"] == "account_not_empty"
    async with account_held(stack.database_url, payee.account_id):
        transfer = await sent(payer, payee, AMOUNT, "debited")
        assert (await act(as_admin, CLOSE, payer.account_id))["code"] == "account_in_transit"
    await reaches(payer, transfer["id"], "completed")
    assert (await act(as_admin, CLOSE, payer.account_id))["status"] == "closed"
    assert (await act(as_admin, UNFREEZE, payer.account_id))["code"] == "account_closed"
    assert (await payee.pay(payer, AMOUNT)).json()["failure"]["code"] == "account_closed"


@pytest.mark.parametrize(
    ("tamper", "found"),
    [
        ("UPDATE accounts SET balance_minor = balance_minor + 1 WHERE id = $1", {"balance_is_fold", "zero_sum"}),
        ("UPDATE accounts SET version = version + 1 WHERE id = $1", {"balance_is_fold"}),
        ("UPDATE accounts SET head_hash = sha256('') WHERE id = $1", {"balance_is_fold"}),
    ],
)
async def test_an_account_whose_entries_are_sound_is_rebuilt_from_them(
    stack: Running, as_admin: Runbook, payer: Person, tamper: str, found: set[str]
) -> None:
    async with tampering(stack) as connection:
        await connection.execute(tamper, payer.account_id)
    output = await verify(as_admin, exits=1)
    assert set(re.findall(r"^  (\w+): ", output, re.MULTILINE)) == found
    assert f"balance_is_fold: {payer.account_id}: balance " in output
    await act(as_admin, REBUILD, payer.account_id)
    assert "Clean: every invariant holds." in await verify(as_admin, exits=0)
    assert await payer.balance() == AMOUNT


async def test_all_accounts_are_rebuilt_by_the_command_line_and_then_one(
    stack: Running, as_admin: Runbook, payer: Person, payee: Person
) -> None:
    async with tampering(stack) as connection:
        for person in (payer, payee):
            await connection.execute(
                "UPDATE accounts SET balance_minor = balance_minor + 1 WHERE id = $1", person.account_id
            )
    output = await as_admin.run(REBUILD_ALL)
    assert ", 2 rebuilt, 0 left as they are." in output
    assert (await payer.balance(), await payee.balance()) == (AMOUNT, 0)
    assert "1 accounts looked at, 0 rebuilt" in await as_admin.run(REBUILD_ONE, {"acc_…": payer.account_id})
    assert "Clean: every invariant holds." in await verify(as_admin, exits=0)


async def test_an_account_whose_entries_were_edited_is_not_rebuilt_until_they_are_restored(
    stack: Running, as_admin: Runbook, payer: Person
) -> None:
    edit = (
        "UPDATE entries SET amount_minor = amount_minor + $2, balance_after = balance_after + $2 WHERE account_id = $1"
    )
    async with tampering(stack) as connection:
        await connection.execute(edit, payer.account_id, 1)
    assert "hash_chain" in await verify(as_admin, exits=1)
    assert "hash_chain" in await as_admin.run("remit verify --full", exits=1)
    refused = await act(as_admin, REBUILD, payer.account_id)
    assert (refused["status"], refused["code"]) == (409, "entries_broken")
    async with tampering(stack) as connection:
        await connection.execute(edit, payer.account_id, -1)
    assert "Clean: every invariant holds." in await verify(as_admin, exits=0)


async def test_a_state_that_was_changed_by_hand_is_named_by_its_transfer(
    stack: Running, runbook: Runbook, payer: Person, payee: Person
) -> None:
    transfer = await sent(payer, payee, AMOUNT, "completed")
    undo = "UPDATE transfers SET state = $2, completed_at = $3 WHERE id = $1"
    connection = await asyncpg.connect(stack.database_url)
    ended = await connection.fetchval("SELECT completed_at FROM transfers WHERE id = $1", transfer["id"])
    await connection.close()
    async with tampering(stack) as connection:
        await connection.execute(undo, transfer["id"], "debited", None)
    output = await verify(runbook, exits=1)
    async with tampering(stack) as connection:
        await connection.execute(undo, transfer["id"], "completed", ended)
    assert re.search(rf"^  legs_match_state: {transfer['id']} attempt 1: debited with legs", output, re.MULTILINE)
    assert re.search(r"^  in_transit: USD: clearing holds 0, debited transfers are worth 9900$", output, re.MULTILINE)
    assert "Clean: every invariant holds." in await verify(runbook, exits=0)


async def test_books_that_cannot_be_read_are_not_called_broken(runbook: Runbook) -> None:
    output = await verify(runbook, exits=2, REMIT_DATABASE_URL=f"postgresql://remit@127.0.0.1:{free_port()}/remit")
    assert "Broken" not in output
