"""API keys in PostgreSQL. A request reads its key and customer in one statement, so an end takes effect at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ARRAY, Column, ForeignKey, Index, Table, Text, insert, select, text

from customers.api_keys.api_key import ApiKey, Scope, hash_of, id_in, matches, new_key
from customers.customer import Customer
from customers.postgres import CUSTOMER_COLUMNS, customer_of
from customers.sign_ins.events import AuthEventKind
from customers.sign_ins.networks import Client
from customers.sign_ins.postgres import record_auth_event
from database.connections import Database
from database.metadata import METADATA, Timestamp, required
from database.paging import Page, Place, fetch_page, newest_first
from database.rows import columns_for, dataclass_of
from database.statements import fetch_only
from ledger.ids import ApiKeyId, CustomerId

api_keys = Table(
    "api_keys",
    METADATA,
    Column("id", Text, primary_key=True),
    required("customer_id", Text, ForeignKey("customers.id")),
    required("name", Text),
    required("scopes", ARRAY(Text)),
    required("key_hash", Text),
    required("created_at", Timestamp, server_default=text("clock_timestamp()")),
    Column("last_used_at", Timestamp),
    Column("revoked_at", Timestamp),
)
Index("api_keys_by_customer", api_keys.c.customer_id, api_keys.c.created_at.desc(), api_keys.c.id.desc())

_API_KEY = columns_for(ApiKey, api_keys)
_CUSTOMER = ", ".join(f"c.{name}" for name in CUSTOMER_COLUMNS.split(", "))

# As text: every request with a key passes here.
_HOLDER = f"""
    SELECT {_CUSTOMER}, k.key_hash, k.scopes,
        k.last_used_at IS NULL OR k.last_used_at < clock_timestamp() - interval '1 minute' AS unseen
    FROM api_keys k JOIN customers c ON c.id = k.customer_id
    WHERE k.id = $1 AND k.revoked_at IS NULL AND c.disabled_at IS NULL
"""

# Once a minute for each key. Of several requests at once, one writes and none waits.
_USED = """
    UPDATE api_keys SET last_used_at = clock_timestamp()
    WHERE id = (SELECT id FROM api_keys WHERE id = $1 FOR NO KEY UPDATE SKIP LOCKED)
"""

_LIVE = """
    SELECT k.id FROM api_keys k JOIN customers c ON c.id = k.customer_id
    WHERE k.id = ANY ($1::text[]) AND k.revoked_at IS NULL AND c.disabled_at IS NULL
"""

_REVOKE = """
    UPDATE api_keys SET revoked_at = clock_timestamp() WHERE id = $1 AND customer_id = $2 AND revoked_at IS NULL
"""

_IS_OWN = "SELECT EXISTS (SELECT FROM api_keys WHERE id = $1 AND customer_id = $2)"


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """Whose key made a request, and what it may do."""

    customer: Customer
    scopes: frozenset[Scope]


class ApiKeys:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, customer_id: CustomerId, name: str, scopes: Iterable[Scope], client: Client
    ) -> tuple[ApiKey, str]:
        """A new key, and the text that is shown once. In doubt, list the keys and revoke what nobody knows."""
        id_, key = new_key()
        allowed = sorted({scope.value for scope in scopes})
        new = insert(api_keys).values(id=id_, customer_id=customer_id, name=name, scopes=allowed, key_hash=hash_of(key))
        async with self._database.transaction() as connection:
            made = dataclass_of(ApiKey, await fetch_only(connection, new.returning(*_API_KEY)))
            facts = {"api_key_id": id_, "scopes": allowed}
            await record_auth_event(connection, AuthEventKind.API_KEY_CREATED, client, customer_id, customer_id, facts)
        return made, key

    async def holder(self, key: str) -> KeyHolder | None:
        """Whose key this is; None: nobody's, a revoked one, or of a customer whom staff have disabled."""
        id_ = id_in(key)
        if id_ is None:
            return None
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_HOLDER, id_)
            if row is None or not matches(key, row["key_hash"]):
                return None
            if row["unseen"]:
                await connection.execute(_USED, id_)
        return KeyHolder(customer_of(row), frozenset(map(Scope, row["scopes"])))

    async def live(self, api_key_ids: Sequence[ApiKeyId]) -> set[ApiKeyId]:
        """Those of these keys that nobody has revoked, and whose customers nobody has disabled."""
        async with self._database.connection() as connection:
            return {ApiKeyId(row["id"]) for row in await connection.fetch(_LIVE, api_key_ids)}

    async def of_customer(self, customer_id: CustomerId, before: Place | None, limit: int) -> Page[ApiKey]:
        """The customer's keys, newest first, revoked ones included."""
        own = select(*_API_KEY).where(api_keys.c.customer_id == customer_id)
        listed = newest_first(own, api_keys.c.created_at, api_keys.c.id, behind=before is not None)
        async with self._database.connection() as connection:
            return await fetch_page(connection, listed, limit, lambda row: dataclass_of(ApiKey, row), before)

    async def revoke(self, customer_id: CustomerId, api_key_id: ApiKeyId, client: Client) -> bool:
        """End a key of this customer at once, in every process. False: they have no such key. Safe to repeat."""
        async with self._database.transaction() as connection:
            if await connection.execute(_REVOKE, api_key_id, customer_id) == "UPDATE 1":
                facts = {"api_key_id": api_key_id}
                await record_auth_event(
                    connection, AuthEventKind.API_KEY_REVOKED, client, customer_id, customer_id, facts
                )
                return True
            return bool(await connection.fetchval(_IS_OWN, api_key_id, customer_id))
