"""Statements that no database holds. Run as a script, it measures how a long one is rendered."""

import hashlib
import random
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ledger.account_numbers import AccountNumber
from ledger.chain import entry_hash, genesis_hash
from ledger.ids import AccountId, CustomerId, TransferId, posting_id
from ledger.transfers import Kind, Leg
from statements.renderings.formats import rendering_of
from statements.renderings.statement_format import StatementFormat
from statements.statement import AccountStatement, StatementLine

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


def drawn(amounts: Sequence[int], opening: int = 0, **changes: Any) -> tuple[AccountStatement, list[StatementLine]]:
    """A statement that no database holds, with an entry for each amount, and its lines."""
    account_id = AccountId("acc_" + "a" * 26)
    chance = random.Random(len(amounts))
    lines: list[StatementLine] = []
    balance, hash_ = opening, genesis_hash(account_id)
    at = BEGINNING + timedelta(hours=7)
    opening_hash = hash_
    for version, amount in enumerate(amounts, 1):
        digits = hashlib.sha256(str(version).encode()).hexdigest()[:26].translate(str.maketrans("0189", "wxyz"))
        transfer_id = TransferId(f"trf_{digits}")
        leg = Leg.DEBIT if amount < 0 else Leg.CREDIT
        posting = posting_id(transfer_id, 1, leg)
        at += timedelta(minutes=7)
        hash_ = entry_hash(hash_, account_id, version, posting, amount, balance, balance + amount, at)
        is_transfer = chance.random() < 0.7
        lines.append(
            StatementLine(
                version=version,
                transfer_id=transfer_id,
                attempt=1,
                leg=leg,
                amount_minor=amount,
                balance_before=balance,
                balance_after=balance + amount,
                recorded_at=at,
                hash=hash_,
                kind=Kind.TRANSFER if is_transfer else Kind.WITHDRAWAL if amount < 0 else Kind.DEPOSIT,
                counterparty=AccountNumber("RM04040404040404") if is_transfer else None,
                note=chance.choice(NOTES),
                reference=chance.choice((None, "bank-2026-11-0042")),
            )
        )
        balance += amount
    credits_, debits = [a for a in amounts if a > 0], [-a for a in amounts if a < 0]
    facts: dict[str, Any] = {
        "account_id": account_id,
        "number": 3,
        "owner_id": CustomerId("cus_" + "a" * 26),
        "account_number": AccountNumber("RM04040404040404"),
        "currency": "NGN",
        "holder_name": "Adaọ́bí Łukasiewicz",
        "bank_name": "Kobo Microfinance Bank",
        "bank_address": "12 Marina Road\nLagos",
        "time_zone": "Africa/Lagos",
        "begins_at": BEGINNING - timedelta(hours=1),
        "ends_at": BEGINNING + timedelta(days=30, hours=23),
        "month": None,
        "from_version": 1,
        "to_version": len(lines),
        "opening_minor": opening,
        "closing_minor": balance,
        "opening_hash": opening_hash,
        "head_hash": hash_,
        "made_at": BEGINNING + timedelta(days=31),
        "through_version": len(lines),
        "credits": len(credits_),
        "credits_minor": sum(credits_),
        "debits": len(debits),
        "debits_minor": sum(debits),
        "ready_at": BEGINNING + timedelta(days=31),
    }
    return AccountStatement(**(facts | changes)), lines


NOTES = (
    None,
    "Rent for October, flat 4B",
    '=HYPERLINK("http://evil.example")',
    "'quoted",
    'Ọjọ́ ìbí — ₦500, ₹20 & <tags>, "quotes", Łódź, Αθήνα, Москва',
    "A long note about fourteen hours of consulting at the agreed rate, with travel, which needs more than one line.",
    "\ufffe no character of XML",
)


def most_memory() -> int:
    """Of this process, in MB."""
    found = [line.split() for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(found[0][1]) // 1024


if __name__ == "__main__":
    statement, lines = drawn([250_000, -125_500, 99_900, -5] * 2_500)
    for format_ in map(StatementFormat, sys.argv[1:]):
        before, began = most_memory(), time.process_time()
        rendering = rendering_of(statement, format_)
        size = len(rendering.begin())
        for at in range(0, len(lines), 1_000):
            size += len(rendering.add(lines[at : at + 1_000]))
        size += len(rendering.end())
        print(format_, f"{time.process_time() - began:.2f}", most_memory(), most_memory() - before, size)
