"""The GraphQL schema: notifications, their read marks, and what is pushed to whoever subscribes."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import aclosing, suppress
from functools import cache, partial

import strawberry
from graphql import FieldNode, GraphQLError, ValidationContext, ValidationRule
from strawberry.extensions import (
    AddValidationRules,
    DisableIntrospection,
    MaskErrors,
    MaxAliasesLimiter,
    MaxTokensLimiter,
    QueryDepthLimiter,
    SchemaExtension,
)
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from api.graphql.mutation_records import MutationRecords
from api.graphql.resolver_context import GraphqlContext, GraphqlInfo, problems_as_errors
from api.graphql.types import (
    MINOR_UNITS,
    AccountChanged,
    MinorUnits,
    NotificationAdded,
    NotificationNode,
    NotificationPage,
    NotificationsRead,
)
from api.http.fields import MAX_PAGE
from api.http.problems import Problem
from api.live.cursors import cursor_of, position_in
from api.live.hub import RETRY_SECONDS, StreamOver, TooSlow
from api.notifications.models import MOST_NAMED, NotificationOut
from api.notifications.routes import own_notification
from api.ownership.check import check_is_for
from api.services import Services
from customers.api_keys.api_key import Scope
from database.connections import Unavailable
from events.event import Event, EventType
from ledger.ids import CustomerId, NotificationId
from notifications.notification import Notification

MOST_DEPTH = 5
MOST_ALIASES = 10
MOST_LISTS = 2
MOST_TOKENS = 500

# Close codes of RFC 6455: the service restarts, and: try again later.
RESTARTS, TRY_AGAIN = 1012, 1013

_OF_ACCOUNTS = frozenset(each for each in EventType if each.startswith(("account.", "transfer.")))


@strawberry.type
class Query:
    """What can be read."""

    @strawberry.field(description="My notifications, newest first.")  # type: ignore[untyped-decorator]
    async def get_notifications(
        self,
        info: GraphqlInfo,
        first: int = 20,
        after: str | None = None,
        unread_only: bool = False,
    ) -> NotificationPage:
        """As `GET /v1/notifications`, with a cursor for the subscription."""
        with problems_as_errors():
            remit, caller = info.context.remit, info.context.reader(Scope.NOTIFICATIONS_READ)
            if not 1 <= first <= MAX_PAGE:
                raise Problem("validation_failed", f"first: give 1 to {MAX_PAGE}.")
            # Before the list is read: what is added after this comes by the stream.
            position = await position_in(remit, None)
            before = remit.cursors.read_place("notifications", after)
            page = await remit.notifications.of_customer(caller.customer.id, before, first, unread_only=unread_only)
            items = [NotificationOut.of(one) for one in page.items]
            for item in items:
                check_is_for(caller, item)
            last = page.items[-1] if page.has_more else None
            return NotificationPage(
                items=list(map(NotificationNode.of, items)),
                next_cursor=remit.cursors.sign_place("notifications", last.created_at, last.id) if last else None,
                unread=await remit.notifications.unread(caller.customer.id),
                stream_cursor=cursor_of(position),
            )


@strawberry.type
class Mutation:
    """What can be changed."""

    @strawberry.mutation(description="Mark some notifications as read by their ids, or one and all older by through.")  # type: ignore[untyped-decorator]
    async def mark_notifications_read(
        self, info: GraphqlInfo, ids: list[strawberry.ID] | None = None, through: strawberry.ID | None = None
    ) -> NotificationsRead:
        """As `POST /v1/notifications/read`. Safe to repeat."""
        with problems_as_errors():
            remit, me = info.context.remit, info.context.reader(Scope.NOTIFICATIONS_WRITE).customer.id
            if (ids is None) == (through is None) or (ids is not None and len(ids) > MOST_NAMED):
                raise Problem("validation_failed", f"Give ids, {MOST_NAMED} at most, or through.")
            if not all(map(str.isascii, (*(ids or ()), through or ""))):
                raise Problem("validation_failed", "No notification has such an id.")
            if through is None:
                marks = await remit.notifications.mark_read(me, list(map(NotificationId, ids or ())))
            else:
                last = await own_notification(remit, me, NotificationId(through))
                marks = await remit.notifications.mark_read_through(me, last)
            return NotificationsRead(marked=marks.marked, unread=marks.unread)


@strawberry.type(name="Subscription")
class Pushes:
    """What is pushed. Without `after`, it begins with what happens next."""

    @strawberry.subscription(description="Each notification of mine when it is added.")  # type: ignore[untyped-decorator]
    async def notification_added(
        self, info: GraphqlInfo, after: str | None = None
    ) -> AsyncGenerator[NotificationAdded, None]:
        """In the order of the events, each once."""
        remit, context = info.context.remit, info.context
        async with aclosing(
            _events(context, Scope.NOTIFICATIONS_READ, [EventType.NOTIFICATION_ADDED], after)
        ) as events:
            async for event in events:
                with problems_as_errors():
                    caller = context.reader(Scope.NOTIFICATIONS_READ)
                    found = await _notification(remit, caller.customer.id, NotificationId(event.subject))
                    if found is None:
                        continue
                    shown = NotificationOut.of(found)
                    check_is_for(caller, shown)
                yield NotificationAdded(cursor=cursor_of(event.position), notification=NotificationNode.of(shown))

    @strawberry.subscription(description="Each change of my accounts: of a balance, a freeze, a tier.")  # type: ignore[untyped-decorator]
    async def account_changed(
        self, info: GraphqlInfo, after: str | None = None
    ) -> AsyncGenerator[AccountChanged, None]:
        """In the order of the events, each once."""
        async with aclosing(_events(info.context, Scope.ACCOUNTS_READ, _OF_ACCOUNTS, after)) as events:
            async for event in events:
                changed = AccountChanged.of(event, cursor_of(event.position))
                if changed is not None:
                    yield changed


async def _notification(remit: Services, reader_id: CustomerId, notification_id: NotificationId) -> Notification | None:
    """The notification of an event, as soon as PostgreSQL answers: an error would end the subscription for good.

    None: it is gone. What comes meanwhile waits, and too much of it closes the socket.
    """
    while True:
        with suppress(Unavailable):
            return await remit.pushed_notifications.find(reader_id, notification_id)
        await asyncio.sleep(RETRY_SECONDS)


async def _events(
    context: GraphqlContext, scope: Scope, types: Collection[EventType], after: str | None
) -> AsyncGenerator[Event, None]:
    """The reader's events. Once they are over the socket closes, so that the client comes again."""
    with problems_as_errors():
        caller = context.reader(scope)
        subscription = context.remit.hub.subscribe(caller.customer.id, types, await position_in(context.remit, after))
    try:
        async with aclosing(subscription.events()) as events:
            async for event in events:
                yield event
    except StreamOver as over:
        await context.close(TRY_AGAIN if isinstance(over, TooSlow) else RESTARTS, over.reason)
        # An end would tell the client that there is no more. The socket's own end cancels this.
        await asyncio.Event().wait()


class _FewLists(ValidationRule):
    """Refuses a document that reads many lists: by aliases, one request would take a connection for each."""

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self._lists = 0

    def enter_field(self, node: FieldNode, *_: object) -> None:
        """Called for each field, those of fragments included."""
        self._lists += node.name.value == "getNotifications"
        if self._lists == MOST_LISTS + 1:
            self.report_error(GraphQLError(f"A query may have getNotifications {MOST_LISTS} times, aliases included."))


class _Schema(strawberry.Schema):
    """Logs what is a fault of ours, and nothing that a client can cause."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:  # noqa: ARG002
        unforeseen = [error for error in errors if _is_unforeseen(error)]
        for error in unforeseen:
            logging.getLogger("remit.graphql").error("a resolver failed", exc_info=error.original_error)


def _is_unforeseen(error: GraphQLError) -> bool:
    return error.original_error is not None and not isinstance(error.original_error, GraphQLError)


@cache
def graphql_schema(*, introspection: bool) -> strawberry.Schema:
    """The schema with its limits. Without introspection, nobody asks it what it has."""
    limits: list[Callable[[], SchemaExtension]] = [
        partial(QueryDepthLimiter, MOST_DEPTH),
        partial(MaxAliasesLimiter, MOST_ALIASES),
        partial(AddValidationRules, [_FewLists]),
        partial(MaxTokensLimiter, MOST_TOKENS if not introspection else 2 * MOST_TOKENS),
        partial(MaskErrors, _is_unforeseen, "Internal error"),
        MutationRecords,
    ]
    if not introspection:
        limits.append(DisableIntrospection)
    return _Schema(
        Query,
        Mutation,
        Pushes,
        extensions=limits,
        config=StrawberryConfig(scalar_map={MinorUnits: MINOR_UNITS}),
    )
