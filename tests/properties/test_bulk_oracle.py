"""Many orders in one transaction end exactly as singles one at a time: two equal sets of accounts get the same ones."""

import json
import os
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from bulk_transfers.postgres import BulkTransfers
from customers.postgres import Customers
from database.connections import Database
from ledger.accounts import Freeze
from ledger.ids import AccountId, CustomerId, new_account_id
from ledger.limits.tier_limits import LimitTable
from ledger.postgres.book import Book
from ledger.refusals import FraudDeclined, LedgerConflict, Refusal
from ledger.transfers import Ending, Kind, Opened, ScreenedStep, Standing, State, Step, TransferOrder
from notifications.messages import ending_messages
from notifications.postgres import Notifications
from screening.postgres.rules_in_force import RulesInForce
from screening.postgres.verdicts import Verdicts
from screening.rule_sets import rule_set_of
from screening.rules import ScreeningAnswer
from screening.standard_rules import AmountThreshold, DrainedBalance, NewPayee, Velocity
from staff.postgres.reversal_record import record_reversal
from tests.account_status import set_freeze
from tests.orders import DOCUMENT, ENCRYPTION, FINGERPRINTS, deposited, order
from tests.properties.test_ledger_oracle import UNDECIDED

LIMITS = LimitTable(
    {"USD": {"1": {"one_transaction": 90, "daily_total": 400, "monthly_total": None, "highest_balance": 700}}}
)

# They need every kind of fact, and give every answer but a review.
_SENT = (Kind.TRANSFER,)
RULES = rule_set_of(
    [
        Velocity(within_seconds=3_600, count=9, kinds=_SENT, name="many"),
        Velocity(within_seconds=3_600, sum_major=30, kinds=_SENT, answer=ScreeningAnswer.DECLINE, name="much"),
        NewPayee(from_major=1, answer=ScreeningAnswer.DECLINE),
        DrainedBalance(from_major=1, within_seconds=3_600, percent=20, kinds=(Kind.TRANSFER,)),
        AmountThreshold(3, ScreeningAnswer.FLAG),
    ]
)

OWNERS = ("ann", "ben", "cat", "dan", "eve", "fay", "gus", "hal")

# What happens over and over, and what the books hold afterwards, without the times and by names.
_RESULTS = {
    "accounts": """
        SELECT id, status, balance_minor, version, held_minor, spent_on::text, spent_day_minor, spent_month_minor
        FROM accounts WHERE id = ANY ($1) ORDER BY array_position($1, id)
    """,
    "transfers": """
        SELECT id, owner_id, idempotency_key, kind, source_account_id, destination_account_id, amount_minor, currency,
            note, transaction_id, metadata::text, workflow_id, state, attempt, failure_code, failure_message,
            failure_side, completed_at IS NULL AS open, screened_by, request_id
        FROM transfers WHERE owner_id = ANY ($2) AND kind = 'transfer' ORDER BY created_at
    """,
    "keys": """
        SELECT k.owner_id, k.idempotency_key, k.transfer_id FROM keys k JOIN transfers t ON t.id = k.transfer_id
        WHERE k.owner_id = ANY ($2) AND t.kind = 'transfer' ORDER BY 2, array_position($2, k.owner_id)
    """,
    "entries": """
        SELECT account_id, version, transfer_id, attempt, leg, amount_minor, balance_before, balance_after
        FROM entries WHERE account_id = ANY ($1) AND version > 1 ORDER BY array_position($1, account_id), version
    """,
    "postings": """
        SELECT p.transfer_id, p.attempt, leg, debit_account_id, credit_account_id, p.amount_minor, p.currency
        FROM postings p JOIN transfers t ON t.id = p.transfer_id
        WHERE t.owner_id = ANY ($2) AND kind = 'transfer' ORDER BY t.created_at, leg DESC
    """,
    "events": """
        SELECT type, subject, partition_key, account_id, account_version, audience, data::text, e.request_id
        FROM outbox_events e JOIN transfers t ON t.id = e.subject
        WHERE t.owner_id = ANY ($2) AND t.kind = 'transfer' ORDER BY e.id
    """,
    "messages": """
        SELECT n.transfer_id, n.attempt, account_id, customer_id, occasion, body
        FROM notifications n JOIN transfers t ON t.id = n.transfer_id
        WHERE customer_id = ANY ($2) ORDER BY t.created_at, n.account_id = t.source_account_id
    """,
    "message events": """
        SELECT e.type, e.partition_key, e.account_id, e.account_version, e.audience, t.id AS transfer_id
        FROM outbox_events e JOIN transfers t ON t.id = e.data #>> '{notification,transfer_id}'
        WHERE audience && $2::text[] AND type = 'notification.added'
        ORDER BY t.created_at, e.account_id = t.source_account_id
    """,
    "verdicts": """
        SELECT v.transfer_id, v.attempt, answer, rule_set_id, findings::text, facts::text
        FROM verdicts v JOIN transfers t ON t.id = v.transfer_id WHERE t.owner_id = ANY ($2) ORDER BY t.created_at
    """,
    "flags": """
        SELECT c.account_id, c.closed_at, f.transfer_id, f.attempt, f.code, f.reason
        FROM cases c JOIN case_flags f ON f.case_id = c.id JOIN transfers t ON t.id = f.transfer_id
        WHERE t.owner_id = ANY ($2) ORDER BY t.created_at, f.code
    """,
    "trail": """
        SELECT r.kind, outcome, subject, actor_id, transfer_id, r.workflow_id, code, reason, before::text, after::text,
            r.request_id, address
        FROM audit_records r JOIN transfers t ON t.id = r.subject
        WHERE t.owner_id = ANY ($2) AND t.kind = 'transfer' ORDER BY r.id
    """,
}


@dataclass
class Side:
    """One of the two sets of accounts, and what its ids are called."""

    database: Database
    book: Book
    owners: dict[str, CustomerId] = field(default_factory=dict)
    accounts: dict[str, AccountId] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    @classmethod
    async def made(cls, database: Database, mark: str) -> "Side":
        side = cls(database, Book(database, FINGERPRINTS, record_reversal, limits=LIMITS))
        customers = Customers(database, encryption=ENCRYPTION)
        for name in OWNERS:
            document = UNDECIDED if name == "fay" else DOCUMENT
            currency = "JPY" if name == "gus" else "USD"
            customer, account = await customers.register(f"{name}.{mark}@example.com", "-", name, document, currency)
            side.owners[name], side.accounts[name] = customer.id, account.id
            await deposited(Book(database, FINGERPRINTS, record_reversal), customer.id, account.id, 600, currency)
            side.names |= {customer.id: f"cus_{name}", account.id: f"acc_{name}"}
        side.accounts["nobody"] = new_account_id()
        side.names[side.accounts["nobody"]] = "acc_nobody"
        async with database.connection() as connection:
            unlimited = [side.owners["ann"], side.owners["hal"]]
            await connection.execute("UPDATE accounts SET tier = 3 WHERE owner_id = ANY ($1)", unlimited)
        await set_freeze(database, side.accounts["cat"], Freeze.DEBITS)
        await set_freeze(database, side.accounts["dan"], Freeze.CREDITS)
        return side

    def orders(self, wishes: list[dict[str, Any]]) -> list[TransferOrder]:
        made = []
        for request in wishes:
            made.append(
                order(
                    self.owners[request["owner"]],
                    self.accounts[request["owner"]],
                    self.accounts[request["to"]],
                    request["amount"],
                    key=request["key"],
                    currency=request["currency"],
                    transaction_id=request["reference"],
                    note=request["note"],
                )
            )
            self.names[made[-1].transfer_id] = f"trf_{request['owner']}_{request['key']}"
        return made

    @property
    def rules(self) -> RulesInForce:
        return RulesInForce(self.database, RULES, is_fixed=True)

    async def one_at_a_time(self, orders: list[TransferOrder]) -> list[str]:
        return [await self._one(each) for each in orders]

    async def _one(self, wanted: TransferOrder) -> str:
        """As the workflow of a transfer runs alone: what can be foreseen fails before the debit."""
        try:
            opened = await self.book.open_transfer(wanted)
        except LedgerConflict as conflict:
            return type(conflict).__name__
        standing = opened.standing
        if standing.duplicate_of is not None or standing.state.is_final:
            return self._told(wanted, standing)
        standing = await self._moved(wanted, Step(wanted.transfer_id, 1), opened)
        await Notifications(self.database).write(Step(wanted.transfer_id, 1), ending_messages(wanted, standing))
        return self._told(wanted, standing)

    async def _moved(self, wanted: TransferOrder, step: Step, opened: Opened) -> Standing:
        if opened.objection is not None:
            return await self.book.end(Ending(step, opened.objection), State.FAILED)
        verdict = await Verdicts(self.database).give(wanted, await self.rules.now())
        if verdict.answer is ScreeningAnswer.DECLINE:
            return await self.book.end(Ending(step, FraudDeclined().failure), State.FAILED)
        try:
            await self.book.debit(ScreenedStep(wanted.transfer_id, 1, screened_by=verdict.rule_set))
        except Refusal as refusal:
            return await self.book.end(Ending(step, refusal.failure), State.FAILED)
        return await self.book.credit(step)

    async def in_chunks(self, orders: list[TransferOrder], sizes: list[int]) -> list[str]:
        bulk, told = BulkTransfers(FINGERPRINTS, self.rules, LIMITS), []
        for size in sizes:
            chunk, orders = orders[:size], orders[size:]
            async with self.database.transaction() as connection:
                outcomes = await bulk.post(connection, chunk)
            for each, outcome in zip(chunk, outcomes, strict=True):
                assert outcome.order is each
                name = type(outcome.conflict).__name__
                # A single says which transfer has the id; its API compares the two and refuses.
                told.append(self._told(each, outcome.standing) if outcome.standing else name)
        return told

    def _told(self, wanted: TransferOrder, standing: Standing) -> str:
        failure = f" {standing.failure.message}" if standing.failure else ""
        repeated = f" as {self.names[standing.duplicate_of]}" if standing.duplicate_of else ""
        return self._named(f"{wanted.idempotency_key}: {standing.state}{failure}{repeated}")

    def _named(self, text: str) -> str:
        for id_, name in self.names.items():
            text = text.replace(id_, name)
        return text

    async def results(self) -> dict[str, list[str]]:
        accounts, owners = [self.accounts[name] for name in OWNERS], list(self.owners.values())
        found = {}
        async with self.database.connection() as connection:
            for what, sql in _RESULTS.items():
                arguments = [each for mark, each in (("$1", accounts), ("$2", owners)) if mark in sql]
                rows = await connection.fetch(sql.replace("$2", "$1") if "$1" not in sql else sql, *arguments)
                found[what] = [self._named(json.dumps(dict(row))) for row in rows]
        return found


def wishes(chance: random.Random, count: int) -> list[dict[str, Any]]:
    """Orders of which about a third is refused: too little money, limits, freezes, unknown and foreign accounts."""
    made: list[dict[str, Any]] = []
    for number in range(count):
        if made and chance.random() < 0.04:
            made.append(dict(chance.choice(made)))
            continue
        owner = chance.choice(["ann"] * 4 + ["ben"] * 3 + list(OWNERS))
        made.append(
            {
                "owner": owner,
                "to": chance.choice(["hal"] * 4 + ["ann"] * 3 + ["nobody", *OWNERS]),
                "amount": chance.choice([1, 2, 5, 10, 30, 80, 100, 300]),
                "currency": "USD" if owner != "gus" or chance.random() < 0.5 else "JPY",
                "key": f"k-{number}" if chance.random() < 0.97 else f"k-{chance.randrange(number + 1)}",
                "reference": f"r-{chance.randrange(30)}" if chance.random() < 0.15 else None,
                "note": chance.choice([None, "Salary", "Miete für Mai"]),
            }
        )
    return made


def chunk_sizes(chance: random.Random, count: int) -> list[int]:
    sizes = []
    while count > 0:
        sizes.append(min(count, chance.choice([1, 2, 7, 40, 150])))
        count -= sizes[-1]
    return sizes


async def compare(database: Database, seed: int, count: int) -> None:
    chance = random.Random(seed)
    singles, bulk = await Side.made(database, f"singles{seed}"), await Side.made(database, f"bulk{seed}")
    wanted = wishes(chance, count)
    sizes = chunk_sizes(chance, count)
    one_by_one = await singles.one_at_a_time(singles.orders(wanted))
    at_once = await bulk.in_chunks(bulk.orders(wanted), sizes)
    for line, (due, told) in enumerate(zip(one_by_one, at_once, strict=True)):
        if told == "TransactionIdTaken":
            assert " as trf_" in due, (seed, line, due, told)
        else:
            assert told == due, (seed, line, wanted[line])
    due_rows, rows = await singles.results(), await bulk.results()
    for what, due_of in due_rows.items():
        assert rows[what] == due_of, (seed, what)
    assert sum(": completed" in told for told in at_once) > count / 4, "the story is about money that moves"
    assert sum(": failed" in told for told in at_once) > count / 10, "and about money that does not"


async def test_many_orders_in_one_transaction_end_exactly_as_singles_one_at_a_time(database: Database) -> None:
    await compare(database, seed=14, count=240)


@pytest.mark.long
@pytest.mark.timeout(3_600)
async def test_six_thousand_orders_end_exactly_as_singles_one_at_a_time(database: Database) -> None:
    seed = int(os.environ.get("SEED", random.randrange(1_000_000)))
    print(f"SEED={seed}")
    # Many stories: after some hundred orders, limits and screening refuse nearly all that follow.
    for story in range(20):
        await compare(database, seed + story, count=300)
