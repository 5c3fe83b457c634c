"""Entry point that Alembic loads for every command; the work is in sink.db.migrating."""

from __future__ import annotations

from sink.db.migrating import run_environment

run_environment()
