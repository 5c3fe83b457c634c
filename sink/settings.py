"""Every setting of the sink, typed and frozen, with the place it is read from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

STACK_ENV_FILE = Path(".stack/sink.env")
"""Written by ``sink stack up``: how to reach the development servers. Real environment variables come first."""


class Settings(BaseSettings):
    """What the environment says."""

    model_config = SettingsConfigDict(env_prefix="SINK_", env_file=STACK_ENV_FILE, frozen=True, extra="ignore")

    database_url: Annotated[SecretStr, Field(validation_alias="DATABASE_URL")] = SecretStr(
        "postgresql+psycopg://postgres:postgres@localhost:5432/ingestion"
    )
