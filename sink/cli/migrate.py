"""``sink migrate``: bring the database's tables up to this version, where there is no checkout to run Alembic in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from sink.db import migrating
from sink.resources import resource_folder
from sink.settings import load

app = typer.Typer(add_completion=False)


@app.command()
def migrate(
    *,
    revision: Annotated[str, typer.Option(help="Stop at this revision instead of the newest.")] = "head",
    check: Annotated[
        bool,
        typer.Option("--check", help="Change nothing; fail (exit code 4) where the database is not as it must be."),
    ] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Change nothing; print the SQL for an empty database.")] = False,
    wait: Annotated[float, typer.Option(help="Seconds to wait for another migration.")] = migrating.WAIT,
    columnstore: Annotated[
        Literal["on", "off"] | None,
        typer.Option(help="Let old chunks turn into columnstore, or no more (TimescaleDB's community edition)."),
    ] = None,
    migrations: Annotated[Path | None, typer.Option(help="Folder of the migrations, instead of our own.")] = None,
) -> None:
    """Make or update the tables: run this before the first start and with each new version.

    Several may run at once; one works, the others wait for it.

    For example:

    - `sink migrate`
    - `sink migrate --check`
    - `sink migrate --columnstore on`
    """
    folder = resource_folder("migrations", migrations)
    if sql:
        migrating.write_sql(folder, sys.stdout, revision=revision, columnstore=columnstore)
        return
    url = load().database_url.get_secret_value()
    if check:
        migrating.check(url, folder)
        typer.echo("the database is as this version needs it")
        return
    migrating.upgrade(url, folder, _say, revision=revision, wait=wait, columnstore=columnstore)
    typer.echo("the tables are up to date")


def _say(sentence: str) -> None:
    typer.echo(sentence, err=True)
