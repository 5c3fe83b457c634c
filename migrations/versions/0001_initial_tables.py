"""Create the four datasets as hypertables and the sink's own schema.

Generated from the models; the schema, the functions and the grants were added by hand.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None

# Both editions share one source of truth, sink.retention: the community edition turns a row into TimescaleDB's own
# policy, on Apache-2 sink.drop_expired_chunks() reads it. FROM CURRENT pins the path of sink.db.environment.SESSION.
SET_RETENTION = """
CREATE FUNCTION sink.set_retention(hypertable regclass, keep interval) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $body$
BEGIN
    IF keep IS NULL THEN
        DELETE FROM sink.retention WHERE table_name = hypertable::text;
    ELSE
        INSERT INTO sink.retention (table_name, drop_after) VALUES (hypertable::text, keep)
        ON CONFLICT (table_name) DO UPDATE SET drop_after = EXCLUDED.drop_after;
    END IF;
    IF current_setting('timescaledb.license', true) = 'timescale' THEN
        PERFORM remove_retention_policy(hypertable, if_exists => true);
        IF keep IS NOT NULL THEN
            PERFORM add_retention_policy(hypertable, drop_after => keep);
        END IF;
    END IF;
END
$body$
"""

# SECURITY DEFINER because only a table's owner may drop its chunks. The join leaves out tables that are gone.
DROP_EXPIRED_CHUNKS = """
CREATE FUNCTION sink.drop_expired_chunks() RETURNS SETOF text
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

# deploy/roles.sql grants by default privileges. What these cannot say: one function to the writer, and retention (it
# decides what is deleted) and the revision to nobody but the owner. A database without these roles needs none of it.
GRANTS = """
DO $body$
BEGIN
    REVOKE ALL ON FUNCTION sink.set_retention(regclass, interval), sink.drop_expired_chunks() FROM PUBLIC;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'sink_writer') THEN
        GRANT EXECUTE ON FUNCTION sink.drop_expired_chunks() TO sink_writer;
        GRANT DELETE ON ALL TABLES IN SCHEMA sink TO sink_writer;
        REVOKE INSERT, UPDATE, DELETE ON sink.retention FROM sink_writer;
        REVOKE INSERT, UPDATE ON public.alembic_version FROM sink_writer;
    END IF;
END
$body$
"""


def upgrade() -> None:
    op.execute("CREATE SCHEMA IF NOT EXISTS sink")
    op.create_table(
        "flushes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("sink_id", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("from_offset", sa.BigInteger(), nullable=False),
        sa.Column("to_offset", sa.BigInteger(), nullable=False),
        sa.Column("claim_seq", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("replay_id", sa.Text(), nullable=True),
        sa.Column("messages", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("rows_written", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("rows_not_newer", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("rows_deduplicated", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("ignored", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("late", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("quarantined", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("first_event_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_event_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("schema_ids", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("committed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind IN ('flush', 'replay', 'rewind', 'skip', 'gap')", name=op.f("ck_flushes_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flushes")),
        schema="sink",
    )
    op.create_index(
        op.f("ix_flushes_sink_id_topic_partition_id"),
        "flushes",
        ["sink_id", "topic", "partition", "id"],
        unique=False,
        schema="sink",
    )
    op.create_table(
        "positions",
        sa.Column("sink_id", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("topic_id", sa.Text(), nullable=True),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.Column("leader_epoch", sa.Integer(), nullable=True),
        sa.Column("claim_token", sa.Uuid(), nullable=False),
        sa.Column("claim_seq", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("sink_id", "topic", "partition", name=op.f("pk_positions")),
        schema="sink",
    )
    op.create_table(
        "quarantine",
        sa.Column("sink_id", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("offset", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("sqlstate", sa.Text(), nullable=True),
        sa.Column("schema_id", sa.Text(), nullable=True),
        sa.Column("key", sa.LargeBinary(), nullable=True),
        sa.Column("value", sa.LargeBinary(), nullable=True),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("kafka_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("quarantined_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("replayed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dropped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("drop_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("sink_id", "topic", "partition", "offset", name=op.f("pk_quarantine")),
        schema="sink",
    )
    op.create_table(
        "retention",
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("drop_after", sa.Interval(), nullable=False),
        sa.PrimaryKeyConstraint("table_name", name=op.f("pk_retention")),
        schema="sink",
    )
    op.create_table(
        "sinks",
        sa.Column("sink_id", sa.Text(), nullable=False),
        sa.Column("kafka_cluster_id", sa.Text(), nullable=False),
        sa.Column("group_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("sink_id", name=op.f("pk_sinks")),
        schema="sink",
    )
    op.execute(SET_RETENTION)
    op.execute(DROP_EXPIRED_CHUNKS)
    op.execute(GRANTS)
    op.create_table(
        "candles_1m",
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("bucket_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("open", sa.Numeric(precision=38, scale=18), nullable=False),
        sa.Column("high", sa.Numeric(precision=38, scale=18), nullable=False),
        sa.Column("low", sa.Numeric(precision=38, scale=18), nullable=False),
        sa.Column("close", sa.Numeric(precision=38, scale=18), nullable=False),
        sa.Column("volume", sa.Numeric(precision=38, scale=18), nullable=False),
        sa.Column("quote_volume", sa.Numeric(precision=38, scale=18), nullable=True),
        sa.Column("trade_count", sa.BigInteger(), nullable=True),
        sa.Column("taker_buy_base_volume", sa.Numeric(precision=38, scale=18), nullable=True),
        sa.Column("taker_buy_quote_volume", sa.Numeric(precision=38, scale=18), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "observed_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("source_partition", sa.Integer(), server_default=sa.text("-1"), nullable=False),
        sa.Column("source_offset", sa.BigInteger(), server_default=sa.text("-1"), nullable=False),
        sa.CheckConstraint("char_length(symbol) BETWEEN 1 AND 64", name=op.f("ck_candles_1m_symbol_length")),
        sa.PrimaryKeyConstraint("symbol", "bucket_start", name=op.f("pk_candles_1m")),
    )
    op.execute(
        "SELECT create_hypertable('candles_1m', by_range('bucket_start', INTERVAL '7 days'),"
        " create_default_indexes => false)"
    )
    op.execute("SELECT sink.set_retention('candles_1m', INTERVAL '180 days')")
    op.create_index(op.f("ix_candles_1m_bucket_start"), "candles_1m", ["bucket_start"], unique=False)
    op.create_table(
        "funding",
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("funding_ts", sa.DateTime(timezone=True), nullable=False),
        sa.Column("funding_rate", sa.Numeric(precision=38, scale=18), nullable=False),
        sa.Column("annualised_rate", sa.Numeric(precision=38, scale=18), nullable=True),
        sa.Column("payment", sa.Numeric(precision=38, scale=18), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "observed_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("source_partition", sa.Integer(), server_default=sa.text("-1"), nullable=False),
        sa.Column("source_offset", sa.BigInteger(), server_default=sa.text("-1"), nullable=False),
        sa.CheckConstraint("char_length(symbol) BETWEEN 1 AND 64", name=op.f("ck_funding_symbol_length")),
        sa.PrimaryKeyConstraint("symbol", "funding_ts", name=op.f("pk_funding")),
    )
    op.execute(
        "SELECT create_hypertable('funding', by_range('funding_ts', INTERVAL '30 days'),"
        " create_default_indexes => false)"
    )
    op.execute("SELECT sink.set_retention('funding', INTERVAL '365 days')")
    op.create_index(op.f("ix_funding_funding_ts"), "funding", ["funding_ts"], unique=False)
    op.create_table(
        "oi_snapshots",
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("snapshot_ts", sa.DateTime(timezone=True), nullable=False),
        sa.Column("open_interest", sa.Numeric(precision=38, scale=18), nullable=False),
        sa.Column("open_interest_usd", sa.Numeric(precision=38, scale=18), nullable=True),
        sa.Column("basis_points", sa.Numeric(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "observed_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("source_partition", sa.Integer(), server_default=sa.text("-1"), nullable=False),
        sa.Column("source_offset", sa.BigInteger(), server_default=sa.text("-1"), nullable=False),
        sa.CheckConstraint("char_length(symbol) BETWEEN 1 AND 64", name=op.f("ck_oi_snapshots_symbol_length")),
        sa.PrimaryKeyConstraint("symbol", "snapshot_ts", name=op.f("pk_oi_snapshots")),
    )
    op.execute(
        "SELECT create_hypertable('oi_snapshots', by_range('snapshot_ts', INTERVAL '7 days'),"
        " create_default_indexes => false)"
    )
    op.execute("SELECT sink.set_retention('oi_snapshots', INTERVAL '120 days')")
    op.create_index(op.f("ix_oi_snapshots_snapshot_ts"), "oi_snapshots", ["snapshot_ts"], unique=False)
    op.create_table(
        "trades",
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("trade_ts", sa.DateTime(timezone=True), nullable=False),
        sa.Column("trade_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("price", sa.Numeric(precision=38, scale=18), nullable=False),
        sa.Column("quantity", sa.Numeric(precision=38, scale=18), nullable=False),
        sa.Column("is_buyer_maker", sa.Boolean(), nullable=False),
        sa.Column("side", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "observed_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("source_partition", sa.Integer(), server_default=sa.text("-1"), nullable=False),
        sa.Column("source_offset", sa.BigInteger(), server_default=sa.text("-1"), nullable=False),
        sa.CheckConstraint("side IN ('buy', 'sell')", name=op.f("ck_trades_side")),
        sa.CheckConstraint("char_length(symbol) BETWEEN 1 AND 64", name=op.f("ck_trades_symbol_length")),
        sa.PrimaryKeyConstraint("symbol", "trade_ts", "trade_id", name=op.f("pk_trades")),
    )
    op.execute(
        "SELECT create_hypertable('trades', by_range('trade_ts', INTERVAL '3 days'), create_default_indexes => false)"
    )
    op.execute("SELECT sink.set_retention('trades', INTERVAL '30 days')")
    op.create_index(op.f("ix_trades_trade_ts"), "trades", ["trade_ts"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_trades_trade_ts"), table_name="trades")
    op.execute("SELECT sink.set_retention('trades', NULL)")
    op.drop_table("trades")
    op.drop_index(op.f("ix_oi_snapshots_snapshot_ts"), table_name="oi_snapshots")
    op.execute("SELECT sink.set_retention('oi_snapshots', NULL)")
    op.drop_table("oi_snapshots")
    op.drop_index(op.f("ix_funding_funding_ts"), table_name="funding")
    op.execute("SELECT sink.set_retention('funding', NULL)")
    op.drop_table("funding")
    op.drop_index(op.f("ix_candles_1m_bucket_start"), table_name="candles_1m")
    op.execute("SELECT sink.set_retention('candles_1m', NULL)")
    op.drop_table("candles_1m")
    op.execute("DROP FUNCTION sink.drop_expired_chunks()")
    op.execute("DROP FUNCTION sink.set_retention(regclass, interval)")
    op.drop_table("sinks", schema="sink")
    op.drop_table("retention", schema="sink")
    op.drop_table("quarantine", schema="sink")
    op.drop_table("positions", schema="sink")
    op.drop_index(op.f("ix_flushes_sink_id_topic_partition_id"), table_name="flushes", schema="sink")
    op.drop_table("flushes", schema="sink")
    op.execute("DROP SCHEMA sink")
