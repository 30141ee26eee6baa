"""Lists of accounts and customers that staff keep for rules. Pure: no I/O, no clock."""

import re
from dataclasses import dataclass
from datetime import datetime

from ledger.ids import ACCOUNT_ID, CUSTOMER_ID, CustomerId
from ledger.refusals import ActionRefused

LIST_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
MEMBER_ID = re.compile(f"{ACCOUNT_ID.pattern}|{CUSTOMER_ID.pattern}")

# Every process holds all lists. More members belong into a rule of one's own.
MOST_MEMBERS = 10_000


@dataclass(frozen=True, slots=True)
class ListMember:
    """An account on a list, or a customer with all their accounts."""

    list: str
    member_id: str
    added_by: CustomerId
    reason: str
    added_at: datetime


@dataclass(frozen=True, slots=True)
class ListSize:
    """A list that has members."""

    list: str
    members: int


@dataclass(eq=False)
class ListsFull(ActionRefused):
    """All lists together hold as many members as they may."""

    code = "lists_full"

    def __str__(self) -> str:
        return f"All lists together hold {MOST_MEMBERS} members at most. Remove some first."


@dataclass(eq=False)
class NoSuchMember(ActionRefused):
    """Nobody with this id is on the list."""

    code = "member_not_found"
    member_id: str
    list: str

    def __str__(self) -> str:
        return f"{self.member_id} is not on the list {self.list}."
