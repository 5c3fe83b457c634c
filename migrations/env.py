"""Entry point that Alembic loads for every command; the work is in sink.db.environment."""

from __future__ import annotations

from sink.db.environment import run_environment

run_environment()
