"""Identity documents in PostgreSQL. A number is encrypted here, and leaves this module only for the verifier."""

from typing import TYPE_CHECKING

from sqlalchemy import Column, ForeignKey, Index, Table, Text, bindparam, insert, select, text, update

from customers.documents.document import (
    DocumentFinding,
    IdentityDocument,
    NewDocument,
    NoSuchDocument,
    VerificationState,
    last_characters,
)
from database.encryption import Encryption
from database.metadata import CLOCK, METADATA, Timestamp, required
from database.rows import columns_for, dataclass_of
from database.statements import Row, execute, fetch, fetch_first, fetch_only, locked, one_of
from ledger.ids import CustomerId, DocumentId, new_document_id

if TYPE_CHECKING:
    from database.connections import Connection

identity_documents = Table(
    "identity_documents",
    METADATA,
    Column("id", Text, primary_key=True),
    required("customer_id", Text, ForeignKey("customers.id")),
    required("type", Text),
    Column("number_encrypted", Text),
    Column("number_plain", Text),  # of a document from before numbers were encrypted, until a worker has done so
    required("last_characters", Text),
    required("state", Text, server_default="pending"),
    Column("code", Text),
    required("submitted_at", Timestamp, server_default=text("clock_timestamp()")),
    Column("decided_at", Timestamp),
)
UNDECIDED = one_of(identity_documents.c.state, (state for state in VerificationState if not state.is_decided))
_IS_PLAIN = identity_documents.c.number_plain.is_not(None)
_NEWEST_FIRST = (identity_documents.c.submitted_at.desc(), identity_documents.c.id.desc())
Index("identity_documents_one_undecided", identity_documents.c.customer_id, unique=True, postgresql_where=UNDECIDED)
Index("identity_documents_by_customer", identity_documents.c.customer_id, *_NEWEST_FIRST)
Index(
    "identity_documents_plain", identity_documents.c.id, postgresql_where=identity_documents.c.number_plain.is_not(None)
)
Index("identity_documents_by_state", identity_documents.c.state, *_NEWEST_FIRST)

DOCUMENT = columns_for(IdentityDocument, identity_documents)

_THIS = identity_documents.c.id == bindparam("document_id")
_LOCK = locked(select(*DOCUMENT).where(_THIS))
_NEWEST = (
    select(*DOCUMENT)
    .where(identity_documents.c.customer_id == bindparam("customer_id"))
    .order_by(*_NEWEST_FIRST)
    .limit(1)
)
_NUMBER = select(identity_documents.c.number_encrypted, identity_documents.c.number_plain).where(_THIS)

# In the order of the primary key, so that a run goes on behind what it has seen.
_NUMBERS = (
    select(identity_documents.c.id, identity_documents.c.number_encrypted, identity_documents.c.number_plain)
    .where(identity_documents.c.id > bindparam("after"))
    .order_by(identity_documents.c.id)
    .limit(bindparam("limit"))
    .with_for_update(key_share=True)
)
_PLAIN_NUMBERS = _NUMBERS.where(_IS_PLAIN)


async def add_document(
    connection: "Connection", encryption: Encryption, customer_id: CustomerId, new: NewDocument
) -> IdentityDocument:
    """A row for the document, with its number encrypted. The customer's row tells the same state, see `verification`.

    The second undecided document of a customer is a `UniqueViolationError`.
    """
    document_id = new_document_id()
    row = insert(identity_documents).values(
        id=document_id,
        customer_id=customer_id,
        type=new.type,
        number_encrypted=encryption.encrypt(new.number, _context(document_id)),
        last_characters=last_characters(new.number),
        state=new.finding.state,
        code=new.finding.code,
        decided_at=CLOCK if new.finding.state.is_decided else None,
    )
    return document_of(await fetch_only(connection, row.returning(*DOCUMENT)))


async def lock_document(connection: "Connection", document_id: DocumentId) -> IdentityDocument:
    """The document under its lock. Raises `NoSuchDocument`."""
    row = await fetch_first(connection, _LOCK, document_id=document_id)
    if row is None:
        raise NoSuchDocument(document_id)
    return document_of(row)


async def newest_document(connection: "Connection", customer_id: CustomerId) -> IdentityDocument | None:
    """The document that the customer's state follows from; None: staff who never showed one."""
    row = await fetch_first(connection, _NEWEST, customer_id=customer_id)
    return document_of(row) if row else None


async def number_of(connection: "Connection", encryption: Encryption, document_id: DocumentId) -> str:
    """The number, for the verifier alone. Raises `EncryptionKeyMissing` and `NotDecryptable`."""
    return _decrypted(await fetch_only(connection, _NUMBER, document_id=document_id), encryption, document_id)


async def set_finding(connection: "Connection", document_id: DocumentId, finding: DocumentFinding) -> IdentityDocument:
    """What was found, under the document's lock."""
    changed = (
        update(identity_documents)
        .where(identity_documents.c.id == document_id)
        .values(state=finding.state, code=finding.code, decided_at=CLOCK if finding.state.is_decided else None)
    )
    return document_of(await fetch_only(connection, changed.returning(*DOCUMENT)))


async def encrypt_anew(
    connection: "Connection", encryption: Encryption, after: str, limit: int, *, plain_only: bool
) -> tuple[str | None, int]:
    """Encrypt so many numbers behind this id with the newest key, in one transaction, unless they are so already.

    `plain_only`: those that are not encrypted at all.

    Returns the last id that was looked at, None at the end, and how many numbers were written. Safe to repeat.
    """
    rows = await fetch(connection, _PLAIN_NUMBERS if plain_only else _NUMBERS, after=after, limit=limit)
    written = 0
    for row in rows:
        if row["number_encrypted"] is not None and encryption.is_current(row["number_encrypted"]):
            continue
        number = _decrypted(row, encryption, row["id"])
        changed = update(identity_documents).where(identity_documents.c.id == row["id"])
        encrypted = encryption.encrypt(number, _context(row["id"]))
        await execute(connection, changed.values(number_encrypted=encrypted, number_plain=None))
        written += 1
    return (rows[-1]["id"] if rows else None), written


def document_of(row: Row) -> IdentityDocument:
    """The document in a row of `DOCUMENT`."""
    return dataclass_of(IdentityDocument, row)


def _decrypted(row: Row, encryption: Encryption, document_id: DocumentId) -> str:
    encrypted: str | None = row["number_encrypted"]
    return str(row["number_plain"]) if encrypted is None else encryption.decrypt(encrypted, _context(document_id))


def _context(document_id: DocumentId) -> str:
    return f"identity_documents.number/{document_id}"
