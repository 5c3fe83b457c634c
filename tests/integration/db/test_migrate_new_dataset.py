"""A dataset is added, then tuned, the way docs/schema.md says: on a copy of the tree, by the real commands."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from sink.db.target import revisions_in
from tests.fix_database import REPOSITORY, plain_engine
from tests.process import run

MODEL = '''

class Liquidation(Row, Base):
    """One forced order."""

    __tablename__ = "liquidations"
    __table_args__ = (
        symbol_check(),
        Index(None, "liquidated_at"),
        hypertable(time="liquidated_at", chunk=timedelta(days=3), retain=timedelta(days=90)),
    )

    symbol: Mapped[Symbol] = mapped_column(primary_key=True)
    liquidated_at: Mapped[Timestamp] = mapped_column(primary_key=True)
    price: Mapped[Amount]
    side: Mapped[String | None]
'''
CHUNK = (
    "SELECT CAST(time_interval AS text) FROM timescaledb_information.dimensions WHERE hypertable_name = 'liquidations'"
)
KEPT = "SELECT CAST(drop_after AS text) FROM sink.retention WHERE table_name = 'liquidations'"
HEAD = revisions_in(REPOSITORY / "migrations").head
"""The newest revision before the test adds its own."""
SAID = "SELECT obj_description('public.alembic_version'::regclass, 'pg_class')"


class Tree:
    """A copy of the repository and its database."""

    def __init__(self, folder: Path, database_url: str, engine: Engine) -> None:
        self.folder = folder
        self.engine = engine
        self._url = database_url

    def command(self, *arguments: str) -> str:
        """Run a command in the copy; it must succeed."""
        ended = run(arguments, database_url=self._url, directory=self.folder)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def revise(self, message: str) -> str:
        """Autogenerate a revision, apply it, and give its source."""
        before = set(self.folder.glob("migrations/versions/*.py"))
        self.command("alembic", "revision", "--autogenerate", "-m", message)
        (made,) = set(self.folder.glob("migrations/versions/*.py")) - before
        self.command("ruff", "format", "--check", str(made))  # as generated: nobody ran ruff on it
        self.command("ruff", "check", str(made))
        self.command("alembic", "upgrade", "head")
        return made.read_text()

    def value(self, query: str) -> object:
        with self.engine.connect() as connection:
            return connection.scalar(text(query))


@pytest.fixture
def tree(tmp_path: Path, database_url: str) -> Iterator[Tree]:
    for folder in ("sink", "migrations"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("alembic.ini", "pyproject.toml"):
        shutil.copy(REPOSITORY / file, tmp_path / file)
    with (tmp_path / "sink/db/models.py").open("a") as models:
        models.write(MODEL)
    engine = plain_engine(database_url)
    yield Tree(tmp_path, database_url, engine)
    engine.dispose()


def test_liquidations_are_added_tuned_and_taken_back(tree: Tree) -> None:
    made = tree.revise("add liquidations table")
    assert "info=" not in made
    assert (tree.value(CHUNK), tree.value(KEPT)) == ("3 days", "90 days")
    assert tree.value(SAID) == f"oldest code: {HEAD}", "replicas of the version before may go on"
    with tree.engine.begin() as connection:
        connection.execute(text("INSERT INTO liquidations (symbol, liquidated_at, price) VALUES ('X', now(), 1)"))
    assert tree.value("SELECT show_chunks('liquidations')") is not None

    models = tree.folder / "sink/db/models.py"
    models.write_text(
        models.read_text().replace(
            'time="liquidated_at", chunk=timedelta(days=3), retain=timedelta(days=90)',
            'time="liquidated_at", chunk=timedelta(hours=12), retain=None',
        )
    )
    tuned = tree.revise("tune liquidations")
    assert "set_chunk_time_interval('liquidations', INTERVAL '12 hours')" in tuned
    assert "sink.set_retention('liquidations', NULL)" in tuned
    assert (tree.value(CHUNK), tree.value(KEPT)) == ("12:00:00", None)
    tree.command("alembic", "check")

    tree.command("alembic", "downgrade", "-1")
    assert (tree.value(CHUNK), tree.value(KEPT)) == ("3 days", "90 days")
    tree.command("alembic", "downgrade", HEAD)
    assert tree.value("SELECT to_regclass('liquidations')") is None
    assert tree.value(SAID) == "oldest code: 0001"
    assert tree.value(KEPT) is None
