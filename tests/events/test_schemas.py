"""The contract of events: what is sent validates against it, and against the standards that it follows."""

import json
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from standardwebhooks import Webhook

from cli.events.schema import documents
from events.envelope import envelope_of
from events.event import EventType
from events.schemas import asyncapi, schema_of, schemas
from events.views import as_seen_by
from tests.events.conftest import Story

DOCS = Path(__file__).resolve().parents[2] / "docs"

# Produced by the tests of webhooks.
OF_WEBHOOKS = {type_ for type_ in EventType if type_.startswith("webhook_endpoint.")}
# Produced, and validated, by those of standing orders.
OF_STANDING_ORDERS = {type_ for type_ in EventType if type_.startswith("standing_order.")}

VALIDATORS = {
    type_: jsonschema.Draft202012Validator(schema_of(type_), format_checker=jsonschema.FormatChecker())
    for type_ in EventType
}


def validate(body: str) -> None:
    sent = json.loads(body)
    VALIDATORS[EventType(sent["type"])].validate(sent)


async def test_each_event_validates_as_staff_and_as_each_customer_sees_it(story: Story) -> None:
    assert {event.type for event in story.events} == set(EventType) - OF_WEBHOOKS - OF_STANDING_ORDERS
    for event in story.events:
        for reader in (None, *event.audience):
            seen = as_seen_by(event, reader)
            assert seen is not None
            validate(json.dumps(envelope_of(seen)))


async def test_the_body_is_a_cloud_event_and_a_signed_webhook_at_once(story: Story) -> None:
    webhook = Webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    for event in story.events:
        body = json.dumps(envelope_of(event))
        parsed = JSONFormat().read(CloudEvent, body)
        assert parsed.get_id() == event.event_id
        assert parsed.get_time() == event.occurred_at
        assert parsed.get_data() == event.data
        assert int(parsed.get_extension("sequence")) == event.position
        assert parsed.get_extension("partitionkey") == event.partition_key
        now = datetime.now(UTC)
        headers = {
            "webhook-id": event.event_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": webhook.sign(event.event_id, now, body),
        }
        verified = webhook.verify(body, headers)
        assert {"type", "timestamp", "data"} <= verified.keys()


def test_every_schema_is_one() -> None:
    for schema in schemas().values():
        jsonschema.Draft202012Validator.check_schema(schema)
    messages = asyncapi()["components"]["messages"]
    assert {message["payload"]["schema"]["$ref"].split("#/")[1] for message in messages.values()} == schemas().keys()


def test_the_documents_are_those_that_are_committed() -> None:
    for name, text in documents().items():
        assert (DOCS / name).read_text() == text, "run `make openapi`"
