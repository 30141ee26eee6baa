"""A way to change the books behind the ledger's back, and what the audit says to it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tampering:
    """One way to change the books, and all that the audit then says: `invariant subject`, in names of the scene."""

    name: str
    sql: str
    found: frozenset[str] | set[str] = frozenset()
