"""Requests of roles that wait for a second admin are found by an index: they are few among staff's actions."""

from database.schema_changes import create_index

revision = "0071"
down_revision = "0070"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index(
        "staff_actions_role_requests", "staff_actions (recorded_at DESC, id DESC) WHERE action = 'request_role'"
    )


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
