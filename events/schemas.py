"""The contract of events: a JSON Schema for each type, and an AsyncAPI 3 document of the ways that they take."""

from collections.abc import Mapping
from typing import Any

from events.envelope import CONTENT_TYPE, SEQUENCE_DIGITS, SOURCE, SPEC_VERSION, schema_uri
from events.event import EventType
from ledger.accounts import AccountStatus, Freeze
from ledger.transfers import MAX_ATTEMPTS, Kind, Leg, State

Schema = dict[str, Any]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
VERSION = 1

# Beside the AsyncAPI document.
SCHEMAS_FILE = "event-schemas.json"
SCHEMA_FORMAT = "application/schema+json;version=draft-2020-12"


def _id(prefix: str) -> Schema:
    return {"type": "string", "pattern": f"^{prefix}_[a-z0-9]+$"}


def _nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(properties: Mapping[str, Schema], description: str) -> Schema:
    """Each property is there, and may be null where it says so. More of them may come with the same version."""
    return {
        "type": "object",
        "description": description,
        "properties": dict(properties),
        "required": list(properties),
    }


TEXT: Schema = {"type": "string"}
AMOUNT: Schema = {"type": "integer", "description": "In the currency's minor unit"}
CURRENCY: Schema = {"type": "string", "pattern": "^[A-Z]{3}$"}
CUSTOMER = _id("cus")
ACCOUNT_OR_WORLD: Schema = {"type": "string", "pattern": "^(acc_[a-z2-7]{26}|world)$"}
STATUS: Schema = {"enum": [status.value for status in AccountStatus]}
FROZEN: Schema = {"enum": [*(freeze.value for freeze in Freeze), None]}
TIER: Schema = {"type": "integer", "minimum": 1}

FAILURE = _object({"code": TEXT, "message": TEXT}, "Why the attempt did not reach the destination")

TRANSFER = _object(
    {
        "id": _id("trf"),
        "kind": {"enum": [kind.value for kind in Kind]},
        "state": {"enum": [state.value for state in State]},
        "attempt": {"type": "integer", "minimum": 1, "maximum": MAX_ATTEMPTS},
        "owner_id": _nullable(CUSTOMER),
        "source_account_id": ACCOUNT_OR_WORLD,
        "destination_account_id": ACCOUNT_OR_WORLD,
        "amount": AMOUNT,
        "currency": CURRENCY,
        "transaction_id": _nullable(TEXT),
        "metadata": _nullable({"type": "object", "additionalProperties": TEXT}),
        "reverses_transfer_id": _nullable(_id("trf")),
        "failure": _nullable(FAILURE),
    },
    "The transfer after this change. `owner_id`, `metadata` and `transaction_id` are for who asked for it",
)

ENTRY = _object(
    {
        "account_id": _id("acc"),
        "owner_id": CUSTOMER,
        "leg": {"enum": [leg.value for leg in Leg]},
        "amount": AMOUNT | {"description": "What the balance changed by: negative for a debit"},
        "balance_before": AMOUNT,
        "balance_after": AMOUNT,
        "version": {"type": "integer", "minimum": 1, "description": "Which entry of the account it is"},
    },
    "How the account's balance changed",
)

ACCOUNT = _object(
    {
        "id": _id("acc"),
        "owner_id": CUSTOMER,
        "currency": CURRENCY,
        "status": STATUS,
        "frozen": FROZEN,
        "tier": TIER,
    },
    "The account after this change",
)
ACCOUNT_BEFORE = _object({"status": STATUS, "frozen": FROZEN, "tier": TIER}, "What it was before")

ROLE: Schema = {"enum": ["customer", "operator", "admin"]}
CUSTOMER_AFTER = _object(
    {"id": CUSTOMER, "role": ROLE, "verification": _nullable(TEXT)}, "The customer after this change"
)
CUSTOMER_BEFORE = _object({"role": ROLE, "verification": _nullable(TEXT)}, "What they were before")

DISPUTE = _object(
    {
        "id": _id("dsp"),
        "transfer_id": _id("trf"),
        "payer_id": _nullable(CUSTOMER),
        "payee_id": _nullable(CUSTOMER),
        "state": TEXT,
        "ruling": {"enum": ["reverse", "reject", None]},
        "amount": _nullable(AMOUNT),
        "currency": CURRENCY,
        "reversal_transfer_id": _nullable(_id("trf")),
    },
    "The dispute after this change. A party reads only their own id of the two",
)
STATEMENT = _object({"author": {"enum": ["payer", "payee"]}}, "Who made it; its text is not in the event")

COUNT: Schema = {"type": "integer", "minimum": 0}
BATCH = _object(
    {
        "id": _id("bat"),
        "owner_id": CUSTOMER,
        "mode": {"enum": ["best_effort", "atomic"]},
        "state": TEXT,
        "total": COUNT,
        "completed": COUNT,
        "failed": COUNT,
        "singles": COUNT | {"description": "Items that became transfers of their own"},
    },
    "The batch after this change; its items are at `GET /v1/batches/{id}/items`",
)

NOTIFICATION = _object(
    {
        "id": _id("ntf"),
        "occasion": TEXT,
        "transfer_id": _nullable(_id("trf")),
        "account_id": _nullable(_id("acc")),
        "created_at": {"type": "string"},
    },
    "What it is about; its text is at `GET /v1/notifications/{id}`",
)
ACCOUNT_STATEMENT = _object(
    {
        "account_id": _id("acc"),
        "number": {"type": "integer", "minimum": 1},
        "currency": CURRENCY,
        "begins_at": {"type": "string"},
        "ends_at": {"type": "string"},
        "time_zone": TEXT,
        "month": _nullable({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$"}),
        "from_version": {"type": "integer", "minimum": 1},
        "to_version": {"type": "integer", "minimum": 0},
        "opening": AMOUNT,
        "credits": AMOUNT,
        "debits": AMOUNT,
        "closing": AMOUNT,
        "head_hash": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    },
    "The statement; its entries are at `GET /v1/accounts/{account_id}/statements/{number}.json`",
)
WEBHOOK_ENDPOINT = _object(
    {
        "id": _id("whe"),
        "owner_id": _nullable(CUSTOMER),
        "state": TEXT,
        "failing_since": _nullable(TEXT),
    },
    "The endpoint after this change; its URL is not in the event",
)
DEAD_LETTER = _object(
    {
        "id": _id("dlt"),
        "source": TEXT | {"description": "What gave up: a sink, `webhooks` or a queue"},
        "target": _nullable(TEXT),
        "event_id": _nullable(TEXT),
        "type": _nullable(TEXT),
        "reason": TEXT,
        "attempts": {"type": "integer"},
    },
    "The dead letter",
)

STANDING_ORDER = _object(
    {
        "id": _id("sto"),
        "owner_id": CUSTOMER,
        "state": {"enum": ["active", "paused", "completed", "cancelled"]},
        "paused_by": {"enum": ["owner", "staff", None]},
        "source_account_id": _id("acc"),
        "destination_account_id": _id("acc"),
        "amount": _nullable(AMOUNT),
        "above": _nullable(AMOUNT | {"description": "What the source holds above this is paid"}),
        "currency": CURRENCY,
        "frequency": {"enum": ["once", "daily", "weekly", "monthly", "yearly"]},
        "next_date": _nullable({"type": "string", "format": "date"}),
    },
    "The standing order after this change",
)
OCCURRENCE = _object(
    {
        "date": {"type": "string", "format": "date"},
        "state": {"enum": ["paid", "missed", "failed", "skipped"]},
        "amount": _nullable(AMOUNT),
        "code": _nullable(TEXT | {"description": "Why it was not paid"}),
        "transfer_id": _nullable(_id("trf")),
    },
    "A date of the order, and what became of it",
)

OF_TRANSFER = {"transfer": TRANSFER, "entry": _nullable(ENTRY)}
OF_ACCOUNT = {"account": ACCOUNT, "before": _nullable(ACCOUNT_BEFORE)}
OF_CUSTOMER = {"customer": CUSTOMER_AFTER, "before": _nullable(CUSTOMER_BEFORE)}
OF_DISPUTE = {"dispute": DISPUTE, "statement": _nullable(STATEMENT)}
OF_STANDING_ORDER = {"standing_order": STANDING_ORDER}
OF_OCCURRENCE = OF_STANDING_ORDER | {"occurrence": OCCURRENCE}
OF_BATCH = {"batch": BATCH}
OF_ENDPOINT = {"webhook_endpoint": WEBHOOK_ENDPOINT}

# Of each type: what happened, in a sentence, and its data.
CONTENTS: Mapping[EventType, tuple[str, Mapping[str, Schema]]] = {
    EventType.TRANSFER_INITIATED: ("A transfer was accepted; nothing has moved.", OF_TRANSFER),
    EventType.TRANSFER_IN_REVIEW: ("It waits for a decision of staff.", OF_TRANSFER),
    EventType.TRANSFER_DEBITED: ("The amount has left the source.", OF_TRANSFER),
    EventType.TRANSFER_COMPLETED: ("The amount has reached the destination.", OF_TRANSFER),
    EventType.TRANSFER_FAILED: ("The attempt ended; nothing has moved.", OF_TRANSFER),
    EventType.TRANSFER_COMPENSATED: ("The attempt ended; the amount is back at the source.", OF_TRANSFER),
    EventType.TRANSFER_CANCELLED: ("It was cancelled; nothing has moved.", OF_TRANSFER),
    EventType.TRANSFER_RETRIED: ("Another attempt begins.", OF_TRANSFER),
    EventType.ACCOUNT_CREATED: ("An account was opened.", OF_ACCOUNT),
    EventType.ACCOUNT_FROZEN: ("An account was frozen, or frozen in another way.", OF_ACCOUNT),
    EventType.ACCOUNT_UNFROZEN: ("An account is active again.", OF_ACCOUNT),
    EventType.ACCOUNT_CLOSED: ("An account was closed for good.", OF_ACCOUNT),
    EventType.ACCOUNT_TIER_CHANGED: ("An account has another tier.", OF_ACCOUNT),
    EventType.ACCOUNT_FLAGGED: (
        "Screening opened a case about an account. For staff only.",
        {
            "account": _object({"id": _id("acc")}, "The account"),
            "case": _object({"id": _id("cas")}, "The case"),
        },
    ),
    EventType.CUSTOMER_CREATED: ("A customer registered.", OF_CUSTOMER),
    EventType.CUSTOMER_VERIFIED: ("A customer's identity is verified.", OF_CUSTOMER),
    EventType.CUSTOMER_ROLE_CHANGED: ("A customer has another role.", OF_CUSTOMER),
    EventType.DISPUTE_OPENED: ("A payer objects to a transfer.", OF_DISPUTE),
    EventType.DISPUTE_STATED: ("A party made a statement.", OF_DISPUTE),
    EventType.DISPUTE_ENDED: ("A dispute ended, or its failed reversal has succeeded since.", OF_DISPUTE),
    EventType.BATCH_ACCEPTED: ("A batch was accepted.", OF_BATCH),
    EventType.BATCH_HELD: ("An atomic batch waits for a person's decision.", OF_BATCH),
    EventType.BATCH_COMPLETED: ("Every item of a batch has an outcome, or a transfer of its own.", OF_BATCH),
    EventType.BATCH_REFUSED: ("Nothing of an atomic batch was posted.", OF_BATCH),
    EventType.BATCH_CANCELLED: ("Nothing more of a batch is posted.", OF_BATCH),
    EventType.NOTIFICATION_ADDED: ("A customer has a new notification.", {"notification": NOTIFICATION}),
    EventType.STATEMENT_READY: ("A statement of an account is ready.", {"statement": ACCOUNT_STATEMENT}),
    EventType.STANDING_ORDER_CREATED: ("A standing order was made.", OF_STANDING_ORDER),
    EventType.STANDING_ORDER_CHANGED: ("A standing order has other terms from its next date on.", OF_STANDING_ORDER),
    EventType.STANDING_ORDER_PAUSED: ("A standing order pays nothing until it is resumed.", OF_STANDING_ORDER),
    EventType.STANDING_ORDER_RESUMED: ("A standing order pays again, from its next date on.", OF_STANDING_ORDER),
    EventType.STANDING_ORDER_CANCELLED: ("A standing order was ended before its last date.", OF_STANDING_ORDER),
    EventType.STANDING_ORDER_COMPLETED: ("The last date of a standing order has come.", OF_STANDING_ORDER),
    EventType.STANDING_ORDER_PAID: ("A date of a standing order was paid.", OF_OCCURRENCE),
    EventType.STANDING_ORDER_MISSED: ("A date's deadline has passed without a payment.", OF_OCCURRENCE),
    EventType.STANDING_ORDER_FAILED: ("A date's payment was refused for good.", OF_OCCURRENCE),
    EventType.STANDING_ORDER_SKIPPED: ("A date was left out.", OF_OCCURRENCE),
    EventType.WEBHOOK_ENDPOINT_FAILING: ("Deliveries to an endpoint fail.", OF_ENDPOINT),
    EventType.WEBHOOK_ENDPOINT_DISABLED: ("An endpoint gets no more deliveries.", OF_ENDPOINT),
    EventType.WEBHOOK_ENDPOINT_RECOVERED: ("Deliveries to an endpoint succeed again.", OF_ENDPOINT),
    EventType.DELIVERY_DEAD: ("What could not be delivered is a dead letter.", {"dead_letter": DEAD_LETTER}),
}
assert CONTENTS.keys() == set(EventType)


def schema_of(type_: EventType) -> Schema:
    """The JSON Schema of an event of this type, envelope and data."""
    sentence, data = CONTENTS[type_]
    properties: dict[str, Schema] = {
        "specversion": {"const": SPEC_VERSION},
        "id": {"type": "string", "pattern": "^evt_[0-9a-f]{32}$", "description": "The same in every repeat"},
        "source": {"const": SOURCE},
        "type": {"const": type_.value},
        "subject": {"type": "string", "description": "The id of what changed"},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"const": CONTENT_TYPE},
        "dataschema": {"const": schema_uri(type_, VERSION)},
        "sequence": {
            "type": "string",
            "pattern": f"^[0-9]{{{SEQUENCE_DIGITS}}}$",
            "description": "The position among all events",
        },
        "partitionkey": {"type": "string", "description": "Events with the same key come in the order of the changes"},
        "timestamp": {"type": "string", "format": "date-time", "description": "As `time`"},
        "data": _object(data, sentence),
    }
    of_account: dict[str, Schema] = {
        "accountid": _id("acc") | {"description": "The account that changed"},
        "accountversion": {
            "type": "integer",
            "minimum": 0,
            "description": "How many entries the account has after this change",
        },
    }
    return {
        "$schema": DRAFT,
        "$id": schema_uri(type_, VERSION),
        "title": type_.value,
        "description": sentence,
        "type": "object",
        "properties": properties | of_account,
        "required": list(properties),
    }


def schemas() -> dict[str, Schema]:
    """The schema of each type, by its name."""
    return {type_.value: schema_of(type_) for type_ in EventType}


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3 document: the events, and the channels that carry all of them."""
    messages = {
        type_.value: {
            "name": type_.value,
            "title": type_.value,
            "summary": CONTENTS[type_][0],
            "contentType": "application/cloudevents+json",
            "payload": {"schemaFormat": SCHEMA_FORMAT, "schema": {"$ref": f"{SCHEMAS_FILE}#/{type_.value}"}},
        }
        for type_ in EventType
    }
    channels: dict[str, dict[str, Any]] = {
        "kafka": {"address": "remit.events", "description": "A Kafka topic, keyed by `partitionkey`."},
        "rabbitmq": {
            "address": "wallet.events",
            "description": "A RabbitMQ exchange; the routing key is the type.",
        },
        "webhook": {"address": None, "description": "POST requests to an endpoint, signed by Standard Webhooks."},
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Remit's events",
            "version": str(VERSION),
            "description": "Facts of the books, after their commit: at least once, in order for each `partitionkey`. "
            "A repeat has the same `id`. A channel to a customer carries what this customer may see.",
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": {
            name: channel
            | {"messages": {type_.value: {"$ref": f"#/components/messages/{type_.value}"} for type_ in EventType}}
            for name, channel in channels.items()
        },
        "operations": {
            f"send_{name}": {"action": "send", "channel": {"$ref": f"#/channels/{name}"}} for name in channels
        },
        "components": {"messages": messages},
    }
