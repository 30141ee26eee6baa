"""The tables of disputes and of what their parties stated."""

from sqlalchemy import BigInteger, Column, ForeignKey, Identity, Index, Table, Text, and_, text

from database.metadata import METADATA, Timestamp, required
from database.statements import one_of
from disputes.dispute import DisputeState

disputes = Table(
    "disputes",
    METADATA,
    Column("id", Text, primary_key=True),
    required("transfer_id", Text, ForeignKey("transfers.id")),
    required("payer_id", Text, ForeignKey("customers.id")),
    required("payee_id", Text, ForeignKey("customers.id")),
    required("reason", Text),
    required("state", Text, server_default="open"),
    required("deadline", Timestamp),
    Column("ruling", Text),
    Column("amount_minor", BigInteger),
    Column("decided_by", Text, ForeignKey("customers.id")),
    Column("decided_reason", Text),
    Column("decided_at", Timestamp),
    Column("reversal_transfer_id", Text, ForeignKey("transfers.id")),
    Column("outcome", Text),
    required("created_at", Timestamp, server_default=text("clock_timestamp()")),
    required("updated_at", Timestamp, server_default=text("clock_timestamp()")),
    Column("closed_at", Timestamp),
)

NOT_CLOSED = one_of(disputes.c.state, (state for state in DisputeState if not state.is_final))

Index("disputes_one_open", disputes.c.transfer_id, unique=True, postgresql_where=NOT_CLOSED)
Index("disputes_by_payer", disputes.c.payer_id, disputes.c.created_at.desc(), disputes.c.id.desc())
Index("disputes_by_payee", disputes.c.payee_id, disputes.c.created_at.desc(), disputes.c.id.desc())
Index("disputes_by_time", disputes.c.created_at.desc(), disputes.c.id.desc())
Index("disputes_by_state", disputes.c.state, disputes.c.created_at.desc(), disputes.c.id.desc())
Index("disputes_not_closed", disputes.c.updated_at, postgresql_where=NOT_CLOSED)

Index(
    "disputes_reversal_failed",
    disputes.c.reversal_transfer_id,
    postgresql_where=and_(
        one_of(disputes.c.state, [DisputeState.REVERSAL_FAILED]), disputes.c.reversal_transfer_id.is_not(None)
    ),
)

dispute_statements = Table(
    "dispute_statements",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    required("dispute_id", Text, ForeignKey("disputes.id")),
    required("author_id", Text, ForeignKey("customers.id")),
    required("text", Text),
    required("stated_at", Timestamp, server_default=text("clock_timestamp()")),
)
Index("dispute_statements_by_dispute", dispute_statements.c.dispute_id, dispute_statements.c.id)
