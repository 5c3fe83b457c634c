"""Add where the time of flushes goes to the ledger.

Generated from the models.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None
oldest_code: str = "0001"
"""Code of this revision and later runs on the schema as it is from here on."""


def upgrade() -> None:
    op.add_column("flushes", sa.Column("flushes", sa.Integer(), nullable=True), schema="sink")
    op.add_column("flushes", sa.Column("filled_seconds", sa.REAL(), nullable=True), schema="sink")
    op.add_column("flushes", sa.Column("waited_seconds", sa.REAL(), nullable=True), schema="sink")
    op.add_column("flushes", sa.Column("written_seconds", sa.REAL(), nullable=True), schema="sink")


def downgrade() -> None:
    op.drop_column("flushes", "written_seconds", schema="sink")
    op.drop_column("flushes", "waited_seconds", schema="sink")
    op.drop_column("flushes", "filled_seconds", schema="sink")
    op.drop_column("flushes", "flushes", schema="sink")
