-- Roles of a production database. Run by an administrator, once per database, before or after the first migration;
-- running it again repairs what is missing:
--
--     createdb ingestion
--     psql -v ON_ERROR_STOP=1 -d ingestion -f deploy/roles.sql
--
-- then give the roles that log in a password, in psql: \password sink_migrator (and sink_writer, sink_reader).
--
--   sink_owner     owns every table and function; nobody logs in as it (TimescaleDB's policies do)
--   sink_migrator  logs in for `sink migrate` only, and acts as sink_owner in this database
--   sink_writer    logs in for `sink run`: reads and writes rows, deletes only the sink's own bookkeeping
--   sink_reader    logs in for dashboards and APIs: reads

-- One at a time: roles belong to the whole server, and two sessions that make them at once would fail.
BEGIN;
SELECT pg_advisory_xact_lock(hashtextextended('sink roles', 0));

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sink_owner') THEN
        CREATE ROLE sink_owner NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sink_migrator') THEN
        CREATE ROLE sink_migrator LOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sink_writer') THEN
        CREATE ROLE sink_writer LOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sink_reader') THEN
        CREATE ROLE sink_reader LOGIN;
    END IF;
    IF NOT pg_has_role('sink_migrator', 'sink_owner', 'MEMBER') THEN
        GRANT sink_owner TO sink_migrator;
    END IF;
END
$$;

CREATE EXTENSION IF NOT EXISTS timescaledb SCHEMA public;

-- TimescaleDB's policies, which the community edition has, run as the table's owner and want one that may log in. It has
-- no password, so nobody gets in as it but where pg_hba.conf asks for none.
DO $$
BEGIN
    IF current_setting('timescaledb.license', true) = 'timescale' THEN
        ALTER ROLE sink_owner LOGIN;
    END IF;
END
$$;

-- The database and schema public.
DO $$
BEGIN
    -- What the migrator makes belongs to the owner, whoever migrates next.
    EXECUTE format('ALTER ROLE sink_migrator IN DATABASE %I SET role = sink_owner', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO sink_migrator, sink_writer, sink_reader', current_database());
    EXECUTE format('GRANT CREATE ON DATABASE %I TO sink_owner', current_database());
    -- A flush copies into a temporary table before it merges.
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO sink_writer', current_database());
END
$$;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO sink_owner;
GRANT USAGE ON SCHEMA public TO sink_writer, sink_reader;

-- Schema sink, which the migration fills. `alembic downgrade base` drops it: run this file again after that.
CREATE SCHEMA IF NOT EXISTS sink;
ALTER SCHEMA sink OWNER TO sink_owner;
GRANT USAGE ON SCHEMA sink TO sink_writer, sink_reader;

-- Everything the owner makes later, datasets to come included.
ALTER DEFAULT PRIVILEGES FOR ROLE sink_owner GRANT SELECT, INSERT, UPDATE ON TABLES TO sink_writer;
ALTER DEFAULT PRIVILEGES FOR ROLE sink_owner GRANT SELECT ON TABLES TO sink_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE sink_owner GRANT USAGE ON SCHEMAS TO sink_writer, sink_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE sink_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE sink_owner IN SCHEMA sink GRANT DELETE ON TABLES TO sink_writer;

-- What an earlier migration made as another role. The datasets are the tables that have a retention.
DO $$
DECLARE
    name text;
BEGIN
    IF to_regclass('sink.retention') IS NULL THEN
        RETURN;  -- nothing was migrated yet
    END IF;
    FOR name IN SELECT table_name FROM sink.retention WHERE to_regclass(table_name) IS NOT NULL LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO sink_owner', to_regclass(name));
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %s TO sink_writer', to_regclass(name));
        EXECUTE format('GRANT SELECT ON %s TO sink_reader', to_regclass(name));
    END LOOP;
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'sink' LOOP
        EXECUTE format('ALTER TABLE sink.%I OWNER TO sink_owner', name);
    END LOOP;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA sink TO sink_writer;
    GRANT SELECT ON ALL TABLES IN SCHEMA sink TO sink_reader;
    -- Retention decides what is deleted, so the writer only reads it.
    REVOKE INSERT, UPDATE, DELETE ON sink.retention FROM sink_writer;
    FOR name IN SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'sink'::regnamespace LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO sink_owner', name);
        IF starts_with(name, 'sink.drop_expired_chunks(') THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO sink_writer', name);
        END IF;
    END LOOP;
    ALTER TABLE public.alembic_version OWNER TO sink_owner;
    GRANT SELECT ON public.alembic_version TO sink_writer, sink_reader;
END
$$;

COMMIT;
