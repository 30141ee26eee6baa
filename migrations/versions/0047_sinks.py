"""Sinks of events with their positions, dead letters and their replays, and what consumers have done."""

from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None

# `fence` grows with each new holder of the lease: a former holder's position is refused.
SINKS = """
    CREATE TABLE sinks (
        name          text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_.-]{0,62}$'),
        kind          text NOT NULL CHECK (kind IN ('publisher', 'projection')),
        position      bigint NOT NULL CHECK (position >= 0),
        lease         text,
        leased_until  timestamptz,
        fence         bigint NOT NULL DEFAULT 0,
        last_error    text,
        failing_since timestamptz,
        updated_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
        CHECK ((lease IS NULL) = (leased_until IS NULL)),
        CHECK ((last_error IS NULL) = (failing_since IS NULL))
    )
"""

# A message that was no event has no event's id, and each of these is a letter of its own.
DEAD_LETTERS = (
    """
    CREATE TABLE dead_letters (
        id           text PRIMARY KEY CHECK (id ~ '^dlt_[a-z2-7]{26}$'),
        source       text NOT NULL CHECK (length(source) BETWEEN 1 AND 300),
        target       text,
        event_id     text,
        type         text,
        reason       text NOT NULL,
        attempts     integer NOT NULL CHECK (attempts >= 0),
        body         jsonb NOT NULL,
        state        text NOT NULL DEFAULT 'dead' CHECK (state IN ('dead', 'replayed', 'discarded')),
        died_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
        ended_by     text REFERENCES customers (id),
        ended_reason text,
        ended_at     timestamptz,
        CHECK (num_nulls(ended_by, ended_reason, ended_at) = CASE state WHEN 'dead' THEN 3 ELSE 0 END)
    )
    """,
    """
    CREATE UNIQUE INDEX dead_letters_once ON dead_letters (source, target, event_id) NULLS NOT DISTINCT
        WHERE state = 'dead' AND event_id IS NOT NULL
    """,
    "CREATE INDEX dead_letters_by_time ON dead_letters (died_at DESC, id DESC)",
    "CREATE INDEX dead_letters_dead ON dead_letters (died_at DESC, id DESC) WHERE state = 'dead'",
    "CREATE INDEX dead_letters_of_source ON dead_letters (source, died_at DESC, id DESC)",
)

LEGAL = (
    """
    CREATE FUNCTION refuse_second_ending() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF OLD.state <> 'dead' THEN
            RAISE EXCEPTION 'dead letter % has ended', OLD.id USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER legal_ending BEFORE UPDATE ON dead_letters
        FOR EACH ROW EXECUTE FUNCTION refuse_second_ending()
    """,
)

# What staff want to be sent again, until whoever sends to that place has done so.
REPLAYS = (
    """
    CREATE TABLE dead_letter_replays (
        dead_letter_id text PRIMARY KEY REFERENCES dead_letters (id),
        source         text NOT NULL,
        requested_at   timestamptz NOT NULL DEFAULT clock_timestamp()
    )
    """,
    "CREATE INDEX dead_letter_replays_of_source ON dead_letter_replays (source, requested_at)",
)

# Written in the transaction of the effect: the same event finds its row, and has no second effect.
PROCESSED = """
    CREATE TABLE processed_events (
        consumer     text NOT NULL,
        event_id     text NOT NULL,
        processed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (consumer, event_id)
    )
"""

GRANTS = (
    "GRANT SELECT ON sinks, dead_letters, dead_letter_replays, processed_events TO remit_app",
    "GRANT UPDATE (state, ended_by, ended_reason, ended_at) ON dead_letters TO remit_app",
    "GRANT INSERT ON dead_letter_replays TO remit_app",
    "GRANT INSERT, UPDATE, DELETE ON sinks TO remit_worker",
    "GRANT INSERT ON dead_letters, processed_events TO remit_worker",
    "GRANT UPDATE, DELETE ON dead_letter_replays TO remit_worker",  # without UPDATE nobody may lock a row
)


def upgrade() -> None:
    for statement in (SINKS, *DEAD_LETTERS, *LEGAL, *REPLAYS, PROCESSED, *GRANTS):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
