"""Everything that the books hold about one transfer, in the order in which it happened. Reads only."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from database.connections import Database
from ledger.ids import TransferId
from ledger.postgres.rows import TRANSFER_COLUMNS, transfer_of
from ledger.transfers import Transfer


@dataclass(frozen=True, slots=True)
class TransferEvent:
    """One thing that happened, by the name of its part in `_EVENTS`, with what that part selects."""

    at: datetime
    name: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Timeline:
    """A transfer as its row is now, and its events, oldest first."""

    transfer: Transfer
    events: list[TransferEvent]


# One statement, so one snapshot. Events of the same moment keep the order of the parts, which is that of the steps.
_EVENTS = """
    WITH events (at, part, name, facts) AS (
        SELECT created_at, 1, 'accepted', jsonb_build_object('owner', owner_id, 'key', idempotency_key,
            'note', note, 'transaction_id', transaction_id, 'reverses', reverses_transfer_id)
        FROM transfers WHERE id = $1
        UNION ALL
        SELECT began_at, 2, 'review_began', jsonb_build_object('attempt', attempt, 'approvals', approvals,
            'deadline', to_char((began_at + make_interval(secs => deadline_seconds)) AT TIME ZONE 'UTC',
                'YYYY-MM-DD HH24:MI'))
        FROM reviews WHERE transfer_id = $1
        UNION ALL
        SELECT reminded_at, 3, 'reviewers_reminded', jsonb_build_object('attempt', attempt)
        FROM review_reminders WHERE transfer_id = $1
        UNION ALL
        SELECT decided_at, 4, 'review_decided', jsonb_build_object('by', decider, 'ruling', ruling, 'reason', reason)
        FROM review_decisions WHERE transfer_id = $1
        UNION ALL
        SELECT a.recorded_at, 5, 'staff_acted', jsonb_build_object('by', a.actor_id, 'role', a.actor_role,
            'action', a.action, 'channel', a.channel, 'reason', a.reason,
            'outcome', coalesce(o.outcome, CASE WHEN a.request IS NULL THEN 'taken' ELSE 'unknown' END),
            'answer', o.answer)
        FROM staff_actions a LEFT JOIN staff_action_outcomes o ON o.action_id = a.id
        WHERE a.subject = $1 AND a.action <> 'decide_review'
        UNION ALL
        SELECT p.recorded_at, 6, p.leg, jsonb_build_object('attempt', p.attempt, 'from', p.debit_account_id,
            'to', p.credit_account_id, 'account', e.account_id, 'version', e.version,
            'before', e.balance_before, 'after', e.balance_after)
        FROM postings p LEFT JOIN entries e USING (transfer_id, attempt, leg) WHERE p.transfer_id = $1
        UNION ALL
        SELECT ended_at, 7, state, jsonb_build_object('attempt', attempt, 'code', failure_code,
            'message', failure_message)
        FROM attempts WHERE transfer_id = $1
        UNION ALL
        SELECT completed_at, 7, state, jsonb_build_object('attempt', attempt, 'code', failure_code,
            'message', failure_message)
        FROM transfers WHERE id = $1 AND completed_at IS NOT NULL
        UNION ALL
        SELECT recorded_at, 7, 'recovery_ended', jsonb_build_object('attempt', attempt, 'workflow', workflow_id,
            'run', run_id, 'reason', reason, 'before', state_before, 'after', state_after)
        FROM abandonments WHERE transfer_id = $1
        UNION ALL
        SELECT created_at, 8, 'message', jsonb_build_object('to', customer_id, 'occasion', occasion, 'body', body)
        FROM notifications WHERE transfer_id = $1
        UNION ALL
        SELECT created_at, 9, 'dispute_opened', jsonb_build_object('dispute', id, 'by', payer_id, 'reason', reason)
        FROM disputes WHERE transfer_id = $1
        UNION ALL
        SELECT s.stated_at, 9, 'dispute_statement', jsonb_build_object('dispute', s.dispute_id, 'by', s.author_id,
            'text', s.text)
        FROM dispute_statements s JOIN disputes d ON d.id = s.dispute_id WHERE d.transfer_id = $1
        UNION ALL
        SELECT decided_at, 9, 'dispute_decided', jsonb_build_object('dispute', id, 'by', decided_by,
            'ruling', ruling, 'amount', amount_minor, 'reason', decided_reason)
        FROM disputes WHERE transfer_id = $1 AND decided_at IS NOT NULL
        UNION ALL
        SELECT closed_at, 10, 'dispute_closed', jsonb_build_object('dispute', id, 'state', state, 'outcome', outcome)
        FROM disputes WHERE transfer_id = $1 AND closed_at IS NOT NULL
        UNION ALL
        SELECT created_at, 9, 'reversal', jsonb_build_object('transfer', id, 'amount', amount_minor, 'state', state)
        FROM transfers WHERE reverses_transfer_id = $1
    )
    SELECT at, name, facts::text AS facts FROM events ORDER BY at, part
"""

_TRANSFER = f"SELECT {TRANSFER_COLUMNS} FROM transfers t WHERE t.id = $1"


class Timelines:
    """Raises `Unavailable` where PostgreSQL gave no answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, transfer_id: TransferId) -> Timeline | None:
        """Everything about a transfer, or None if the books have none with this id."""
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            row = await connection.fetchrow(_TRANSFER, transfer_id)
            if row is None:
                return None
            events = await connection.fetch(_EVENTS, transfer_id)
        return Timeline(
            transfer_of(row),
            [TransferEvent(event["at"], event["name"], json.loads(event["facts"])) for event in events],
        )
