"""Sessions in PostgreSQL: every process reads them with each request, so an end takes effect everywhere at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, Table, Text, insert, select, text, update

from customers.customer import Customer
from customers.postgres import CUSTOMER_COLUMNS, customer_of, customers
from customers.sessions.session import RefreshRuling, Session, rule_on_refresh
from customers.sign_ins.events import AuthEventKind
from customers.sign_ins.networks import Client
from customers.sign_ins.postgres import record_auth_event
from database.connections import Database
from database.metadata import CLOCK, METADATA, Timestamp, required
from database.paging import Page, Place, fetch_page, newest_first
from database.rows import columns_for, dataclass_of
from database.statements import fetch_first, fetch_only
from ledger.ids import CustomerId, SessionId, new_session_id

if TYPE_CHECKING:
    from database.connections import Connection

sessions = Table(
    "sessions",
    METADATA,
    Column("id", Text, primary_key=True),
    required("customer_id", Text, ForeignKey("customers.id")),
    required("generation", Integer),
    required("refreshes", Integer, server_default="0"),
    required("started_at", Timestamp, server_default=text("clock_timestamp()")),
    required("refreshed_at", Timestamp, server_default=text("clock_timestamp()")),
    required("expires_at", Timestamp),
    Column("ended_at", Timestamp),
    required("client", Text),
    Column("user_agent", Text),
    required("second_factor", Boolean, server_default="false"),
)
Index("sessions_by_customer", sessions.c.customer_id, sessions.c.started_at.desc(), sessions.c.id.desc())

_SESSION = columns_for(Session, sessions)
_CUSTOMER = ", ".join(f"c.{name}" for name in CUSTOMER_COLUMNS.split(", "))

_LIVES = "s.generation = c.session_generation AND s.ended_at IS NULL AND s.expires_at > clock_timestamp()"

# As text: every request of every customer passes here.
_SIGNED_IN = f"""
    SELECT {_CUSTOMER}, s.second_factor AS shown_second_factor
    FROM sessions s JOIN customers c ON c.id = s.customer_id
    WHERE s.id = $2 AND c.id = $1 AND {_LIVES} AND c.disabled_at IS NULL
"""

_LIVE = f"""
    SELECT s.id FROM sessions s JOIN customers c ON c.id = s.customer_id
    WHERE s.id = ANY ($1::text[]) AND {_LIVES} AND c.disabled_at IS NULL
"""

_LOCK = """
    SELECT s.*, c.session_generation, c.disabled_at IS NOT NULL AS disabled, clock_timestamp() AS now
    FROM sessions s JOIN customers c ON c.id = s.customer_id WHERE s.id = $1 AND s.customer_id = $2
    FOR NO KEY UPDATE OF s
"""

_NEXT = "UPDATE sessions SET refreshes = refreshes + 1, refreshed_at = clock_timestamp() WHERE id = $1 RETURNING *"

_END = "UPDATE sessions SET ended_at = clock_timestamp() WHERE id = $1 AND customer_id = $2 AND ended_at IS NULL"

# A few of the customer's own, whenever they sign in: the table holds little of what is long over.
_FORGET = "DELETE FROM sessions WHERE customer_id = $1 AND expires_at < clock_timestamp() - interval '1 day'"

MAX_USER_AGENT = 200


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who makes a request, and whether they showed a second factor when they signed in."""

    customer: Customer
    second_factor: bool


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh token got. The session is None where nobody has one with this id."""

    ruling: RefreshRuling
    session: Session | None


class Sessions:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database, lasts: timedelta, grace: timedelta) -> None:
        """`lasts`: from sign-in to the end, refreshed or not. `grace`: how long a refresh may be repeated."""
        self._database = database
        self._lasts = lasts
        self._grace = grace

    async def start(
        self, customer: Customer, client: Client, user_agent: str | None = None, *, second_factor: bool = False
    ) -> Session:
        """A new session of a customer, as they were when their password was checked.

        If their sessions were ended since, this one has never worked.
        """
        new = insert(sessions).values(
            id=new_session_id(),
            customer_id=customer.id,
            generation=customer.session_generation,
            expires_at=CLOCK + self._lasts,
            client=client.address,
            user_agent=user_agent[:MAX_USER_AGENT] if user_agent else None,
            second_factor=second_factor,
        )
        async with self._database.transaction() as connection:
            await connection.execute(_FORGET, customer.id)
            return dataclass_of(Session, await fetch_only(connection, new.returning(*_SESSION)))

    async def signed_in(self, customer_id: CustomerId, session_id: SessionId) -> SignedIn | None:
        """The customer of this session, unless it has ended, or staff have disabled them."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_SIGNED_IN, customer_id, session_id)
        return SignedIn(customer_of(row), row["shown_second_factor"]) if row else None

    async def live(self, session_ids: Sequence[SessionId]) -> set[SessionId]:
        """Those of these sessions that have not ended, and whose customers nobody has disabled."""
        async with self._database.connection() as connection:
            return {SessionId(row["id"]) for row in await connection.fetch(_LIVE, session_ids)}

    async def refresh(self, customer_id: CustomerId, session_id: SessionId, number: int, client: Client) -> Refreshed:
        """Count the next refresh token of this session, whose token with this number was sent.

        Of two at once, the second finds the first, and both get the same next one. Safe to repeat within the grace. A
        token that is taken for stolen ends the session, on record, before this returns.
        """
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(_LOCK, session_id, customer_id)
            if row is None:
                return Refreshed(RefreshRuling.OVER, None)
            session = dataclass_of(Session, row)
            ruling = rule_on_refresh(session, row["session_generation"], number, row["now"], self._grace)
            if row["disabled"]:
                ruling = RefreshRuling.OVER
            if ruling is RefreshRuling.NEXT:
                changed = await connection.fetchrow(_NEXT, session_id)
                assert changed is not None, "the row is locked"
                session = dataclass_of(Session, changed)
            elif ruling is RefreshRuling.REUSED:
                await connection.execute(_END, session_id, customer_id)
                facts = {"session_id": session_id}
                await record_auth_event(
                    connection, AuthEventKind.REFRESH_TOKEN_REUSED, client, None, customer_id, facts
                )
        return Refreshed(ruling, session)

    async def of_customer(self, customer: Customer, before: Place | None, limit: int) -> Page[Session]:
        """The customer's sessions that have not ended, newest first."""
        live = select(*_SESSION).where(
            sessions.c.customer_id == customer.id,
            sessions.c.generation == customer.session_generation,
            sessions.c.ended_at.is_(None),
            sessions.c.expires_at > CLOCK,
        )
        listed = newest_first(live, sessions.c.started_at, sessions.c.id, behind=before is not None)
        async with self._database.connection() as connection:
            return await fetch_page(connection, listed, limit, lambda row: dataclass_of(Session, row), before)

    async def end(
        self, customer_id: CustomerId, session_id: SessionId, client: Client, kind: AuthEventKind
    ) -> Session | None:
        """End a session of this customer; every process refuses its tokens from now on. None: they have no such one.

        A repeat changes nothing. On record as this `kind` of event.
        """
        own = select(*_SESSION).where(sessions.c.id == session_id, sessions.c.customer_id == customer_id)
        async with self._database.transaction() as connection:
            row = await fetch_first(connection, own)
            if row is None:
                return None
            if await connection.execute(_END, session_id, customer_id) == "UPDATE 1":
                facts = {"session_id": session_id}
                await record_auth_event(connection, kind, client, customer_id, customer_id, facts)
        return dataclass_of(Session, row)

    async def end_all(self, customer_id: CustomerId, client: Client) -> None:
        """End all sessions of this customer, those that begin at this moment included."""
        async with self._database.transaction() as connection:
            await end_sessions(connection, customer_id)
            await record_auth_event(connection, AuthEventKind.SESSIONS_ENDED, client, customer_id, customer_id)

    async def set_password(
        self,
        customer: Customer,
        password_hash: str,
        client: Client,
        kind: AuthEventKind,
        keep: SessionId | None = None,
    ) -> bool:
        """Give the customer another password, unless they have another one already: then False, and nothing changed.

        All their sessions end, except the one to `keep`. On record as this `kind` of event.
        """
        changed = (
            update(customers)
            .where(customers.c.id == customer.id, customers.c.password_hash == customer.password_hash)
            .values(password_hash=password_hash, session_generation=customers.c.session_generation + 1)
            .returning(customers.c.session_generation)
        )
        async with self._database.transaction() as connection:
            row = await fetch_first(connection, changed)
            if row is None:
                return False
            if keep is not None:
                await connection.execute(_KEEP, customer.id, keep, row["session_generation"])
            await record_auth_event(connection, kind, client, customer.id if keep is not None else None, customer.id)
        return True


async def end_sessions(connection: "Connection", customer_id: CustomerId) -> int:
    """End all sessions of a customer: one statement, whatever their number. The caller commits it with the reason.

    The generation of those that begin from now on.
    """
    raised = update(customers).where(customers.c.id == customer_id)
    raised = raised.values(session_generation=customers.c.session_generation + 1)
    row = await fetch_only(connection, raised.returning(customers.c.session_generation))
    return int(row["session_generation"])


# One that somebody ended a moment before, together with all others, stays ended.
_LIVED = "id = $2 AND customer_id = $1 AND ended_at IS NULL AND generation = $3::integer - 1"
_KEEP = f"UPDATE sessions SET generation = $3::integer WHERE {_LIVED}"
_KEEP_SHOWN = f"UPDATE sessions SET generation = $3::integer, second_factor = true WHERE {_LIVED}"


async def keep_session(
    connection: "Connection", customer_id: CustomerId, session_id: SessionId, generation: int
) -> None:
    """Let one session, which has just shown a second factor, go on with those of a new generation."""
    await connection.execute(_KEEP_SHOWN, customer_id, session_id, generation)
