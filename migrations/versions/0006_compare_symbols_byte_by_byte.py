"""Compare symbols byte by byte, whatever the language of the database.

Written by hand: autogenerate does not look at collations.
"""

from __future__ import annotations

from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | None = None
depends_on: str | None = None
oldest_code: str = "0001"
"""Code of this revision and later runs on the schema as it is from here on."""

# A table that has rows stays as it is: its primary key would be built anew while nobody can read or write it. `sink
# check` tells where that is worth a window, docs/schema.md how it is done.
COMPARE_BY_BYTES = """
DO $body$
DECLARE
    fresh record;
BEGIN
    FOR fresh IN
        SELECT format('%I.%I', h.hypertable_schema, h.hypertable_name) AS name
        FROM timescaledb_information.hypertables h
        WHERE h.hypertable_schema = 'public'
          AND h.hypertable_name IN ('candles_1m', 'trades', 'oi_snapshots', 'funding')
          AND h.num_chunks = 0
    LOOP
        BEGIN
            EXECUTE format('ALTER TABLE %s ALTER COLUMN symbol TYPE text COLLATE "C"', fresh.name);
        EXCEPTION WHEN feature_not_supported THEN
            NULL;  -- one that has a columnstore, though no chunk yet
        END;
    END LOOP;
END
$body$
"""


def upgrade() -> None:
    op.execute(COMPARE_BY_BYTES)


def downgrade() -> None:
    """Leave the tables: earlier versions run on either, and the way back would lock them for as long."""
