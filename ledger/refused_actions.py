"""Actions that are not possible: the base of what every noun refuses, and what the ledger itself refuses."""

from dataclasses import dataclass
from typing import ClassVar

from ledger.ids import AccountId


class ActionRefused(Exception):
    """An action that is not possible, or not this person's. Nothing changed, and nothing is recorded."""

    code: ClassVar[str]


@dataclass(eq=False)
class EntriesBroken(ActionRefused):
    """An account is rebuilt only from entries that are what was written."""

    code = "entries_broken"
    account_id: AccountId
    findings: list[str]

    def __str__(self) -> str:
        found = "; ".join(self.findings)
        return f"The entries of account {self.account_id} are not what was written, so it is left as it is: {found}."
