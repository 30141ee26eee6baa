"""Changes of tables that are in use, made so that no transfer waits for them. For migrations.

Each helper commits what its migration did before it, so a migration that uses one may run again from its beginning
after an error: everything in it must be safe to repeat. The helpers are.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import op
from sqlalchemy import text

# How long a change waits for a lock. Whoever needs the table meanwhile waits behind it. After a second PostgreSQL looks
# for deadlocks, and might end a step instead of the migration. `migrate` tries again.
LOCK_SECONDS = 0.5
SHORT_LOCKS = f"SET lock_timeout = '{LOCK_SECONDS * 1000:.0f}ms'"


def create_index(name: str, on: str, *, unique: bool = False) -> None:
    """`CREATE INDEX name ON …`, while rows are read and written. Safe to repeat.

    An index whose creation was interrupted is left invalid by PostgreSQL: it is dropped and made again.
    """
    kind = "UNIQUE INDEX" if unique else "INDEX"
    with _by_itself():
        if _exists("SELECT FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid", name):
            op.execute(f"DROP INDEX CONCURRENTLY {name}")
        op.execute(f"CREATE {kind} CONCURRENTLY IF NOT EXISTS {name} ON {on}")


def add_constraint(table: str, name: str, definition: str) -> None:
    """Add a check or a foreign key, first for new rows, then for those that are there. Safe to repeat.

    Only the first part needs the table for itself, for a moment. The second reads all rows while others write.
    """
    known = "SELECT FROM pg_constraint WHERE conrelid = to_regclass(:name) AND conname = :constraint"
    if not _exists(known, table, constraint=name):
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition} NOT VALID")
    with _by_itself():
        op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")


@contextmanager
def _by_itself() -> Iterator[None]:
    """Statements that are no part of a transaction, and that may wait: nobody waits behind them."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        try:
            yield
        finally:
            op.execute(SHORT_LOCKS)


def _exists(query: str, name: str, **values: str) -> bool:
    return op.get_bind().execute(text(f"SELECT EXISTS ({query})"), {"name": name, **values}).scalar_one() is True
