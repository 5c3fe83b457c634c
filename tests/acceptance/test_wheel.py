"""The built wheel runs on its own, without the repository."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(command: Sequence[str | Path], directory: Path) -> str:
    ended = subprocess.run(
        command, cwd=directory, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=240, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def build(directory: Path) -> Path:
    uv = Path(sys.executable).with_name("uv")
    arguments = ["--wheel", "--no-build-isolation", "--offline", "--quiet", "--python", sys.executable]
    run([uv, "build", *arguments, "--out-dir", directory, ROOT], directory)
    (wheel,) = directory.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of the commands of a fresh environment: the wheel and the locked dependencies, nothing else."""
    environment = tmp_path_factory.mktemp("installed") / "venv"
    uv = Path(sys.executable).with_name("uv")
    run([uv, "venv", "--quiet", "--python", sys.executable, environment], environment.parent)
    python = environment / "bin/python"
    run([uv, "pip", "install", "--quiet", "--offline", "--no-deps", "--python", python, wheel], environment.parent)
    # The dependencies of this very run are lent by path; the .pth files among them, our editable install, are not read.
    packages = run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], environment.parent)
    (Path(packages.strip()) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment / "bin"


def test_migrations_and_schemas_travel_in_the_wheel(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for folder in ("migrations", "schemas"):
        expected = {
            f"sink/_data/{file.relative_to(ROOT)}"
            for file in (ROOT / folder).rglob("*")
            if file.is_file() and file.parent.name != "__pycache__"
        }
        assert expected == {name for name in names if name.startswith(f"sink/_data/{folder}/")}
        assert expected


def test_nothing_else_travels_in_the_wheel(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {"sink", "kafka_timescale_sink-0.1.0.dist-info"}
    assert "sink/py.typed" in names


def test_the_command_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    where = run([installed / "python", "-c", "import sink; print(sink.__file__)"], tmp_path)
    assert Path(where.strip()).is_relative_to(installed.parent)
    assert "config" in run([installed / "sink", "--help"], tmp_path)
    assert "SINK_BATCH__MAX_ROWS=50000  # default\n" in run([installed / "sink", "config"], tmp_path)
