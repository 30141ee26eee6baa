"""What each customer may know of an event. Pure: from the event alone. Every way out to a customer goes through it."""

from dataclasses import replace
from typing import Any

from events.event import Event
from ledger.ids import CustomerId


def as_seen_by(event: Event, reader: CustomerId | None) -> Event | None:
    """The event as this customer may see it; None: they may not. Without a reader it is as staff see it: whole.

    A customer sees an entry of their own account only, and of whoever else takes part neither their id, nor how many
    entries their account has, nor what they wrote for themselves.
    """
    if reader is None:
        return event
    if reader not in event.audience:
        return None
    seen = replace(event, audience=(reader,), request_id=None)
    if "transfer" in event.data:
        return _transfer_view(seen, reader)
    if "dispute" in event.data:
        return replace(seen, data=event.data | {"dispute": _dispute_view(event.data["dispute"], reader)})
    return seen


def _transfer_view(event: Event, reader: CustomerId) -> Event:
    entry = event.data["entry"]
    if entry is not None and entry["owner_id"] != reader:
        event = replace(event, account_id=None, account_version=None)
        entry = None
    transfer = dict(event.data["transfer"])
    if transfer["owner_id"] != reader:
        transfer |= {"owner_id": None, "metadata": None, "transaction_id": None}
    if transfer["failure"] is not None:
        transfer["failure"] = transfer["failure"] | {"side": None}
    return replace(event, data=event.data | {"transfer": transfer, "entry": entry})


def _dispute_view(dispute: dict[str, Any], reader: CustomerId) -> dict[str, Any]:
    """Parties know each other as payer and payee."""
    return dispute | {name: None for name in ("payer_id", "payee_id") if dispute[name] != reader}
