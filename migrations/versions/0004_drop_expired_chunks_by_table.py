"""Let the sink drop the expired chunks of one table at a time.

Written by hand: autogenerate knows nothing of functions.
"""

from __future__ import annotations

from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | None = None
depends_on: str | None = None
oldest_code: str = "0001"
"""Code of this revision and later runs on the schema as it is from here on."""

# NULL says that another session is at it: an empty answer would look like nothing to do. By table, so that a query that
# holds an old chunk of one keeps no other table from its turn, and chunks stay locked for as short as can be. The
# function of 0001, which drops of all tables at once, stays for people.
DROP_EXPIRED_CHUNKS = """
CREATE FUNCTION sink.drop_expired_chunks(hypertable regclass) RETURNS text[]
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

GRANTS = """
DO $body$
BEGIN
    REVOKE ALL ON FUNCTION sink.drop_expired_chunks(regclass) FROM PUBLIC;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'sink_writer') THEN
        GRANT EXECUTE ON FUNCTION sink.drop_expired_chunks(regclass) TO sink_writer;
    END IF;
END
$body$
"""


def upgrade() -> None:
    op.execute(DROP_EXPIRED_CHUNKS)
    op.execute(GRANTS)


def downgrade() -> None:
    op.execute("DROP FUNCTION sink.drop_expired_chunks(regclass)")
