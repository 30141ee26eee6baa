"""Webhook endpoints, what is to be delivered to each, and every attempt to do so."""

from alembic import op

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None

# `secrets` are encrypted: the newest one, and former ones that sign as well, the last of them until `former_until`.
# `idle_until` is when the endpoint's workflow looks at its rows again by itself; null: it is at work. What happened
# since `replay_since`, of the positions from `replay_after` to `replay_through`, is to be delivered once more.
ENDPOINTS = (
    """
    CREATE TABLE webhook_endpoints (
        id             text PRIMARY KEY CHECK (id ~ '^whe_[a-z2-7]{26}$'),
        owner_id       text REFERENCES customers (id),
        url            text NOT NULL CHECK (length(url) <= 2000),
        types          text[] NOT NULL,
        secrets        text NOT NULL,
        former_until   timestamptz,
        state          text NOT NULL DEFAULT 'enabled' CHECK (state IN ('enabled', 'failing', 'disabled')),
        disabled_by    text CHECK (disabled_by IN ('owner', 'gone', 'failures')),
        failures       integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
        failing_since  timestamptz,
        warned_at      timestamptz,
        resting_until  timestamptz,
        idle_until     timestamptz DEFAULT 'infinity',
        replay_after   bigint,
        replay_through bigint,
        replay_since   timestamptz,
        created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
        deleted_at     timestamptz,
        CHECK ((state = 'disabled') = (disabled_by IS NOT NULL)),
        CHECK (num_nulls(replay_after, replay_through, replay_since) IN (0, 3))
    )
    """,
    "CREATE INDEX webhook_endpoints_by_owner ON webhook_endpoints (owner_id, created_at DESC, id DESC)",
    "CREATE INDEX webhook_endpoints_present ON webhook_endpoints (id) WHERE deleted_at IS NULL",
)

# One row for each event that an endpoint is to get; a test has its body here, because it is no event of the outbox, and
# so has an event that is sent again after its month was dropped.
DELIVERIES = (
    """
    CREATE TABLE deliveries (
        endpoint_id   text NOT NULL REFERENCES webhook_endpoints (id),
        event_id      text NOT NULL,
        type          text NOT NULL,
        partition_key text NOT NULL,
        position      bigint NOT NULL,
        state         text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'dead')),
        attempts      integer NOT NULL DEFAULT 0,
        failures      integer NOT NULL DEFAULT 0,
        body          jsonb,
        created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
        ended_at      timestamptz,
        PRIMARY KEY (endpoint_id, event_id),
        CHECK ((state = 'pending') = (ended_at IS NULL))
    )
    """,
    """
    CREATE INDEX deliveries_pending ON deliveries (endpoint_id, partition_key, position) WHERE state = 'pending'
    """,
    "CREATE INDEX deliveries_by_time ON deliveries (endpoint_id, created_at DESC, event_id DESC)",
    "CREATE INDEX deliveries_ended ON deliveries (ended_at) WHERE ended_at IS NOT NULL",
)

# One row for each account of which an endpoint has something to get: its events go one after the other, so the first
# that fails holds up the others of its account, and no others. `unanswered`: it failed because nobody answered.
QUEUES = (
    """
    CREATE TABLE delivery_queues (
        endpoint_id     text NOT NULL REFERENCES webhook_endpoints (id),
        partition_key   text NOT NULL,
        next_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        unanswered      boolean NOT NULL DEFAULT false,
        PRIMARY KEY (endpoint_id, partition_key)
    )
    """,
    "CREATE INDEX delivery_queues_due ON delivery_queues (endpoint_id, next_attempt_at)",
)

# Every attempt, whatever came of it: by month, so that old ones are dropped as a whole.
ATTEMPTS = (
    """
    CREATE TABLE delivery_attempts (
        endpoint_id  text NOT NULL,
        event_id     text NOT NULL,
        number       integer NOT NULL CHECK (number >= 1),
        attempted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        milliseconds integer NOT NULL CHECK (milliseconds >= 0),
        status       smallint,
        error        text,
        response     text CHECK (length(response) <= 1024),
        PRIMARY KEY (endpoint_id, event_id, attempted_at, number)
    ) PARTITION BY RANGE (attempted_at)
    """,
    "CREATE TABLE delivery_attempts_default PARTITION OF delivery_attempts DEFAULT",
)

# Called by the migration and by workers: makes this month and the next ones, and drops those that ended more than 30
# days ago. A month whose attempts are in the default partition already gets none.
KEEP_MONTHS = """
CREATE FUNCTION keep_attempt_months(ahead integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '500ms' SET timezone = 'UTC'
AS $$
DECLARE
    changed integer := 0;
    first_day date;
    part text;
    is_used boolean;
BEGIN
    FOR first_day IN
        SELECT (date_trunc('month', now()) + make_interval(months => n))::date
        FROM generate_series(0, least(ahead, 12)) AS n
    LOOP
        part := 'delivery_attempts' || to_char(first_day, '_YYYY_MM');
        IF to_regclass('public.' || part) IS NOT NULL THEN
            CONTINUE;
        END IF;
        SELECT EXISTS (
            SELECT FROM public.delivery_attempts_default
            WHERE attempted_at >= first_day AND attempted_at < first_day + interval '1 month'
        ) INTO is_used;
        IF is_used THEN
            CONTINUE;
        END IF;
        EXECUTE format('CREATE TABLE public.%I (LIKE public.delivery_attempts INCLUDING DEFAULTS INCLUDING '
            'CONSTRAINTS)', part);
        EXECUTE format('REVOKE ALL ON public.%I FROM remit_operator', part);
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON public.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change()', part);
        EXECUTE format('ALTER TABLE public.delivery_attempts ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
            part, first_day, (first_day + interval '1 month')::date);
        changed := changed + 1;
    END LOOP;
    FOR part IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'public.delivery_attempts'::regclass AND c.relname ~ '_[0-9]{4}_[0-9]{2}$'
            AND to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month' <= now() - interval '30 days'
    LOOP
        EXECUTE format('DROP TABLE public.%I', part);
        changed := changed + 1;
    END LOOP;
    RETURN changed;
END $$
"""

GUARDS = tuple(
    f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
    "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    for table in ("delivery_attempts", "delivery_attempts_default")
)

# Whatever changes the state. The URL stays out: it may hold a password.
EVENT_OF_ENDPOINT = """
CREATE FUNCTION event_of_webhook_endpoint() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM public.emit_event(
        'webhook_endpoint.' || CASE NEW.state WHEN 'enabled' THEN 'recovered' ELSE NEW.state END,
        NEW.id, NEW.id, NULL, NULL, CASE WHEN NEW.owner_id IS NULL THEN '{}' ELSE ARRAY[NEW.owner_id] END,
        jsonb_build_object('webhook_endpoint', jsonb_build_object('id', NEW.id, 'owner_id', NEW.owner_id,
            'state', NEW.state, 'disabled_by', NEW.disabled_by, 'failures', NEW.failures,
            'failing_since', NEW.failing_since)));
    RETURN NULL;
END $$
"""
EVENTS = """
CREATE TRIGGER event_of_state AFTER UPDATE OF state ON webhook_endpoints FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION event_of_webhook_endpoint()
"""

# The audit trail tells of each endpoint: when it was made, and what changed of it. No URL: it may hold a password.
AUDITED = (
    """
    CREATE TRIGGER audited_opening AFTER INSERT ON webhook_endpoints FOR EACH ROW
        EXECUTE FUNCTION audit_change('webhook_endpoint.created', '{owner_id,state}', 'id', 'owner_id', '')
    """,
    """
    CREATE TRIGGER audited_change AFTER UPDATE OF state, disabled_by, deleted_at ON webhook_endpoints FOR EACH ROW
        WHEN (ROW(OLD.state, OLD.disabled_by, OLD.deleted_at)
            IS DISTINCT FROM ROW(NEW.state, NEW.disabled_by, NEW.deleted_at))
        EXECUTE FUNCTION audit_change('webhook_endpoint.changed', '{state,disabled_by,deleted_at}', 'id', '', '')
    """,
)

# The API makes endpoints and tests, and has events delivered again; workers deliver.
GRANTS = (
    "GRANT SELECT, INSERT, UPDATE ON webhook_endpoints TO remit_app",
    "GRANT SELECT, INSERT ON deliveries TO remit_app",
    "GRANT UPDATE (state, failures, ended_at) ON deliveries TO remit_app",
    "GRANT SELECT, INSERT, UPDATE ON delivery_queues TO remit_app",
    "GRANT SELECT ON delivery_attempts TO remit_app",
    "GRANT UPDATE, DELETE ON deliveries TO remit_worker",
    "GRANT DELETE ON delivery_queues TO remit_worker",
    "GRANT INSERT ON delivery_attempts TO remit_worker",
    "REVOKE SELECT ON webhook_endpoints FROM remit_operator",
    """
    GRANT SELECT (id, owner_id, url, types, former_until, state, disabled_by, failures, failing_since, warned_at,
        resting_until, idle_until, replay_after, replay_through, replay_since, created_at, deleted_at)
        ON webhook_endpoints TO remit_operator
    """,
    "REVOKE ALL ON delivery_attempts_default FROM remit_operator",
    "REVOKE EXECUTE ON FUNCTION keep_attempt_months FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION keep_attempt_months TO remit_worker",
)


def upgrade() -> None:
    for statement in (
        *ENDPOINTS,
        *DELIVERIES,
        *QUEUES,
        *ATTEMPTS,
        KEEP_MONTHS,
        EVENT_OF_ENDPOINT,
        EVENTS,
        *GUARDS,
        *AUDITED,
        *GRANTS,
    ):
        op.execute(statement)
    op.execute("SELECT keep_attempt_months(2)")


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
