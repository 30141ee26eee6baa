"""A statement as JSON, in the words of the API: amounts in the currency's minor unit, entries in their order.

It proves itself: from `opening_hash` on, each entry's hash follows from the one before it, up to `head_hash`.
"""

import json
from collections.abc import Sequence

from ledger.ids import AccountId
from statements.renderings.csv_file import utc_text
from statements.renderings.file_contents import FileContents, FileLine
from statements.statement import AccountStatement, StatementKey, StatementLine


class JsonStatement:
    """The rendering: an object whose last member is the list of entries, one a line."""

    def __init__(self, statement: AccountStatement) -> None:
        self._statement = statement
        self._has_lines = False

    def begin(self) -> bytes:
        """All but the entries."""
        of = self._statement
        header = {
            "account_id": of.account_id,
            "number": of.number,
            "account_number": of.account_number,
            "currency": of.currency,
            "holder": of.holder_name,
            "bank": {"name": of.bank_name, "address": of.bank_address.split("\n") if of.bank_address else []},
            "time_zone": of.time_zone,
            "begins_at": utc_text(of.begins_at),
            "ends_at": utc_text(of.ends_at),
            "month": f"{of.month:%Y-%m}" if of.month else None,
            "made_at": utc_text(of.made_at),
            "from_version": of.from_version,
            "to_version": of.to_version,
            "opening": of.opening_minor,
            "credits": of.credits_minor,
            "credit_count": of.credits,
            "debits": of.debits_minor,
            "debit_count": of.debits,
            "closing": of.closing_minor,
            "opening_hash": of.opening_hash.hex(),
            "head_hash": of.head_hash.hex(),
        }
        return b'{"statement":' + _json(header) + b',"entries":['

    def add(self, lines: Sequence[StatementLine]) -> bytes:
        """The next entries."""
        parts = []
        for line in lines:
            parts.append(b",\n" if self._has_lines else b"\n")
            self._has_lines = True
            parts.append(
                _json(
                    {
                        "version": line.version,
                        "recorded_at": utc_text(line.recorded_at),
                        "transfer_id": line.transfer_id,
                        "attempt": line.attempt,
                        "leg": line.leg,
                        "posting_id": line.posting_id,
                        "kind": line.kind,
                        "counterparty": line.counterparty,
                        "reference": line.reference,
                        "note": line.note,
                        "amount": line.amount_minor,
                        "balance_before": line.balance_before,
                        "balance_after": line.balance_after,
                        "hash": line.hash.hex(),
                    }
                )
            )
        return b"".join(parts)

    def end(self) -> bytes:
        """The ends of the list and of the object."""
        return b"\n]}\n"


def _json(header: dict[str, object]) -> bytes:
    return json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()


def read_json(file: bytes) -> FileContents:
    """What such a file says. Raises `ValueError`, `KeyError` or `TypeError` for any other."""
    read = json.loads(file)
    header = read["statement"]
    return FileContents(
        key=StatementKey(AccountId(header["account_id"]), int(header["number"])),
        currency=header["currency"],
        from_version=header["from_version"],
        to_version=header["to_version"],
        opening_minor=header["opening"],
        credits_minor=header["credits"],
        debits_minor=header["debits"],
        closing_minor=header["closing"],
        opening_hash=header["opening_hash"],
        head_hash=header["head_hash"],
        lines=[FileLine(entry["version"], entry["transfer_id"], entry["amount"]) for entry in read["entries"]],
    )
