"""The audit trail tells where a webhook endpoint sends to, of which types, and when its secrets changed."""

from alembic import op

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None

# Of the URL the host alone, because the rest may hold a password; of secrets only that they changed. `changed` names
# what did, so that another path at the same host leaves its trace as well. A staff action in the same transaction
# says why.
AUDIT_ENDPOINT = """
CREATE FUNCTION audit_webhook_endpoint() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    cause jsonb := public.act_cause();
    host_in CONSTANT text := '^[^:/?#]+://(?:[^/?#]*@)?([^/?#]*)';
    was jsonb := NULL;
    became jsonb := jsonb_build_object('owner_id', NEW.owner_id, 'host', substring(NEW.url FROM host_in),
        'types', NEW.types, 'state', NEW.state, 'disabled_by', NEW.disabled_by, 'deleted_at', NEW.deleted_at);
    changed text[];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        was := jsonb_build_object('owner_id', OLD.owner_id, 'host', substring(OLD.url FROM host_in),
            'types', OLD.types, 'state', OLD.state, 'disabled_by', OLD.disabled_by, 'deleted_at', OLD.deleted_at);
        SELECT array_agg(name ORDER BY name) INTO changed FROM (VALUES
            ('owner_id', OLD.owner_id IS DISTINCT FROM NEW.owner_id), ('url', OLD.url IS DISTINCT FROM NEW.url),
            ('types', OLD.types IS DISTINCT FROM NEW.types), ('secrets', OLD.secrets IS DISTINCT FROM NEW.secrets),
            ('state', OLD.state IS DISTINCT FROM NEW.state),
            ('disabled_by', OLD.disabled_by IS DISTINCT FROM NEW.disabled_by),
            ('deleted_at', OLD.deleted_at IS DISTINCT FROM NEW.deleted_at)) AS compared (name, differs)
        WHERE differs;
        became := became || jsonb_build_object('changed', changed);
    END IF;
    INSERT INTO public.audit_records (kind, outcome, subject, actor_id, before, after, request_id, address)
    VALUES (CASE TG_OP WHEN 'INSERT' THEN 'webhook_endpoint.created' ELSE 'webhook_endpoint.changed' END, 'done',
        NEW.id, coalesce(cause ->> 'actor_id', CASE TG_OP WHEN 'INSERT' THEN NEW.owner_id END), was, became,
        cause ->> 'request_id', cause ->> 'address');
    RETURN NULL;
END $$
"""

TRIGGERS = (
    "DROP TRIGGER audited_opening ON webhook_endpoints",
    "DROP TRIGGER audited_change ON webhook_endpoints",
    """
    CREATE TRIGGER audited_opening AFTER INSERT ON webhook_endpoints FOR EACH ROW
        EXECUTE FUNCTION audit_webhook_endpoint()
    """,
    """
    CREATE TRIGGER audited_change
        AFTER UPDATE OF owner_id, url, types, secrets, state, disabled_by, deleted_at ON webhook_endpoints FOR EACH ROW
        WHEN (ROW(OLD.owner_id, OLD.url, OLD.types, OLD.secrets, OLD.state, OLD.disabled_by, OLD.deleted_at)
            IS DISTINCT FROM
            ROW(NEW.owner_id, NEW.url, NEW.types, NEW.secrets, NEW.state, NEW.disabled_by, NEW.deleted_at))
        EXECUTE FUNCTION audit_webhook_endpoint()
    """,
)


def upgrade() -> None:
    op.execute(AUDIT_ENDPOINT)
    for statement in TRIGGERS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("The ledger is never taken apart: restore a backup instead.")
