"""Seals: each covers some records of a trail, and the seal before it, so that none can be changed or taken out.

Pure: no I/O, no clock.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

HASH_BYTES = 32


def first_of_all(trail: str) -> bytes:
    """What the first seal of a trail follows."""
    return hashlib.sha256(trail.encode()).digest()


@dataclass(frozen=True, slots=True)
class Seal:
    """The records of one month with the ids `record_ids`, as they were when they were sealed.

    It covers all records with an id above `through_id` of the seal before and up to its own: another one with an id
    among them was added later. `record_hashes` are the SHA-256 of the records, one after the other.
    """

    trail: str
    number: int
    month: date
    through_id: int
    record_ids: list[int]
    record_hashes: bytes
    previous: bytes
    sealed_at: datetime

    @property
    def digest(self) -> bytes:
        """SHA-256 over the seal before, the place of this one and its records. This is what is signed."""
        micros = (self.sealed_at - _EPOCH) // timedelta(microseconds=1)
        ids = ",".join(map(str, self.record_ids))
        head = f"{self.previous.hex()}|{self.trail}|{self.number}|{self.month}|{self.through_id}|{micros}|{ids}|"
        return hashlib.sha256(head.encode() + self.record_hashes).digest()

    @property
    def hashes(self) -> dict[int, bytes]:
        """The hash of each record, by its id."""
        found = self.record_hashes
        return {id_: found[place * HASH_BYTES : (place + 1) * HASH_BYTES] for place, id_ in enumerate(self.record_ids)}


@dataclass(frozen=True, slots=True)
class Head:
    """The newest seal of a trail, as it is kept outside of the database: nobody can take seals off the end then."""

    trail: str
    number: int
    hash: str
    sealed_at: datetime
    key: str
    signature: str
