"""What staff do about dead letters: send them again to where they died, or discard them. All of it is recorded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from database.answers import Keep, keeps_nothing
from database.connections import Database
from events.dead_letter import DeadLetter, DeadLetterEnded, DeadLetterUnsendable, LetterState, Replayer
from events.postgres.dead_letters import (
    LetterSearch,
    end_letters,
    enqueue_replays,
    find_letter,
    find_letters,
    lock_letters,
)
from ledger.ids import DeadLetterId
from staff.permissions import Action, Actor, check_allowed
from staff.postgres.actions import Subject, record_actions

if TYPE_CHECKING:
    from database.connections import Connection

# One request replays so many at most; the answer says whether more are left.
REPLAYED_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """What a replay of several letters has done. `has_more`: as many again fit the filter."""

    letters: list[DeadLetter]
    has_more: bool


class DeadLetterActs:
    """All raise `Unavailable` where PostgreSQL gave no answer: in doubt, repeat the call."""

    def __init__(self, database: Database, replayers: Mapping[str, Replayer] | None = None) -> None:
        """`replayers` by source. Sinks and queues need none: who sends to them finds what is to be sent again."""
        self._database = database
        self._replayers = dict(replayers or {})

    async def replay(
        self, actor: Actor, letter_id: DeadLetterId, reason: str, keep: Keep[DeadLetter] = keeps_nothing
    ) -> DeadLetter:
        """Send one letter again, with its event's id, to where it died.

        Refuses like `discard`, and with `DeadLetterUnsendable`.
        """
        check_allowed(actor, Action.REPLAY_DEAD_LETTERS)
        async with self._database.transaction() as connection:
            letter = await _dead(connection, actor, letter_id)
            replayed = await self._replay(connection, actor, [letter], reason)
            if not replayed:
                raise DeadLetterUnsendable(letter_id)
            await keep(connection, replayed[0])
            return replayed[0]

    async def replay_all(
        self, actor: Actor, wanted: LetterSearch, reason: str, keep: Keep[ReplayOutcome] = keeps_nothing
    ) -> ReplayOutcome:
        """Send again the newest dead letters that fit, and can be sent.

        None may fit; what another act has just ended is left out. What cannot be sent stays dead.
        """
        check_allowed(actor, Action.REPLAY_DEAD_LETTERS)
        async with self._database.transaction() as connection:
            search = replace(wanted, state=LetterState.DEAD, hidden_from=actor.id)
            page = await find_letters(connection, search, REPLAYED_AT_ONCE)
            locked = await lock_letters(connection, [letter.id for letter in page.items])
            dead = [letter for letter in locked if letter.state is LetterState.DEAD]
            outcome = ReplayOutcome(await self._replay(connection, actor, dead, reason), page.has_more)
            await keep(connection, outcome)
            return outcome

    async def discard(
        self, actor: Actor, letter_id: DeadLetterId, reason: str, keep: Keep[DeadLetter] = keeps_nothing
    ) -> DeadLetter:
        """Give one letter up. Refuses with `NoSuchDeadLetter`, and `DeadLetterEnded` after an earlier act."""
        check_allowed(actor, Action.DISCARD_DEAD_LETTER)
        async with self._database.transaction() as connection:
            letter = await _dead(connection, actor, letter_id)
            (discarded,) = await _end(
                connection, actor, Action.DISCARD_DEAD_LETTER, [letter], LetterState.DISCARDED, reason
            )
            await keep(connection, discarded)
            return discarded

    async def _replay(
        self, connection: "Connection", actor: Actor, letters: Sequence[DeadLetter], reason: str
    ) -> list[DeadLetter]:
        taken: set[str] = set()
        for source in sorted({letter.source for letter in letters}):
            replayer = self._replayers.get(source, enqueue_replays)
            taken.update(await replayer(connection, [letter for letter in letters if letter.source == source]))
        sent = [letter for letter in letters if letter.id in taken]
        return await _end(connection, actor, Action.REPLAY_DEAD_LETTERS, sent, LetterState.REPLAYED, reason)


async def _dead(connection: "Connection", actor: Actor, letter_id: DeadLetterId) -> DeadLetter:
    await find_letter(connection, letter_id, actor.id)
    (found,) = await lock_letters(connection, [letter_id])
    if found.state is not LetterState.DEAD:
        raise DeadLetterEnded(found)
    return found


async def _end(
    connection: "Connection",
    actor: Actor,
    action: Action,
    letters: Sequence[DeadLetter],
    state: LetterState,
    reason: str,
) -> list[DeadLetter]:
    if not letters:
        return []
    before, after = {"state": LetterState.DEAD}, {"state": state}
    await record_actions(connection, actor, action, [Subject(letter.id, before, after) for letter in letters], reason)
    return await end_letters(connection, [letter.id for letter in letters], state, actor.id, reason)
