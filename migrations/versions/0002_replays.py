"""Add the table of replays, and the reason of a moved position.

Generated from the models.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None
oldest_code: str = "0001"
"""Code of this revision and later runs on the schema as it is from here on."""


def upgrade() -> None:
    op.create_table(
        "replays",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("sink_id", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("ranges", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("symbols", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("totals", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replays")),
        schema="sink",
    )
    op.create_index(
        op.f("ix_replays_sink_id_created_at"), "replays", ["sink_id", "created_at"], unique=False, schema="sink"
    )
    op.add_column("flushes", sa.Column("reason", sa.Text(), nullable=True), schema="sink")


def downgrade() -> None:
    op.drop_column("flushes", "reason", schema="sink")
    op.drop_index(op.f("ix_replays_sink_id_created_at"), table_name="replays", schema="sink")
    op.drop_table("replays", schema="sink")
