"""Bring a database to a revision, compare it with the models, or write the SQL, from code rather than by `alembic`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from alembic import command
from alembic.autogenerate import produce_migrations
from alembic.config import Config
from alembic.operations.ops import UpgradeOps
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from sink.db.columnstore import Switch
from sink.db.environment import WAIT
from sink.db.models import Base
from sink.db.preflight import Report
from sink.errors import ConfigError, DefinitionError

__all__ = ["WAIT", "check", "upgrade", "write_sql"]


def upgrade(
    url: str,
    folder: Path,
    report: Report,
    *,
    revision: str = "head",
    wait: float = WAIT,
    columnstore: Switch | None = None,
) -> None:
    """Bring the database up to a revision, waiting up to ``wait`` seconds for another migration.

    Then switch TimescaleDB's columnstore on or off, unless ``columnstore`` is None.
    ``report`` gets a sentence for each revision applied, each warning, and while waiting. Raises ConfigError,
    TransientError or DefinitionError with the next step.
    """
    config = _config(folder, url)
    config.attributes.update(columnstore=columnstore, wait=wait, report=report, on_version_apply=[_announce(report)])
    command.upgrade(config, _known(config, revision))


def check(url: str, folder: Path) -> None:
    """Compare the database with the models; raises DefinitionError that lists every difference."""
    config = _config(folder, url)
    config.attributes["command"] = "check"
    script = ScriptDirectory.from_config(config)
    findings: list[str] = []

    def compare(revisions: Sequence[str], context: MigrationContext) -> list[Any]:
        if set(revisions) != set(script.get_heads()):
            raise DefinitionError(
                f"the database is at revision {', '.join(revisions) or 'none'}, this version of the sink needs"
                f" {', '.join(script.get_heads())}: run sink migrate"
            )
        operations = produce_migrations(context, Base.metadata).upgrade_ops or UpgradeOps(())
        for difference in operations.as_diffs():
            findings.extend(_sentences(difference))
        return []

    with EnvironmentContext(config, script, fn=compare):
        script.run_env()
    if findings:
        listed = "".join(f"\n  - {finding}" for finding in findings)
        raise DefinitionError(
            f"the database is not as the models say:{listed}\nundo what was changed by hand, or make it a migration:"
            " alembic revision --autogenerate"
        )


def write_sql(folder: Path, output: TextIO, *, revision: str = "head", columnstore: Switch | None = None) -> None:
    """Write the SQL that brings an empty database up to a revision, for people who run it themselves."""
    config = _config(folder, None)
    config.attributes["columnstore"] = columnstore
    config.output_buffer = output
    command.upgrade(config, _known(config, revision), sql=True)


def _config(folder: Path, url: str | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes["database_url"] = url
    return config


def _known(config: Config, revision: str) -> str:
    """Refuse a revision that the scripts do not have before any connection is made."""
    script = ScriptDirectory.from_config(config)
    try:
        script.get_revisions(revision)
    except CommandError:
        heads = ", ".join(script.get_heads())
        raise ConfigError(f"there is no revision {revision}; the newest is {heads}") from None
    return revision


def _announce(report: Report) -> Any:
    def announce(*, step: Any, **_rest: Any) -> None:
        report(f"applied {step.up_revision_id}: {step.up_revision.doc}")

    return announce


def _sentences(difference: Any) -> Iterator[str]:
    """Say what Alembic found; a changed column comes as a list of differences."""
    if isinstance(difference, list):
        for one in difference:
            yield from _sentences(one)
        return
    match difference:
        case ("hypertable", finding):
            yield str(finding)
        case ("add_table", table):
            yield f"table {table.fullname} is missing"
        case ("remove_table", table):
            yield f"table {table.fullname} is in no model"
        case ("add_column", _, table, column):
            yield f"column {table}.{column.name} is missing"
        case ("remove_column", _, table, column):
            yield f"column {table}.{column.name} is in no model"
        case (str(kind), _, table, column, _, found, wanted) if kind.startswith("modify_"):
            yield f"{kind.removeprefix('modify_')} of {table}.{column} is {found}, the model says {wanted}"
        case (str(kind), item, *_):
            what = kind.replace("add_", "missing ").replace("remove_", "unexpected ")
            yield f"{what} {getattr(item, 'name', item)} on {getattr(item, 'table', '')}"
