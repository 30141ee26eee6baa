"""Onboarding in PostgreSQL: each step locks the customer's row, is safe to repeat, and commits whole.

A finding changes the document, the customer and their accounts together, so no account sends money for a customer who
is not verified. Every transaction here locks the customer, then the document, then accounts.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Interval, bindparam, func, select, update

from customers.customer import IdentityMissing
from customers.documents.document import (
    DocumentFinding,
    DocumentUndecided,
    IdentityDocument,
    NewDocument,
    NoSuchDocument,
    VerificationState,
    VerifiedAlready,
    check_undecided,
    last_characters,
)
from customers.documents.postgres import (
    DOCUMENT,
    add_document,
    document_of,
    encrypt_anew,
    identity_documents,
    lock_document,
    newest_document,
    number_of,
    set_finding,
)
from customers.documents.verifier import Inquiry
from customers.postgres import UNDECIDED, customers, welcome
from database.answers import Keep, keeps_nothing
from database.connections import Database
from database.encryption import Encryption
from database.paging import ALL_TIME, Page, Place, Span, fetch_page, newest_first
from database.statements import Row, execute, fetch, fetch_first, fetch_only, locked
from ledger.ids import CustomerId, DocumentId
from ledger.postgres.tables import accounts
from onboarding.progress import OnboardingProgress
from staff.permissions import Action, Actor, ConflictOfInterest, NoSuchCustomer, check_allowed
from staff.postgres.actions import record_action

if TYPE_CHECKING:
    from database.connections import Connection

# So many numbers are encrypted in one transaction.
BATCH = 500

_LOCK = locked(select(customers.c.id, customers.c.verification).where(customers.c.id == bindparam("customer_id")))
_OWNER = select(identity_documents.c.customer_id).where(identity_documents.c.id == bindparam("document_id"))
_DOCUMENT = select(*DOCUMENT).where(identity_documents.c.id == bindparam("document_id"))
_FULL_NAME = select(customers.c.full_name).where(customers.c.id == bindparam("customer_id"))

# A sample: after an outage they may be many, and each sweep takes another sample.
_UNDECIDED = (
    select(customers.c.id)
    .where(UNDECIDED, customers.c.created_at <= func.now() - bindparam("older_than", type_=Interval))
    .order_by(func.random())
    .limit(200)
)


class Onboarding:
    """All raise `Unavailable` where PostgreSQL gave no answer, and an `ActionRefused` where a rule forbids the step.

    A step that is refused changes nothing. `keep` keeps the answer in the transaction, for repeats under a key.
    """

    def __init__(self, database: Database, encryption: Encryption) -> None:
        self._database = database
        self._encryption = encryption

    def blinded(self, number: str) -> str:
        """What stands for a number where repeats are recognised: nobody finds the number from it without the key."""
        return self._encryption.blinded(number)

    async def send_document(
        self, customer_id: CustomerId, new: NewDocument, keep: Keep[IdentityDocument] = keeps_nothing
    ) -> IdentityDocument:
        """Another document of a customer whose last one was rejected. What is known of it at once holds at once.

        Raises `VerifiedAlready`, `DocumentUndecided`, and `IdentityMissing` for staff who never showed one.
        """
        async with self._database.transaction() as connection:
            customer = await _lock(connection, customer_id)
            if customer["verification"] is None:
                raise IdentityMissing(customer_id)
            if customer["verification"] == VerificationState.VERIFIED:
                raise VerifiedAlready(customer_id)
            last = await newest_document(connection, customer_id)
            if last is not None and not last.state.is_decided:
                raise DocumentUndecided(last.id)
            document = await add_document(connection, self._encryption, customer_id, new)
            shown = {"identity_document_type": new.type, "identity_document_end": last_characters(new.number)}
            await _apply(connection, customer_id, new.finding, shown)
            await keep(connection, document)
        return document

    async def progress(self, customer_id: CustomerId) -> OnboardingProgress:
        """What the rows say now. Raises `NoSuchCustomer`, also for staff who never showed a document."""
        async with self._database.transaction() as connection:
            return await _progress(connection, customer_id)

    async def progress_of(self, document_id: DocumentId) -> OnboardingProgress:
        """The same for the customer of a document. Raises `NoSuchDocument`."""
        async with self._database.transaction() as connection:
            row = await fetch_first(connection, _OWNER, document_id=document_id)
            if row is None:
                raise NoSuchDocument(document_id)
            return await _progress(connection, row["customer_id"])

    async def inquiry(self, document_id: DocumentId) -> Inquiry | None:
        """What to ask a verifier; None: the document waits for no verifier any more.

        Raises `EncryptionKeyMissing` where this process lacks the key of its number.
        """
        async with self._database.transaction() as connection:
            row = await fetch_first(connection, _DOCUMENT, document_id=document_id)
            if row is None:
                raise NoSuchDocument(document_id)
            document = document_of(row)
            if document.state is not VerificationState.PENDING:
                return None
            name = (await fetch_only(connection, _FULL_NAME, customer_id=document.customer_id))["full_name"]
            number = await number_of(connection, self._encryption, document_id)
        return Inquiry(document_id, document.customer_id, document.type, number, name)

    async def record(self, document_id: DocumentId, finding: DocumentFinding) -> OnboardingProgress:
        """What a verifier found. It counts while the document is pending: what was found first stays."""
        async with self._database.transaction() as connection:
            document = await _locked(connection, document_id)
            if document.state is VerificationState.PENDING and finding.state is not VerificationState.PENDING:
                await set_finding(connection, document_id, finding)
                await _apply(connection, document.customer_id, finding)
            return await _progress(connection, document.customer_id)

    async def decide(
        self,
        actor: Actor,
        document_id: DocumentId,
        finding: DocumentFinding,
        reason: str,
        keep: Keep[IdentityDocument] = keeps_nothing,
    ) -> IdentityDocument:
        """What somebody of the staff decided about an undecided document, together with its record.

        The first decision is final, and a repeat of it is answered the same. Raises `DocumentDecided` for another one,
        and `ConflictOfInterest` for a document of one's own.
        """
        check_allowed(actor, Action.DECIDE_DOCUMENT)
        async with self._database.transaction() as connection:
            before = await _locked(connection, document_id)
            if before.customer_id == actor.id:
                raise ConflictOfInterest(Action.DECIDE_DOCUMENT)
            document = before
            if check_undecided(before, finding):
                document = await set_finding(connection, document_id, finding)
                await _apply(connection, before.customer_id, finding)
                after = {"state": document.state, "code": document.code}
                await record_action(
                    connection, actor, Action.DECIDE_DOCUMENT, document_id, reason, {"state": before.state}, after
                )
            await keep(connection, document)
        return document

    async def undecided(self, older_than_seconds: int) -> list[CustomerId]:
        """Customers who registered before that and whose document is not decided; a sample where they are many."""
        async with self._database.connection() as connection:
            rows = await fetch(connection, _UNDECIDED, older_than=timedelta(seconds=older_than_seconds))
        return [CustomerId(row["id"]) for row in rows]

    async def documents(
        self,
        limit: int,
        *,
        customer_id: CustomerId | None = None,
        state: VerificationState | None = None,
        before: Place | None = None,
        within: Span = ALL_TIME,
    ) -> Page[IdentityDocument]:
        """The documents of a customer, or of everybody, newest first."""
        columns = identity_documents.c
        listed = select(*DOCUMENT)
        wanted = newest_first(listed, columns.submitted_at, columns.id, behind=before is not None, within=within)
        if customer_id is not None:
            wanted = wanted.where(columns.customer_id == customer_id)
        if state is not None:
            wanted = wanted.where(columns.state == state)
        async with self._database.connection() as connection:
            return await fetch_page(connection, wanted, limit, document_of, before)

    async def encrypt_anew(self, *, plain_only: bool = False) -> int:
        """Encrypt every number with the newest key. Returns how many were not. Safe to repeat, and at any time.

        `plain_only`: those of before, which are not encrypted at all. Raises `EncryptionKeyMissing`, `NotDecryptable`.
        """
        written, after = 0, ""
        while True:
            async with self._database.transaction() as connection:
                last, more = await encrypt_anew(connection, self._encryption, after, BATCH, plain_only=plain_only)
            written += more
            if last is None:
                return written
            after = last


async def _lock(connection: "Connection", customer_id: CustomerId) -> Row:
    row = await fetch_first(connection, _LOCK, customer_id=customer_id)
    if row is None:
        raise NoSuchCustomer(customer_id)
    return row


async def _locked(connection: "Connection", document_id: DocumentId) -> IdentityDocument:
    """The document under its lock, and its customer's row under its own: that one first, as everywhere."""
    row = await fetch_first(connection, _OWNER, document_id=document_id)
    if row is None:
        raise NoSuchDocument(document_id)
    await _lock(connection, row["customer_id"])
    return await lock_document(connection, document_id)


async def _apply(
    connection: "Connection", customer_id: CustomerId, finding: DocumentFinding, shown: Mapping[str, str] | None = None
) -> None:
    """What the finding about the newest document makes of its customer and, in a later statement, of their accounts.

    A customer who is verified is welcomed. An account that is opened at the same time waits for the customer's row,
    or was committed before this statement.
    """
    changed = update(customers).where(customers.c.id == customer_id)
    await execute(connection, changed.values(verification=finding.state, rejection_code=finding.code, **(shown or {})))
    if finding.state is VerificationState.VERIFIED:
        opened = update(accounts).where(accounts.c.owner_id == customer_id, accounts.c.owner_verified.is_(False))
        await execute(connection, opened.values(owner_verified=True))
        await welcome(connection, customer_id)


async def _progress(connection: "Connection", customer_id: CustomerId) -> OnboardingProgress:
    document = await newest_document(connection, customer_id)
    if document is None:
        raise NoSuchCustomer(customer_id)
    return OnboardingProgress(customer_id, document.id, document.state)
