"""Lock a chunk before it is dropped, so that no query falls into a deadlock with retention.

Written by hand: autogenerate knows nothing of functions.
"""

from __future__ import annotations

from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | None = None
depends_on: str | None = None
oldest_code: str = "0001"
"""Code of this revision and later runs on the schema as it is from here on."""

# drop_chunks() locks a chunk's primary key first and the chunk afterwards, a query the other way round: each can wait
# for the other, and PostgreSQL may end the query. Here chunks come first, oldest first. Only that one is waited for,
# while nothing else is held; from one in use on they are left to the next turn.
DROP_EXPIRED_CHUNKS_OF_A_TABLE = """
CREATE OR REPLACE FUNCTION sink.drop_expired_chunks(hypertable regclass) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $body$
DECLARE
    expired record;
    older_than timestamptz;
BEGIN
    IF current_setting('timescaledb.license', true) = 'timescale' THEN
        RETURN '{}';  -- the policy does it
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtextextended('sink.drop_expired_chunks', hypertable::oid::bigint)) THEN
        RETURN NULL;
    END IF;
    FOR expired IN
        SELECT format('%I.%I', c.chunk_schema, c.chunk_name) AS chunk, c.range_end
        FROM sink.retention r
        JOIN timescaledb_information.chunks c
          ON to_regclass(r.table_name) = to_regclass(format('%I.%I', c.hypertable_schema, c.hypertable_name))
        WHERE to_regclass(r.table_name) = hypertable AND c.range_end <= now() - r.drop_after
        ORDER BY c.range_end
    LOOP
        IF older_than IS NULL THEN
            EXECUTE format('LOCK TABLE %s', expired.chunk);
        ELSE
            BEGIN
                EXECUTE format('LOCK TABLE %s NOWAIT', expired.chunk);
            EXCEPTION WHEN lock_not_available THEN
                EXIT;
            END;
        END IF;
        older_than := expired.range_end;
    END LOOP;
    IF older_than IS NULL THEN
        RETURN '{}';
    END IF;
    RETURN ARRAY(SELECT drop_chunks(hypertable, older_than => older_than));
END
$body$
"""

DROP_EXPIRED_CHUNKS = """
CREATE OR REPLACE FUNCTION sink.drop_expired_chunks() RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $body$
DECLARE
    kept record;
BEGIN
    IF current_setting('timescaledb.license', true) = 'timescale' THEN
        RETURN;  -- the policies do it
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtextextended('sink.drop_expired_chunks', 0)) THEN
        RETURN;  -- another session is at it
    END IF;
    FOR kept IN
        SELECT to_regclass(r.table_name) AS hypertable
        FROM sink.retention r
        JOIN timescaledb_information.hypertables h
          ON to_regclass(r.table_name) = to_regclass(format('%I.%I', h.hypertable_schema, h.hypertable_name))
        ORDER BY r.table_name
    LOOP
        RETURN QUERY SELECT unnest(sink.drop_expired_chunks(kept.hypertable));
    END LOOP;
END
$body$
"""

DROP_EXPIRED_CHUNKS_OF_A_TABLE_BEFORE = """
CREATE OR REPLACE FUNCTION sink.drop_expired_chunks(hypertable regclass) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $body$
BEGIN
    IF current_setting('timescaledb.license', true) = 'timescale' THEN
        RETURN '{}';  -- the policy does it
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtextextended('sink.drop_expired_chunks', hypertable::oid::bigint)) THEN
        RETURN NULL;
    END IF;
    RETURN ARRAY(
        SELECT drop_chunks(to_regclass(r.table_name), older_than => r.drop_after)
        FROM sink.retention r
        JOIN timescaledb_information.hypertables h
          ON to_regclass(r.table_name) = to_regclass(format('%I.%I', h.hypertable_schema, h.hypertable_name))
        WHERE to_regclass(r.table_name) = hypertable
    );
END
$body$
"""

DROP_EXPIRED_CHUNKS_BEFORE = """
CREATE OR REPLACE FUNCTION sink.drop_expired_chunks() RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $body$
DECLARE
    kept record;
BEGIN
    IF current_setting('timescaledb.license', true) = 'timescale' THEN
        RETURN;  -- the policies do it
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtextextended('sink.drop_expired_chunks', 0)) THEN
        RETURN;  -- another session is at it
    END IF;
    FOR kept IN
        SELECT to_regclass(r.table_name) AS hypertable, r.drop_after
        FROM sink.retention r
        JOIN timescaledb_information.hypertables h
          ON to_regclass(r.table_name) = to_regclass(format('%I.%I', h.hypertable_schema, h.hypertable_name))
        ORDER BY r.table_name
    LOOP
        RETURN QUERY SELECT drop_chunks(kept.hypertable, older_than => kept.drop_after);
    END LOOP;
END
$body$
"""


def upgrade() -> None:
    op.execute(DROP_EXPIRED_CHUNKS_OF_A_TABLE)
    op.execute(DROP_EXPIRED_CHUNKS)


def downgrade() -> None:
    op.execute(DROP_EXPIRED_CHUNKS_BEFORE)
    op.execute(DROP_EXPIRED_CHUNKS_OF_A_TABLE_BEFORE)
