"""How far an audit is, read while it runs."""

import asyncio

import pytest

from customers.postgres import Customers
from database.connections import Database
from ledger.postgres.audit import AuditProgress, audit, audit_progress
from ledger.postgres.book import Book
from ledger.postgres.proof import auditor
from tests.connections import Connection
from tests.orders import funded


async def test_every_process_reads_the_progress_of_an_audit_while_it_runs(
    database: Database, owner: Connection, customers: Customers, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        await funded(customers, book, 1_000)
    monkeypatch.setattr(auditor, "ACCOUNTS_AT_ONCE", 1)
    total = await owner.fetchval("SELECT count(*) FROM accounts")
    seen: list[AuditProgress | None] = [await audit_progress(database)]

    async def watch() -> None:
        while seen[-1] is None or seen[-1].accounts_done != total:
            seen.append(await audit_progress(database))

    async with owner.transaction():
        # After the accounts, the audit waits for this table.
        await owner.execute("LOCK TABLE disputes IN ACCESS EXCLUSIVE MODE")
        running = asyncio.create_task(audit(database))
        await asyncio.wait_for(watch(), 20)
    assert (await running).clean
    assert seen[0] is None
    assert seen[-1] == AuditProgress(total, total)
    counted = [each.accounts_done for each in seen if each and each.accounts_done is not None]
    assert counted == sorted(counted)
    assert await audit_progress(database) is None
