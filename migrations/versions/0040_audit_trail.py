"""The audit trail: a record of every state change and refused attempt, by month, and the seals that chain them."""

from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

# No row is ever changed, also not to be sealed: a seal names the rows that it covers. Rows of a month that nobody has
# made a partition for go into the default one, so that no transfer waits for a partition.
RECORDS = (
    "CREATE SEQUENCE audit_records_id",
    """
    CREATE TABLE audit_records (
        id          bigint NOT NULL DEFAULT nextval('audit_records_id'),
        recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        kind        text NOT NULL,
        outcome     text NOT NULL CHECK (outcome IN ('done', 'asked', 'refused')),
        subject     text NOT NULL,
        actor_id    text,
        transfer_id text,
        workflow_id text,
        code        text,
        reason      text,
        before      jsonb,
        after       jsonb,
        request_id  text,
        address     text,
        PRIMARY KEY (id, recorded_at)
    ) PARTITION BY RANGE (recorded_at)
    """,
    "ALTER SEQUENCE audit_records_id OWNED BY audit_records.id",
    "CREATE TABLE audit_records_default PARTITION OF audit_records DEFAULT",
    "CREATE INDEX audit_records_by_kind ON audit_records (kind, id DESC)",
    "CREATE INDEX audit_records_refused ON audit_records (id DESC) WHERE outcome = 'refused'",
    "CREATE INDEX audit_records_by_subject ON audit_records (subject, id DESC)",
    "CREATE INDEX audit_records_by_actor ON audit_records (actor_id, id DESC) WHERE actor_id IS NOT NULL",
    # What happened to the transfer itself is found by its subject.
    "CREATE INDEX audit_records_by_transfer ON audit_records (transfer_id, id DESC) WHERE transfer_id <> subject",
    "CREATE INDEX audit_records_by_request ON audit_records (request_id, id DESC) WHERE request_id IS NOT NULL",
)

# How far each trail is sealed: all records until `sealed_through`. Those until `waiting_through` are sealed once no
# transaction runs that is older than `waiting_xid`, so that none of them can still commit.
SEALS = (
    """
    CREATE TABLE trail_positions (
        trail           text PRIMARY KEY CHECK (trail ~ '^[a-z_]+$'),
        sealed_through  bigint NOT NULL DEFAULT 0,
        waiting_through bigint,
        waiting_xid     bigint,
        CHECK (num_nulls(waiting_through, waiting_xid) IN (0, 2)),
        CHECK (waiting_through > sealed_through)
    )
    """,
    "INSERT INTO trail_positions (trail) VALUES ('audit_records')",
    """
    CREATE TABLE trail_seals (
        trail         text NOT NULL REFERENCES trail_positions (trail),
        number        bigint NOT NULL CHECK (number >= 1),
        month         date NOT NULL CHECK (extract(day FROM month) = 1),
        through_id    bigint NOT NULL,
        records       integer NOT NULL CHECK (records >= 1),
        record_ids    bigint[] NOT NULL CHECK (cardinality(record_ids) = records),
        record_hashes bytea NOT NULL CHECK (octet_length(record_hashes) = 32 * records),
        previous      bytea NOT NULL CHECK (octet_length(previous) = 32),
        hash          bytea NOT NULL CHECK (octet_length(hash) = 32),
        key           text NOT NULL,
        signature     bytea NOT NULL,
        sealed_at     timestamptz NOT NULL,
        PRIMARY KEY (trail, number)
    )
    """,
)

# Called by the migration and by workers ahead of each month. A month whose records are in the default partition
# already gets none.
MAKE_MONTHS = """
CREATE FUNCTION make_trail_months(ahead integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '500ms' SET timezone = 'UTC'
AS $$
DECLARE
    made integer := 0;
    trail_name text;
    first_day date;
    part text;
    is_used boolean;
BEGIN
    -- One at a time: two that make the same month would fail.
    PERFORM pg_advisory_xact_lock(hashtext('make_trail_months'));
    FOR trail_name IN SELECT trail FROM public.trail_positions ORDER BY trail LOOP
        FOR first_day IN
            SELECT (date_trunc('month', now()) + make_interval(months => n))::date
            FROM generate_series(0, least(ahead, 12)) AS n
        LOOP
            part := trail_name || to_char(first_day, '_YYYY_MM');
            IF to_regclass('public.' || part) IS NOT NULL THEN
                CONTINUE;
            END IF;
            EXECUTE format('SELECT EXISTS (SELECT FROM public.%I WHERE recorded_at >= $1 AND recorded_at < $2)',
                trail_name || '_default') INTO is_used USING first_day, first_day + interval '1 month';
            IF is_used THEN
                CONTINUE;
            END IF;
            EXECUTE format('CREATE TABLE public.%I (LIKE public.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
                part, trail_name);
            EXECUTE format('REVOKE ALL ON public.%I FROM remit_operator', part);
            EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON public.%I '
                'FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change()', part);
            EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                trail_name, part, first_day, (first_day + interval '1 month')::date);
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END $$
"""

# The request that causes it, who made it and from where, as the API tells the transaction; null in steps of workflows.
CAUSE = """
CREATE FUNCTION act_cause() RETURNS jsonb LANGUAGE sql STABLE
RETURN nullif(current_setting('remit.cause', true), '')::jsonb
"""

# They write with the rights of the owner: the application may only read the trail.
TRIGGER = "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp"

AUDIT_TRANSFER = f"""
CREATE FUNCTION audit_transfer() RETURNS trigger {TRIGGER} AS $$
DECLARE
    cause jsonb := nullif(current_setting('remit.cause', true), '')::jsonb;
BEGIN
    INSERT INTO public.audit_records (kind, outcome, subject, actor_id, transfer_id, workflow_id, code, reason, before,
        after, request_id, address)
    VALUES ('transfer.' || NEW.state, CASE WHEN NEW.failure_code IS NULL THEN 'done' ELSE 'refused' END, NEW.id,
        coalesce(cause ->> 'actor_id', CASE WHEN TG_OP = 'INSERT' THEN NEW.owner_id END), NEW.id, NEW.workflow_id,
        NEW.failure_code, NEW.failure_message,
        CASE WHEN TG_OP = 'UPDATE' THEN jsonb_build_object('state', OLD.state, 'attempt', OLD.attempt) END,
        jsonb_build_object('state', NEW.state, 'attempt', NEW.attempt, 'kind', NEW.kind),
        coalesce(cause ->> 'request_id', NEW.request_id), cause ->> 'address');
    RETURN NULL;
END $$
"""

# Its arguments: the kind, the columns to show, and the columns of the subject, the actor and the reason.
AUDIT_CHANGE = f"""
CREATE FUNCTION audit_change() RETURNS trigger {TRIGGER} AS $$
DECLARE
    cause jsonb := public.act_cause();
    was jsonb := to_jsonb(OLD);
    became jsonb := to_jsonb(NEW);
BEGIN
    INSERT INTO public.audit_records (kind, outcome, subject, actor_id, transfer_id, workflow_id, code, reason, before,
        after, request_id, address)
    VALUES (TG_ARGV[0], 'done', became ->> TG_ARGV[2], coalesce(cause ->> 'actor_id', became ->> TG_ARGV[3]),
        became ->> 'transfer_id', became ->> 'workflow_id', NULL, became ->> TG_ARGV[4],
        CASE WHEN was IS NOT NULL THEN
            (SELECT jsonb_object_agg(shown, was -> shown) FROM unnest(TG_ARGV[1]::text[]) AS shown) END,
        (SELECT jsonb_object_agg(shown, became -> shown) FROM unnest(TG_ARGV[1]::text[]) AS shown),
        cause ->> 'request_id', cause ->> 'address');
    RETURN NULL;
END $$
"""

# An action that a workflow has to carry out is asked for first. Its outcome is a record of its own.
AUDIT_STAFF_ACTION = f"""
CREATE FUNCTION audit_staff_action() RETURNS trigger {TRIGGER} AS $$
DECLARE
    cause jsonb := public.act_cause();
BEGIN
    INSERT INTO public.audit_records (kind, outcome, subject, actor_id, transfer_id, reason, before, after, request_id,
        address)
    VALUES ('staff.' || NEW.action, CASE WHEN NEW.request IS NULL THEN 'done' ELSE 'asked' END, NEW.subject,
        NEW.actor_id, CASE WHEN NEW.subject LIKE 'trf\\_%' THEN NEW.subject END, NEW.reason, NEW.before, NEW.after,
        cause ->> 'request_id', cause ->> 'address');
    RETURN NULL;
END $$
"""

AUDIT_STAFF_OUTCOME = f"""
CREATE FUNCTION audit_staff_outcome() RETURNS trigger {TRIGGER} AS $$
DECLARE
    cause jsonb := public.act_cause();
BEGIN
    INSERT INTO public.audit_records (kind, outcome, subject, actor_id, transfer_id, code, reason, before, after,
        request_id, address)
    SELECT 'staff.' || a.action, CASE NEW.outcome WHEN 'taken' THEN 'done' ELSE 'refused' END, a.subject, a.actor_id,
        CASE WHEN a.subject LIKE 'trf\\_%' THEN a.subject END, NEW.code, NEW.answer, a.before, NEW.after,
        cause ->> 'request_id', cause ->> 'address'
    FROM public.staff_actions a WHERE a.id = NEW.action_id;
    RETURN NULL;
END $$
"""

AUDIT_AUTH_EVENT = f"""
CREATE FUNCTION audit_auth_event() RETURNS trigger {TRIGGER} AS $$
BEGIN
    INSERT INTO public.audit_records (kind, outcome, subject, actor_id, after, request_id, address)
    VALUES ('auth.' || NEW.kind, CASE WHEN NEW.kind IN ('sign_in_failed', 'locked_out', 'sign_in_refused',
            'access_refused', 'refresh_token_reused') THEN 'refused' ELSE 'done' END,
        coalesce(NEW.customer_id, NEW.account, 'nobody'), NEW.actor_id, NEW.facts, public.act_cause() ->> 'request_id',
        NEW.client);
    RETURN NULL;
END $$
"""

# A refused request changes nothing, so its record has a transaction of its own. The id of the transaction comes before
# the id of the record: whoever seals relies on that.
RECORD_REFUSAL = f"""
CREATE FUNCTION record_refusal(
    refused_kind text, refused_subject text, refused_actor text, refused_code text, refused_reason text,
    of_request text, from_address text
) RETURNS void {TRIGGER} AS $$
BEGIN
    PERFORM pg_current_xact_id();
    INSERT INTO public.audit_records (kind, outcome, subject, actor_id, transfer_id, code, reason, request_id, address)
    VALUES (refused_kind, 'refused', refused_subject, refused_actor,
        CASE WHEN refused_subject LIKE 'trf\\_%' THEN refused_subject END, refused_code, refused_reason, of_request,
        from_address);
END $$
"""

FUNCTIONS = (
    MAKE_MONTHS,
    CAUSE,
    AUDIT_TRANSFER,
    AUDIT_CHANGE,
    AUDIT_STAFF_ACTION,
    AUDIT_STAFF_OUTCOME,
    AUDIT_AUTH_EVENT,
    RECORD_REFUSAL,
)

# Kind, table, columns to show, columns of subject, actor and reason.
CREATED = (
    ("account.opened", "accounts", "owner_id,currency,status,tier", "id", "owner_id", ""),
    ("customer.registered", "customers", "role,verification", "id", "id", ""),
    ("document.submitted", "identity_documents", "customer_id,type,state", "id", "customer_id", ""),
    ("dispute.opened", "disputes", "state", "id", "payer_id", "reason"),
    ("review.opened", "reviews", "attempt,approvals", "transfer_id", "", ""),
    ("tier_request.opened", "tier_requests", "account_id,tier,state", "id", "customer_id", ""),
    ("case.opened", "cases", "account_id", "id", "", ""),
    ("transfer.abandoned", "abandonments", "state_before,state_after", "transfer_id", "", "reason"),
)
CHANGED = (
    ("account.changed", "accounts", "status,frozen,tier,overdraft_minor,owner_verified", "id", "", ""),
    (
        "customer.changed",
        "customers",
        "role,verification,rejection_code,email_verified_at,disabled_at",
        "id",
        "",
        "",
    ),
    ("document.changed", "identity_documents", "state,code", "id", "", ""),
    ("dispute.changed", "disputes", "state,ruling,amount_minor", "id", "decided_by", "decided_reason"),
    ("tier_request.changed", "tier_requests", "state", "id", "", "closed_reason"),
    ("rebuild.completed", "rebuilds", "state", "id", "", ""),
    ("case.closed", "cases", "closed_at", "id", "closed_by", "closing_reason"),
)

TRIGGERS = (
    "CREATE TRIGGER audited_opening AFTER INSERT ON transfers FOR EACH ROW EXECUTE FUNCTION audit_transfer()",
    """
    CREATE TRIGGER audited_change AFTER UPDATE OF state ON transfers
        FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION audit_transfer()
    """,
    "CREATE TRIGGER audited AFTER INSERT ON staff_actions FOR EACH ROW EXECUTE FUNCTION audit_staff_action()",
    """
    CREATE TRIGGER audited AFTER INSERT ON staff_action_outcomes
        FOR EACH ROW EXECUTE FUNCTION audit_staff_outcome()
    """,
    # Who reads a customer changes nothing.
    """
    CREATE TRIGGER audited AFTER INSERT ON auth_events
        FOR EACH ROW WHEN (NEW.kind NOT IN ('customer_read', 'customers_listed')) EXECUTE FUNCTION audit_auth_event()
    """,
)

GUARDED = ("audit_records", "audit_records_default", "trail_seals")

GRANTS = (
    "GRANT SELECT ON audit_records TO remit_app",
    "GRANT SELECT ON SEQUENCE audit_records_id TO remit_app",
    "GRANT SELECT, INSERT ON trail_seals TO remit_app",
    "GRANT SELECT, UPDATE (sealed_through, waiting_through, waiting_xid) ON trail_positions TO remit_app",
    "REVOKE ALL ON audit_records_default FROM remit_operator",
    "REVOKE EXECUTE ON FUNCTION make_trail_months, record_refusal FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION make_trail_months, record_refusal TO remit_app",
)


def upgrade() -> None:
    op.execute("ALTER TABLE transfers ADD COLUMN request_id text")
    op.execute("GRANT UPDATE (request_id) ON transfers TO remit_app")
    for statement in (*RECORDS, *SEALS, *FUNCTIONS, *TRIGGERS, *GRANTS):
        op.execute(statement)
    for kind, table, shown, subject, actor, reason in CREATED:
        op.execute(
            f"CREATE TRIGGER audited_opening AFTER INSERT ON {table} FOR EACH ROW "
            f"EXECUTE FUNCTION audit_change('{kind}', '{{{shown}}}', '{subject}', '{actor}', '{reason}')"
        )
    for kind, table, shown, subject, actor, reason in CHANGED:
        names = shown.split(",")
        before, after = (", ".join(f"{row}.{name}" for name in names) for row in ("OLD", "NEW"))
        op.execute(
            f"CREATE TRIGGER audited_change AFTER UPDATE OF {', '.join(names)} ON {table} FOR EACH ROW "
            f"WHEN (ROW({before}) IS DISTINCT FROM ROW({after})) "
            f"EXECUTE FUNCTION audit_change('{kind}', '{{{shown}}}', '{subject}', '{actor}', '{reason}')"
        )
    for table in GUARDED:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    op.execute("SELECT make_trail_months(3)")


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
