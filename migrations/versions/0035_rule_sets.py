"""Lists of accounts and customers that rules look at, and the rules that admins put in force."""

from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

# Counts the changes of lists and rules. Whoever changes them holds this row, so that what a process has read at one
# number never changes without another number.
HEAD = (
    """
    CREATE TABLE screening_head (
        one     boolean PRIMARY KEY DEFAULT true CHECK (one),
        changes bigint NOT NULL
    )
    """,
    "INSERT INTO screening_head (changes) VALUES (0)",
)

# Whoever is on a list now. Its history is in `staff_actions`.
MEMBERS = """
CREATE TABLE list_members (
    list      text NOT NULL CHECK (list ~ '^[a-z][a-z0-9_]{0,39}$'),
    member_id text NOT NULL CHECK (member_id ~ '^(acc|cus)_[a-z2-7]{26}$'),
    added_by  text NOT NULL REFERENCES customers (id),
    reason    text NOT NULL CHECK (reason ~ '[^[:space:]]'),
    added_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (list, member_id)
)
"""

# Without a rule set: the rules of the settings are in force again.
CHANGES = """
CREATE TABLE rule_set_changes (
    number      bigint PRIMARY KEY,
    rule_set_id text REFERENCES rule_sets (id),
    action_id   text NOT NULL UNIQUE REFERENCES staff_actions (id),
    changed_at  timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""

INDEXES = (
    "CREATE INDEX list_members_by_time ON list_members (list, added_at DESC, member_id DESC)",
    "CREATE INDEX list_members_by_member ON list_members (member_id)",
)

GRANTS = (
    "GRANT SELECT, UPDATE (changes) ON screening_head TO remit_app",
    "GRANT SELECT, INSERT, DELETE ON list_members TO remit_app",
    "GRANT SELECT, INSERT ON rule_set_changes TO remit_app",
)


def upgrade() -> None:
    for statement in (*HEAD, MEMBERS, CHANGES, *INDEXES, *GRANTS):
        op.execute(statement)
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON rule_set_changes "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
