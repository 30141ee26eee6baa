"""Failed sign-ins and the trail of authentication in PostgreSQL, so that all processes count together."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, ForeignKey, Index, Integer, Table, Text, select, text
from sqlalchemy.dialects.postgresql import JSONB

from customers.sign_ins.backoff import (
    FORGOTTEN_AFTER,
    KNOWN_FOR,
    NETWORK_WINDOW,
    Failures,
    account_wait,
    network_wait,
    wait_after,
)
from customers.sign_ins.events import AuthEvent, AuthEventKind
from customers.sign_ins.networks import Client
from database.connections import Database
from database.metadata import METADATA, Timestamp, required
from database.paging import ALL_TIME, Page, Place, Span, fetch_page, newest_first
from database.rows import columns_for, dataclass_of
from ledger.ids import CustomerId, new_auth_event_id

if TYPE_CHECKING:
    from database.connections import Connection

sign_in_failures = Table(
    "sign_in_failures",
    METADATA,
    Column("network", Text, primary_key=True),
    Column("account", Text, primary_key=True),
    required("failures", Integer),
    required("since", Timestamp),
    required("failed_at", Timestamp),
)
Index("sign_in_failures_by_time", sign_in_failures.c.failed_at)

auth_events = Table(
    "auth_events",
    METADATA,
    Column("id", Text, primary_key=True),
    required("kind", Text),
    Column("customer_id", Text, ForeignKey("customers.id")),
    Column("actor_id", Text, ForeignKey("customers.id")),
    Column("account", Text),
    required("client", Text),
    required("network", Text),
    Column("facts", JSONB),
    required("recorded_at", Timestamp, server_default=text("clock_timestamp()")),
)
_NEWEST_FIRST = (auth_events.c.recorded_at.desc(), auth_events.c.id.desc())
Index("auth_events_by_time", *_NEWEST_FIRST)
Index("auth_events_by_customer", auth_events.c.customer_id, *_NEWEST_FIRST)
Index("auth_events_by_actor", auth_events.c.actor_id, *_NEWEST_FIRST)
Index("auth_events_by_account", auth_events.c.account, auth_events.c.network, auth_events.c.recorded_at.desc())

# The row of a network, or of a site, for all accounts together.
ALL_ACCOUNTS = ""

_FAILURES = """
    SELECT account, failures, since, failed_at, clock_timestamp() AS now
    FROM (SELECT) one LEFT JOIN sign_in_failures ON (network, account) IN (($1, $2), ($1, ''), ($3, ''))
"""

_IS_KNOWN = """
    SELECT EXISTS (
        SELECT FROM auth_events
        WHERE account = $1 AND network = $2 AND kind = 'signed_in' AND recorded_at > now() - $3::interval
    )
"""

# Always in this order, so that two failures at once cannot deadlock. A count that is over begins again. A site has
# a row of its own only where it is more than the network.
_COUNT_FAILURE = """
    INSERT INTO sign_in_failures AS known (network, account, failures, since, failed_at)
    SELECT counted.network, counted.account, 1, clock_timestamp(), clock_timestamp()
    FROM (VALUES (1, $5::text, ''), (2, $1::text, ''), (3, $1::text, $2::text)) counted (place, network, account)
    WHERE place > 1 OR $5::text <> $1::text ORDER BY place
    ON CONFLICT (network, account) DO UPDATE SET
        failures = CASE WHEN CASE known.account WHEN '' THEN known.since < excluded.since - $3::interval
            ELSE known.failed_at < excluded.since - $4::interval END THEN 1 ELSE known.failures + 1 END,
        since = CASE WHEN CASE known.account WHEN '' THEN known.since < excluded.since - $3::interval
            ELSE known.failed_at < excluded.since - $4::interval END THEN excluded.since ELSE known.since END,
        failed_at = excluded.failed_at
    RETURNING account, failures
"""

# A few with each failure: the table never holds more than the failures of that time.
_FORGET = """
    DELETE FROM sign_in_failures WHERE (network, account) IN (
        SELECT network, account FROM sign_in_failures WHERE failed_at < now() - $1::interval
        ORDER BY failed_at LIMIT 10 FOR UPDATE SKIP LOCKED
    )
"""

_RECORD = """
    INSERT INTO auth_events (id, kind, customer_id, actor_id, account, client, network, facts)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb)
"""

_SUCCEED = f"WITH forgotten AS (DELETE FROM sign_in_failures WHERE network = $7 AND account = $5) {_RECORD}"

# What anybody may repeat as fast as they like is on record once a minute.
_RECORD_SOMETIMES = """
    INSERT INTO auth_events (id, kind, customer_id, actor_id, account, client, network, facts)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8::jsonb WHERE NOT EXISTS (
        SELECT FROM auth_events
        WHERE kind = $2 AND {same} AND recorded_at > clock_timestamp() - interval '1 minute'
    )
"""
_RECORD_REFUSAL = _RECORD_SOMETIMES.format(same="network = $7 AND account = $5")
_RECORD_NO_ACCESS = _RECORD_SOMETIMES.format(same="network = $7 AND actor_id = $4")
_RECORD_RESET = _RECORD_SOMETIMES.format(same="account = $5")


@dataclass(frozen=True, slots=True)
class SignInAttempt:
    """Somebody at this client tries the account that stands for an address; see `account_named`."""

    client: Client
    account: str


@dataclass(frozen=True, slots=True)
class AuthEventSearch:
    """Which events a list holds. A condition that is None does not apply."""

    customer_id: CustomerId | None = None
    actor_id: CustomerId | None = None
    kind: AuthEventKind | None = None
    before: Place | None = None
    within: Span = ALL_TIME


class SignIns:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def wait(self, attempt: SignInAttempt) -> timedelta:
        """How long this attempt has to wait; zero or less: it may be made now."""
        network = attempt.client.network
        async with self._database.connection() as connection:
            rows = await connection.fetch(_FAILURES, network, attempt.account, attempt.client.site)
            now = rows[0]["now"]
            counted = [(row["account"], dataclass_of(Failures, row)) for row in rows if row["account"] is not None]
            of_account = next((each for account, each in counted if account != ALL_ACCOUNTS), None)
            everywhere = [each for account, each in counted if account == ALL_ACCOUNTS]
            of_network = max((network_wait(each, now) for each in everywhere), default=timedelta(0))
            if of_network > timedelta(0) and await connection.fetchval(_IS_KNOWN, attempt.account, network, KNOWN_FOR):
                of_network = timedelta(0)
        return max(account_wait(of_account, now), of_network)

    async def record_failure(self, attempt: SignInAttempt, customer_id: CustomerId | None) -> None:
        """Count a wrong password, or an address that nobody has, and record it."""
        network = attempt.client.network
        async with self._database.transaction() as connection:
            rows = await connection.fetch(
                _COUNT_FAILURE, network, attempt.account, NETWORK_WINDOW, FORGOTTEN_AFTER, attempt.client.site
            )
            failures = {row["account"]: row["failures"] for row in rows}[attempt.account]
            wait = wait_after(failures)
            await _record(connection, AuthEventKind.SIGN_IN_FAILED, attempt, customer_id, {"failures": failures})
            if wait:
                facts = {"wait_seconds": wait // timedelta(seconds=1)}
                await _record(connection, AuthEventKind.LOCKED_OUT, attempt, customer_id, facts)
            await connection.execute(_FORGET, FORGOTTEN_AFTER)

    async def record_refusal(self, attempt: SignInAttempt, wait_seconds: int) -> None:
        """Record that an attempt came before its wait was over. It does not count: nobody prolongs it."""
        row = _row(AuthEventKind.SIGN_IN_REFUSED, attempt, None, None, {"wait_seconds": wait_seconds})
        async with self._database.connection() as connection:
            await connection.execute(_RECORD_REFUSAL, *row)

    async def record_disabled(self, attempt: SignInAttempt, customer_id: CustomerId) -> None:
        """Record that somebody whom staff have disabled gave the right password."""
        row = _row(AuthEventKind.SIGN_IN_REFUSED, attempt, customer_id, None, {"disabled": True})
        async with self._database.connection() as connection:
            await connection.execute(_RECORD_REFUSAL, *row)

    async def record_reset_request(self, attempt: SignInAttempt, customer_id: CustomerId | None) -> bool:
        """Record that somebody asked for another password; False: for this address somebody did within the minute."""
        row = _row(AuthEventKind.PASSWORD_RESET_REQUESTED, attempt, customer_id, None, None)
        async with self._database.connection() as connection:
            return await connection.execute(_RECORD_RESET, *row) == "INSERT 0 1"

    async def record_code_request(self, attempt: SignInAttempt, customer_id: CustomerId) -> bool:
        """Record that a customer asked for a mail to verify their address; False: they did so within the minute."""
        row = _row(AuthEventKind.EMAIL_CODE_REQUESTED, attempt, customer_id, customer_id, None)
        async with self._database.connection() as connection:
            return await connection.execute(_RECORD_RESET, *row) == "INSERT 0 1"

    async def record_success(self, attempt: SignInAttempt, customer_id: CustomerId) -> None:
        """Forget the failures of this network at this account, and record the sign-in."""
        async with self._database.connection() as connection:
            row = _row(AuthEventKind.SIGNED_IN, attempt, customer_id, customer_id, None)
            await connection.execute(_SUCCEED, *row)

    async def record(
        self,
        kind: AuthEventKind,
        client: Client,
        actor_id: CustomerId,
        customer_id: CustomerId | None,
        facts: dict[str, Any] | None = None,
    ) -> None:
        """Record what somebody who is signed in did, about themselves or another customer."""
        async with self._database.connection() as connection:
            await record_auth_event(connection, kind, client, actor_id, customer_id, facts)

    async def record_no_access(self, client: Client, actor_id: CustomerId, path: str) -> None:
        """Record that somebody asked for what their role does not include."""
        attempt = SignInAttempt(client, "")
        row = _row(AuthEventKind.ACCESS_REFUSED, attempt, actor_id, actor_id, {"path": path})
        async with self._database.connection() as connection:
            await connection.execute(_RECORD_NO_ACCESS, *row)

    async def find(self, wanted: AuthEventSearch, limit: int) -> Page[AuthEvent]:
        """The events, newest first."""
        listed = select(*columns_for(AuthEvent, auth_events))
        behind = wanted.before is not None
        listed = newest_first(listed, auth_events.c.recorded_at, auth_events.c.id, behind=behind, within=wanted.within)
        conditions = (
            (auth_events.c.customer_id, wanted.customer_id),
            (auth_events.c.actor_id, wanted.actor_id),
            (auth_events.c.kind, wanted.kind),
        )
        listed = listed.where(*(column == value for column, value in conditions if value is not None))
        async with self._database.connection() as connection:
            return await fetch_page(connection, listed, limit, lambda row: dataclass_of(AuthEvent, row), wanted.before)


async def record_auth_event(
    connection: "Connection",
    kind: AuthEventKind,
    client: Client,
    actor_id: CustomerId | None,
    customer_id: CustomerId | None,
    facts: dict[str, Any] | None = None,
) -> None:
    """The same inside the transaction of what was done."""
    await connection.execute(_RECORD, *_row(kind, SignInAttempt(client, ""), customer_id, actor_id, facts))


async def _record(
    connection: "Connection",
    kind: AuthEventKind,
    attempt: SignInAttempt,
    customer_id: CustomerId | None,
    facts: dict[str, Any] | None,
) -> None:
    await connection.execute(_RECORD, *_row(kind, attempt, customer_id, None, facts))


def _row(
    kind: AuthEventKind,
    attempt: SignInAttempt,
    customer_id: CustomerId | None,
    actor_id: CustomerId | None,
    facts: dict[str, Any] | None,
) -> Sequence[object]:
    return (
        new_auth_event_id(),
        kind,
        customer_id,
        actor_id,
        attempt.account or None,
        attempt.client.address,
        attempt.client.network,
        None if facts is None else json.dumps(facts),
    )
