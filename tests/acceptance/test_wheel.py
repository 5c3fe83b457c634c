"""The built wheel runs on its own, without the repository."""

from __future__ import annotations

import importlib.metadata
import re
import sys
import zipfile
from pathlib import Path

import pytest

from tests.wheels import REPOSITORY, UV, build, run


def lend_production_packages(target: Path) -> None:
    """Link what production locks, and nothing that only developers have, out of the environment of this very run."""
    locked = re.findall(r"^([A-Za-z0-9._-]+)==", (REPOSITORY / "requirements/production.txt").read_text(), re.MULTILINE)
    by_name = {re.sub(r"[-_.]+", "-", one.name).lower(): one for one in importlib.metadata.distributions()}
    for distribution in (by_name[name] for name in locked if name in by_name):  # some are for other platforms
        for top in {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
            (target / top).symlink_to(Path(str(distribution.locate_file(top))))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(REPOSITORY, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of the commands of a fresh environment: the wheel and the locked dependencies, nothing else."""
    environment = tmp_path_factory.mktemp("installed") / "venv"
    run([UV, "venv", "--quiet", "--python", sys.executable, environment], environment.parent)
    python = environment / "bin/python"
    run([UV, "pip", "install", "--quiet", "--offline", "--no-deps", "--python", python, wheel], environment.parent)
    packages = run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], environment.parent)
    lend_production_packages(Path(packages.strip()))
    return environment / "bin"


def test_migrations_and_schemas_travel_in_the_wheel(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for folder in ("migrations", "schemas"):
        expected = {
            f"sink/_data/{file.relative_to(REPOSITORY)}"
            for file in (REPOSITORY / folder).rglob("*")
            if file.is_file() and file.parent.name != "__pycache__"
        }
        assert expected == {name for name in names if name.startswith(f"sink/_data/{folder}/")}
        assert expected


def test_nothing_else_travels_in_the_wheel(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    release = "-".join(wheel.name.split("-")[:2])
    assert {name.partition("/")[0] for name in names} == {"sink", f"{release}.dist-info"}
    assert "sink/py.typed" in names


def test_what_only_developers_have_is_not_there(installed: Path, tmp_path: Path) -> None:
    find = "import importlib.util as u; print([n for n in ('pytest', 'hatchling', 'polars') if u.find_spec(n)])"
    assert run([installed / "python", "-c", find], tmp_path) == "['polars']\n"


def test_the_command_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    where = run([installed / "python", "-c", "import sink; print(sink.__file__)"], tmp_path)
    assert Path(where.strip()).is_relative_to(installed.parent)
    assert "config" in run([installed / "sink", "--help"], tmp_path)
    assert "SINK_BATCH__MAX_ROWS=20000  # default\n" in run([installed / "sink", "config"], tmp_path)


def test_the_tables_are_made_by_the_wheel(installed: Path, tmp_path: Path, empty_database_url: str) -> None:
    command = installed / "sink"
    with pytest.raises(AssertionError, match="sink migrate"):
        run([command, "migrate", "--check"], tmp_path, DATABASE_URL=empty_database_url)
    run([command, "migrate"], tmp_path, DATABASE_URL=empty_database_url)
    run([command, "migrate", "--check"], tmp_path, DATABASE_URL=empty_database_url)


def test_schemas_and_samples_are_found_in_the_wheel(installed: Path, tmp_path: Path) -> None:
    look = (
        "from sink.avro.schemas import known_schemas; from sink.producing.samples import sample_files;"
        " print(len(known_schemas()), len(sample_files()))"
    )
    assert run([installed / "python", "-c", look], tmp_path) == "4 3\n"
