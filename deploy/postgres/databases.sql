-- The roles and databases of Remit and of Temporal. For psql, as the superuser; safe to repeat.
--
-- Run again after a password was changed in the environment: that is how it gets into the server.

\set ON_ERROR_STOP on
\getenv owner_password REMIT_OWNER_PASSWORD
\getenv service_password REMIT_SERVICE_PASSWORD
\getenv worker_password REMIT_WORKER_PASSWORD
\getenv operator_password REMIT_OPERATOR_PASSWORD
\getenv auditor_password REMIT_AUDITOR_PASSWORD
\getenv temporal_password TEMPORAL_DATABASE_PASSWORD

-- A statement that fails is not logged with the password in it.
SET log_min_error_statement = panic;
SET client_min_messages = warning;

-- remit_owner owns the tables and runs migrations. remit_service is what the API logs in as: it may do nothing by
-- itself, only become remit_app, which may ask for transfers and not move money. remit_worker is what workers log in as:
-- it may do the same, and append to the books. remit_operator is for people: it reads, sees what other sessions do, and
-- may end one that holds up the others. remit_auditor reads what moved and who decided it, and nobody's name.
SELECT format('CREATE ROLE %I', name)
FROM unnest(ARRAY[
    'remit_owner', 'remit_service', 'remit_app', 'remit_worker', 'remit_operator', 'remit_auditor', 'temporal'
]) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec

ALTER ROLE remit_app NOLOGIN;
ALTER ROLE remit_owner LOGIN PASSWORD :'owner_password';
ALTER ROLE remit_service LOGIN NOINHERIT PASSWORD :'service_password';
ALTER ROLE remit_worker LOGIN PASSWORD :'worker_password';
ALTER ROLE temporal LOGIN PASSWORD :'temporal_password';

ALTER ROLE remit_operator LOGIN PASSWORD :'operator_password';
ALTER ROLE remit_auditor LOGIN PASSWORD :'auditor_password';

-- A session that somebody forgets must not keep the clean-up of old rows waiting, or hold a snapshot for hours.
ALTER ROLE remit_operator SET default_transaction_read_only = on;
ALTER ROLE remit_operator SET statement_timeout = '60s';
ALTER ROLE remit_operator SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE remit_auditor SET default_transaction_read_only = on;
ALTER ROLE remit_auditor SET statement_timeout = '600s';
ALTER ROLE remit_auditor SET idle_in_transaction_session_timeout = '60s';
GRANT pg_signal_backend, pg_read_all_stats TO remit_operator;

GRANT remit_app TO remit_owner WITH ADMIN OPTION;
GRANT remit_app TO remit_service;
GRANT remit_app TO remit_worker;
GRANT remit_worker TO remit_owner WITH ADMIN OPTION;

SELECT format('CREATE DATABASE %I OWNER %I', name, owner)
FROM (VALUES ('remit', 'remit_owner'), ('temporal', 'temporal'), ('temporal_visibility', 'temporal')) AS wanted (name, owner)
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name)
\gexec

-- Neither side may look into the other's database.
REVOKE ALL ON DATABASE remit, temporal, temporal_visibility FROM PUBLIC;
GRANT CONNECT ON DATABASE remit TO remit_service, remit_worker, remit_operator, remit_auditor;
