"""Notifications: one table for all that a customer is told, with read marks, and what reaches them by e-mail."""

from alembic import op

from database.schema_changes import create_index

revision = "0049"
down_revision = "0047"
branch_labels = None
depends_on = None

# Like all ids: 26 characters of base32. Of a random UUID, whose digits 0, 1, 8 and 9 are no base32.
NEW_ID = "'ntf_' || translate(left(replace(gen_random_uuid()::text, '-', ''), 26), '0189', 'ghij')"

# One for each occasion of an attempt and account, or of a customer: the index counts nulls as equal.
NOTIFICATIONS = f"""
CREATE TABLE IF NOT EXISTS notifications (
    id          text PRIMARY KEY DEFAULT {NEW_ID} CHECK (id ~ '^ntf_[a-z2-7]{{26}}$'),
    transfer_id text REFERENCES transfers (id),
    attempt     smallint,
    account_id  text REFERENCES accounts (id),
    customer_id text NOT NULL REFERENCES customers (id),
    occasion    text NOT NULL CHECK (length(occasion) BETWEEN 1 AND 200),
    body        text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    read_at     timestamptz,
    CHECK ((transfer_id IS NULL) = (attempt IS NULL)),
    CHECK (transfer_id IS NULL OR account_id IS NOT NULL),
    CONSTRAINT notifications_once UNIQUE NULLS NOT DISTINCT (transfer_id, attempt, account_id, customer_id, occasion)
)
"""

# Copied and dropped below.
MESSAGES = """
DO $$
BEGIN
    IF to_regclass('messages') IS NOT NULL THEN
        ALTER TABLE messages RENAME TO old_messages;
    END IF;
    IF to_regclass('customer_messages') IS NOT NULL THEN
        ALTER TABLE customer_messages RENAME TO old_customer_messages;
    END IF;
END $$
"""

# What of all choices a mail is sent for. Whoever has chosen nothing has no row.
CHOICES = """
CREATE TABLE IF NOT EXISTS notification_choices (
    customer_id text PRIMARY KEY REFERENCES customers (id),
    email       text[] NOT NULL CHECK (email <@ ARRAY['transfers', 'disputes', 'accounts', 'identity']),
    changed_at  timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""

ONLY_READ_MARKS = (
    """
    CREATE OR REPLACE FUNCTION refuse_change_of_notification() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF OLD.read_at IS NOT NULL OR to_jsonb(NEW) - 'read_at' <> to_jsonb(OLD) - 'read_at' THEN
            RAISE EXCEPTION 'notification % keeps what it says, and is read once', OLD.id
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE OR REPLACE TRIGGER read_once BEFORE UPDATE ON notifications
        FOR EACH ROW EXECUTE FUNCTION refuse_change_of_notification()
    """,
)

# Those of before are read: nobody could see them, and nobody wants to hear of them now.
COPIES = (
    """
    DO $$
    BEGIN
        IF to_regclass('old_messages') IS NOT NULL THEN
            INSERT INTO notifications
                (transfer_id, attempt, account_id, customer_id, occasion, body, created_at, read_at)
            SELECT transfer_id, attempt, account_id, customer_id, occasion, body, created_at, clock_timestamp()
            FROM old_messages ON CONFLICT DO NOTHING;
            DROP TABLE old_messages;
        END IF;
        IF to_regclass('old_customer_messages') IS NOT NULL THEN
            INSERT INTO notifications (customer_id, occasion, body, created_at, read_at)
            SELECT customer_id, occasion, body, created_at, clock_timestamp()
            FROM old_customer_messages ON CONFLICT DO NOTHING;
            DROP TABLE old_customer_messages;
        END IF;
    END $$
    """,
)

# No text: the body is read where the notification is shown.
EVENT = (
    """
    CREATE OR REPLACE FUNCTION emit_notification() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = pg_catalog, public, pg_temp
    AS $$
    BEGIN
        PERFORM public.emit_event('notification.added', NEW.id, coalesce(NEW.account_id, NEW.customer_id),
            NEW.account_id, NULL, ARRAY[NEW.customer_id],
            jsonb_build_object('notification', jsonb_build_object('id', NEW.id, 'occasion', NEW.occasion,
                'transfer_id', NEW.transfer_id, 'account_id', NEW.account_id, 'created_at', NEW.created_at)));
        RETURN NULL;
    END $$
    """,
    """
    CREATE OR REPLACE TRIGGER emitted AFTER INSERT ON notifications
        FOR EACH ROW WHEN (NEW.read_at IS NULL) EXECUTE FUNCTION emit_notification()
    """,
)

GRANTS = (
    "GRANT SELECT, INSERT, UPDATE (read_at) ON notifications TO remit_app",
    "GRANT SELECT, INSERT, UPDATE (email, changed_at) ON notification_choices TO remit_app",
)


def upgrade() -> None:
    for statement in (NOTIFICATIONS, CHOICES, *ONLY_READ_MARKS, *EVENT, *GRANTS, MESSAGES):
        op.execute(statement)
    # From here on new rows come here, while those of before are copied.
    create_index("notifications_by_customer", "notifications (customer_id, created_at DESC, id DESC)")
    create_index("notifications_unread", "notifications (customer_id, created_at DESC, id DESC) WHERE read_at IS NULL")
    for statement in COPIES:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
