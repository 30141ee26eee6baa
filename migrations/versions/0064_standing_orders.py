"""Standing orders, and one row for each of their dates that has come or was skipped."""

from alembic import op

revision = "0064"
down_revision = "0061"
branch_labels = None
depends_on = None

# `next_at` is when the sweep takes the next date. `stamp` proves what the order says: a row that somebody has written
# past the API is never paid.
ORDERS = (
    """
    CREATE TABLE standing_orders (
        id                     text PRIMARY KEY CHECK (id ~ '^sto_[a-z2-7]{26}$'),
        owner_id               text NOT NULL,
        source_account_id      text NOT NULL,
        destination_account_id text NOT NULL,
        currency               text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
        amount_minor           bigint CHECK (amount_minor BETWEEN 1 AND 9007199254740991),
        above_minor            bigint CHECK (above_minor BETWEEN 0 AND 9007199254740991),
        note                   text CHECK (length(note) BETWEEN 1 AND 140),
        frequency              text NOT NULL CHECK (frequency IN ('once', 'daily', 'weekly', 'monthly', 'yearly')),
        first_date             date NOT NULL,
        every                  integer NOT NULL CHECK (every >= 1),
        last_day               boolean NOT NULL CHECK (NOT last_day OR frequency = 'monthly'),
        end_date               date,
        count                  integer CHECK (count >= 1),
        time_zone              text NOT NULL CHECK (length(time_zone) <= 64),
        holidays               text NOT NULL CHECK (holidays IN ('on_the_day', 'before', 'after')),
        after_outage           text NOT NULL CHECK (after_outage IN ('pay_each', 'pay_latest', 'miss')),
        retry_days             smallint NOT NULL CHECK (retry_days BETWEEN 0 AND 14),
        state                  text NOT NULL DEFAULT 'active'
                               CHECK (state IN ('active', 'paused', 'completed', 'cancelled')),
        paused_by              text CHECK (paused_by IN ('owner', 'staff')),
        next_number            integer NOT NULL DEFAULT 0 CHECK (next_number >= 0),
        next_date              date,
        next_at                timestamptz,
        stamp                  text NOT NULL,
        created_at             timestamptz NOT NULL DEFAULT clock_timestamp(),
        updated_at             timestamptz NOT NULL DEFAULT clock_timestamp(),
        ended_at               timestamptz,
        CHECK (num_nonnulls(amount_minor, above_minor) = 1),
        CHECK (source_account_id <> destination_account_id),
        CHECK ((state = 'paused') = (paused_by IS NOT NULL)),
        CHECK ((state IN ('completed', 'cancelled')) = (ended_at IS NOT NULL)),
        CHECK ((next_date IS NULL) = (next_at IS NULL)),
        CHECK ((state IN ('completed', 'cancelled')) = (next_date IS NULL))
    )
    """,
    "CREATE INDEX standing_orders_due ON standing_orders (next_at) WHERE state = 'active'",
    "CREATE INDEX standing_orders_by_owner ON standing_orders (owner_id, created_at DESC, id DESC)",
    "CREATE INDEX standing_orders_by_state ON standing_orders (state, created_at DESC, id DESC)",
    "CREATE INDEX standing_orders_by_time ON standing_orders (created_at DESC, id DESC)",
)

# `date` is the calendar's: the key makes each date one occurrence, whoever sweeps how often.
OCCURRENCES = (
    """
    CREATE TABLE standing_order_occurrences (
        order_id               text NOT NULL REFERENCES standing_orders (id),
        date                   date NOT NULL,
        number                 integer NOT NULL CHECK (number >= 0),
        paid_on                date NOT NULL,
        state                  text NOT NULL
                               CHECK (state IN ('due', 'under_way', 'paid', 'missed', 'failed', 'skipped')),
        code                   text,
        message                text,
        tries                  integer NOT NULL DEFAULT 0 CHECK (tries >= 0),
        next_try_at            timestamptz,
        source_account_id      text NOT NULL,
        destination_account_id text NOT NULL,
        currency               text NOT NULL,
        amount_minor           bigint,
        above_minor            bigint,
        note                   text,
        transfer_id            text,
        stamp                  text,
        created_at             timestamptz NOT NULL DEFAULT clock_timestamp(),
        updated_at             timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (order_id, date),
        CHECK ((state = 'due') = (next_try_at IS NOT NULL)),
        CHECK (state NOT IN ('under_way', 'paid') OR (transfer_id IS NOT NULL AND amount_minor IS NOT NULL)),
        CHECK (state NOT IN ('missed', 'failed', 'skipped') OR code IS NOT NULL)
    )
    """,
    """
    CREATE INDEX standing_order_occurrences_due ON standing_order_occurrences (next_try_at, order_id, date)
        WHERE state = 'due'
    """,
    """
    CREATE INDEX standing_order_occurrences_under_way ON standing_order_occurrences (order_id, date)
        WHERE state = 'under_way'
    """,
)

# What has ended stays as it ended.
GUARDS = (
    """
    CREATE TRIGGER ended_for_good BEFORE UPDATE ON standing_orders FOR EACH ROW
        WHEN (OLD.state IN ('completed', 'cancelled') OR NEW.id <> OLD.id OR NEW.owner_id <> OLD.owner_id
            OR NEW.source_account_id <> OLD.source_account_id OR NEW.currency <> OLD.currency)
        EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER ended_for_good BEFORE UPDATE ON standing_order_occurrences FOR EACH ROW
        WHEN (OLD.state IN ('paid', 'missed', 'failed', 'skipped') OR NEW.order_id <> OLD.order_id
            OR NEW.date <> OLD.date)
        EXECUTE FUNCTION refuse_change()
    """,
    *(
        f"CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        for table in ("standing_orders", "standing_order_occurrences")
    ),
)

TRIGGER = "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp"

# What an event says of an order; its note is the customer's own.
ORDER_IN_EVENT = """
    jsonb_build_object('id', {o}.id, 'owner_id', {o}.owner_id, 'state', {o}.state, 'paused_by', {o}.paused_by,
        'source_account_id', {o}.source_account_id, 'destination_account_id', {o}.destination_account_id,
        'amount', {o}.amount_minor, 'above', {o}.above_minor, 'currency', {o}.currency, 'frequency', {o}.frequency,
        'next_date', {o}.next_date)
"""

EVENTS = (
    f"""
    CREATE FUNCTION event_of_standing_order() RETURNS trigger {TRIGGER} AS $$
    BEGIN
        PERFORM public.emit_event(
            'standing_order.' || CASE WHEN TG_OP = 'INSERT' THEN 'created' WHEN OLD.state = NEW.state THEN 'changed'
                WHEN NEW.state = 'active' THEN 'resumed' ELSE NEW.state END,
            NEW.id, NEW.source_account_id, NULL, NULL, ARRAY[NEW.owner_id],
            jsonb_build_object('standing_order', {ORDER_IN_EVENT.format(o="NEW")}));
        RETURN NULL;
    END $$
    """,
    f"""
    CREATE FUNCTION event_of_occurrence() RETURNS trigger {TRIGGER} AS $$
    BEGIN
        PERFORM public.emit_event('standing_order.' || NEW.state, o.id, o.source_account_id, NULL, NULL,
            ARRAY[o.owner_id],
            jsonb_build_object('standing_order', {ORDER_IN_EVENT.format(o="o")},
                'occurrence', jsonb_build_object('date', NEW.date, 'state', NEW.state, 'amount', NEW.amount_minor,
                    'code', NEW.code, 'transfer_id', NEW.transfer_id)))
        FROM public.standing_orders o WHERE o.id = NEW.order_id;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER emitted_opening AFTER INSERT ON standing_orders FOR EACH ROW
        EXECUTE FUNCTION event_of_standing_order()
    """,
    """
    CREATE TRIGGER emitted_change AFTER UPDATE OF state, updated_at ON standing_orders FOR EACH ROW
        WHEN (OLD.state <> NEW.state OR OLD.updated_at <> NEW.updated_at) EXECUTE FUNCTION event_of_standing_order()
    """,
    """
    CREATE TRIGGER emitted_opening AFTER INSERT ON standing_order_occurrences FOR EACH ROW
        WHEN (NEW.state IN ('paid', 'missed', 'failed', 'skipped')) EXECUTE FUNCTION event_of_occurrence()
    """,
    """
    CREATE TRIGGER emitted_change AFTER UPDATE OF state ON standing_order_occurrences FOR EACH ROW
        WHEN (OLD.state <> NEW.state AND NEW.state IN ('paid', 'missed', 'failed', 'skipped'))
        EXECUTE FUNCTION event_of_occurrence()
    """,
)

TOLD = """
    source_account_id,destination_account_id,amount_minor,above_minor,currency,frequency,first_date,every,last_day,
    end_date,count,time_zone,state,paused_by
"""
AUDITED = (
    f"""
    CREATE TRIGGER audited_opening AFTER INSERT ON standing_orders FOR EACH ROW EXECUTE FUNCTION
        audit_change('standing_order.created', '{{{"".join(TOLD.split())}}}', 'id', 'owner_id', '')
    """,
    f"""
    CREATE TRIGGER audited_change AFTER UPDATE OF state, updated_at ON standing_orders FOR EACH ROW
        WHEN (OLD.state <> NEW.state OR OLD.updated_at <> NEW.updated_at) EXECUTE FUNCTION
        audit_change('standing_order.changed', '{{{"".join(TOLD.split())}}}', 'id', '', '')
    """,
)

# The API writes what customers and staff decide; paying needs the rights of a worker.
GRANTS = (
    "GRANT SELECT, INSERT, UPDATE ON standing_orders TO remit_app",
    "GRANT SELECT, INSERT, UPDATE ON standing_order_occurrences TO remit_app",
)


def upgrade() -> None:
    for statement in (*ORDERS, *OCCURRENCES, *GUARDS, *EVENTS, *AUDITED, *GRANTS):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
