"""Events: one for each change, in the transaction of the change, with nothing in them that only people may know."""

import json
from typing import Any

import asyncpg
import pytest

from customers.postgres import Customers
from database.connections import APPLICATION_ROLE, WORKER_ROLE, Database
from events.event import Event
from events.postgres.sequencer import number_all
from events.postgres.stream import EventStream
from ledger.postgres.book import Book
from ledger.refusals import InsufficientFunds, Refusal
from ledger.transfers import Ending, Failure, State, Step
from staff.postgres.reversal_record import record_reversal
from tests.connections import Connection
from tests.orders import FINGERPRINTS, completed, funded, holder, later_attempt, order, reversal, staff


async def events_of(database: Database, subject: str | None = None) -> list[Event]:
    assert await number_all(database)
    found = await EventStream(database).after(0, 1_000)
    return [event for event in found if subject in (None, event.subject)]


async def test_a_transfer_has_an_event_for_each_state_with_the_entry_of_each_posting(
    database: Database, customers: Customers, book: Book
) -> None:
    alice, bob = await funded(customers, book, 100), await holder(customers)
    wanted = order(alice.id, alice.account_id, bob.account_id, 30, note="for the rent")
    step = Step(wanted.transfer_id, 1)
    await book.open_transfer(wanted)
    await book.debit(step)
    await Book(database, FINGERPRINTS, record_reversal).credit(step)  # under the locks, without cached rows
    await book.credit(step)  # a repeat changes nothing
    opened, debited, paid = await events_of(database, wanted.transfer_id)
    assert [opened.type, debited.type, paid.type] == ["transfer.initiated", "transfer.debited", "transfer.completed"]
    assert (opened.account_id, opened.data["entry"], opened.partition_key) == (None, None, alice.account_id)
    assert opened.data["transfer"] == {
        "id": wanted.transfer_id,
        "kind": "transfer",
        "state": "initiated",
        "attempt": 1,
        "owner_id": alice.id,
        "source_account_id": alice.account_id,
        "destination_account_id": bob.account_id,
        "amount": 30,
        "currency": "USD",
        "transaction_id": None,
        "metadata": None,
        "reverses_transfer_id": None,
        "failure": None,
    }
    assert (debited.account_id, debited.account_version, debited.partition_key) == (
        alice.account_id,
        2,
        alice.account_id,
    )
    assert debited.data["entry"] == {
        "account_id": alice.account_id,
        "owner_id": alice.id,
        "leg": "debit",
        "amount": -30,
        "balance_before": 100,
        "balance_after": 70,
        "version": 2,
    }
    assert (paid.account_id, paid.account_version, paid.partition_key) == (bob.account_id, 1, bob.account_id)
    assert [each.audience for each in (opened, debited, paid)] == [(alice.id,), (alice.id,), (alice.id, bob.id)]


async def test_a_failed_transfer_and_its_next_attempt_have_events_for_their_owner(
    database: Database, customers: Customers, book: Book
) -> None:
    alice, bob = await funded(customers, book, 10), await holder(customers)
    wanted = order(alice.id, alice.account_id, bob.account_id, 30)
    await book.open_transfer(wanted)
    await book.end(
        Ending(Step(wanted.transfer_id, 1), Failure("insufficient_funds", "20 short", "source")), State.FAILED
    )
    await book.open_transfer(later_attempt(wanted, 2))
    _, failed, retried = await events_of(database, wanted.transfer_id)
    assert (failed.type, retried.type) == ("transfer.failed", "transfer.retried")
    assert failed.data["transfer"]["failure"] == {"code": "insufficient_funds", "message": "20 short", "side": "source"}
    assert (retried.data["transfer"]["attempt"], retried.data["transfer"]["failure"]) == (2, None)
    assert failed.audience == retried.audience == (alice.id,)


async def test_whoever_is_reversed_sees_it_once_their_money_has_moved(
    database: Database, customers: Customers, book: Book
) -> None:
    alice, bob, ada = await funded(customers, book, 100), await holder(customers), await staff(database)
    paid = await completed(book, order(alice.id, alice.account_id, bob.account_id, 30))
    back = await completed(book, reversal(paid, ada, 30, "sent twice"))
    seen = {event.type: set(event.audience) for event in await events_of(database, back.transfer_id)}
    assert seen == {
        "transfer.initiated": {ada},
        "transfer.debited": {ada, bob.id},
        "transfer.completed": {ada, bob.id, alice.id},
    }


async def test_a_step_that_is_rolled_back_leaves_no_event(database: Database, customers: Customers, book: Book) -> None:
    alice, bob = await funded(customers, book, 100), await holder(customers)
    wanted = order(alice.id, alice.account_id, bob.account_id, 300)
    await book.open_transfer(wanted)
    with pytest.raises(InsufficientFunds):
        await book.debit(Step(wanted.transfer_id, 1))

    async def judge(connection: object, _: object) -> Failure:
        raise Refusal

    with pytest.raises(Refusal):
        await book.fail(Step(wanted.transfer_id, 1), judge)
    assert [event.type for event in await events_of(database, wanted.transfer_id)] == ["transfer.initiated"]


async def test_an_account_and_its_owner_have_an_event_for_each_change_of_theirs(
    database: Database, customers: Customers, book: Book, owner: Connection
) -> None:
    alice = await funded(customers, book, 100)
    for change in ("status = 'frozen'", "frozen = 'debits'", "status = 'active', tier = 2", "name = 'x'", "tier = 2"):
        await owner.execute(f"UPDATE accounts SET {change} WHERE id = $1", alice.account_id)
    for change in ("verification = 'pending'", "verification = 'verified'", "role = 'operator'", "role = 'operator'"):
        await owner.execute(f"UPDATE customers SET {change} WHERE id = $1", alice.id)
    await owner.execute("INSERT INTO cases (id, account_id) VALUES ($1, $2)", "cas_" + "a" * 26, alice.account_id)
    found = await events_of(database)
    assert [(one.type, one.account_version) for one in found if one.subject == alice.account_id] == [
        ("account.created", 0),
        ("account.frozen", 1),
        ("account.frozen", 1),
        ("account.tier_changed", 1),
        ("account.unfrozen", 1),
        ("account.flagged", None),
    ]
    flagged = found[-1]
    assert (flagged.audience, flagged.account_id) == ((), alice.account_id), "for staff only"
    assert [one.type for one in found if one.subject == alice.id] == [
        "customer.created",
        "customer.verified",
        "customer.role_changed",
    ]
    assert [one.audience for one in found[:-1]] == [(alice.id,)] * (len(found) - 1)


async def test_a_dispute_has_events_for_both_parties_and_none_of_their_words(
    database: Database, customers: Customers, book: Book, owner: Connection
) -> None:
    alice, bob = await funded(customers, book, 100), await holder(customers)
    paid = await completed(book, order(alice.id, alice.account_id, bob.account_id, 30))
    dispute = "dsp_" + "a" * 26
    await owner.execute(
        "INSERT INTO disputes (id, transfer_id, payer_id, payee_id, reason, deadline) "
        "VALUES ($1, $2, $3, $4, 'never came', now() + interval '1 day')",
        *(dispute, paid.transfer_id, alice.id, bob.id),
    )
    await owner.execute(
        "INSERT INTO dispute_statements (dispute_id, author_id, text) VALUES ($1, $2, 'sent it')", dispute, bob.id
    )
    await owner.execute("UPDATE disputes SET state = 'expired', closed_at = now() WHERE id = $1", dispute)
    opened, stated, ended = await events_of(database, dispute)
    assert [opened.type, stated.type, ended.type] == ["dispute.opened", "dispute.stated", "dispute.ended"]
    assert {opened.audience, stated.audience, ended.audience} == {(alice.id, bob.id)}
    assert {opened.partition_key, stated.partition_key, ended.partition_key} == {alice.account_id}
    assert (stated.data["statement"], ended.data["dispute"]["state"]) == ({"author": "payee"}, "expired")
    assert "came" not in json.dumps(opened.data) + json.dumps(stated.data)


async def test_no_event_holds_a_name_an_address_a_note_or_a_document(
    database: Database, customers: Customers, book: Book, owner: Connection
) -> None:
    alice, bob = await funded(customers, book, 100), await holder(customers)
    await completed(book, order(alice.id, alice.account_id, bob.account_id, 30, note="for the rent"))
    await owner.execute("UPDATE accounts SET name = 'Holidays', tier = 2")
    await number_all(database)
    written = await owner.fetchval("SELECT string_agg(e::text, ' ') FROM outbox_events e")
    secrets: list[Any] = ["for the rent", "Holidays"]
    for row in await owner.fetch(
        "SELECT email, full_name, identity_document_end FROM customers WHERE email LIKE '%@%'"
    ):
        secrets += [value for value in row.values() if value]
    assert len(secrets) > 4
    assert [secret for secret in secrets if f'"{secret}"' in written.replace('""', '"')] == []


REFUSED_TO_THE_API = (
    "INSERT INTO outbox_events (type, subject, partition_key, audience, data) VALUES ('a', 'b', 'c', '{}', '{}')",
    "UPDATE outbox_events SET position = 7",
    "DELETE FROM outbox_events",
    "UPDATE event_head SET last = 7",
    "SELECT number_events(1)",
    "SELECT emit_event('delivery.dead', 'a', 'b', NULL, NULL, '{}', '{}')",
    "SELECT make_event_months(1)",
    "SELECT drop_event_month(90)",
)


async def test_the_api_can_neither_write_nor_number_events(
    database_url: str, customers: Customers, book: Book, database: Database
) -> None:
    await funded(customers, book, 100)
    async with Database(database_url, connections=1, role=APPLICATION_ROLE) as api:
        assert await EventStream(api).head() == 0
        for statement in REFUSED_TO_THE_API:
            async with api.connection() as connection:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement)


async def test_a_worker_numbers_by_the_function_alone_and_forges_no_event_of_the_books(
    customers: Customers, book: Book, database: Database, database_role: str
) -> None:
    assert database_role == WORKER_ROLE
    await funded(customers, book, 100)
    async with database.connection() as connection:
        for statement in REFUSED_TO_THE_API[:4]:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="by triggers only"):
            await connection.execute("SELECT emit_event('transfer.completed', 'trf_', 'acc_', 'acc_', 1, '{}', '{}')")
        event_id = await connection.fetchval(
            "SELECT emit_event('webhook_endpoint.failing', 'whe_a', 'cus_a', NULL, NULL, '{cus_a}', '{}')"
        )
    await number_all(database)
    emitted = await EventStream(database).find(event_id)
    assert emitted is not None
    assert (emitted.type, emitted.audience, emitted.data) == ("webhook_endpoint.failing", ("cus_a",), {})


async def test_not_even_the_owner_of_the_tables_changes_or_removes_an_event(
    database: Database, customers: Customers, book: Book, owner: Connection
) -> None:
    await funded(customers, book, 100)
    await number_all(database)
    for statement in (
        "UPDATE outbox_events SET position = position + 1",
        "UPDATE outbox_events SET position = NULL",
        "UPDATE outbox_events SET type = 'transfer.failed'",
        "DELETE FROM outbox_events",
        "TRUNCATE outbox_events",
        "UPDATE event_head SET last = 0",
        "DELETE FROM event_head",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await owner.execute(statement)
