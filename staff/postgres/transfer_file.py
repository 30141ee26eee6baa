"""All that is known of one transfer, for staff. Reads only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from database.connections import Database
from ledger.ids import AccountId, ActionId, CustomerId, PostingId, TransferId
from ledger.postgres.rows import TRANSFER_COLUMNS, Row, transfer_of
from ledger.postgres.transfer_reads import attempts_before
from ledger.transfers import Attempt, Leg, Transfer
from staff.permissions import Action, Channel
from staff.postgres.action_log import ACTIONS, Outcome, RecordedAction, json_of, recorded_action


@dataclass(frozen=True, slots=True)
class PostingFact:
    """One posting of a transfer, both sides named."""

    id: PostingId
    attempt: int
    leg: Leg
    debit_account_id: AccountId
    credit_account_id: AccountId
    amount_minor: int
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class EntryFact:
    """What a posting did to one account. `amount_minor` is signed."""

    account_id: AccountId
    version: int
    attempt: int
    leg: Leg
    amount_minor: int
    balance_before: int
    balance_after: int
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class TransferMessage:
    """What the owner of an account was told about a transfer: of how an attempt `ended`, or of a dispute's course."""

    customer_id: CustomerId
    account_id: AccountId
    attempt: int
    occasion: str
    body: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Intervention:
    """What a person did about a transfer, by whatever channel.

    `by` is their id. `action_id` is the record of an action by the API; what was typed in Temporal has none.
    """

    at: datetime
    channel: Channel
    by: str
    action: Action
    reason: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    outcome: Outcome
    action_id: ActionId | None


@dataclass(frozen=True, slots=True)
class TransferFile:
    """All that is known of a transfer, in one snapshot. Each list is oldest first."""

    transfer: Transfer
    attempts: list[Attempt]
    postings: list[PostingFact]
    entries: list[EntryFact]
    messages: list[TransferMessage]
    actions: list[RecordedAction]
    interventions: list[Intervention]


_TRANSFER = f"SELECT {TRANSFER_COLUMNS} FROM transfers t WHERE t.id = $1"


_POSTINGS = """
    SELECT id, attempt, leg, debit_account_id, credit_account_id, amount_minor, recorded_at
    FROM postings WHERE transfer_id = $1 ORDER BY attempt, recorded_at, leg DESC
"""


_ENTRIES = """
    SELECT account_id, version, attempt, leg, amount_minor, balance_before, balance_after, recorded_at
    FROM entries WHERE transfer_id = $1 ORDER BY attempt, recorded_at, leg DESC
"""


_MESSAGES = """
    SELECT customer_id, account_id, attempt, occasion, body, created_at
    FROM messages WHERE transfer_id = $1 ORDER BY attempt, created_at, account_id
"""


_ACTIONS_ABOUT = f"{ACTIONS} WHERE a.subject = $1 ORDER BY a.recorded_at, a.id"


# What was typed in Temporal, or decided by a batch: all that is not an action about this transfer itself.
_KEPT_BY_WORKFLOWS = """
    SELECT d.decided_at AS at, d.decider AS by, 'decide_review' AS action, d.reason, d.action_id,
        jsonb_build_object('attempt', d.attempt) AS before, jsonb_build_object('ruling', d.ruling) AS after
    FROM review_decisions d LEFT JOIN operator_actions a ON a.id = d.action_id
    WHERE d.transfer_id = $1 AND a.subject IS DISTINCT FROM $1
    UNION ALL
    SELECT i.recorded_at, i.actor, CASE i.action WHEN 'retry_now' THEN 'retry_step' ELSE i.action END, i.reason,
        i.action_id, jsonb_build_object('attempt', i.attempt, 'state', i.state), NULL
    FROM instructions i LEFT JOIN operator_actions a ON a.id = i.action_id
    WHERE i.transfer_id = $1 AND a.subject IS DISTINCT FROM $1
"""


class TransferFiles:
    """All raise `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, transfer_id: TransferId) -> TransferFile | None:
        """A transfer with its attempts, postings, entries, messages, and the actions about it."""
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            row = await connection.fetchrow(_TRANSFER, transfer_id)
            if row is None:
                return None
            actions = [recorded_action(row) for row in await connection.fetch(_ACTIONS_ABOUT, transfer_id)]
            return TransferFile(
                transfer=transfer_of(row),
                attempts=[*await attempts_before(connection, transfer_id), transfer_of(row).current_attempt],
                postings=[PostingFact(**dict(row)) for row in await connection.fetch(_POSTINGS, transfer_id)],
                entries=[EntryFact(**dict(row)) for row in await connection.fetch(_ENTRIES, transfer_id)],
                messages=[TransferMessage(**dict(row)) for row in await connection.fetch(_MESSAGES, transfer_id)],
                actions=actions,
                interventions=_interventions(actions, await connection.fetch(_KEPT_BY_WORKFLOWS, transfer_id)),
            )


def _interventions(actions: Sequence[RecordedAction], kept: Sequence[Row]) -> list[Intervention]:
    """Actions about the transfer, and what its workflows kept of other requests, in the order of time."""
    found = [
        Intervention(
            action.recorded_at,
            action.channel,
            action.actor_id,
            Action(action.action),
            action.reason,
            action.before,
            action.after or action.asked,
            action.outcome,
            action.id,
        )
        for action in actions
    ]
    for row in kept:
        channel = Channel.API if row["action_id"] else Channel.TEMPORAL
        states = {name: json_of(row[name]) for name in ("before", "after")}
        told = dict(row) | states | {"action": Action(row["action"])}
        found.append(Intervention(**told, channel=channel, outcome=Outcome.TAKEN))
    return sorted(found, key=lambda intervention: intervention.at)
