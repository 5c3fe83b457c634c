"""Which revisions the migrations have, without Alembic."""

from __future__ import annotations

from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

from sink.db.target import revisions_in
from tests.fix_database import REPOSITORY


def script(folder: Path, name: str, *lines: str) -> None:
    versions = folder / "versions"
    versions.mkdir(exist_ok=True)
    (versions / f"{name}.py").write_text("\n".join(('"""A script."""', "import missing_library", *lines)))


def test_it_reads_what_alembic_reads() -> None:
    config = Config()
    config.set_main_option("script_location", str(REPOSITORY / "migrations"))
    scripts = ScriptDirectory.from_config(config)
    ours = revisions_in(REPOSITORY / "migrations")
    assert ours.heads == set(scripts.get_heads())
    assert ours.known == {one.revision for one in scripts.walk_revisions()}


def test_a_branch_has_two_heads_until_a_script_follows_both(tmp_path: Path) -> None:
    script(tmp_path, "first", 'revision: str = "1"', "down_revision: str | None = None")
    script(tmp_path, "left", 'revision = "2"', 'down_revision = "1"')
    script(tmp_path, "right", 'revision = "3"', 'down_revision = "1"')
    script(tmp_path, "helper", "OTHER = 1")
    assert revisions_in(tmp_path).heads == {"2", "3"}
    script(tmp_path, "both", 'revision = "4"', 'down_revision = ("2", "3")')
    assert revisions_in(tmp_path).heads == {"4"}
    assert revisions_in(tmp_path).known == {"1", "2", "3", "4"}
