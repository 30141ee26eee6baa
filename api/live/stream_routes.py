"""Events as they happen, for clients without GraphQL: Server-Sent Events (the HTML standard, section 9.2)."""

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from api.auth.sessions import Caller, EventsRead
from api.events.models import StreamFilters
from api.events.routes import types_of
from api.http.problems import problem_responses
from api.http.route import CheckedRoute
from api.live.cursors import cursor_of, position_in
from api.live.hub import SignInOver, StreamOver
from api.ownership.check import sends_parts
from api.services import Remit, Services
from events.envelope import envelope_of
from events.event import EventType

router = APIRouter(prefix="/v1/events", tags=["events"], route_class=CheckedRoute)

MEDIA_TYPE = "text/event-stream"

# Proxies close what is silent for a minute.
HEARTBEAT_SECONDS = 15

# How long a client may take to read one message, and how soon it should come again after the end.
SEND_SECONDS = 20
RETRY_MILLISECONDS = 1_000

LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        max_length=200,
        description="The `id` of the last message that you have. Browsers send it by themselves when they reconnect",
    ),
]

_SENT = (
    "id: 0000000000000001201\nevent: transfer.completed\n"
    'data: {"specversion":"1.0","type":"transfer.completed","subject":"trf_iuwbh4hkzdez5j5ag3ea6cau2u"}\n\n'
)
_EXAMPLE = {"schema": {"type": "string"}, "example": _SENT}


@router.get(
    "/stream",
    operation_id="events.stream",
    summary="Follow my events",
    response_class=Response,
    responses=problem_responses(
        "not_authenticated",
        "token_expired",
        "cursor_invalid",
        "cursor_expired",
        "validation_failed",
        "too_many_streams",
        "database_unavailable",
    )
    | {200: {"description": "Messages, without an end", "content": {MEDIA_TYPE: _EXAMPLE}}},
)
@sends_parts
async def stream(
    request: Request,
    session: EventsRead,
    remit: Remit,
    filters: Annotated[StreamFilters, Query()],
    last_event_id: LastEventId = None,
) -> Response:
    """Server-Sent Events: each message has an event's type, its envelope as JSON, and an `id` to go on behind.

    Without an `id` it begins with what happens next. It ends with the access token, the session or the API key, and
    when too much waits for you: reconnect with the last `id`, to any process, and you miss nothing.
    """
    begin = await position_in(remit, last_event_id or filters.after)
    if request.scope.get("asked_by") == "HEAD":
        return Response(media_type=MEDIA_TYPE)
    remit.admission.check_room(session.sign_in)
    return EventSourceResponse(
        _messages(session, remit, types_of(filters) or frozenset(EventType), begin),
        ping=HEARTBEAT_SECONDS,
        ping_message_factory=lambda: ServerSentEvent(comment="still here"),
        send_timeout=SEND_SECONDS,
    )


async def _messages(
    session: Caller, remit: Services, wanted: frozenset[EventType], begin: int
) -> AsyncIterator[ServerSentEvent]:
    subscription = remit.hub.subscribe(session.customer.id, wanted, begin)
    with remit.admission.admit(session.sign_in, lambda: subscription.end(SignInOver())):
        # An `id` without data reaches no listener, and the browser keeps it: a break before the first event is safe.
        yield ServerSentEvent(id=cursor_of(begin), retry=RETRY_MILLISECONDS)
        async with aclosing(subscription.events()) as events:
            try:
                async for event in events:
                    yield ServerSentEvent(
                        json.dumps(envelope_of(event), separators=(",", ":")),
                        event=event.type,
                        id=cursor_of(event.position),
                    )
            except StreamOver as over:
                yield ServerSentEvent(comment=over.reason)
