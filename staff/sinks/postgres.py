"""What staff do about sinks: they retire one that nobody runs any more, so that it holds up no old events."""

from database.answers import Keep, keeps_nothing
from database.connections import Database
from events.postgres.sinks import remove_sink
from events.sink import SinkInUse
from staff.permissions import Action, Actor, check_allowed
from staff.postgres.actions import Subject, record_actions


class SinkRetirements:
    """Raises `Unavailable` where PostgreSQL gave no answer: in doubt, repeat the call under its key."""

    def __init__(self, database: Database, configured: frozenset[str]) -> None:
        """`configured` are the sinks that the settings name: those are in use, also while no worker runs."""
        self._database = database
        self._configured = configured

    async def retire(self, actor: Actor, name: str, reason: str, keep: Keep[int] = keeps_nothing) -> int:
        """Forget a sink and its position, which it returns. If it is ever run again, it begins as a new one.

        Raises `NotAllowed`, `NoSuchSink`, and `SinkInUse` where settings name it or a worker runs it.
        """
        check_allowed(actor, Action.RETIRE_SINK)
        if name in self._configured:
            raise SinkInUse(name)
        async with self._database.transaction() as connection:
            position = await remove_sink(connection, name)
            await record_actions(
                connection, actor, Action.RETIRE_SINK, [Subject(name, {"position": position}, None)], reason
            )
            await keep(connection, position)
        return position
