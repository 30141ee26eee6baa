"""Batches: what was asked for, the chunks that were posted, and what became of the items that were not."""

from alembic import op

revision = "0065"
down_revision = "0064"
branch_labels = None
depends_on = None

# `posted` of the items, from the first line on, are in the books or have their outcome; the counts are of these.
# `singles` of them became transfers of their own.
BATCHES = """
CREATE TABLE batches (
    id             text PRIMARY KEY CHECK (id ~ '^bat_[a-z2-7]{26}$'),
    owner_id       text NOT NULL REFERENCES customers (id),
    mode           text NOT NULL CHECK (mode IN ('best_effort', 'atomic')),
    state          text NOT NULL DEFAULT 'accepted'
        CHECK (state IN ('accepted', 'in_progress', 'held', 'completed', 'refused', 'cancelled')),
    total          integer NOT NULL CHECK (total BETWEEN 1 AND 10000),
    posted         integer NOT NULL DEFAULT 0 CHECK (posted BETWEEN 0 AND total),
    completed      integer NOT NULL DEFAULT 0 CHECK (completed >= 0),
    failed         integer NOT NULL DEFAULT 0 CHECK (failed >= 0),
    singles        integer NOT NULL DEFAULT 0 CHECK (singles >= 0),
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at       timestamptz,
    decided_by     text REFERENCES customers (id),
    decided_reason text,
    request_id     text,
    CHECK (completed + failed + singles = posted OR state = 'refused'),
    CHECK ((ended_at IS NOT NULL) = (state IN ('completed', 'refused', 'cancelled'))),
    CHECK (state <> 'completed' OR posted = total)
) WITH (fillfactor = 70)
"""

# An item's transfer says what became of it. `outcome` is of an item without one: `refused`, or a `single`, whose
# transfer is opened by a workflow of its own.
ITEMS = """
CREATE TABLE batch_items (
    batch_id               text NOT NULL REFERENCES batches (id),
    line                   integer NOT NULL CHECK (line >= 1),
    reference              text NOT NULL CHECK (reference <> ''),
    source_account_id      text NOT NULL,
    destination_account_id text NOT NULL,
    amount_minor           bigint NOT NULL CHECK (amount_minor BETWEEN 1 AND 9007199254740991),
    currency               text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    note                   text,
    transfer_id            text NOT NULL CHECK (transfer_id ~ '^trf_[a-z2-7]{26}$'),
    fingerprint            text NOT NULL,
    outcome                text CHECK (outcome IN ('refused', 'single')),
    failure_code           text,
    failure_message        text,
    PRIMARY KEY (batch_id, line),
    UNIQUE (batch_id, reference),
    CHECK ((failure_code IS NULL) = (failure_message IS NULL)),
    CHECK ((failure_code IS NOT NULL) = (outcome IS NOT DISTINCT FROM 'refused'))
)
"""

CHUNKS = """
CREATE TABLE batch_chunks (
    batch_id  text NOT NULL REFERENCES batches (id),
    number    integer NOT NULL CHECK (number >= 1),
    lines     integer NOT NULL CHECK (lines >= 1),
    completed integer NOT NULL,
    failed    integer NOT NULL,
    singles   integer NOT NULL,
    posted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (batch_id, number),
    CHECK (completed + failed + singles = lines)
)
"""

INDEXES = (
    "CREATE INDEX batches_by_owner ON batches (owner_id, created_at DESC, id DESC)",
    "CREATE INDEX batches_by_time ON batches (created_at DESC, id DESC)",
    "CREATE INDEX batches_open ON batches (created_at) WHERE state IN ('accepted', 'in_progress', 'held')",
    "CREATE INDEX batch_items_singles ON batch_items (batch_id, line) WHERE outcome = 'single'",
)

# The same table as NEXT_STATE in batches/batch.py. Only a worker says what was posted.
LEGAL = (
    """
    CREATE FUNCTION refuse_illegal_batch() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.state <> OLD.state AND NOT (CASE OLD.state
            WHEN 'accepted' THEN NEW.state IN ('in_progress', 'held', 'completed', 'refused', 'cancelled')
            WHEN 'in_progress' THEN NEW.state IN ('completed', 'cancelled')
            WHEN 'held' THEN NEW.state IN ('accepted', 'refused', 'cancelled')
            ELSE false
        END) THEN
            RAISE EXCEPTION 'batch % may not go from % to %', OLD.id, OLD.state, NEW.state
                USING ERRCODE = 'check_violation';
        END IF;
        IF NEW.posted < OLD.posted OR OLD.state IN ('completed', 'refused', 'cancelled') THEN
            RAISE EXCEPTION 'batch % has posted % items and is %', OLD.id, OLD.posted, OLD.state
                USING ERRCODE = 'check_violation';
        END IF;
        IF current_user = 'remit_app' AND NEW.state <> OLD.state AND NEW.state NOT IN ('accepted', 'refused',
                'cancelled') THEN
            RAISE EXCEPTION 'batch % becomes % by a worker only', OLD.id, NEW.state
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER legal_change BEFORE UPDATE ON batches FOR EACH ROW EXECUTE FUNCTION refuse_illegal_batch()
    """,
    """
    CREATE TRIGGER fixed_request BEFORE UPDATE OF id, owner_id, mode, total, created_at ON batches
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER fixed_item BEFORE UPDATE OF batch_id, line, reference, source_account_id, destination_account_id,
        amount_minor, currency, note, transfer_id, fingerprint ON batch_items
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER one_outcome BEFORE UPDATE ON batch_items
        FOR EACH ROW WHEN (OLD.outcome IS NOT NULL) EXECUTE FUNCTION refuse_change()
    """,
    *(
        f"CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        for table in ("batches", "batch_items")
    ),
    """
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON batch_chunks
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
)

# Approving a held batch lets it go on: that is no event of its owner's.
EVENTS = (
    """
    CREATE FUNCTION event_of_batch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = pg_catalog, public, pg_temp
    AS $$
    BEGIN
        INSERT INTO public.outbox_events (type, subject, partition_key, audience, data, request_id)
        VALUES ('batch.' || NEW.state, NEW.id, NEW.id, ARRAY[NEW.owner_id],
            jsonb_build_object('batch', jsonb_build_object('id', NEW.id, 'owner_id', NEW.owner_id, 'mode', NEW.mode,
                'state', NEW.state, 'total', NEW.total, 'completed', NEW.completed, 'failed', NEW.failed,
                'singles', NEW.singles)),
            coalesce(public.act_cause() ->> 'request_id', NEW.request_id));
        RETURN NULL;
    END $$
    """,
    "CREATE TRIGGER emitted_opening AFTER INSERT ON batches FOR EACH ROW EXECUTE FUNCTION event_of_batch()",
    """
    CREATE TRIGGER emitted_change AFTER UPDATE OF state ON batches
        FOR EACH ROW WHEN (OLD.state <> NEW.state AND NEW.state IN ('held', 'completed', 'refused', 'cancelled'))
        EXECUTE FUNCTION event_of_batch()
    """,
    """
    CREATE TRIGGER audited_opening AFTER INSERT ON batches
        FOR EACH ROW EXECUTE FUNCTION audit_change('batch.accepted', '{mode,total,state}', 'id', 'owner_id', '')
    """,
    """
    CREATE TRIGGER audited_change AFTER UPDATE OF state ON batches
        FOR EACH ROW WHEN (OLD.state <> NEW.state)
        EXECUTE FUNCTION audit_change('batch.changed', '{state,posted}', 'id', '', 'decided_reason')
    """,
)

GRANTS = (
    """
    GRANT SELECT, INSERT (id, owner_id, mode, total, request_id),
        UPDATE (state, updated_at, ended_at, decided_by, decided_reason) ON batches TO remit_app
    """,
    "GRANT UPDATE (posted, completed, failed, singles) ON batches TO remit_worker",
    """
    GRANT SELECT, INSERT (batch_id, line, reference, source_account_id, destination_account_id, amount_minor, currency,
        note, transfer_id, fingerprint) ON batch_items TO remit_app
    """,
    "GRANT UPDATE (outcome, failure_code, failure_message) ON batch_items TO remit_worker",
    "GRANT SELECT ON batch_chunks TO remit_app",
    "GRANT INSERT ON batch_chunks TO remit_worker",
    "GRANT SELECT ON batch_chunks TO remit_auditor",
    """
    GRANT SELECT (id, owner_id, mode, state, total, posted, completed, failed, singles, created_at, updated_at,
        ended_at, decided_by) ON batches TO remit_auditor
    """,
)


def upgrade() -> None:
    for statement in (BATCHES, ITEMS, CHUNKS, *INDEXES, *LEGAL, *EVENTS, *GRANTS):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
