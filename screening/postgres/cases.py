"""Cases for staff: the list, one with its flags, and closing it, which commits together with its record."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, exists, select, update

from database.answers import Keep, keeps_nothing
from database.connections import Database
from database.metadata import CLOCK
from database.paging import ALL_TIME, Page, Place, Span, fetch_page, newest_first
from database.rows import columns_for, dataclass_of
from database.statements import Row, fetch, fetch_first, fetch_only
from ledger.ids import AccountId, CaseId, CustomerId
from ledger.postgres.tables import accounts
from screening.cases import CaseClosed, CaseFile, CaseFlag, CaseState, NoSuchCase, ScreeningCase
from screening.postgres.tables import IS_OPEN, case_flags, cases, verdicts
from staff.permissions import Action, Actor, check_allowed
from staff.postgres.actions import record_action

if TYPE_CHECKING:
    from database.connections import Connection


@dataclass(frozen=True, slots=True)
class CaseSearch:
    """Which cases a list holds; `before` is the place of the last one of the page before."""

    state: CaseState | None = None
    account_id: AccountId | None = None
    before: Place | None = None
    within: Span = ALL_TIME


# Nobody sees a case about an account of their own.
_IS_READERS_OWN = exists().where(accounts.c.id == cases.c.account_id, accounts.c.owner_id == bindparam("reader_id"))

_SELECT = select(*columns_for(ScreeningCase, cases))
_SHOWN = _SELECT.where(~_IS_READERS_OWN)
_FIND = _SHOWN.where(cases.c.id == bindparam("case_id"))

# Stronger than elsewhere: who flags the account holds a share lock on its case, and comes first or opens another one.
_LOCK = _FIND.with_for_update(of=cases)

_VERDICT = (verdicts.c.answer, verdicts.c.rule_set_id, verdicts.c.facts)
_FLAGS = (
    select(*(case_flags.c[name] for name in ("transfer_id", "attempt", "code", "reason", "flagged_at")), *_VERDICT)
    .join(verdicts)
    .where(case_flags.c.case_id == bindparam("case_id"))
    .order_by(case_flags.c.flagged_at, case_flags.c.transfer_id, case_flags.c.code)
    .limit(1_000)
)

_OPEN_CASE = select(cases.c.id).where(cases.c.account_id == bindparam("account_id"), IS_OPEN)


class Cases:
    """All raise `Unavailable` where PostgreSQL gave no answer: in doubt, repeat the call."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_all(self, reader_id: CustomerId, wanted: CaseSearch, limit: int) -> Page[ScreeningCase]:
        """Cases, newest first."""
        statement = newest_first(
            _SHOWN, cases.c.opened_at, cases.c.id, behind=wanted.before is not None, within=wanted.within
        )
        if wanted.state is CaseState.OPEN:
            statement = statement.where(IS_OPEN)
        elif wanted.state is CaseState.CLOSED:
            statement = statement.where(~IS_OPEN)
        if wanted.account_id is not None:
            statement = statement.where(cases.c.account_id == bindparam("account_id"))
        values = {"account_id": wanted.account_id} if wanted.account_id is not None else {}
        async with self._database.connection() as connection:
            return await fetch_page(
                connection, statement, limit, _case_of, wanted.before, reader_id=reader_id, **values
            )

    async def find(self, reader_id: CustomerId, case_id: CaseId) -> CaseFile:
        """One case with its first 1,000 flags. Refuses with `NoSuchCase`."""
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            row = await fetch_first(connection, _FIND, case_id=case_id, reader_id=reader_id)
            if row is None:
                raise NoSuchCase(case_id)
            return await _file(connection, row)

    async def open_case_of(self, account_id: AccountId) -> CaseId | None:
        """The open case that marks an account. None: it is not marked."""
        async with self._database.connection() as connection:
            row = await fetch_first(connection, _OPEN_CASE, account_id=account_id)
        return CaseId(row["id"]) if row else None

    async def close(self, actor: Actor, case_id: CaseId, reason: str, keep: Keep[CaseFile] = keeps_nothing) -> CaseFile:
        """Close a case for good, so that its account is marked no more. `keep` keeps the answer, for repeats.

        Refuses with `NoSuchCase`, also for a case about an account of the actor, and with `CaseClosed`.
        """
        check_allowed(actor, Action.CLOSE_CASE)
        async with self._database.transaction() as connection:
            row = await fetch_first(connection, _LOCK, case_id=case_id, reader_id=actor.id)
            if row is None:
                raise NoSuchCase(case_id)
            if _case_of(row).state is CaseState.CLOSED:
                raise CaseClosed(case_id)
            before, after = {"state": CaseState.OPEN}, {"state": CaseState.CLOSED}
            await record_action(connection, actor, Action.CLOSE_CASE, case_id, reason, before, after)
            closing = update(cases).where(cases.c.id == case_id)
            closing = closing.values(closed_at=CLOCK, closed_by=actor.id, closing_reason=reason)
            file = await _file(
                connection, await fetch_only(connection, closing.returning(*columns_for(ScreeningCase, cases)))
            )
            await keep(connection, file)
            return file


async def _file(connection: "Connection", row: Row) -> CaseFile:
    flags = await fetch(connection, _FLAGS, case_id=row["id"])
    return CaseFile(_case_of(row), [dataclass_of(CaseFlag, flag) for flag in flags])


def _case_of(row: Row) -> ScreeningCase:
    return dataclass_of(ScreeningCase, row)
