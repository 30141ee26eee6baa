"""The figures of an account, as the events tell them. Pure: no I/O, no clock.

`GET /v1/accounts/{id}/stats` reads the same figures from the entries. These are for reads of many accounts.
"""

from dataclasses import replace
from typing import Any

from events.event import Event
from ledger.accounts import AccountStatistics
from ledger.ids import AccountId
from ledger.transfers import Kind, Leg
from projections.projection import OutOfOrder

NO_ENTRIES = AccountStatistics(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, None)


def entered_account(event: Event) -> AccountId | None:
    """The account that got an entry by this event; None: no account did."""
    entry = _entry(event)
    return AccountId(entry["account_id"]) if entry else None


def with_entry(before: AccountStatistics, event: Event) -> AccountStatistics:
    """The figures after the event's entry. What came back counts on the side that it left from, with the other sign.

    Raises `OutOfOrder` unless the entry is the account's next one.
    """
    entry = _entry(event)
    assert entry is not None, "the caller has found its account"
    kind, leg, amount = Kind(event.data["transfer"]["kind"]), Leg(entry["leg"]), int(entry["amount"])
    if (entry["version"], entry["balance_before"]) != (before.version + 1, before.balance_minor):
        raise OutOfOrder(
            f"event {event.position} is entry {entry['version']} of {entry['account_id']} on a balance of "
            f"{entry['balance_before']}, and what was projected ends with entry {before.version} and a balance of "
            f"{before.balance_minor}"
        )
    after = replace(
        before,
        version=entry["version"],
        balance_minor=entry["balance_after"],
        last_activity_at=max(event.occurred_at, before.last_activity_at or event.occurred_at),
    )
    many = -1 if leg is Leg.REFUND else 1
    if kind is Kind.DEPOSIT:
        return replace(after, deposits=after.deposits + many, deposited_minor=after.deposited_minor + amount)
    if kind is Kind.WITHDRAWAL:
        return replace(after, withdrawals=after.withdrawals + many, withdrawn_minor=after.withdrawn_minor - amount)
    if leg is Leg.CREDIT:
        return replace(after, incoming=after.incoming + many, incoming_minor=after.incoming_minor + amount)
    return replace(after, outgoing=after.outgoing + many, outgoing_minor=after.outgoing_minor - amount)


def _entry(event: Event) -> dict[str, Any] | None:
    found: dict[str, Any] | None = event.data.get("entry") if event.type.startswith("transfer.") else None
    return found
