"""Records of the requests that may change something: redacted, written behind the answers, and sealed."""

from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

# `received_at` is when the request came, `recorded_at` when it was written. `dropped_before`: so many requests before
# it were not written, because too many came at once.
RECORDS = (
    "CREATE SEQUENCE request_records_id",
    """
    CREATE TABLE request_records (
        id             bigint NOT NULL DEFAULT nextval('request_records_id'),
        recorded_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
        received_at    timestamptz NOT NULL,
        request_id     text NOT NULL,
        method         text NOT NULL,
        route          text NOT NULL,
        path           text NOT NULL,
        status         integer NOT NULL,
        milliseconds   integer NOT NULL,
        actor_id       text,
        address        text NOT NULL,
        headers        jsonb NOT NULL,
        body           jsonb,
        body_bytes     integer NOT NULL,
        caused         jsonb NOT NULL,
        dropped_before integer NOT NULL DEFAULT 0,
        PRIMARY KEY (id, recorded_at)
    ) PARTITION BY RANGE (recorded_at)
    """,
    "ALTER SEQUENCE request_records_id OWNED BY request_records.id",
    "CREATE TABLE request_records_default PARTITION OF request_records DEFAULT",
    "CREATE INDEX request_records_by_route ON request_records (route, id DESC)",
    "CREATE INDEX request_records_by_request ON request_records (request_id, id DESC)",
    "CREATE INDEX request_records_by_actor ON request_records (actor_id, id DESC) WHERE actor_id IS NOT NULL",
)

# The id of the transaction comes before the ids of the records: whoever seals relies on that.
RECORD_REQUESTS = """
CREATE FUNCTION record_requests(requests jsonb) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM pg_current_xact_id();
    INSERT INTO public.request_records (received_at, request_id, method, route, path, status, milliseconds, actor_id,
        address, headers, body, body_bytes, caused, dropped_before)
    SELECT received_at, request_id, method, route, path, status, milliseconds, actor_id, address, headers, body,
        body_bytes, caused, dropped_before
    FROM jsonb_to_recordset(requests) AS r (received_at timestamptz, request_id text, method text, route text,
        path text, status integer, milliseconds integer, actor_id text, address text, headers jsonb, body jsonb,
        body_bytes integer, caused jsonb, dropped_before integer);
END $$
"""

# People with SQL do not read what customers sent.
GRANTS = (
    "GRANT SELECT ON request_records TO remit_app",
    "GRANT SELECT ON SEQUENCE request_records_id TO remit_app",
    "REVOKE ALL ON request_records, request_records_default FROM remit_operator",
    "REVOKE EXECUTE ON FUNCTION record_requests FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION record_requests TO remit_app",
)


def upgrade() -> None:
    for statement in (*RECORDS, RECORD_REQUESTS, *GRANTS):
        op.execute(statement)
    for table in ("request_records", "request_records_default"):
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    op.execute("INSERT INTO trail_positions (trail) VALUES ('request_records')")
    op.execute("SELECT make_trail_months(3)")


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
