"""A statement as ISO 20022 camt.053.001.08 (Bank to Customer Statement), for accounting software.

Amounts are unsigned, beside an indicator of credit or debit. The balances are exactly two: OPBD and CLBD. An entry's
reference is its version, and the servicer's reference is the transfer's id: ids of postings are longer than the 35
characters that the standard allows.
"""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime

from lxml import etree

from ledger.ids import AccountId
from ledger.transfers import Leg
from statements.renderings.csv_file import utc_text
from statements.renderings.file_contents import FileContents, FileLine
from statements.renderings.statement_format import decimal, minor_in
from statements.statement import AccountStatement, StatementKey, StatementLine

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"

# Characters that a text of PostgreSQL may have, and XML may not.
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# What an element of the standard takes.
_MOST_NAME, _MOST_REMITTANCE, _MOST_REFERENCE, _MOST_ADDRESS_LINES, _MOST_ADDRESS = 140, 140, 500, 7, 70


class CamtStatement:
    """The rendering."""

    def __init__(self, statement: AccountStatement) -> None:
        self._statement = statement
        self._buffer = io.BytesIO()
        self._open = ExitStack()
        # It writes what is complete to the buffer, and keeps nothing.
        self._file = self._open.enter_context(etree.xmlfile(self._buffer, encoding="UTF-8", buffered=False))

    def begin(self) -> bytes:
        """The group's header, and all of the statement that comes before the entries."""
        of = self._statement
        self._file.write_declaration()
        # The others are in its namespace, as they are inside: each that named it again would say so in the file.
        self._open.enter_context(self._file.element(f"{{{NAMESPACE}}}Document", nsmap={None: NAMESPACE}))
        self._open.enter_context(self._file.element("BkToCstmrStmt"))
        id_, made_at = f"{of.account_number}-{of.number}", utc_text(of.made_at)
        self._file.write(_element("GrpHdr", ("MsgId", id_), ("CreDtTm", made_at)))
        self._open.enter_context(self._file.element("Stmt"))
        for element in (
            _element("Id", text=id_),
            _element("ElctrncSeqNb", text=str(of.number)),
            _element("CreDtTm", text=made_at),
            _element("FrToDt", ("FrDtTm", utc_text(of.begins_at)), ("ToDtTm", utc_text(of.ends_at))),
            self._account(),
            self._balance("OPBD", of.opening_minor, of.begins_at),
            self._balance("CLBD", of.closing_minor, of.ends_at),
            self._summary(),
        ):
            self._file.write(element)
        return self._written()

    def add(self, lines: Sequence[StatementLine]) -> bytes:
        """An `Ntry` for each."""
        for line in lines:
            self._file.write(self._entry(line))
        return self._written()

    def end(self) -> bytes:
        """What finds the statement in the books, and the ends of the elements."""
        of = self._statement
        additional = (
            f"Account {of.account_id}, statement {of.number}, versions {of.from_version} to {of.to_version}, "
            f"opening hash {of.opening_hash.hex()}, head hash {of.head_hash.hex()}"
        )
        self._file.write(_element("AddtlStmtInf", text=additional))
        self._open.close()
        return self._taken()

    def _account(self) -> etree._Element:
        of = self._statement
        account = _element("Acct")
        account.append(_account_id(of.account_number))
        account.append(_element("Ccy", text=of.currency))
        account.append(_element("Ownr", ("Nm", of.holder_name[:_MOST_NAME])))
        servicer = _element("FinInstnId", ("Nm", of.bank_name[:_MOST_NAME]))
        address = [line[:_MOST_ADDRESS] for line in of.bank_address.split("\n")[:_MOST_ADDRESS_LINES] if line]
        if address:
            servicer.append(_element("PstlAdr", *(("AdrLine", line) for line in address)))
        _add(_add(account, "Svcr"), servicer)
        return account

    def _balance(self, code: str, balance_minor: int, at: datetime) -> etree._Element:
        balance = _element("Bal")
        _add(_add(_add(balance, "Tp"), "CdOrPrtry"), "Cd", code)
        self._amount(balance, balance_minor)
        _add(_add(balance, "Dt"), "DtTm", utc_text(at))
        return balance

    def _summary(self) -> etree._Element:
        of = self._statement
        summary = _element("TxsSummry")
        summary.append(_element("TtlNtries", ("NbOfNtries", str(of.lines))))
        for name, many, sum_minor in (
            ("TtlCdtNtries", of.credits, of.credits_minor),
            ("TtlDbtNtries", of.debits, of.debits_minor),
        ):
            summary.append(_element(name, ("NbOfNtries", str(many)), ("Sum", decimal(sum_minor, of.currency))))
        return summary

    def _amount(self, parent: etree._Element, signed_minor: int) -> None:
        amount = _add(parent, "Amt", decimal(abs(signed_minor), self._statement.currency))
        amount.set("Ccy", self._statement.currency)
        _add(parent, "CdtDbtInd", "DBIT" if signed_minor < 0 else "CRDT")

    def _entry(self, line: StatementLine) -> etree._Element:
        entry = _element("Ntry", ("NtryRef", str(line.version)))
        self._amount(entry, line.amount_minor)
        if line.leg is Leg.REFUND:
            _add(entry, "RvslInd", "true")
        _add(_add(entry, "Sts"), "Cd", "BOOK")
        _add(_add(entry, "BookgDt"), "DtTm", utc_text(line.recorded_at))
        _add(entry, "AcctSvcrRef", line.transfer_id)
        _add(_add(_add(entry, "BkTxCd"), "Prtry"), "Cd", f"{line.kind}.{line.leg}")
        details = _add(_add(entry, "NtryDtls"), "TxDtls")
        _add(_add(details, "Refs"), "AcctSvcrRef", line.transfer_id)
        if line.counterparty is not None:
            other = _add(details, "RltdPties")
            account = _add(other, "CdtrAcct" if line.amount_minor < 0 or line.leg is Leg.REFUND else "DbtrAcct")
            account.append(_account_id(line.counterparty))
        if line.note is not None:
            remittance = _add(details, "RmtInf")
            for part in _parts(line.note, _MOST_REMITTANCE):
                _add(remittance, "Ustrd", part)
        if line.reference is not None:
            _add(details, "AddtlTxInf", line.reference[:_MOST_REFERENCE])
        return entry

    def _written(self) -> bytes:
        self._file.flush()
        return self._taken()

    def _taken(self) -> bytes:
        found = self._buffer.getvalue()
        self._buffer.seek(0)
        self._buffer.truncate()
        return found


def _element(name: str, *children: tuple[str, str], text: str | None = None) -> etree._Element:
    element = etree.Element(name)
    element.text = text and _NOT_IN_XML.sub("\ufffd", text)
    for child, content in children:
        _add(element, child, content)
    return element


def _add(parent: etree._Element, child: str | etree._Element, text: str | None = None) -> etree._Element:
    if not isinstance(child, str):
        parent.append(child)
        return child
    element = etree.SubElement(parent, child)
    element.text = text and _NOT_IN_XML.sub("\ufffd", text)
    return element


def _account_id(number: str) -> etree._Element:
    id_ = _element("Id")
    _add(_add(id_, "Othr"), "Id", number)
    return id_


def _parts(text: str, most: int) -> Iterator[str]:
    return (text[begin : begin + most] for begin in range(0, len(text), most))


_ADDITIONAL = re.compile(
    r"Account (?P<account>\w+), statement (?P<number>\d+), versions (?P<first>\d+) to (?P<last>\d+), "
    r"opening hash (?P<opening>[0-9a-f]{64}), head hash (?P<head>[0-9a-f]{64})"
)


def read_camt(file: bytes) -> FileContents:
    """What such a file says. Raises `SyntaxError`, `ValueError` or `TypeError` for any other."""
    # Nothing outside of the file is read, and no entity is put in.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    root = etree.fromstring(file, parser)
    names = {"c": NAMESPACE}
    statement = root.find("c:BkToCstmrStmt/c:Stmt", names)
    if statement is None:
        raise ValueError("it holds no statement")

    def text_of(element: etree._Element, path: str) -> str:
        found = element.findtext("/".join(f"c:{name}" for name in path.split("/")), namespaces=names)
        if found is None:
            raise ValueError(f"{path} is missing")
        return str(found)

    additional = _ADDITIONAL.fullmatch(text_of(statement, "AddtlStmtInf"))
    if additional is None:
        raise ValueError("AddtlStmtInf does not say which statement of Remit's it is")
    currency = text_of(statement, "Acct/Ccy")

    def amount(element: etree._Element) -> int:
        minor = minor_in(text_of(element, "Amt"), currency)
        return -minor if text_of(element, "CdtDbtInd") == "DBIT" else minor

    balances = {text_of(each, "Tp/CdOrPrtry/Cd"): amount(each) for each in statement.findall("c:Bal", names)}
    return FileContents(
        key=StatementKey(AccountId(additional["account"]), int(additional["number"])),
        currency=currency,
        from_version=int(additional["first"]),
        to_version=int(additional["last"]),
        opening_minor=balances["OPBD"],
        credits_minor=minor_in(text_of(statement, "TxsSummry/TtlCdtNtries/Sum"), currency),
        debits_minor=minor_in(text_of(statement, "TxsSummry/TtlDbtNtries/Sum"), currency),
        closing_minor=balances["CLBD"],
        opening_hash=additional["opening"],
        head_hash=additional["head"],
        lines=[
            FileLine(int(text_of(entry, "NtryRef")), text_of(entry, "AcctSvcrRef"), amount(entry))
            for entry in statement.findall("c:Ntry", names)
        ],
    )
