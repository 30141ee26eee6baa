"""Webhook endpoints as their owners see and change them. Nothing is sent here: workers find what is to be done."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sqlalchemy import Select, bindparam, select

from database.answers import Keep, keeps_nothing
from database.connections import Database
from database.encryption import Encryption, encrypt_anew
from database.paging import Page, Place, fetch_page, newest_first
from database.rows import columns_for, dataclass_of
from database.statements import fetch_first, locked
from ledger.ids import CustomerId, EndpointId, new_endpoint_id
from notifications.postgres import write_notification
from staff.permissions import Action, Actor
from staff.postgres.actions import record_action
from webhooks.endpoint import (
    FORMER_SECRET_SIGNS_FOR,
    MOST_ENDPOINTS,
    TEST_TYPE,
    Delivery,
    DisabledBy,
    EndpointDisabled,
    EndpointState,
    Health,
    NoSuchEndpoint,
    TooManyEndpoints,
    WebhookEndpoint,
    whereabouts,
)
from webhooks.payload import body_of_test
from webhooks.postgres.delivery_list import LISTED, with_attempts
from webhooks.postgres.outbound import secrets_context
from webhooks.postgres.replays import QUEUE, positions_since
from webhooks.postgres.tables import deliveries, webhook_endpoints
from webhooks.signature import new_secret, rotated

if TYPE_CHECKING:
    from database.connections import Connection

_ENDPOINTS, _DELIVERIES = webhook_endpoints.c, deliveries.c
_SELECT = select(*columns_for(WebhookEndpoint, webhook_endpoints)).where(_ENDPOINTS.deleted_at.is_(None))

_LOCK_OWNER = "SELECT FROM customers WHERE id = $1 FOR NO KEY UPDATE"
_COUNT = "SELECT count(*) FROM webhook_endpoints WHERE owner_id IS NOT DISTINCT FROM $1 AND deleted_at IS NULL"
_CREATE = "INSERT INTO webhook_endpoints (id, owner_id, url, types, secrets) VALUES ($1, $2, $3, $4, $5)"
_CHANGE = "UPDATE webhook_endpoints SET url = $2, types = $3 WHERE id = $1"
_SET_STATE = """
    UPDATE webhook_endpoints SET state = $2, disabled_by = $3, failures = 0, failing_since = NULL, warned_at = NULL,
        resting_until = NULL
    WHERE id = $1
"""
_ALL_DUE = "UPDATE delivery_queues SET next_attempt_at = statement_timestamp() WHERE endpoint_id = $1"
_DELETE = "UPDATE webhook_endpoints SET deleted_at = clock_timestamp() WHERE id = $1"
_SECRETS = "SELECT secrets, former_until, clock_timestamp() AS now FROM webhook_endpoints WHERE id = $1"
_ROTATE = "UPDATE webhook_endpoints SET secrets = $2, former_until = $3 WHERE id = $1"

_TEST = """
    INSERT INTO deliveries (endpoint_id, event_id, type, partition_key, position, body)
    VALUES ($1, $2, $3, $3, (extract(epoch FROM clock_timestamp()) * 1000)::bigint, $4::jsonb)
"""
_NOW = "SELECT clock_timestamp()"
_REPLAY = """
    UPDATE webhook_endpoints SET replay_after = least(replay_after, $2::bigint),
        replay_through = greatest(replay_through, $3::bigint), replay_since = least(replay_since, $4::timestamptz)
    WHERE id = $1
"""


@dataclass(frozen=True, slots=True)
class StaffReason:
    """Who of the staff changes an endpoint of the platform, and why, for the record."""

    actor: Actor
    reason: str


@dataclass(frozen=True, slots=True)
class EndpointChanges:
    """What is to be changed; None: nothing of it. `enabled` also forgets all failures."""

    url: str | None = None
    types: Sequence[str] | None = None
    enabled: bool | None = None


class WebhookEndpoints:
    """All raise `Unavailable` where PostgreSQL gave no answer, and `NoSuchEndpoint` for an endpoint of another owner.

    `owner_id` None stands for the platform; staff give a `StaffReason`, and what they do is recorded.
    """

    def __init__(self, database: Database, encryption: Encryption) -> None:
        self._database = database
        self._encryption = encryption

    async def create(
        self,
        owner_id: CustomerId | None,
        url: str,
        types: Sequence[str],
        keep: Keep[WebhookEndpoint] = keeps_nothing,
        by: StaffReason | None = None,
    ) -> tuple[WebhookEndpoint, str]:
        """A new endpoint, and its secret, which nobody shows again. It gets what happens from now on.

        Raises `TooManyEndpoints`, and `EncryptionKeyMissing`.
        """
        endpoint_id, secret = new_endpoint_id(), new_secret()
        encrypted = self._encryption.encrypt(secret, secrets_context(endpoint_id))
        async with self._database.transaction() as connection:
            if owner_id is not None:
                await connection.execute(_LOCK_OWNER, owner_id)
            if await connection.fetchval(_COUNT, owner_id) >= MOST_ENDPOINTS:
                raise TooManyEndpoints
            # Before there is an endpoint, which gets no event about itself then.
            await _notify_owner(connection, owner_id, endpoint_id, url, "made")
            await connection.execute(_CREATE, endpoint_id, owner_id, url, list(types), encrypted)
            made = await _find(connection, owner_id, endpoint_id)
            await _record(connection, by, made, None, _recorded(made))
            await keep(connection, made)
        return made, secret

    async def find(self, owner_id: CustomerId | None, endpoint_id: EndpointId) -> WebhookEndpoint:
        """One endpoint of this owner."""
        async with self._database.connection() as connection:
            return await _find(connection, owner_id, endpoint_id)

    async def of_owner(self, owner_id: CustomerId | None, before: Place | None, limit: int) -> Page[WebhookEndpoint]:
        """The owner's endpoints, newest first."""
        listed = newest_first(
            _owned(_SELECT, owner_id), _ENDPOINTS.created_at, _ENDPOINTS.id, behind=before is not None
        )
        async with self._database.connection() as connection:
            return await fetch_page(
                connection, listed, limit, lambda row: dataclass_of(WebhookEndpoint, row), before, **_value(owner_id)
            )

    async def change(
        self,
        owner_id: CustomerId | None,
        endpoint_id: EndpointId,
        wanted: EndpointChanges,
        by: StaffReason | None = None,
    ) -> WebhookEndpoint:
        """Change what is given. Enabled, it gets all that was held. A repeat changes nothing."""
        async with self._database.transaction() as connection:
            before = await _find(connection, owner_id, endpoint_id, lock=True)
            url = wanted.url if wanted.url is not None else before.url
            types = list(wanted.types) if wanted.types is not None else before.types
            await connection.execute(_CHANGE, endpoint_id, url, types)
            if wanted.enabled is not None:
                await _set_enabled(connection, before, enabled=wanted.enabled)
            after = await _find(connection, owner_id, endpoint_id)
            await _record(connection, by, after, _recorded(before), _recorded(after))
            if after.url != before.url:
                occasion = f"moved/{await connection.fetchval(_NOW):%Y%m%dT%H%M%S.%f}"
                await _notify_owner(connection, owner_id, endpoint_id, after.url, occasion)
        return after

    async def delete(self, owner_id: CustomerId | None, endpoint_id: EndpointId, by: StaffReason | None = None) -> None:
        """Nothing is sent to it any more, also nothing that was held."""
        async with self._database.transaction() as connection:
            found = await _find(connection, owner_id, endpoint_id, lock=True)
            await connection.execute(_DELETE, endpoint_id)
            await _record(connection, by, found, {"state": found.state}, {"state": "deleted"})

    async def rotate_secret(
        self,
        owner_id: CustomerId | None,
        endpoint_id: EndpointId,
        keep: Keep[WebhookEndpoint] = keeps_nothing,
        by: StaffReason | None = None,
    ) -> tuple[WebhookEndpoint, str]:
        """A new secret, which nobody shows again. Each former one signs as well for 24 hours."""
        context = secrets_context(endpoint_id)
        async with self._database.transaction() as connection:
            found = await _find(connection, owner_id, endpoint_id, lock=True)
            row = await connection.fetchrow(_SECRETS, endpoint_id)
            assert row is not None, "it was found above"
            kept = self._encryption.decrypt(row["secrets"], context)
            secret, keeps = rotated(kept, row["former_until"], row["now"], FORMER_SECRET_SIGNS_FOR)
            encrypted = self._encryption.encrypt(keeps, context)
            await connection.execute(_ROTATE, endpoint_id, encrypted, row["now"] + FORMER_SECRET_SIGNS_FOR)
            await _record(connection, by, found, None, {"secret": "rotated"})
            await keep(connection, found)
        return found, secret

    async def test(
        self,
        owner_id: CustomerId | None,
        endpoint_id: EndpointId,
        keep: Keep[Delivery] = keeps_nothing,
        by: StaffReason | None = None,
    ) -> Delivery:
        """Have a test sent, once. Raises `EndpointDisabled`."""
        event_id = f"evt_{secrets.token_hex(16)}"
        async with self._database.transaction() as connection:
            found = await _find(connection, owner_id, endpoint_id, lock=True)
            if found.state is EndpointState.DISABLED:
                raise EndpointDisabled(endpoint_id)
            body = body_of_test(endpoint_id, event_id, await connection.fetchval(_NOW))
            await connection.execute(_TEST, endpoint_id, event_id, TEST_TYPE, json.dumps(body))
            await connection.execute(QUEUE, [endpoint_id], [TEST_TYPE])
            await _record(connection, by, found, None, {"tested": event_id})
            statement = LISTED.where(_DELIVERIES.event_id == bindparam("event_id"))
            row = await fetch_first(connection, statement, endpoint_id=endpoint_id, event_id=event_id)
            assert row is not None, "it was inserted above"
            made = dataclass_of(Delivery, row)
            await keep(connection, made)
        return made

    async def replay(
        self,
        owner_id: CustomerId | None,
        endpoint_id: EndpointId,
        since: datetime,
        keep: Keep[WebhookEndpoint] = keeps_nothing,
        by: StaffReason | None = None,
    ) -> WebhookEndpoint:
        """Have every event since then sent once more, whatever came of it, under its own id.

        What waits for its next attempt is due at once: whoever asks has mended the endpoint.
        """
        async with self._database.transaction() as connection:
            found = await _find(connection, owner_id, endpoint_id, lock=True)
            after, through = await positions_since(connection, since)
            await connection.execute(_REPLAY, endpoint_id, after, through, since)
            await connection.execute(_ALL_DUE, endpoint_id)
            await _record(connection, by, found, None, {"replayed_since": since.isoformat()})
            await keep(connection, found)
        return found

    async def deliveries(
        self, owner_id: CustomerId | None, endpoint_id: EndpointId, before: Place | None, limit: int
    ) -> Page[Delivery]:
        """What was and is to be sent to an endpoint, newest first, with the attempts of the last 30 days."""
        listed = newest_first(LISTED, _DELIVERIES.created_at, _DELIVERIES.event_id, behind=before is not None)
        async with self._database.connection() as connection:
            await _find(connection, owner_id, endpoint_id)
            page = await fetch_page(connection, listed, limit, dict, before, endpoint_id=endpoint_id)
            found = await with_attempts(connection, endpoint_id, page.items)
        return Page(found, page.has_more)

    async def encrypt_anew(self) -> int:
        """Encrypt every secret with the newest key. Returns how many were not. Safe to repeat, and at any time."""
        return await encrypt_anew(self._database, self._encryption, webhook_endpoints, "secrets", secrets_context)


def _owned(statement: Select[Any], owner_id: CustomerId | None) -> Select[Any]:
    if owner_id is None:
        return statement.where(_ENDPOINTS.owner_id.is_(None))
    return statement.where(_ENDPOINTS.owner_id == bindparam("owner_id"))


def _value(owner_id: CustomerId | None) -> dict[str, object]:
    return {} if owner_id is None else {"owner_id": owner_id}


async def _find(
    connection: "Connection", owner_id: CustomerId | None, endpoint_id: EndpointId, *, lock: bool = False
) -> WebhookEndpoint:
    statement = _owned(_SELECT.where(_ENDPOINTS.id == bindparam("endpoint_id")), owner_id)
    row = await fetch_first(
        connection, locked(statement) if lock else statement, endpoint_id=endpoint_id, **_value(owner_id)
    )
    if row is None:
        raise NoSuchEndpoint(endpoint_id)
    return dataclass_of(WebhookEndpoint, row)


async def _set_enabled(connection: "Connection", before: WebhookEndpoint, *, enabled: bool) -> None:
    is_disabled = before.state is EndpointState.DISABLED
    if enabled is not is_disabled:
        return
    after = Health(EndpointState.ENABLED) if enabled else Health(EndpointState.DISABLED, DisabledBy.OWNER)
    await connection.execute(_SET_STATE, before.id, after.state, after.disabled_by)
    if enabled:
        await connection.execute(_ALL_DUE, before.id)


def _host_of(url: str) -> str:
    """Where it leads. The rest of a URL may hold a password."""
    return urlsplit(url).netloc.rpartition("@")[2]


async def _notify_owner(
    connection: "Connection", owner_id: CustomerId | None, endpoint_id: EndpointId, url: str, what: str
) -> None:
    """Tell the owner, who may not be who did it."""
    if owner_id is not None:
        body = whereabouts(endpoint_id, _host_of(url))
        await write_notification(connection, owner_id, f"{endpoint_id}/{what}", body)


def _recorded(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return {"host": _host_of(endpoint.url), "types": endpoint.types, "state": endpoint.state}


async def _record(
    connection: "Connection",
    by: StaffReason | None,
    endpoint: WebhookEndpoint,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
) -> None:
    if by is not None:
        await record_action(connection, by.actor, Action.MANAGE_WEBHOOKS, endpoint.id, by.reason, before, after)
