"""What is under way and who waits: for metrics, and for the people who run `remit status`. Reads only.

Each statement reads a partial index of what is open, never the table: it costs what is open, not what was ever done.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from customers.documents.document import VerificationState
from database.connections import Database
from database.rows import dataclass_of
from ledger.ids import AccountId, TransferId
from ledger.money import Money
from ledger.transfers import Kind, State

if TYPE_CHECKING:
    from database.connections import Connection


@dataclass(frozen=True, slots=True)
class StateCount:
    """The transfers in a state that is not final; `oldest_seconds` since the first of them last changed."""

    state: State
    transfers: int
    oldest_seconds: int


@dataclass(frozen=True, slots=True)
class AmountInTransit:
    """What is between debit and credit in one currency; `oldest_seconds` since the first of it was taken."""

    currency: str
    transfers: int
    amount_minor: int
    oldest_seconds: int


@dataclass(frozen=True, slots=True)
class OpenCases:
    """Reviews, disputes or cases that wait for people; `overdue`: those past their deadline, if they have one."""

    open: int
    overdue: int
    oldest_seconds: int


@dataclass(frozen=True, slots=True)
class UndecidedDocuments:
    """Identity documents in a state: `in_review` ones wait for a person, `pending` ones for the verifier."""

    state: VerificationState
    documents: int
    oldest_seconds: int


@dataclass(frozen=True, slots=True)
class OpenWork:
    """All that is not final, each state with its count even if that is zero. `cases` are those of screening."""

    states: list[StateCount]
    in_transit: list[AmountInTransit]
    reviews: OpenCases
    disputes: OpenCases
    cases: OpenCases
    documents: list[UndecidedDocuments]


@dataclass(frozen=True, slots=True)
class StalledTransfer:
    """A transfer that has not moved for long although it waits for no person."""

    id: TransferId
    kind: Kind
    state: State
    attempt: int
    amount_minor: int
    currency: str
    source_account_id: AccountId
    destination_account_id: AccountId
    workflow_id: str
    seconds: int

    @property
    def amount(self) -> Money:
        """The amount with its currency."""
        return Money(self.amount_minor, self.currency)

    @property
    def account_id(self) -> AccountId:
        """The account that the next step needs."""
        return self.destination_account_id if self.state is State.DEBITED else self.source_account_id


@dataclass(frozen=True, slots=True)
class Blocker:
    """A session that holds locks on the books for longer than any of Remit's own; `waiting` sessions wait for it."""

    pid: int
    login: str
    application: str
    address: str | None
    activity: str | None
    seconds: int
    query: str | None
    waiting: int


_UNDECIDED = [state for state in VerificationState if not state.is_decided]

_STATES = """
    SELECT state, count(*) AS transfers,
        greatest(0, extract(epoch FROM clock_timestamp() - min(updated_at)))::bigint AS oldest_seconds
    FROM transfers WHERE state IN ('initiated', 'in_review', 'debited') GROUP BY state
"""

_IN_TRANSIT = """
    SELECT currency, count(*) AS transfers, sum(amount_minor)::bigint AS amount_minor,
        greatest(0, extract(epoch FROM clock_timestamp() - min(updated_at)))::bigint AS oldest_seconds
    FROM transfers WHERE state = 'debited' GROUP BY currency ORDER BY currency
"""

_REVIEWS = """
    SELECT count(*) AS open,
        count(*) FILTER (WHERE r.began_at + make_interval(secs => r.deadline_seconds) < clock_timestamp()) AS overdue,
        coalesce(greatest(0, extract(epoch FROM clock_timestamp() - min(t.updated_at))), 0)::bigint AS oldest_seconds
    FROM transfers t LEFT JOIN reviews r ON r.transfer_id = t.id AND r.attempt = t.attempt
    WHERE t.state = 'in_review'
"""

_DISPUTES = """
    SELECT count(*) AS open, count(*) FILTER (WHERE state = 'open' AND deadline < clock_timestamp()) AS overdue,
        coalesce(greatest(0, extract(epoch FROM clock_timestamp() - min(created_at))), 0)::bigint AS oldest_seconds
    FROM disputes WHERE state IN ('open', 'reversing')
"""

_CASES = """
    SELECT count(*) AS open, 0 AS overdue,
        coalesce(greatest(0, extract(epoch FROM clock_timestamp() - min(opened_at))), 0)::bigint AS oldest_seconds
    FROM cases WHERE closed_at IS NULL
"""

_DOCUMENTS = """
    SELECT state, count(*) AS documents,
        greatest(0, extract(epoch FROM clock_timestamp() - min(submitted_at)))::bigint AS oldest_seconds
    FROM identity_documents WHERE state IN ('pending', 'in_review') GROUP BY state
"""

_STALLED = """
    SELECT id, kind, state, attempt, amount_minor, currency, source_account_id, destination_account_id, workflow_id,
        extract(epoch FROM clock_timestamp() - updated_at)::bigint AS seconds
    FROM transfers
    WHERE state IN ('initiated', 'debited') AND updated_at < clock_timestamp() - make_interval(secs => $1)
    ORDER BY state = 'debited' DESC, updated_at LIMIT $2
"""

# Remit's own transactions end within 5 s by their time limits. Readers lock no row.
_BLOCKERS = """
    SELECT a.pid, coalesce(a.usename, '') AS login, a.application_name AS application,
        host(a.client_addr) AS address, a.state AS activity,
        extract(epoch FROM clock_timestamp() - a.xact_start)::bigint AS seconds, left(a.query, 100) AS query,
        (SELECT count(*) FROM pg_stat_activity w
            WHERE w.wait_event_type = 'Lock' AND a.pid = ANY (pg_blocking_pids(w.pid))) AS waiting
    FROM pg_stat_activity a
    WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
        AND a.xact_start < clock_timestamp() - interval '5 seconds'
        AND EXISTS (
            SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.granted AND l.mode <> 'AccessShareLock'
                AND l.relation IN ('accounts'::regclass, 'transfers'::regclass, 'postings'::regclass,
                    'entries'::regclass, 'keys'::regclass)
        )
    ORDER BY a.xact_start LIMIT 20
"""


class OpenWorkReads:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self) -> OpenWork:
        """What is under way now."""
        async with self._database.connection() as connection:
            found = {row["state"]: dataclass_of(StateCount, row) for row in await connection.fetch(_STATES)}
            in_transit = await connection.fetch(_IN_TRANSIT)
            undecided = {
                row["state"]: dataclass_of(UndecidedDocuments, row) for row in await connection.fetch(_DOCUMENTS)
            }
            return OpenWork(
                states=[found.get(state, StateCount(state, 0, 0)) for state in State if not state.is_final],
                in_transit=[dataclass_of(AmountInTransit, row) for row in in_transit],
                reviews=await _cases(connection, _REVIEWS),
                disputes=await _cases(connection, _DISPUTES),
                cases=await _cases(connection, _CASES),
                documents=[undecided.get(state, UndecidedDocuments(state, 0, 0)) for state in _UNDECIDED],
            )

    async def stalled(self, after_seconds: int, at_most: int) -> list[StalledTransfer]:
        """Transfers that have not moved for so long: those in transit first, then the oldest."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_STALLED, after_seconds, at_most)
        return [dataclass_of(StalledTransfer, row) for row in rows]

    async def blockers(self) -> list[Blocker]:
        """Sessions that hold locks on the books, the longest first. Their queries need `pg_read_all_stats`."""
        async with self._database.connection() as connection:
            return [dataclass_of(Blocker, row) for row in await connection.fetch(_BLOCKERS)]


async def _cases(connection: "Connection", statement: str) -> OpenCases:
    row = await connection.fetchrow(statement)
    assert row is not None, "an aggregate always has a row"
    return dataclass_of(OpenCases, row)
