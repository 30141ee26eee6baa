"""How an event leaves Remit: one JSON object, a CloudEvents 1.0 event and a Standard Webhooks payload at once."""

from datetime import UTC
from typing import Any

from events.event import Event, EventType

SPEC_VERSION = "1.0"
SOURCE = "urn:remit"
CONTENT_TYPE = "application/json"

# A CloudEvents `sequence` is text whose order is that of the events.
SEQUENCE_DIGITS = 19


def schema_uri(type_: EventType, version: int) -> str:
    """What names the schema of an event's data: another version is another name."""
    return f"urn:remit:schema:{type_}:{version}"


def envelope_of(event: Event) -> dict[str, Any]:
    """The event as JSON, in CloudEvents' structured mode. Equal for every delivery and every replay of one event.

    Names of attributes are those of CloudEvents: lower case without separators. `sequence` is the position, and
    `partitionkey` names the order that the event belongs to. `timestamp` is `time` once more, for Standard Webhooks.
    """
    time = event.occurred_at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    account = {"accountid": event.account_id, "accountversion": event.account_version}
    return {
        "specversion": SPEC_VERSION,
        "id": event.event_id,
        "source": SOURCE,
        "type": event.type.value,
        "subject": event.subject,
        "time": time,
        "datacontenttype": CONTENT_TYPE,
        "dataschema": schema_uri(event.type, event.version),
        "sequence": f"{event.position:0{SEQUENCE_DIGITS}}",
        "partitionkey": event.partition_key,
        **{name: value for name, value in account.items() if value is not None},
        "timestamp": time,
        "data": event.data,
    }
