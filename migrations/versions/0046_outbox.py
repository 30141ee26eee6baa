"""The outbox: an event for each change, written by triggers in the transaction of the change, and numbered after it."""

from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None

# An id is drawn under the row lock of what changes, so the ids of one account's events are in the order of its
# changes; over all accounts, ids become visible in another order. Positions are given out after the commit, 1, 2, 3 …
# without a gap: whoever reads by position misses nothing. Events of a month that nobody has made a partition for go
# into the default one, so that no transfer waits for a partition.
EVENTS = (
    "CREATE SEQUENCE outbox_events_id",
    """
    CREATE TABLE outbox_events (
        id              bigint NOT NULL DEFAULT nextval('outbox_events_id'),
        event_id        text NOT NULL DEFAULT 'evt_' || replace(uuidv7()::text, '-', ''),
        type            text NOT NULL,
        version         smallint NOT NULL DEFAULT 1,
        subject         text NOT NULL,
        partition_key   text NOT NULL,
        account_id      text,
        account_version bigint,
        audience        text[] NOT NULL CHECK (cardinality(audience) <= 3),
        data            jsonb NOT NULL,
        request_id      text,
        occurred_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
        position        bigint,
        PRIMARY KEY (id, occurred_at)
    ) PARTITION BY RANGE (occurred_at)
    """,
    "ALTER SEQUENCE outbox_events_id OWNED BY outbox_events.id",
    "CREATE TABLE outbox_events_default PARTITION OF outbox_events DEFAULT",
    "CREATE INDEX outbox_events_unnumbered ON outbox_events (id) WHERE position IS NULL",
    # All others are written when the event is numbered, so that they cost the change nothing.
    "CREATE INDEX outbox_events_by_position ON outbox_events (position) WHERE position IS NOT NULL",
    "CREATE INDEX outbox_events_by_event_id ON outbox_events (event_id) WHERE position IS NOT NULL",
    "CREATE INDEX outbox_events_by_type ON outbox_events (type, position) WHERE position IS NOT NULL",
    "CREATE INDEX outbox_events_by_subject ON outbox_events (subject, position) WHERE position IS NOT NULL",
    """
    CREATE INDEX outbox_events_by_account ON outbox_events (account_id, position)
        WHERE position IS NOT NULL AND account_id IS NOT NULL
    """,
    *(
        f"CREATE INDEX outbox_events_by_reader_{number} ON outbox_events ((audience[{number}]), position) "
        f"WHERE position IS NOT NULL AND audience[{number}] IS NOT NULL"
        for number in (1, 2, 3)
    ),
)

# The last position that was given out. Events of before `began_at` were not written. Positions up to
# `dropped_through` may be gone with the months that held them.
HEAD = """
CREATE TABLE event_head (
    one             boolean PRIMARY KEY DEFAULT true CHECK (one),
    last            bigint NOT NULL DEFAULT 0,
    dropped_through bigint NOT NULL DEFAULT 0,
    began_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (dropped_through BETWEEN 0 AND last)
)
"""

# Called by the migration and by workers ahead of each month. A month whose events are in the default partition already
# gets none.
MAKE_MONTHS = """
CREATE FUNCTION make_event_months(ahead integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '500ms' SET timezone = 'UTC'
AS $$
DECLARE
    made integer := 0;
    first_day date;
    part text;
    is_used boolean;
BEGIN
    -- One at a time: two that make the same month would fail.
    PERFORM pg_advisory_xact_lock(hashtext('make_event_months'));
    FOR first_day IN
        SELECT (date_trunc('month', now()) + make_interval(months => n))::date
        FROM generate_series(0, least(ahead, 12)) AS n
    LOOP
        part := 'outbox_events' || to_char(first_day, '_YYYY_MM');
        IF to_regclass('public.' || part) IS NOT NULL THEN
            CONTINUE;
        END IF;
        SELECT EXISTS (
            SELECT FROM public.outbox_events_default
            WHERE occurred_at >= first_day AND occurred_at < first_day + interval '1 month'
        ) INTO is_used;
        IF is_used THEN
            CONTINUE;
        END IF;
        EXECUTE format('CREATE TABLE public.%I (LIKE public.outbox_events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
            part);
        EXECUTE format('REVOKE ALL ON public.%I FROM remit_operator', part);
        EXECUTE format('CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON public.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change()', part);
        EXECUTE format('ALTER TABLE public.outbox_events ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
            part, first_day, (first_day + interval '1 month')::date);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$
"""

# Everybody who writes an event waits for the lock of a drop, also who moves money: so it drops one month a call, and
# gives up soon. A month stays while one of its events has no position, a sink has not passed it, or a webhook waits or
# is held: those have an index of their own, and there are few of them behind 90 days. A test of a webhook is no event:
# its position is a time, far behind every other.
DROP_MONTH = """
CREATE FUNCTION drop_event_month(kept_days integer) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '100ms' SET timezone = 'UTC'
AS $$
DECLARE
    part text;
    newest bigint;
    unnumbered boolean;
BEGIN
    SELECT c.relname INTO part FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'public.outbox_events'::regclass AND c.relname ~ '^outbox_events_[0-9]{4}_[0-9]{2}$'
    ORDER BY c.relname LIMIT 1;
    IF part IS NULL OR to_date(right(part, 7), 'YYYY_MM') + interval '1 month'
        > now() - make_interval(days => greatest(kept_days, 7)) THEN
        RETURN false;
    END IF;
    EXECUTE format('SELECT coalesce(max(position), 0), coalesce(bool_or(position IS NULL), false) FROM public.%I', part)
        INTO newest, unnumbered;
    IF unnumbered OR EXISTS (SELECT FROM public.sinks s WHERE s.position < newest) THEN
        RETURN false;
    END IF;
    IF EXISTS (SELECT FROM public.deliveries d WHERE d.state = 'pending' AND d.position BETWEEN 1 AND newest) THEN
        RETURN false;
    END IF;
    UPDATE public.event_head SET dropped_through = greatest(dropped_through, newest);
    EXECUTE format('DROP TABLE public.%I', part);
    RETURN true;
END $$
"""

# One process numbers at a time, the others skip. The lock is a statement of its own: the next one then sees all that
# was numbered before. Whoever waits for an event is told once a call, after its commit.
NUMBER_EVENTS = """
CREATE FUNCTION number_events(most integer, OUT numbered integer, OUT through bigint, OUT others_do boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
    numbered := 0;
    others_do := false;
    IF NOT EXISTS (SELECT FROM public.outbox_events WHERE position IS NULL) THEN
        RETURN;
    END IF;
    SELECT last INTO through FROM public.event_head FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        others_do := true;
        RETURN;
    END IF;
    WITH next AS MATERIALIZED (
        SELECT id, occurred_at, row_number() OVER (ORDER BY id) AS place FROM public.outbox_events
        WHERE position IS NULL ORDER BY id LIMIT most
    )
    UPDATE public.outbox_events e SET position = through + next.place
    FROM next WHERE e.id = next.id AND e.occurred_at = next.occurred_at;
    GET DIAGNOSTICS numbered = ROW_COUNT;
    IF numbered > 0 THEN
        through := through + numbered;
        UPDATE public.event_head SET last = through;
        PERFORM pg_notify('remit_events', through::text);
    END IF;
END $$
"""

# They write with the rights of the owner: the application may only read the outbox.
TRIGGER = "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp"

# For what is no change of a row above: what webhooks and dead letters come to. What triggers write, nobody else does.
EMIT_EVENT = f"""
CREATE FUNCTION emit_event(
    of_type text, of_subject text, with_key text, of_account text, of_version bigint, seen_by text[], contents jsonb
) RETURNS text {TRIGGER} AS $$
DECLARE
    emitted text;
BEGIN
    IF of_type ~ '^(transfer|account|customer|dispute)\\.' THEN
        RAISE EXCEPTION 'events of type % are written by triggers only', of_type
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO public.outbox_events (type, subject, partition_key, account_id, account_version, audience, data,
        request_id)
    VALUES (of_type, of_subject, with_key, of_account, of_version, seen_by, contents,
        public.act_cause() ->> 'request_id')
    RETURNING event_id INTO emitted;
    RETURN emitted;
END $$
"""

# It happened when entries, postings and attempts say.
# Who asked for a transfer sees it, and each owner once money of theirs has moved: as `visible_to` of
# ledger/postgres/transfer_reads.py. A posting with the outside world changes no account and has no entry.
EVENT_OF_TRANSFER = f"""
CREATE FUNCTION event_of_transfer() RETURNS trigger {TRIGGER} AS $$
DECLARE
    happened text := CASE WHEN NEW.state <> 'initiated' THEN NEW.state
        WHEN TG_OP = 'INSERT' THEN 'initiated' ELSE 'retried' END;
    moved_leg text := CASE NEW.state WHEN 'debited' THEN 'debit' WHEN 'completed' THEN 'credit'
        WHEN 'compensated' THEN 'refund' END;
    concerned text := CASE WHEN NEW.source_account_id = 'world' THEN NEW.destination_account_id
        ELSE NEW.source_account_id END;
    moved_on text := CASE WHEN NEW.state = 'completed' THEN NEW.destination_account_id
        ELSE NEW.source_account_id END;
    seen_by text[] := ARRAY[NEW.owner_id];
    entered public.entries;
    party text;
    other text;
BEGIN
    IF moved_leg IS NOT NULL AND moved_on <> 'world' THEN
        concerned := moved_on;
        SELECT e.* INTO entered FROM public.entries e
        WHERE e.transfer_id = NEW.id AND e.attempt = NEW.attempt AND e.leg = moved_leg;
        SELECT a.owner_id INTO party FROM public.accounts a WHERE a.id = moved_on;
        IF party <> NEW.owner_id THEN
            seen_by := seen_by || party;
        END IF;
    END IF;
    IF NEW.state = 'completed' AND NEW.kind = 'reversal' THEN
        SELECT a.owner_id INTO other FROM public.accounts a WHERE a.id = NEW.source_account_id;
        IF other <> ALL (seen_by) THEN
            seen_by := seen_by || other;
        END IF;
    END IF;
    INSERT INTO public.outbox_events (type, subject, partition_key, account_id, account_version, audience, data,
        request_id, occurred_at)
    VALUES ('transfer.' || happened, NEW.id, concerned, entered.account_id, entered.version, seen_by,
        jsonb_build_object(
            'transfer', jsonb_build_object(
                'id', NEW.id, 'kind', NEW.kind, 'state', NEW.state, 'attempt', NEW.attempt, 'owner_id', NEW.owner_id,
                'source_account_id', NEW.source_account_id, 'destination_account_id', NEW.destination_account_id,
                'amount', NEW.amount_minor, 'currency', NEW.currency, 'transaction_id', NEW.transaction_id,
                'metadata', NEW.metadata, 'reverses_transfer_id', NEW.reverses_transfer_id,
                'failure', CASE WHEN NEW.failure_code IS NOT NULL THEN jsonb_build_object('code', NEW.failure_code,
                    'message', NEW.failure_message, 'side', NEW.failure_side) END),
            'entry', CASE WHEN entered.account_id IS NOT NULL THEN jsonb_build_object(
                'account_id', entered.account_id, 'owner_id', party, 'leg', entered.leg,
                'amount', entered.amount_minor, 'balance_before', entered.balance_before,
                'balance_after', entered.balance_after, 'version', entered.version) END),
        coalesce(nullif(current_setting('remit.cause', true), '')::jsonb ->> 'request_id', NEW.request_id),
        CASE TG_OP WHEN 'INSERT' THEN NEW.created_at ELSE NEW.updated_at END);
    RETURN NULL;
END $$
"""

# Its argument is the type. It runs under the account's row lock, so the version is the account's own at that moment.
EVENT_OF_ACCOUNT = f"""
CREATE FUNCTION event_of_account() RETURNS trigger {TRIGGER} AS $$
BEGIN
    INSERT INTO public.outbox_events (type, subject, partition_key, account_id, account_version, audience, data,
        request_id)
    VALUES (TG_ARGV[0], NEW.id, NEW.id, NEW.id, NEW.version, ARRAY[NEW.owner_id],
        jsonb_build_object(
            'account', jsonb_build_object('id', NEW.id, 'owner_id', NEW.owner_id, 'currency', NEW.currency,
                'status', NEW.status, 'frozen', NEW.frozen, 'tier', NEW.tier),
            'before', CASE WHEN TG_OP = 'UPDATE' THEN
                jsonb_build_object('status', OLD.status, 'frozen', OLD.frozen, 'tier', OLD.tier) END),
        public.act_cause() ->> 'request_id');
    RETURN NULL;
END $$
"""

EVENT_OF_CUSTOMER = f"""
CREATE FUNCTION event_of_customer() RETURNS trigger {TRIGGER} AS $$
BEGIN
    INSERT INTO public.outbox_events (type, subject, partition_key, audience, data, request_id)
    VALUES (TG_ARGV[0], NEW.id, NEW.id, ARRAY[NEW.id],
        jsonb_build_object(
            'customer', jsonb_build_object('id', NEW.id, 'role', NEW.role, 'verification', NEW.verification),
            'before', CASE WHEN TG_OP = 'UPDATE' THEN
                jsonb_build_object('role', OLD.role, 'verification', OLD.verification) END),
        public.act_cause() ->> 'request_id');
    RETURN NULL;
END $$
"""

# Of a dispute and of its statements. All its events have one key: the account that paid.
EVENT_OF_DISPUTE = f"""
CREATE FUNCTION event_of_dispute() RETURNS trigger {TRIGGER} AS $$
DECLARE
    changed public.disputes;
    author text;
BEGIN
    IF TG_TABLE_NAME = 'disputes' THEN
        changed := NEW;
    ELSE
        SELECT d.* INTO changed FROM public.disputes d WHERE d.id = NEW.dispute_id;
        author := CASE WHEN NEW.author_id = changed.payer_id THEN 'payer' ELSE 'payee' END;
    END IF;
    INSERT INTO public.outbox_events (type, subject, partition_key, audience, data, request_id)
    SELECT TG_ARGV[0], changed.id, t.source_account_id, ARRAY[changed.payer_id, changed.payee_id],
        jsonb_build_object(
            'dispute', jsonb_build_object('id', changed.id, 'transfer_id', changed.transfer_id,
                'payer_id', changed.payer_id, 'payee_id', changed.payee_id, 'state', changed.state,
                'ruling', changed.ruling, 'amount', changed.amount_minor, 'currency', t.currency,
                'reversal_transfer_id', changed.reversal_transfer_id),
            'statement', CASE WHEN author IS NOT NULL THEN jsonb_build_object('author', author) END),
        public.act_cause() ->> 'request_id'
    FROM public.transfers t WHERE t.id = changed.transfer_id;
    RETURN NULL;
END $$
"""

# For staff only. Nobody holds the account's lock here, so it has no version.
EVENT_OF_CASE = f"""
CREATE FUNCTION event_of_case() RETURNS trigger {TRIGGER} AS $$
BEGIN
    INSERT INTO public.outbox_events (type, subject, partition_key, account_id, audience, data, request_id)
    VALUES ('account.flagged', NEW.account_id, NEW.account_id, NEW.account_id, '{{}}',
        jsonb_build_object('account', jsonb_build_object('id', NEW.account_id),
            'case', jsonb_build_object('id', NEW.id)),
        public.act_cause() ->> 'request_id');
    RETURN NULL;
END $$
"""

FUNCTIONS = (
    MAKE_MONTHS,
    DROP_MONTH,
    NUMBER_EVENTS,
    EMIT_EVENT,
    EVENT_OF_TRANSFER,
    EVENT_OF_ACCOUNT,
    EVENT_OF_CUSTOMER,
    EVENT_OF_DISPUTE,
    EVENT_OF_CASE,
)

TRIGGERS = (
    "CREATE TRIGGER emitted_opening AFTER INSERT ON transfers FOR EACH ROW EXECUTE FUNCTION event_of_transfer()",
    """
    CREATE TRIGGER emitted_change AFTER UPDATE OF state ON transfers
        FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION event_of_transfer()
    """,
    "CREATE TRIGGER emitted_flag AFTER INSERT ON cases FOR EACH ROW EXECUTE FUNCTION event_of_case()",
    """
    CREATE TRIGGER emitted_statement AFTER INSERT ON dispute_statements
        FOR EACH ROW EXECUTE FUNCTION event_of_dispute('dispute.stated')
    """,
)

# Trigger, table, columns that it watches (none: new rows), condition, function and type.
CHANGES = (
    ("emitted_opening", "accounts", "", "true", "event_of_account", "account.created"),
    (
        "emitted_freeze",
        "accounts",
        "status, frozen",
        "NEW.status = 'frozen' AND (OLD.status, OLD.frozen) IS DISTINCT FROM (NEW.status, NEW.frozen)",
        "event_of_account",
        "account.frozen",
    ),
    (
        "emitted_unfreeze",
        "accounts",
        "status",
        "OLD.status = 'frozen' AND NEW.status = 'active'",
        "event_of_account",
        "account.unfrozen",
    ),
    (
        "emitted_closing",
        "accounts",
        "status",
        "OLD.status <> 'closed' AND NEW.status = 'closed'",
        "event_of_account",
        "account.closed",
    ),
    ("emitted_tier", "accounts", "tier", "OLD.tier <> NEW.tier", "event_of_account", "account.tier_changed"),
    ("emitted_registration", "customers", "", "true", "event_of_customer", "customer.created"),
    (
        "emitted_verification",
        "customers",
        "verification",
        "OLD.verification IS DISTINCT FROM 'verified' AND NEW.verification = 'verified'",
        "event_of_customer",
        "customer.verified",
    ),
    ("emitted_role", "customers", "role", "OLD.role <> NEW.role", "event_of_customer", "customer.role_changed"),
    ("emitted_opening", "disputes", "", "true", "event_of_dispute", "dispute.opened"),
    (
        "emitted_end",
        "disputes",
        "state",
        "OLD.state <> NEW.state AND NEW.state NOT IN ('open', 'reversing')",
        "event_of_dispute",
        "dispute.ended",
    ),
)

# An event never changes, except that it gets its position once. `last` moves forward only.
COLUMNS = """
    id event_id type version subject partition_key account_id account_version audience data request_id occurred_at
""".split()
SAME = " OR ".join(f"OLD.{name} IS DISTINCT FROM NEW.{name}" for name in COLUMNS)
GUARDS = (
    f"""
    CREATE TRIGGER numbered_once BEFORE UPDATE ON outbox_events FOR EACH ROW
        WHEN (OLD.position IS NOT NULL OR NEW.position IS NULL OR {SAME}) EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER forward_only BEFORE UPDATE ON event_head FOR EACH ROW
        WHEN (NEW.last < OLD.last OR NEW.dropped_through < OLD.dropped_through OR NEW.began_at <> OLD.began_at)
        EXECUTE FUNCTION refuse_change()
    """,
    *(
        f"CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        for table in ("outbox_events", "outbox_events_default", "event_head")
    ),
)

# Only the triggers write events, and only workers number them and emit their own.
GRANTS = (
    "GRANT SELECT ON outbox_events, event_head TO remit_app",
    "REVOKE ALL ON outbox_events_default FROM remit_operator",
    "REVOKE EXECUTE ON FUNCTION make_event_months, drop_event_month, number_events, emit_event FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION make_event_months, drop_event_month, number_events, emit_event TO remit_worker",
)


def upgrade() -> None:
    for statement in (*EVENTS, HEAD, *FUNCTIONS, *TRIGGERS, *GUARDS, *GRANTS):
        op.execute(statement)
    for name, table, columns, condition, function, type_ in CHANGES:
        when = f"UPDATE OF {columns}" if columns else "INSERT"
        op.execute(
            f"CREATE TRIGGER {name} AFTER {when} ON {table} FOR EACH ROW WHEN ({condition}) "
            f"EXECUTE FUNCTION {function}('{type_}')"
        )
    op.execute("SELECT make_event_months(3)")
    # Last: all that changes from now on has its event.
    op.execute("INSERT INTO event_head DEFAULT VALUES")


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
