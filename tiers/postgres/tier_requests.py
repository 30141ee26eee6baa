"""Requests for a higher tier in PostgreSQL: each row, who decided what, and the account's tier, which an approval sets.

A request's row is locked before its account. A document's number is encrypted here, and nobody is shown it.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import asyncpg
from sqlalchemy import (
    BigInteger,
    Interval,
    bindparam,
    extract,
    func,
    insert,
    select,
    update,
)

from customers.documents.document import REJECTIONS, DocumentFinding, VerificationState
from customers.documents.verifier import Inquiry
from customers.postgres import customers
from database.answers import Keep, keeps_nothing
from database.connections import Database
from database.encryption import Encryption, encrypt_anew
from database.metadata import CLOCK, Timestamp
from database.paging import ALL_TIME, Page, Place, Span, fetch_page, newest_first
from database.rows import columns_for, dataclass_of
from database.statements import Row, execute, fetch, fetch_first, fetch_only, fetch_value, locked
from ledger.accounts import Account
from ledger.ids import AccountId, CustomerId, DocumentId, TierRequestId, new_tier_request_id
from ledger.postgres.account_queue import AccountQueues
from ledger.postgres.locks import lock_account_for_staff
from ledger.postgres.rows import ACCOUNT, account_of
from ledger.postgres.tables import accounts
from notifications.messages import tier_message
from notifications.postgres import write_notification
from staff.account_actions import NoSuchAccount
from staff.permissions import Action, Actor, check_allowed
from staff.postgres.actions import record_action
from staff.postgres.people import find_too_young, staff_named
from tiers.postgres.tables import IS_OPEN, tier_request_decisions, tier_requests
from tiers.tier_request import (
    NoSuchTierRequest,
    TierDecision,
    TierProgress,
    TierRequest,
    TierRequestOpen,
    TierRequestState,
    TierRuling,
    TierTerms,
    check_may_request,
    is_repeat,
    state_after,
)

if TYPE_CHECKING:
    from database.connections import Connection

EXPIRED = "Nobody decided in time."
VERIFIED_DOCUMENT = "The document was verified."

# As many characters of a number as are shown, and never more than a third of it.
MOST_SHOWN = 4

_REQUEST = columns_for(TierRequest, tier_requests)
_FIND = select(*_REQUEST).where(tier_requests.c.id == bindparam("request_id"))
_LOCK = locked(_FIND)
_ASKED = (
    select(*_REQUEST, tier_requests.c.number_encrypted, customers.c.full_name)
    .join(customers, customers.c.id == tier_requests.c.customer_id)
    .where(tier_requests.c.id == bindparam("request_id"))
)
_DECISIONS = (
    select(*columns_for(TierDecision, tier_request_decisions))
    .where(tier_request_decisions.c.request_id == bindparam("request_id"))
    .order_by(tier_request_decisions.c.decided_at, tier_request_decisions.c.decider)
)
_OWN_ACCOUNT = select(*ACCOUNT).where(
    accounts.c.id == bindparam("account_id"), accounts.c.owner_id == bindparam("owner_id")
)
_SECONDS_LEFT = select(
    func.greatest(0, extract("epoch", bindparam("deadline", type_=Timestamp) - CLOCK)).cast(BigInteger)
)

# A sample: after an outage they may be many, and each sweep takes another sample.
_OPEN_SINCE = (
    select(tier_requests.c.id)
    .where(IS_OPEN, tier_requests.c.created_at <= CLOCK - bindparam("older_than", type_=Interval))
    .order_by(func.random())
    .limit(200)
)


class TierRequests:
    """All raise `Unavailable` where PostgreSQL gave no answer, and an `ActionRefused` where a rule forbids the step.

    A step that is refused changes nothing. `keep` keeps the answer in the transaction, for repeats under a key.
    """

    def __init__(
        self,
        database: Database,
        encryption: Encryption,
        terms: TierTerms,
        four_eyes_after: timedelta,
        queues: AccountQueues | None = None,
    ) -> None:
        """`four_eyes_after`: where two must approve, somebody whose role is younger does not count.

        `queues` are those of all in this process that lock accounts.
        """
        self._database = database
        self._encryption = encryption
        self._terms = terms
        self._four_eyes_after = four_eyes_after
        self._queues = queues or AccountQueues()

    async def open(
        self,
        customer_id: CustomerId,
        account_id: AccountId,
        tier: int,
        document_type: str,
        number: str,
        keep: Keep[TierRequest] = keeps_nothing,
    ) -> TierRequest | None:
        """Ask for a higher tier of one's own account; None: the account is not theirs.

        Raises `TierNotHigher`, and `TierRequestOpen` for a second request at the same time.
        """
        request_id = new_tier_request_id()
        new = insert(tier_requests).values(
            id=request_id,
            account_id=account_id,
            customer_id=customer_id,
            tier=tier,
            document_type=document_type,
            number_encrypted=self._encryption.encrypt(number, _context(request_id)),
            last_characters=number[len(number) - min(MOST_SHOWN, len(number) // 3) :],
            approvals=self._terms.approvals(tier),
            deadline=CLOCK + timedelta(seconds=self._terms.deadline_seconds),
        )
        async with self._database.transaction() as connection:
            row = await fetch_first(connection, _OWN_ACCOUNT, account_id=account_id, owner_id=customer_id)
            if row is None:
                return None
            check_may_request(account_of(row), tier)
            try:
                request = _request_of(await fetch_only(connection, new.returning(*_REQUEST)))
            except asyncpg.UniqueViolationError as error:
                raise TierRequestOpen(account_id) from error
            await keep(connection, request)
        return request

    async def find(self, request_id: TierRequestId) -> tuple[TierRequest, list[TierDecision]]:
        """A request and the decisions about it, oldest first. Raises `NoSuchTierRequest`."""
        async with self._database.connection() as connection:
            row = await fetch_first(connection, _FIND, request_id=request_id)
            if row is None:
                raise NoSuchTierRequest(request_id)
            return _request_of(row), await _decisions(connection, request_id)

    async def all_of(
        self,
        limit: int,
        *,
        account_id: AccountId | None = None,
        state: TierRequestState | None = None,
        before: Place | None = None,
        within: Span = ALL_TIME,
    ) -> Page[TierRequest]:
        """The requests for an account, or for all, newest first."""
        columns = tier_requests.c
        listed = select(*_REQUEST)
        wanted = newest_first(listed, columns.created_at, columns.id, behind=before is not None, within=within)
        if account_id is not None:
            wanted = wanted.where(columns.account_id == account_id)
        if state is not None:
            wanted = wanted.where(columns.state == state)
        async with self._database.connection() as connection:
            return await fetch_page(connection, wanted, limit, _request_of, before)

    async def decide(
        self, request_id: TierRequestId, decision: TierDecision, keep: Keep[TierRequest] = keeps_nothing
    ) -> TierRequest:
        """Record a decision of staff with its action, and if it suffices, close the request and raise the tier.

        All in one transaction, under the locks of the request and of its account. The same decision again changes
        nothing. Raises `NoSuchTierRequest`, `ConflictOfInterest`, `TierRequestClosed` and `RoleTooYoung`.
        """
        request, _ = await self.find(request_id)
        async with (
            self._queues.turn(request.account_id, for_staff=True),
            self._database.transaction() as connection,
        ):
            actor = await staff_named(connection, decision.decider)
            check_allowed(actor, Action.DECIDE_TIER_REQUEST)
            request = await _lock(connection, request_id)
            earlier = await _decisions(connection, request_id)
            too_young = await find_too_young(connection, actor.id, self._four_eyes_after)
            if not is_repeat(request, earlier, decision, too_young):
                request = await _decided(connection, actor, request, [*earlier, decision])
            await keep(connection, request)
        return request

    async def progress(self, request_id: TierRequestId) -> TierProgress:
        """What a request's workflow goes by. Raises `NoSuchTierRequest`."""
        async with self._database.connection() as connection:
            row = await fetch_first(connection, _FIND, request_id=request_id)
            if row is None:
                raise NoSuchTierRequest(request_id)
            return await _progress(connection, _request_of(row))

    async def inquiry(self, request_id: TierRequestId) -> Inquiry | None:
        """What to ask a verifier about the document; None: the request is closed, and needs no answer.

        Raises `NoSuchTierRequest`, and `EncryptionKeyMissing` where this process lacks the key of the number.
        """
        async with self._database.connection() as connection:
            row = await fetch_first(connection, _ASKED, request_id=request_id)
        if row is None:
            raise NoSuchTierRequest(request_id)
        request = _request_of(row)
        if not request.is_open:
            return None
        number = self._encryption.decrypt(row["number_encrypted"], _context(request_id))
        # The id of the request is the provider's idempotency key, as that of a document is.
        asked = DocumentId(request_id)
        return Inquiry(asked, request.customer_id, request.document_type, number, row["full_name"])

    async def record(self, request_id: TierRequestId, finding: DocumentFinding) -> TierProgress:
        """What a verifier found. It decides an open request, unless a person has to, or two people have to.

        What was decided first stays.
        """
        request, _ = await self.find(request_id)
        async with (
            self._queues.turn(request.account_id, for_staff=True),
            self._database.transaction() as connection,
        ):
            request = await _lock(connection, request_id)
            if request.is_open and finding.code is not None:
                request = await _close(connection, request, TierRequestState.REJECTED, REJECTIONS[finding.code])
            elif request.is_open and finding.state is VerificationState.VERIFIED and request.approvals == 1:
                account = await lock_account_for_staff(connection, request.account_id)
                assert account is not None, "the request refers to it"
                await _raise_tier(connection, account, request)
                request = await _close(connection, request, TierRequestState.APPROVED, VERIFIED_DOCUMENT)
            return await _progress(connection, request)

    async def expire(self, request_id: TierRequestId) -> TierProgress:
        """Close an open request that nobody decided. One that was decided meanwhile does not change."""
        async with self._database.transaction() as connection:
            request = await _lock(connection, request_id)
            if request.is_open:
                request = await _close(connection, request, TierRequestState.EXPIRED, EXPIRED)
            return await _progress(connection, request)

    async def open_since(self, older_than_seconds: int) -> list[TierRequestId]:
        """A sample of the requests that have been open for so long."""
        async with self._database.connection() as connection:
            rows = await fetch(connection, _OPEN_SINCE, older_than=timedelta(seconds=older_than_seconds))
        return [row["id"] for row in rows]


async def _decided(
    connection: "Connection", actor: Actor, request: TierRequest, decisions: Sequence[TierDecision]
) -> TierRequest:
    """Write the newest of the decisions, and what all of them amount to."""
    newest, state = decisions[-1], state_after(request, decisions)
    account = await lock_account_for_staff(connection, request.account_id)
    if account is None:
        raise NoSuchAccount(request.account_id)
    # Staff may have raised it further meanwhile: an approval lowers nothing.
    tier = max(account.tier, request.tier) if state is TierRequestState.APPROVED else account.tier
    before = {"state": request.state, "tier": account.tier}
    after = {"state": state, "tier": tier}
    asked = {"ruling": newest.ruling, "tier": request.tier, "account_id": request.account_id}
    action_id = await record_action(
        connection, actor, Action.DECIDE_TIER_REQUEST, request.id, newest.reason, before, after, asked
    )
    made = insert(tier_request_decisions).values(
        request_id=request.id, decider=actor.id, ruling=newest.ruling, reason=newest.reason, action_id=action_id
    )
    await execute(connection, made)
    if state is TierRequestState.APPROVED:
        await _raise_tier(connection, account, request)
    return request if state is TierRequestState.OPEN else await _close(connection, request, state, newest.reason)


async def _raise_tier(connection: "Connection", account: Account, request: TierRequest) -> None:
    """An approval lowers nothing. Its owner is told."""
    if request.tier <= account.tier:
        return
    await execute(connection, update(accounts).where(accounts.c.id == account.id).values(tier=request.tier))
    raised = replace(account, tier=request.tier)
    occasion = f"{request.id}/tier_raised"
    await write_notification(connection, account.owner_id, occasion, tier_message(raised), account.id)


async def _close(connection: "Connection", request: TierRequest, state: TierRequestState, reason: str) -> TierRequest:
    changed = update(tier_requests).where(tier_requests.c.id == request.id)
    changed = changed.values(state=state, closed_at=CLOCK, closed_reason=reason)
    return _request_of(await fetch_only(connection, changed.returning(*_REQUEST)))


async def _lock(connection: "Connection", request_id: TierRequestId) -> TierRequest:
    row = await fetch_first(connection, _LOCK, request_id=request_id)
    if row is None:
        raise NoSuchTierRequest(request_id)
    return _request_of(row)


async def _decisions(connection: "Connection", request_id: TierRequestId) -> list[TierDecision]:
    return [dataclass_of(TierDecision, row) for row in await fetch(connection, _DECISIONS, request_id=request_id)]


async def _progress(connection: "Connection", request: TierRequest) -> TierProgress:
    approved = [each for each in await _decisions(connection, request.id) if each.ruling is TierRuling.APPROVE]
    return TierProgress(
        request.state,
        request.account_id,
        request.tier,
        seconds_left=await fetch_value(connection, _SECONDS_LEFT, deadline=request.deadline),
        approvals_missing=max(0, request.approvals - len(approved)),
    )


async def encrypt_numbers_anew(database: Database, encryption: Encryption) -> int:
    """Encrypt every number with the newest key, those of closed requests, too. Returns how many were not."""
    return await encrypt_anew(database, encryption, tier_requests, "number_encrypted", _context)


def _context(request_id: str) -> str:
    """What the encrypted number of this request is bound to."""
    return f"tier_requests.number/{request_id}"


def _request_of(row: Row) -> TierRequest:
    return dataclass_of(TierRequest, row)
